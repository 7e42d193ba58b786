//! Executions of attempts, and their results until they are acknowledged.

use std::time::Duration;

use super::{
    held::{Finished, Held, HeldKey},
    owners::OwnerAccount,
    state::Worker,
};
use crate::{
    engine::{
        input::{Effect, RunId},
        keys::PeerKey,
        node::{Cx, Node},
        record::KeptResult,
    },
    failure::FailureCode,
    frame::{AttemptEnd, Epoch, ToOwner},
    reason::Reason,
    task::TaskId,
    time::Time,
};

/// Records that an attempt at an own task starts. Returns true if that record must be on disk
/// first.
pub(in crate::engine) type NoteStart<'f> = &'f mut dyn FnMut(&mut Cx<'_>, TaskId, u32) -> bool;

impl Worker {
    /// Starts waiting attempts while slots are free, one attempt per owner in turn.
    pub(in crate::engine) fn dispatch(&mut self, cx: &mut Cx<'_>, note_start: NoteStart<'_>) {
        while self.held.running() < cx.node.config.slots
            && let Some(owner_key) = self.turn.pop_front()
        {
            let Some(owner) = self.owners.get_mut(owner_key) else { continue };
            owner.unlist();
            // All of its attempts may have been cancelled since.
            let next = owner.next_attempt();
            if owner.list() {
                self.turn.push_back(owner_key);
            }
            let Some(owner) = cx.node.peers.id(owner_key) else { continue };
            let Some((key, work)) = next.and_then(|key| Some((key, self.held.start(key)?))) else {
                continue;
            };
            let (task, attempt) = (work.task, work.attempt);
            if owner_key != PeerKey::LOCAL && work.input.blob().is_some() {
                cx.node.peers.tell_owner(owner_key, ToOwner::Started(work.epoch));
            }
            let execute = Effect::Execute { run: key.run(), owner, work };
            if owner_key == PeerKey::LOCAL && note_start(cx, task, attempt) {
                self.held.note_start(key);
                cx.node.gate.after(execute);
            } else {
                cx.out.push(execute);
            }
        }
    }

    /// An execution has ended.
    pub(in crate::engine) fn on_finished(
        &mut self,
        cx: &mut Cx<'_>,
        run: RunId,
        mut end: AttemptEnd,
        took: Duration,
    ) {
        let key = HeldKey::of(run);
        if let Some(held) = self.held.get(key).filter(|held| held.is_running()) {
            if let AttemptEnd::Failed(failure) = &mut end
                && failure.code == FailureCode::InputLost
                && held.owner != PeerKey::LOCAL
            {
                // Only a copy is gone: the owner still has its input.
                failure.code = FailureCode::InputUnavailable;
            }
            self.executed += 1;
            self.learn(key, &end, took);
            self.finish(cx, key, end, took);
        }
    }

    /// Learns the run time from the same results as the owner.
    fn learn(&mut self, key: HeldKey, end: &AttemptEnd, took: Duration) {
        let Some(held) = self.held.get(key) else { return };
        if let (Some(kind), AttemptEnd::Output(_)) = (held.expected().kind, end)
            && let Some(owner) = self.owners.get_mut(held.owner)
        {
            owner.run_times.learn(kind, took);
        }
    }

    pub(in crate::engine) fn on_progress(
        &self,
        node: &mut Node,
        run: RunId,
        fraction: f32,
        message: String,
    ) {
        if let Some(held) = self.held.get(HeldKey::of(run)) {
            let frame = ToOwner::Progress { epoch: held.epoch, fraction, message };
            node.peers.tell_owner(held.owner, frame);
        }
    }

    /// Restores a result of an earlier start, to be kept and sent like any other. Returns false if
    /// there is no room for it.
    pub(in crate::engine) fn restore_result(
        &mut self,
        cx: &mut Cx<'_>,
        owner_key: PeerKey,
        kept: KeptResult,
        since: Time,
    ) -> bool {
        let KeptResult { owner: _, epoch, task: _, end, took } = kept;
        let Some(owner) = self.owners.get_mut(owner_key) else { return false };
        let finished = Finished { end, took, since, recorded: true };
        let bytes = finished.weight();
        let Some(held) = self.held.insert_finished(owner_key, epoch, finished) else {
            return false;
        };
        owner.take_finished(epoch, held, bytes);
        if let Some(blob) = self.held.output(held) {
            cx.node.blobs.hold(&blob.hash);
        }
        self.arm_heartbeat(cx);
        true
    }

    /// Drops the results that an absent owner has not fetched within
    /// [`EngineConfig::keep_results`](crate::engine::EngineConfig::keep_results).
    pub(super) fn expire_results(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let keep = cx.node.config.keep_results;
        let Some(owner) = self.owners.get(key) else { return };
        // Sorted only roughly by their ends: a younger result can hide a few older ones for a short
        // time.
        let old: Vec<(Epoch, HeldKey)> = self
            .finished(owner)
            .take_while(|(_, _, since)| *since + keep <= cx.now)
            .map(|(epoch, held, _)| (epoch, held))
            .collect();
        self.dropped_results += old.len() as u64;
        for (epoch, held) in old {
            self.release(cx.node, key, epoch, held);
        }
    }

    /// Drops all results for an owner whose entry is needed for another peer.
    pub(in crate::engine) fn drop_results(&mut self, node: &mut Node, key: PeerKey) {
        let Some(owner) = self.owners.get(key) else { return };
        let finished: Vec<(Epoch, HeldKey)> =
            self.finished(owner).map(|(epoch, held, _)| (epoch, held)).collect();
        self.dropped_results += finished.len() as u64;
        for (epoch, held) in finished {
            self.release(node, key, epoch, held);
        }
    }

    /// Hands all attempts that have not started back to their owners.
    pub(in crate::engine) fn hand_back(&mut self, cx: &mut Cx<'_>) {
        self.turn.clear();
        for key in cx.node.peers.keys() {
            let Some(owner) = self.owners.get_mut(key) else { continue };
            drop(owner.clear_line());
            owner.unlist();
            let held: Vec<(Epoch, HeldKey)> =
                owner.held.iter().map(|(epoch, held)| (epoch, *held)).collect();
            for (epoch, held) in held {
                let is_unstarted = |held: &Held| held.is_waiting() || held.is_staging();
                if self.held.get(held).is_some_and(is_unstarted) {
                    self.give_back(cx, key, epoch, held);
                    let reason = Reason::ShuttingDown;
                    let frame = ToOwner::Refused { epoch: Some(epoch), reason };
                    cx.node.peers.tell_owner(key, frame);
                }
            }
        }
    }

    /// Stops all executions here.
    pub(in crate::engine) fn stop_all(&self, cx: &mut Cx<'_>) {
        let held = self.owners.iter().flat_map(|(_, owner)| owner.held.iter());
        for (_, key) in held {
            if self.held.get(*key).is_some_and(Held::is_running) {
                self.stop(cx, *key);
            }
        }
    }

    /// Cancels waiting attempts of an owner that was absent for longer than its lease.
    pub(super) fn abandon_waiting(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let Some(owner) = self.owners.get_mut(key) else { return };
        let mut unstarted: Vec<HeldKey> = owner.clear_line().collect();
        let held = owner.held.iter().map(|(_, held)| *held);
        unstarted.extend(held.filter(|held| self.held.get(*held).is_some_and(Held::is_staging)));
        for held in unstarted {
            if self.held.get(held).is_some_and(|held| held.is_waiting() || held.is_staging()) {
                self.finish(cx, held, AttemptEnd::Cancelled, Duration::ZERO);
            }
        }
    }

    /// Whether an attempt waits or runs here, for any owner.
    pub(in crate::engine) fn is_at_work(&self) -> bool {
        self.held.unfinished() > 0
    }

    /// Whether every connected owner has acknowledged all results.
    pub(in crate::engine) fn is_acknowledged(&self) -> bool {
        let waits_for_ack = |(key, owner): (PeerKey, &OwnerAccount)| {
            key != PeerKey::LOCAL && owner.has_session() && !owner.held.is_empty()
        };
        !self.owners.iter().any(waits_for_ack)
    }
}
