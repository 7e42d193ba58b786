//! Denies connections to peers that the user blocked and, for a short time and in memory, to peers
//! that broke the protocol.
//!
//! Absent on purpose: counting connections (`places`), and denying peers for anything less than
//! proven misbehaviour. No peer is expelled because it is offline.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, dummy,
    },
};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use crate::limits;

/// A connection was denied because the peer is expelled.
#[derive(Debug, thiserror::Error)]
#[error(
    "this node expelled the peer because it broke the protocol; connect again after {:?}",
    limits::EXPEL_TIME
)]
pub(crate) struct Expelled;

/// A connection was denied because the user blocked the peer.
#[derive(Debug, thiserror::Error)]
#[error("this node blocks the peer")]
pub(crate) struct Blocked;

/// The blocked and the expelled peers.
#[derive(Default)]
pub(crate) struct Behaviour {
    /// At most [`limits::BLOCKED`].
    blocked: FxHashSet<PeerId>,
    /// When each expulsion ends; at most [`limits::EXPELLED`].
    expelled: FxHashMap<PeerId, Instant>,
}

impl Behaviour {
    /// Denies connections to these peers.
    pub(crate) fn blocking(peers: impl IntoIterator<Item = PeerId>) -> Self {
        Self { blocked: peers.into_iter().take(limits::BLOCKED).collect(), ..Self::default() }
    }

    /// Blocks `peer` if `on`, or unblocks it.
    pub(crate) fn block(&mut self, peer: PeerId, on: bool) {
        if !on {
            self.blocked.remove(&peer);
        } else if self.blocked.len() < limits::BLOCKED {
            self.blocked.insert(peer);
        }
    }

    /// Whether the user blocked `peer`.
    pub(crate) fn is_blocked(&self, peer: &PeerId) -> bool {
        self.blocked.contains(peer)
    }

    /// Denies connections to `peer` until [`limits::EXPEL_TIME`] has passed.
    pub(crate) fn expel(&mut self, peer: PeerId, now: Instant) {
        self.expelled.retain(|_, until| *until > now);
        if self.expelled.len() >= limits::EXPELLED && !self.expelled.contains_key(&peer) {
            let first =
                self.expelled.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            if let Some(first) = first {
                self.expelled.remove(&first);
            }
        }
        self.expelled.insert(peer, now + limits::EXPEL_TIME);
    }

    /// Whether `peer` is expelled.
    pub(crate) fn is_expelled(&self, peer: &PeerId, now: Instant) -> bool {
        self.expelled.get(peer).is_some_and(|until| *until > now)
    }

    fn check(&self, peer: &PeerId) -> Result<(), ConnectionDenied> {
        if self.is_blocked(peer) {
            return Err(ConnectionDenied::new(Blocked));
        }
        if self.is_expelled(peer, Instant::now()) {
            return Err(ConnectionDenied::new(Expelled));
        }
        Ok(())
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
        self.check(&peer).map(|()| dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        peer.map_or(Ok(()), |peer| self.check(&peer)).map(|()| Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(&peer).map(|()| dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

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
