//! Sessions with owners: their frames, their credit, and heartbeats.

use std::time::Duration;

use super::{
    held::{Held, HeldKey},
    owners::{Grant, OwnerAccount, Session},
    state::Worker,
};
use crate::{
    engine::{
        keys::PeerKey,
        node::{Cx, Node},
    },
    frame::{Credit, Epoch, ToOwner, epoch_hash},
    limits,
    time::Time,
};

impl Worker {
    /// A new peer was added to the directory under this key.
    pub(in crate::engine) fn add_peer(&mut self, key: PeerKey) {
        self.owners.set(key, OwnerAccount::default());
    }

    /// An owner has opened a session: grants credit, sends its unacknowledged results, and
    /// announces its unfinished attempts. A restarted owner does not know those, and cancels them.
    pub(in crate::engine) fn on_session(&mut self, node: &mut Node, key: PeerKey) {
        let Some(owner) = self.owners.get_mut(key) else { return };
        owner.session = Session::Open { is_new: true };
        owner.grant = Grant::default();
        // The owner may have been restarted, and has then lost earlier run times.
        owner.run_times.begin_session();
        let held: Vec<(Epoch, HeldKey)> =
            owner.held.iter().map(|(epoch, held)| (epoch, *held)).collect();
        for (_, held) in &held {
            self.send_result(node, *held);
        }
        if let Some(owner) = self.owners.get_mut(key) {
            owner.taken = held;
        }
        node.peers.touch(key);
        self.credit_dirty = true;
    }

    pub(in crate::engine) fn on_session_lost(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(owner) = self.owners.get_mut(key) else { return };
        owner.session = Session::Lost { since: cx.now };
        owner.taken.clear();
        if let Some(peer) = cx.node.peers.get_mut(key) {
            peer.drop_to_owner();
        }
        self.credit_dirty = true;
        self.arm_heartbeat(cx);
    }

    /// A peer's round trip has changed, and its credit with it.
    pub(in crate::engine) fn on_latency(&mut self, key: PeerKey) {
        self.credit_dirty |= self.owners.get(key).is_some_and(OwnerAccount::has_session);
    }

    /// Announces to an owner the unfinished attempts accepted since the last flush.
    pub(in crate::engine) fn announce(&mut self, node: &mut Node, key: PeerKey) {
        let Some(owner) = self.owners.get_mut(key) else { return };
        for (epoch, held) in owner.taken.drain(..) {
            if self.held.get(held).is_some_and(|held| held.finished().is_none()) {
                node.peers.tell_owner(key, ToOwner::Accepted(epoch));
            }
        }
    }

    /// Divides this node's slots among the owners with attempts here.
    pub(in crate::engine) fn grant_credit(&mut self, node: &mut Node, now: Time) {
        if !std::mem::take(&mut self.credit_dirty) {
            return;
        }
        let slots = if node.is_draining() { 0 } else { node.config.slots };
        let busy = self.owners.iter().filter(|(_, owner)| owner.unfinished() > 0).count();
        for key in node.peers.keys() {
            let Some(owner) = self.owners.get_mut(key).filter(|owner| owner.has_session()) else {
                continue;
            };
            let Some(peer) = node.peers.get(key) else { continue };
            // An owner without attempts is counted as if it had some.
            let owners = if owner.unfinished() > 0 { busy } else { busy + 1 };
            let accepted = key == PeerKey::LOCAL || self.handlers.allow_any(peer.trusted);
            let credit = if slots == 0 {
                Credit { bytes: limits::CREDIT_BYTES, ..Credit::default() }
            } else if accepted {
                let owners = u32::try_from(owners.max(1)).unwrap_or(u32::MAX);
                let tasks = (limits::HELD_ATTEMPTS as u32 / owners).min(limits::CREDIT_TASKS);
                let round_trip = Duration::from_nanos(peer.measured.latency);
                Credit::for_slots((slots / owners).max(1), tasks, round_trip)
            } else {
                Credit::for_one_attempt()
            };
            if credit != owner.grant.credit() {
                owner.grant.replace(credit, now);
                node.peers.tell_owner(key, ToOwner::Credit(credit));
            }
        }
    }

    /// Sends each owner the sum of its attempts here, and drops what absent owners left.
    pub(in crate::engine) fn heartbeat(&mut self, cx: &mut Cx<'_>) {
        self.heartbeat_armed = false;
        let mut again = false;
        for key in cx.node.peers.keys() {
            let Some(owner) = self.owners.get(key) else { continue };
            if key == PeerKey::LOCAL || owner.held.is_empty() {
                continue;
            }
            again = true;
            match owner.session {
                Session::Open { .. } => {
                    let (count, hash) = self.sum_of_unfinished(owner);
                    if count > 0 {
                        let frame = ToOwner::Heartbeat { seen: owner.seen(), count, hash };
                        cx.node.peers.tell_owner(key, frame);
                    }
                }
                Session::Lost { since } if cx.now.since(since) >= cx.node.config.lease * 2 => {
                    self.abandon_waiting(cx, key);
                    self.expire_results(cx, key);
                }
                Session::Lost { .. } | Session::None => self.expire_results(cx, key),
            }
        }
        if again {
            self.arm_heartbeat(cx);
        }
    }

    /// The number of an owner's attempts that wait or run, and the hash of their epochs.
    fn sum_of_unfinished(&self, owner: &OwnerAccount) -> (u32, u64) {
        let is_unfinished = |held: &Held| held.finished().is_none();
        let held = owner.held.iter();
        let unfinished = held.filter(|(_, held)| self.held.get(**held).is_some_and(is_unfinished));
        unfinished.fold((0, 0), |(count, hash), (epoch, _)| (count + 1, hash ^ epoch_hash(epoch)))
    }
}
