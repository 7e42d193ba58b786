//! Reactions of the dialer to dials that begin, and to peers that connect, disconnect or are
//! found.

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
    /// Notes that a dial began.
    pub(crate) fn on_begun(&mut self, id: ConnectionId, pending: Pending) {
        self.dials.begun(id, pending);
    }

    /// Ends the dial that became this connection, and answers its callers. Returns whether a target
    /// or a caller wanted it: not if the connection is inbound, or only another peer named the
    /// address. The action lets a waiting target be dialled.
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
        (is_needed, self.free_place())
    }

    /// Removes and returns the IP address at which the last dial reached the peer.
    pub(crate) fn take_dialled_ip(&self, peer: &PeerId) -> Option<IpAddr> {
        self.dialled_ips.take(peer)
    }

    /// A peer is ready: clears the failures of its targets.
    pub(crate) fn on_ready(&mut self, peer: &PeerId) {
        self.dials.succeeded(peer);
    }

    /// The last connection to a peer closed: schedules the next dials of its targets.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) -> Vec<Action> {
        let targets = self.dials.of_peer(peer).into_iter();
        targets.filter_map(|target| self.redial_later(target)).collect()
    }

    /// A new address of a peer is known: makes its targets due now, and clears their failures.
    /// Those of a remembered peer still count, because they bound how often it is dialled.
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

    /// Makes a target of a peer that mDNS found on a network segment of this machine.
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

    /// Removes the target of a peer whose mDNS record expired.
    pub(crate) fn on_mdns_expired(&mut self, peer: &PeerId) {
        self.dials.remove_peer(Kind::Mdns, peer);
        self.allowed.set_mdns(self.dials.mdns_addresses());
    }
}
