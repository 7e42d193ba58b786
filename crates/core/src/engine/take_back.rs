//! Attempts that wait at a worker while another one has a free slot: their owner asks for them back.
//!
//! Over a distance attempts are sent before a slot is free for them, so that no slot waits for a round
//! trip. What was sent ahead is not bound to its worker: the latest of it is asked for with
//! [`ToWorker::HandBack`] as soon as another worker would start it earlier. A slot is reserved there
//! until the answer has come. Only the worker knows whether the attempt has started, so it decides,
//! and nothing runs twice. An attempt is asked for once, and one that is handed back is no failure.
//!
//! Absent on purpose: moving what runs (a second attempt beside it is `hedge.rs`).

use std::{collections::VecDeque, time::Duration};

use super::{
    Cx, Engine,
    peers::{HandsBack, OpenAttempt, PeerKey, Recall, SessionState, WorkerSide},
    queue::GroupKey,
    tasks::{Phase, TaskKey},
    timers::Timer,
};
use crate::{
    frame::{Epoch, ToWorker},
    limits,
    time::Time,
};

/// How an attempt ended that was handed back.
const HANDED_BACK: &str = "handed back for a free worker";

/// Workers at which attempts may wait for a slot.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Each once; see `WorkerSide::is_ahead`.
    pub(super) workers: VecDeque<PeerKey>,
    /// Whether [`Timer::TakeBack`] is set.
    pub(super) armed: bool,
}

/// An attempt that may wait at its worker.
struct Waiting {
    epoch: Epoch,
    task: TaskKey,
    group: GroupKey,
    sent: Time,
}

impl Engine {
    /// Asks for attempts that wait at one worker while another has a free slot. `idle`: this pass has
    /// sent nothing; otherwise a later pass looks.
    pub(super) fn take_back(&mut self, cx: &mut Cx<'_>, idle: bool) {
        if self.ahead.workers.is_empty() || self.closing {
            return;
        }
        if idle && self.unplaced == 0 {
            // Of tasks with these needs no worker is free: asked once in a pass.
            let mut nobody_for = None;
            for _ in 0..self.ahead.workers.len().min(limits::HAND_BACK_WORKERS) {
                let Some(key) = self.ahead.workers.pop_front() else { break };
                let Some(peer) = self.peers.get_mut(key) else { continue };
                if peer.worker.waiting() == 0 {
                    peer.worker.is_ahead = false;
                    continue;
                }
                self.ahead.workers.push_back(key);
                while self.take_one_back(cx, key, &mut nobody_for) {}
                self.note_probe(key);
            }
        }
        if !self.ahead.workers.is_empty() && !std::mem::replace(&mut self.ahead.armed, true) {
            self.timers.arm(cx.now + limits::HAND_BACK_PAUSE, Timer::TakeBack);
        }
    }

    /// What a worker is asked first may be unknown to it: it is asked no more before it has answered.
    fn note_probe(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(key)
            && peer.worker.hands_back == HandsBack::Unknown
            && peer.worker.asked_back > 0
        {
            peer.worker.hands_back = HandsBack::Probed;
        }
    }

    /// Asks this worker for one attempt. False if there is none, or nobody would start it earlier.
    fn take_one_back(
        &mut self,
        cx: &mut Cx<'_>,
        from: PeerKey,
        nobody_for: &mut Option<GroupKey>,
    ) -> bool {
        let Some(waiting) = self.last_waiting(from) else { return false };
        if *nobody_for == Some(waiting.group) {
            return false;
        }
        let Some(to) = self.spare(cx, waiting.task, waiting.group) else {
            *nobody_for = Some(waiting.group);
            return false;
        };
        if self.wait_at(from, &waiting, cx.now) <= self.move_time(from, to) {
            return false;
        }
        let Some(peer) = self.peers.get_mut(from) else { return false };
        let Some(attempt) = peer.worker.open.get_mut(waiting.epoch) else { return false };
        attempt.recall = Recall::Asked(to);
        peer.worker.asked_back += 1;
        if let Some(peer) = self.peers.get_mut(to) {
            peer.worker.reserved += 1;
        }
        self.peers.tell_worker(from, ToWorker::HandBack(waiting.epoch));
        true
    }

    /// The attempt that this worker would start last. Workers start them in their order, but for
    /// priorities.
    fn last_waiting(&self, key: PeerKey) -> Option<Waiting> {
        let worker = &self.peers.get(key)?.worker;
        let answers = matches!(worker.hands_back, HandsBack::Unknown | HandsBack::Yes);
        if worker.session != SessionState::Open || !answers || worker.credit.slots == 0 {
            return None;
        }
        let asked_or_waiting = (worker.waiting() + worker.asked_back) as usize;
        let mut latest = worker.open.iter().rev().take(asked_or_waiting);
        latest.find_map(|(epoch, attempt)| self.may_move(epoch, attempt))
    }

    fn may_move(&self, epoch: Epoch, attempt: &OpenAttempt) -> Option<Waiting> {
        if attempt.recall != Recall::Not {
            return None;
        }
        let key = attempt.task?;
        let task = self.tasks.get(key).filter(|task| !self.groups.stops(task))?;
        let Phase::Open(open) = &task.phase else { return None };
        let sent = open.only(epoch)?.at;
        Some(Waiting { epoch, task: key, group: task.group, sent })
    }

    /// How long the last attempt waits there from now on: the attempts before it take as long as
    /// others did, and at least as long again as this one waits already.
    fn wait_at(&self, key: PeerKey, waiting: &Waiting, now: Time) -> Duration {
        let Some(peer) = self.peers.get(key) else { return Duration::ZERO };
        let worker = &peer.worker;
        let open = u32::try_from(worker.open.len()).unwrap_or(u32::MAX).max(1);
        let mean = Duration::from_nanos(worker.open_time) / open;
        let each = mean.max(now.since(waiting.sent));
        each.saturating_mul(worker.waiting()) / worker.credit.slots.max(1)
    }

    /// How long it takes to move an attempt: the question and its answer, and the way to its new
    /// worker.
    fn move_time(&self, from: PeerKey, to: PeerKey) -> Duration {
        let latency = |key| self.peers.get(key).map_or(0, |peer| peer.measured.latency);
        Duration::from_nanos(latency(from) + latency(to) / 2).max(limits::HAND_BACK_LEAST)
    }

    /// An attempt has come back: its task goes to the worker for which it was asked, if that is still
    /// free for it.
    pub(super) fn on_handed_back(
        &mut self,
        cx: &mut Cx<'_>,
        from: PeerKey,
        epoch: Epoch,
        attempt: &OpenAttempt,
    ) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.worker.hands_back = HandsBack::Yes;
        }
        let Some(key) = attempt.task else { return };
        if !self.close_only(cx, key, epoch, HANDED_BACK, Duration::ZERO) {
            return;
        }
        match self.wanted_by(cx, key, attempt.recall) {
            Some(to) => self.assign(cx, key, to),
            None => self.enqueue(cx.now, key, true),
        }
    }

    fn wanted_by(&mut self, cx: &mut Cx<'_>, key: TaskKey, recall: Recall) -> Option<PeerKey> {
        let Recall::Asked(to) = recall else { return None };
        let task = self.tasks.get(key).filter(|task| !self.closing && !self.groups.stops(task))?;
        let (kind, eligible) = self.eligible_for(cx, task.group)?;
        let is_free = self.peers.get(to)?.worker.free_slots() > 0;
        if is_free && eligible.contains(&to) { self.choose(cx, &[to], kind, key) } else { None }
    }

    /// A worker says that an attempt waits or runs there. That may be its answer.
    pub(super) fn note_started(&mut self, key: PeerKey, epoch: Epoch) {
        let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.worker.asked_back > 0) else {
            return;
        };
        let Some(attempt) = peer.worker.open.get_mut(epoch) else { return };
        let recall = attempt.recall;
        if recall != Recall::Not {
            attempt.recall = Recall::Kept;
        }
        self.peers.end_recall(key, recall);
    }

    /// A worker of an earlier version hands nothing back.
    pub(super) fn on_keeps(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.worker.hands_back = HandsBack::No;
        for epoch in asked_back(&peer.worker) {
            let attempt = self.peers.get_mut(key).and_then(|peer| peer.worker.open.get_mut(epoch));
            let Some(attempt) = attempt else { continue };
            let recall = std::mem::replace(&mut attempt.recall, Recall::Not);
            self.peers.end_recall(key, recall);
        }
    }
}

/// The attempts that a worker was asked for and has not answered.
pub(super) fn asked_back(worker: &WorkerSide) -> Vec<Epoch> {
    if worker.asked_back == 0 {
        return Vec::new();
    }
    let asked = worker.open.iter().filter(|(_, open)| matches!(open.recall, Recall::Asked(_)));
    asked.map(|(epoch, _)| epoch).collect()
}
