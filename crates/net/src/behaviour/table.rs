//! Kademlia, of which each peer hears only the private addresses of its own network, and whose own
//! dials are within the budget for others' word.
//!
//! Absent on purpose: who is in the table. The event loop puts the admitted peers there that are
//! connected.

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

/// Kademlia itself.
pub(crate) type Inner = kad::Behaviour<kad::store::MemoryStore>;

/// Kademlia, with a look at what it answers.
pub(crate) struct Behaviour {
    inner: Inner,
    /// Where the other end of each connection is. As many as there are connections.
    hosts: FxHashMap<ConnectionId, IpAddr>,
    lan: Lan,
    /// Dials on others' word, also those of the event loop.
    budget: Budget,
    named: Named,
    /// Answers for addresses of which nobody knows who named them.
    local: PeerId,
}

/// Addresses that answers have named, and who did first.
#[derive(Debug, Default)]
struct Named {
    /// Without `/p2p/…`; at most [`limits::KAD_NAMED`].
    by: FxHashMap<Multiaddr, PeerId>,
    /// The same, the one that was named first comes first.
    order: VecDeque<Multiaddr>,
}

impl Named {
    fn add(&mut self, informant: PeerId, peers: &[kad::KadPeer]) {
        for told in peers.iter().flat_map(|peer| &peer.multiaddrs) {
            let told = address::without_peer(told);
            if self.by.contains_key(&told) {
                continue;
            }
            if self.order.len() >= limits::KAD_NAMED
                && let Some(first) = self.order.pop_front()
            {
                self.by.remove(&first);
            }
            self.by.insert(told.clone(), informant);
            self.order.push_back(told);
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
            hosts: FxHashMap::default(),
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

    /// Dials on others' word.
    pub(crate) fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// The names of its protocol.
    pub(crate) fn protocol_names(&self) -> &[libp2p::StreamProtocol] {
        self.inner.protocol_names()
    }

    /// These private ranges are ours from now on.
    pub(crate) fn set_lan(&mut self, lan: &Lan) {
        self.lan = lan.clone();
    }

    /// Leaves global addresses, and private ones of a range in which the asker is.
    fn cut(&self, asker: Option<&IpAddr>, peers: &mut [kad::KadPeer]) {
        for peer in peers.iter_mut() {
            peer.multiaddrs.retain(|told| may_tell(&self.lan, asker, told));
        }
    }

    /// Notes which addresses `informant` names: it answers for them.
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

    /// Of the addresses at which Kademlia would dial a peer those that the budget of who named them
    /// allows. Each counts, but for private ones: the dial filter lets them pass only if their subject
    /// has signed them, and their turn belongs to its advert.
    fn within_budget(&mut self, addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
        let now = Instant::now();
        let Self { named, budget, local, .. } = self;
        let allowed = |told: &Multiaddr| {
            if address::ip_of(told).is_some_and(lan::is_private) {
                return true;
            }
            let informant = named.informant(told).unwrap_or(*local);
            budget.may_dial(Some(told), informant, now)
        };
        addresses.into_iter().filter(allowed).collect()
    }

    /// The same for all peers in an answer.
    fn cut_answer(&self, handler: &NotifyHandler, event: &mut THandlerInEvent<Inner>) {
        type In = THandlerInEvent<Inner>;
        let asker = match handler {
            NotifyHandler::One(connection) => self.hosts.get(connection),
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
        self.hosts.extend(address::ip_of(remote).map(|ip| (id, ip)));
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
        // A dial that brings its addresses takes no others.
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
        self.hosts.extend(address::ip_of(address).map(|ip| (id, ip)));
        self.inner.handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        // A connection that a later behaviour denies fails to be dialled or listened to.
        if let FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
        | FromSwarm::DialFailure(DialFailure { connection_id, .. })
        | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = &event
        {
            self.hosts.remove(connection_id);
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

/// Whether an address may be told to an asker at this host. Names, link-local and other special
/// addresses are told to nobody: nobody would follow them.
fn may_tell(lan: &Lan, asker: Option<&IpAddr>, told: &Multiaddr) -> bool {
    address::ip_of(told).is_some_and(|ip| {
        let is_shared = || lan::is_private(ip) && asker.is_some_and(|at| lan.joins(*at, ip));
        address::is_global(ip) || is_shared()
    })
}

#[cfg(test)]
mod tests;
