//! Bounds the connections, in total and per peer, and the dials of Kademlia.
//!
//! Absent on purpose: inbound connections before their handshake (`intake`), the places for dials
//! of the event loop (`event_loop/dials`), and the choice between peers, which the loop makes:
//! these bounds leave it room to choose.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished, dummy,
    },
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::limits;

/// The bound that a connection or a dial exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// The bound of connections per peer.
    #[error("this node already has {} connections to the peer", limits::CONNECTIONS_PER_PEER)]
    OfPeer,
    /// The bound of all connections, or of those in this direction.
    #[error("this node already has as many connections as its max_peers allows")]
    Connections,
    /// The bound of dials.
    #[error("too many dials are in progress")]
    Dials,
}

/// An established connection.
#[derive(Debug)]
struct Connection {
    peer: PeerId,
    is_inbound: bool,
    /// Whether it has one of the places beside those for tasks.
    is_beside: bool,
}

/// Denies connections and dials above the bounds.
#[derive(Debug)]
pub(crate) struct Behaviour {
    max_peers: usize,
    /// Peers that only the bound per peer applies to.
    trusted: Arc<HashSet<PeerId>>,
    /// Dials that the event loop has counted; removed when they end.
    counted: FxHashSet<ConnectionId>,
    /// Other dials, at most [`limits::OTHER_DIALS`].
    others: FxHashSet<ConnectionId>,
    /// Dials of connected peers for blobs. With such connections at most
    /// [`limits::BLOB_CONNECTIONS`].
    beside: FxHashMap<ConnectionId, PeerId>,
    /// Bounded by this behaviour, and by the number of trusted peers.
    established: FxHashMap<ConnectionId, Connection>,
}

impl Behaviour {
    pub(crate) fn new(max_peers: usize, trusted: Arc<HashSet<PeerId>>) -> Self {
        Self {
            max_peers,
            trusted,
            counted: FxHashSet::default(),
            others: FxHashSet::default(),
            beside: FxHashMap::default(),
            established: FxHashMap::default(),
        }
    }

    /// Sets the peers that may connect regardless of the number of others.
    pub(crate) fn set_trusted(&mut self, trusted: Arc<HashSet<PeerId>>) {
        self.trusted = trusted;
    }

    /// Notes a dial that the event loop is about to begin, and for which it found a place.
    pub(crate) fn count_dial(&mut self, id: ConnectionId) {
        self.counted.insert(id);
    }

    /// Notes a dial for blobs that the event loop is about to begin, and for which it found a place.
    pub(crate) fn count_beside(&mut self, id: ConnectionId, peer: PeerId) {
        self.beside.insert(id, peer);
    }

    /// Whether a place beside those for tasks is free.
    pub(crate) fn has_room_beside(&self, is_inbound: bool) -> bool {
        let is_alike = |it: &&Connection| it.is_beside && it.is_inbound == is_inbound;
        let established = self.established.values().filter(is_alike).count();
        let dials = if is_inbound { 0 } else { self.beside.len() };
        established + dials < limits::BLOB_CONNECTIONS
    }

    /// Gives a connection a place beside those for tasks. Returns whether it has one.
    pub(crate) fn move_beside(&mut self, id: ConnectionId) -> bool {
        let Some(is_inbound) = self.established.get(&id).map(|it| it.is_inbound) else {
            return false;
        };
        let has_room = self.has_room_beside(is_inbound);
        self.established.get_mut(&id).is_some_and(|connection| {
            connection.is_beside |= has_room;
            connection.is_beside
        })
    }

    /// Gives a connection a place for tasks.
    pub(crate) fn move_to_tasks(&mut self, id: ConnectionId) {
        if let Some(connection) = self.established.get_mut(&id) {
            connection.is_beside = false;
        }
    }

    /// Whether there is a connection with the peer, or a dial of it, beside those for tasks.
    pub(crate) fn has_beside(&self, peer: &PeerId) -> bool {
        let is_it = |connection: &Connection| connection.is_beside && connection.peer == *peer;
        self.beside.values().any(|dialled| dialled == peer) || self.established.values().any(is_it)
    }

    /// Whether a dial of `peer`, or of an address with an unknown peer, could become a connection.
    pub(crate) fn may_dial(&self, peer: Option<&PeerId>) -> bool {
        self.check_total(peer, false).is_ok()
    }

    fn check(&self, peer: &PeerId, is_inbound: bool) -> Result<(), ConnectionDenied> {
        self.check_peer(peer, false).map_err(ConnectionDenied::new)?;
        self.check_total(Some(peer), is_inbound).map_err(ConnectionDenied::new)
    }

    /// The bounds per peer. The total of the places beside those for tasks is counted before.
    fn check_peer(&self, peer: &PeerId, is_beside: bool) -> Result<(), Full> {
        let of_peer = || self.established.values().filter(|other| other.peer == *peer);
        let for_tasks = of_peer().filter(|other| !other.is_beside).count();
        if of_peer().count() >= limits::CONNECTIONS_PER_PEER
            || (!is_beside && for_tasks >= limits::TASK_CONNECTIONS)
        {
            return Err(Full::OfPeer);
        }
        Ok(())
    }

    fn check_total(&self, peer: Option<&PeerId>, is_inbound: bool) -> Result<(), Full> {
        if peer.is_some_and(|peer| self.trusted.contains(peer)) {
            return Ok(());
        }
        let for_tasks = || self.established.values().filter(|other| !other.is_beside);
        let alike = for_tasks().filter(|other| other.is_inbound == is_inbound);
        // The loop closes strangers beyond their bound, and displaced peers. Twice the bound leaves
        // room for connections that are still closing.
        let bound = if is_inbound {
            self.max_peers + 2 * limits::STRANGERS
        } else {
            (self.max_peers * 2 / 3).max(2)
        };
        let total = self.max_peers + 3 * limits::STRANGERS;
        if alike.count() >= bound || for_tasks().count() >= total {
            return Err(Full::Connections);
        }
        Ok(())
    }

    fn dial_ended(&mut self, id: ConnectionId) {
        self.counted.remove(&id);
        self.others.remove(&id);
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(&peer, true).map(|()| dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if !self.counted.contains(&id) && !self.beside.contains_key(&id) {
            if self.others.len() >= limits::OTHER_DIALS {
                return Err(ConnectionDenied::new(Full::Dials));
            }
            self.others.insert(id);
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.dial_ended(id);
        if self.beside.contains_key(&id) {
            return match self.check_peer(&peer, true) {
                Ok(()) => Ok(dummy::ConnectionHandler),
                Err(full) => Err(ConnectionDenied::new(full)),
            };
        }
        self.check(&peer, false).map(|()| dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => {
                let is_beside = self.beside.remove(&connection_id).is_some();
                let is_inbound = endpoint.is_listener();
                let connection = Connection { peer: peer_id, is_inbound, is_beside };
                self.established.insert(connection_id, connection);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.established.remove(&closed.connection_id);
            }
            FromSwarm::DialFailure(failure) => {
                self.beside.remove(&failure.connection_id);
                self.dial_ended(failure.connection_id);
            }
            FromSwarm::AddressChange(_) | FromSwarm::ListenFailure(_) | _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
