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

    /// Whether a dial of `peer`, or of an address with an unknown peer, could become a connection.
    pub(crate) fn may_dial(&self, peer: Option<&PeerId>) -> bool {
        self.check_total(peer, false).is_ok()
    }

    fn check(&self, peer: &PeerId, is_inbound: bool) -> Result<(), ConnectionDenied> {
        let with_peer = self.established.values().filter(|other| other.peer == *peer).count();
        if with_peer >= limits::CONNECTIONS_PER_PEER {
            return Err(ConnectionDenied::new(Full::OfPeer));
        }
        self.check_total(Some(peer), is_inbound).map_err(ConnectionDenied::new)
    }

    fn check_total(&self, peer: Option<&PeerId>, is_inbound: bool) -> Result<(), Full> {
        if peer.is_some_and(|peer| self.trusted.contains(peer)) {
            return Ok(());
        }
        let alike = self.established.values().filter(|other| other.is_inbound == is_inbound);
        // The loop closes strangers beyond their bound, and displaced peers. Twice the bound leaves
        // room for connections that are still closing.
        let bound = if is_inbound {
            self.max_peers + 2 * limits::STRANGERS
        } else {
            (self.max_peers * 2 / 3).max(2)
        };
        let total = self.max_peers + 3 * limits::STRANGERS;
        if alike.count() >= bound || self.established.len() >= total {
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
        if !self.counted.contains(&id) {
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
                let connection = Connection { peer: peer_id, is_inbound: endpoint.is_listener() };
                self.established.insert(connection_id, connection);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.established.remove(&closed.connection_id);
            }
            FromSwarm::DialFailure(failure) => self.dial_ended(failure.connection_id),
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
