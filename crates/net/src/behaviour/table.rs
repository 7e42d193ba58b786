//! Kademlia, of which each peer hears only the private addresses of its own network.
//!
//! Absent on purpose: who is in the table. The event loop puts the admitted peers there that are
//! connected.

use std::{
    net::IpAddr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    kad,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionClosed, DialFailure, ListenFailure},
    },
};
use rustc_hash::FxHashMap;

use crate::{address, lan, lan::Lan};

/// Kademlia itself.
pub(crate) type Inner = kad::Behaviour<kad::store::MemoryStore>;

/// Kademlia, with a look at what it answers.
pub(crate) struct Behaviour {
    inner: Inner,
    /// Where the other end of each connection is. As many as there are connections.
    hosts: FxHashMap<ConnectionId, IpAddr>,
    lan: Lan,
}

impl Behaviour {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner, hosts: FxHashMap::default(), lan: Lan::default() }
    }

    /// Kademlia's routing table, store and queries.
    pub(crate) fn table(&mut self) -> &mut Inner {
        &mut self.inner
    }

    /// The names of its protocol.
    pub(crate) fn protocol_names(&self) -> &[libp2p::StreamProtocol] {
        self.inner.protocol_names()
    }

    /// These private ranges are ours from now on.
    pub(crate) fn set_lan(&mut self, lan: &Lan) {
        self.lan = lan.clone();
    }

    /// Leaves out private addresses that mean nothing to the asker.
    fn cut(&self, asker: Option<&IpAddr>, peers: &mut [kad::KadPeer]) {
        for peer in peers.iter_mut() {
            peer.multiaddrs.retain(|told| match address::ip_of(told) {
                Some(ip) if lan::is_private(ip) => asker.is_some_and(|at| self.lan.joins(*at, ip)),
                Some(_) | None => true,
            });
        }
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
        self.inner.handle_pending_outbound_connection(id, peer, addresses, role)
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
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
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
