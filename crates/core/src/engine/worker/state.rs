//! The worker half: its state, and the methods that several of its files use.

use std::collections::VecDeque;

use super::{
    handlers::LocalHandlers,
    held::{Finished, Held, HeldKey, HeldTable, Stage},
    owners::OwnerAccount,
};
use crate::{
    blob::BlobHash,
    engine::{
        fetches::Purpose,
        fetching,
        input::Effect,
        keys::PeerKey,
        node::{Cx, Node},
        peers::PerPeer,
        record::{KeptResult, Record},
        timers::Timer,
    },
    frame::{AttemptEnd, Epoch, ToOwner},
    limits,
    time::Time,
};

/// The attempts that this node holds for owners, and the owners' accounts.
#[derive(Debug, Default)]
pub(in crate::engine) struct Worker {
    pub(super) handlers: LocalHandlers,
    pub(super) owners: PerPeer<OwnerAccount>,
    pub(super) held: HeldTable,
    /// Owners with waiting attempts, in turn.
    pub(super) turn: VecDeque<PeerKey>,
    /// Whether the credit of an owner may have changed.
    pub(super) credit_dirty: bool,
    pub(super) heartbeat_armed: bool,
    pub(super) executed: u64,
    pub(super) dropped_results: u64,
}

impl Worker {
    /// Looks up the policy of each handler; called when the policy changes.
    pub(in crate::engine) fn apply_policy(&mut self, node: &mut Node) {
        let Node { config, kinds, .. } = node;
        self.handlers = LocalHandlers::new(&config.advert.handlers, &config.accept, kinds);
        self.credit_dirty = true;
    }

    /// Notes that the credit of an owner may have changed.
    pub(in crate::engine) fn review_credit(&mut self) {
        self.credit_dirty = true;
    }

    pub(super) fn held_by(&self, owner: PeerKey, epoch: Epoch) -> Option<HeldKey> {
        self.owners.get(owner)?.held.get(epoch).copied()
    }

    /// Stops an execution. If its start waits for the disk, it is stopped after it has started.
    pub(super) fn stop(&self, cx: &mut Cx<'_>, key: HeldKey) {
        let stop = Effect::Stop { run: key.run() };
        match self.held.get(key).map(Held::stage) {
            Some(Stage::Running { is_noted: true, .. }) => cx.node.gate.after(stop),
            _ => cx.out.push(stop),
        }
    }

    /// Keeps the end of an attempt until it is acknowledged, and sends it.
    pub(super) fn finish(
        &mut self,
        cx: &mut Cx<'_>,
        key: HeldKey,
        end: AttemptEnd,
        took: std::time::Duration,
    ) {
        self.drop_input(cx, key);
        let Some(held) = self.held.get(key) else { return };
        let (owner, share) = (held.owner, held.share());
        let kept = kept_result(held, &end, took, cx.node);
        let recorded = kept.is_some();
        if let Some(kept) = kept {
            cx.node.gate.record(Record::Finished(Box::new(kept)));
        }
        let finished = Finished { end, took, since: cx.now, recorded };
        let bytes = finished.weight();
        if !self.held.finish(key, finished) {
            return;
        }
        if let Some(blob) = self.held.output(key) {
            cx.node.blobs.hold(&blob.hash);
        }
        if let Some(owner) = self.owners.get_mut(owner) {
            self.credit_dirty |= owner.settle(share);
            owner.keep_result(bytes);
        }
        self.send_result(cx.node, key);
        if self.held.unacked_bytes() > limits::UNACKED_BYTES {
            self.drop_unacked(cx.node);
        }
    }

    /// An attempt that has not ended needs its input no more.
    fn drop_input(&self, cx: &mut Cx<'_>, key: HeldKey) {
        let Some(held) = self.held.get(key) else { return };
        let Some(input) = held.input() else { return };
        if held.is_staging() {
            fetching::unwant(cx, input, Purpose::Input(key.run()));
        }
        cx.node.blobs.release(&input);
    }

    /// The blobs that an owner may fetch from here: the outputs that are kept for it.
    pub(in crate::engine) fn outputs_for(&self, owner: PeerKey) -> Vec<BlobHash> {
        let Some(owner) = self.owners.get(owner) else { return Vec::new() };
        let held = owner.held.iter();
        held.filter_map(|(_, key)| self.held.output(*key)).map(|blob| blob.hash).collect()
    }

    /// Forgets an attempt that has not started. The caller tells its owner.
    pub(super) fn give_back(
        &mut self,
        cx: &mut Cx<'_>,
        owner: PeerKey,
        epoch: Epoch,
        key: HeldKey,
    ) {
        self.drop_input(cx, key);
        let Some(held) = self.held.remove_unstarted(key) else { return };
        if let Some(owner) = self.owners.get_mut(owner) {
            self.credit_dirty |= owner.give_back(epoch, held.share());
        }
    }

    /// Forgets a finished attempt.
    pub(super) fn release(&mut self, node: &mut Node, owner: PeerKey, epoch: Epoch, key: HeldKey) {
        let Some(finished) = self.held.remove_finished(key) else { return };
        finished.output().iter().for_each(|blob| node.blobs.release(&blob.hash));
        if finished.recorded
            && let Some(owner) = node.peers.id(owner)
        {
            node.gate.record(Record::Released { owner, epoch });
        }
        if let Some(owner) = self.owners.get_mut(owner) {
            owner.release(epoch, finished.weight());
        }
    }

    /// Sends the result of a finished attempt to its owner, if there is a session.
    pub(super) fn send_result(&self, node: &mut Node, key: HeldKey) {
        let Some(held) = self.held.get(key) else { return };
        let Some(Finished { end, took, .. }) = held.finished() else { return };
        if self.owners.get(held.owner).is_some_and(OwnerAccount::has_session) {
            let frame = ToOwner::Result { epoch: held.epoch, end: end.clone(), took: *took };
            node.peers.tell_owner(held.owner, frame);
        }
    }

    /// Too many results are kept: drops the oldest ones of the absent owner with the most bytes, so
    /// that an owner that stays away costs others nothing.
    fn drop_unacked(&mut self, node: &mut Node) {
        while self.held.unacked_bytes() > limits::UNACKED_BYTES {
            let absent = self.owners.iter().filter(|(_, owner)| !owner.has_session());
            let worst = absent.max_by_key(|(_, owner)| owner.unacked_bytes());
            let Some((key, owner)) = worst else { return };
            let Some((epoch, held, _)) = self.finished(owner).next() else { return };
            self.dropped_results += 1;
            self.release(node, key, epoch, held);
        }
    }

    /// An owner's unacknowledged results with the times of their ends, in the order of their
    /// epochs.
    pub(super) fn finished<'e>(
        &'e self,
        owner: &'e OwnerAccount,
    ) -> impl Iterator<Item = (Epoch, HeldKey, Time)> + 'e {
        owner.held.iter().filter_map(|(epoch, key)| {
            let finished = self.held.get(*key)?.finished()?;
            Some((epoch, *key, finished.since))
        })
    }

    pub(super) fn arm_heartbeat(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.heartbeat_armed, true) {
            cx.node.timers.arm(cx.now + cx.node.config.heartbeat, Timer::Heartbeat);
        }
    }
}

/// The journal's record of a running attempt's result, if it is durable. For the node's own
/// attempts the end of the task is recorded instead.
fn kept_result(
    held: &Held,
    end: &AttemptEnd,
    took: std::time::Duration,
    node: &Node,
) -> Option<KeptResult> {
    let Stage::Running { task, .. } = *held.stage() else { return None };
    if !held.durable || held.owner == PeerKey::LOCAL {
        return None;
    }
    let owner = node.peers.id(held.owner)?;
    Some(KeptResult { owner, epoch: held.epoch, task, end: end.clone(), took })
}
