//! How a node withdraws: it drains, closes, and abandons what is left.
//!
//! *Draining* concerns its worker half alone and can be undone: it takes nothing more, hands back
//! what has not started, and finishes what has. *Closing* is for good and concerns the owner's half
//! as well: nothing is submitted or placed any more, while results still arrive. What has not ended
//! when the time is up is *abandoned*.
//!
//! Absent on purpose: how much time that is (the driver's).

use super::{
    Cx, Engine,
    held::{Held, HeldKey, Stage},
    peers::{PeerKey, SessionState},
    tasks::{End, TaskKey},
};
use crate::{
    frame::{Epoch, ToOwner},
    reason::Reason,
    task::CancelledBy,
};

impl Engine {
    /// Takes nothing more from owners, or takes again.
    pub(super) fn on_drain(&mut self, on: bool) {
        self.draining = on || self.closing;
        self.credit_dirty = true;
        if self.draining {
            self.hand_back();
        }
    }

    /// Takes nothing more from anybody, and sends nothing out.
    pub(super) fn on_close(&mut self) {
        self.closing = true;
        // Also what was left to the passes that follow.
        (self.unplaced, self.unhedged) = (0, 0);
        self.on_drain(true);
        self.send_acks();
    }

    /// Stops what runs here. Own tasks that end with the process are cancelled, here and wherever
    /// they are; those that outlive it are left as they are.
    pub(super) fn on_abandon(&mut self, cx: &mut Cx<'_>) {
        self.on_close();
        for key in self.tasks.live_keys() {
            self.abandon_task(cx, key);
        }
        let running = |key: &HeldKey| {
            matches!(self.held.get(*key), Some(Held { stage: Stage::Running { .. }, .. }))
        };
        let held = self.peers.iter().flat_map(|(_, peer)| peer.owner.held.iter());
        let stops: Vec<HeldKey> = held.map(|(_, held)| *held).filter(running).collect();
        for held in stops {
            self.stop(cx, held);
        }
    }

    fn abandon_task(&mut self, cx: &Cx<'_>, key: TaskKey) {
        if self.tasks.get(key).is_none_or(|task| task.durable) {
            return;
        }
        let reason = "the node stopped, and the task was kept in memory only".into();
        self.end_task(key, cx.now, End::Cancelled { by: CancelledBy::Shutdown, reason });
    }

    /// Whether anything waits or runs here, for any owner.
    pub fn is_at_work(&self) -> bool {
        self.held.unfinished > 0
    }

    /// Whether a node that withdraws owes nobody here anything: nothing runs, and whoever is
    /// connected has acknowledged what it was given.
    pub fn is_at_rest(&self) -> bool {
        let waits_for_ack = |(key, peer): (PeerKey, &super::peers::Peer)| {
            key != PeerKey::LOCAL && peer.owner.session && !peer.owner.held.is_empty()
        };
        !self.is_at_work() && !self.peers.iter().any(waits_for_ack)
    }

    /// Whether the workers that are connected have ended all that they were asked to stop: until then
    /// nothing tells that they have heard of it.
    pub fn is_heard(&self) -> bool {
        let is_withdrawn = |peer: &super::peers::Peer| {
            let mut open = peer.worker.open.iter();
            peer.worker.session == SessionState::Open && open.any(|(_, open)| open.task.is_none())
        };
        !self.peers.iter().any(|(_, peer)| is_withdrawn(peer))
    }

    /// Gives owners back what has not started.
    fn hand_back(&mut self) {
        self.turn.clear();
        for key in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(key) else { continue };
            peer.owner.waiting.clear();
            peer.owner.in_turn = false;
            let held: Vec<(Epoch, HeldKey)> =
                peer.owner.held.iter().map(|(epoch, held)| (epoch, *held)).collect();
            for (epoch, held_key) in held {
                if matches!(self.held.get(held_key), Some(Held { stage: Stage::Waiting(_), .. })) {
                    self.give_back(key, epoch, held_key);
                    let reason = Reason::ShuttingDown;
                    self.peers.tell_owner(key, ToOwner::Refused { epoch: Some(epoch), reason });
                }
            }
        }
    }
}
