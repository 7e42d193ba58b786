//! What the dialer does when peers come, go, and are heard of.

use std::net::IpAddr;

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use tokio::time::Instant;

use super::state::{Dialer, courtesy};
use crate::event_loop::{
    action::Action,
    dials::{Kind, Pending},
    local::Local,
    shared::Shared,
};

impl Dialer {
    /// A dial begins.
    pub(crate) fn on_begun(&mut self, id: ConnectionId, pending: Pending) {
        self.dials.begun(id, pending);
    }

    /// A connection is up. True if this node dialled it for its operator or its own work, and not
    /// only because another peer has named it.
    pub(crate) fn on_connected(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
    ) -> (bool, Option<Action>) {
        let Some(pending) = self.dials.ended(id, Some(peer)) else { return (false, None) };
        let is_needed = pending.is_needed() || self.dials.wants(&peer);
        for caller in pending.callers {
            caller.answer(Ok(peer));
        }
        (is_needed, self.place_left())
    }

    /// The host to which the name of a dialled peer led.
    pub(crate) fn take_host(&self, peer: &PeerId) -> Option<IpAddr> {
        self.hosts.take(peer)
    }

    /// A peer is ready: what it was dialled for has succeeded.
    pub(crate) fn on_ready(&mut self, peer: &PeerId) {
        self.dials.succeeded(peer);
    }

    /// The last connection to a peer is gone.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) -> Vec<Action> {
        let targets = self.dials.of_peer(peer).into_iter();
        targets.filter_map(|target| self.redial_later(target)).collect()
    }

    /// Something new is known about where a peer is. If it is a target, it is dialled at once.
    /// Failures of a peer that is only remembered still count: they bound how often it is dialled.
    pub(crate) fn on_lead(&mut self, peer: &PeerId, shared: &Shared) -> Vec<Action> {
        if shared.peers.is_connected(peer) {
            return Vec::new();
        }
        let mut actions = Vec::new();
        for target in self.dials.of_peer(peer) {
            if self.dials.kind(target) != Some(Kind::Recalled) {
                self.dials.hurry(target);
            }
            actions.push(self.schedule(target, Instant::now()));
        }
        actions
    }

    /// mDNS found a peer at these addresses of this node's own segments.
    pub(crate) fn on_mdns_found(
        &mut self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        local: &Local,
    ) -> Option<Action> {
        let added = self.dials.add_peer(Kind::Mdns, peer, addresses);
        self.allowed.set_mdns(self.dials.mdns_addresses());
        let at = Instant::now() + courtesy(&local.peer, &peer);
        added.map(|target| self.schedule(target, at))
    }

    /// The mDNS record of a peer expired.
    pub(crate) fn on_mdns_expired(&mut self, peer: &PeerId) {
        self.dials.remove_peer(Kind::Mdns, peer);
        self.allowed.set_mdns(self.dials.mdns_addresses());
    }
}
