//! Kademlia with two restrictions: a peer learns only the private addresses of its own network, and
//! Kademlia's own dials are within the budget of dials on other peers' word.
//!
//! Absent on purpose: filling the routing table. The event loop adds connected, admitted peers.

use std::{
    collections::VecDeque,
    net::IpAddr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    kad,
    swarm::{
        ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, NotifyHandler,
        THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionClosed, DialFailure, ListenFailure},
    },
};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::budget::Budget;
use crate::{address, lan, lan::Lan, limits};

/// libp2p's Kademlia behaviour.
pub(crate) type Inner = kad::Behaviour<kad::store::MemoryStore>;

/// Kademlia, with filtered answers and dials.
pub(crate) struct Behaviour {
    inner: Inner,
    /// The IP address of the other end of each connection.
    remote_ips: FxHashMap<ConnectionId, IpAddr>,
    lan: Lan,
    /// The budget of dials on other peers' word, those of the event loop included.
    budget: Budget,
    named: Named,
    /// This node, charged for addresses without a known informant.
    local: PeerId,
}

/// Addresses that answers contained, and the peer that named each first.
#[derive(Debug, Default)]
struct Named {
    /// Without `/p2p/…`; at most [`limits::KAD_NAMED`].
    by: FxHashMap<Multiaddr, PeerId>,
    /// The same addresses, the oldest first.
    order: VecDeque<Multiaddr>,
}

impl Named {
    fn add(&mut self, informant: PeerId, peers: &[kad::KadPeer]) {
        for address in peers.iter().flat_map(|peer| &peer.multiaddrs) {
            let address = address::without_peer(address);
            if self.by.contains_key(&address) {
                continue;
            }
            if self.order.len() >= limits::KAD_NAMED
                && let Some(first) = self.order.pop_front()
            {
                self.by.remove(&first);
            }
            self.by.insert(address.clone(), informant);
            self.order.push_back(address);
        }
    }

    fn informant(&self, address: &Multiaddr) -> Option<PeerId> {
        self.by.get(&address::without_peer(address)).copied()
    }
}

impl Behaviour {
    /// `local` is this node's own id.
    pub(crate) fn new(inner: Inner, local: PeerId) -> Self {
        Self {
            inner,
            remote_ips: FxHashMap::default(),
            lan: Lan::default(),
            budget: Budget::default(),
            named: Named::default(),
            local,
        }
    }

    /// Kademlia's routing table, store and queries.
    pub(crate) fn table(&mut self) -> &mut Inner {
        &mut self.inner
    }

    /// The budget of dials on other peers' word.
    pub(crate) fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// The names of Kademlia's protocol.
    pub(crate) fn protocol_names(&self) -> &[libp2p::StreamProtocol] {
        self.inner.protocol_names()
    }

    /// Sets this node's private ranges.
    pub(crate) fn set_lan(&mut self, lan: &Lan) {
        self.lan = lan.clone();
    }

    /// Removes addresses that the asker may not learn. Global addresses stay, and private ones in a
    /// range that the asker is in.
    fn cut(&self, asker: Option<&IpAddr>, peers: &mut [kad::KadPeer]) {
        for peer in peers.iter_mut() {
            peer.multiaddrs.retain(|address| may_reveal(&self.lan, asker, address));
        }
    }

    /// Notes the addresses that `informant` names; dials of them count against its budget.
    fn note(&mut self, informant: PeerId, event: &THandlerOutEvent<Inner>) {
        type Out = THandlerOutEvent<Inner>;
        if let Out::FindNodeRes { closer_peers, .. }
        | Out::GetRecordRes { closer_peers, .. }
        | Out::GetProvidersRes { closer_peers, .. } = event
        {
            self.named.add(informant, closer_peers);
        }
        if let Out::GetProvidersRes { provider_peers, .. } = event {
            self.named.add(informant, provider_peers);
        }
    }

    /// Filters the addresses at which Kademlia would dial a peer by the budgets of their
    /// informants. Each counts, except private ones: the dial filter lets these pass only if their
    /// subject signed them, and they count for its advert.
    fn within_budget(&mut self, addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
        let now = Instant::now();
        let Self { named, budget, local, .. } = self;
        let allowed = |address: &Multiaddr| {
            if address::ip_of(address).is_some_and(lan::is_private) {
                return true;
            }
            let informant = named.informant(address).unwrap_or(*local);
            budget.may_dial(Some(address), informant, now)
        };
        addresses.into_iter().filter(allowed).collect()
    }

    /// Applies [`Self::cut`] to all peers in an answer.
    fn cut_answer(&self, handler: &NotifyHandler, event: &mut THandlerInEvent<Inner>) {
        type In = THandlerInEvent<Inner>;
        let asker = match handler {
            NotifyHandler::One(connection) => self.remote_ips.get(connection),
            NotifyHandler::Any => None,
        };
        if let In::GetProvidersRes { provider_peers, .. } = event {
            self.cut(asker, provider_peers);
        }
        if let In::FindNodeRes { closer_peers, .. }
        | In::GetRecordRes { closer_peers, .. }
        | In::GetProvidersRes { closer_peers, .. } = event
        {
            self.cut(asker, closer_peers);
            closer_peers.retain(|peer| !peer.multiaddrs.is_empty());
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <Inner as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = kad::Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.remote_ips.extend(address::ip_of(remote).map(|ip| (id, ip)));
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let known = self.inner.handle_pending_outbound_connection(id, peer, addresses, role)?;
        // A dial with given addresses uses no others.
        Ok(if addresses.is_empty() { self.within_budget(known) } else { known })
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.remote_ips.extend(address::ip_of(address).map(|ip| (id, ip)));
        self.inner.handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        // If a later behaviour denies a connection, only a dial or listen failure is reported.
        if let FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
        | FromSwarm::DialFailure(DialFailure { connection_id, .. })
        | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = &event
        {
            self.remote_ips.remove(connection_id);
        }
        if let FromSwarm::DialFailure(DialFailure {
            error: DialError::WrongPeerId { address, .. },
            ..
        }) = &event
        {
            self.budget.charge(address, Instant::now());
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.note(peer, &event);
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let mut action = self.inner.poll(cx);
        if let Poll::Ready(ToSwarm::NotifyHandler { handler, event, .. }) = &mut action {
            self.cut_answer(handler, event);
        }
        action
    }
}

/// Whether to reveal an address to an asker at this host. Names, link-local and other special
/// addresses are never revealed: other nodes do not dial them.
fn may_reveal(lan: &Lan, asker: Option<&IpAddr>, address: &Multiaddr) -> bool {
    address::ip_of(address).is_some_and(|ip| {
        let is_shared = || lan::is_private(ip) && asker.is_some_and(|at| lan.joins(*at, ip));
        address::is_global(ip) || is_shared()
    })
}

#[cfg(test)]
mod tests;
