//! Asks back attempts that wait at one worker while another one has a free slot.
//!
//! Over a distance attempts are sent before a slot is free for them, so that no slot idles for a
//! round trip. Such an attempt is not bound to its worker: the owner asks for the latest one back
//! with [`ToWorker::HandBack`] as soon as another worker would start it earlier, and reserves a
//! slot there until the answer arrives. Only the worker knows whether the attempt has started, so
//! it decides, and nothing runs twice. Each attempt is asked for once, and handing back is no
//! failure.
//!
//! Absent on purpose: moving running attempts (`hedge.rs` adds a second attempt beside them).

use std::time::Duration;

use super::{
    placement::{Board, Placement},
    workers::{HandBackSupport, OpenAttempt, Recall},
};
use crate::{
    engine::{
        keys::{ClassKey, PeerKey, TaskKey},
        node::{Cx, Node},
        timers::Timer,
    },
    frame::{Epoch, ToWorker},
    limits,
    time::Time,
};

/// An attempt that may be waiting at its worker.
struct Waiting {
    epoch: Epoch,
    task: TaskKey,
    class: ClassKey,
    sent: Time,
}

impl Placement {
    /// Asks back attempts that wait at one worker while another has a free slot. `idle`: this pass
    /// has sent nothing; otherwise a later pass does it.
    pub(super) fn take_back(&mut self, cx: &mut Cx<'_>, board: &mut Board<'_>, idle: bool) {
        if board.workers.ahead.is_empty() || cx.node.is_closing() {
            return;
        }
        if idle && board.store.queue.unexamined() == 0 {
            // The class for which no worker is free, so that a pass looks only once.
            let mut nobody_for = None;
            for _ in 0..board.workers.ahead.len().min(limits::HAND_BACK_WORKERS) {
                let Some(next) = board.workers.next_ahead() else { break };
                let Some(key) = next else { continue };
                while self.take_one_back(cx, board, key, &mut nobody_for) {}
                if let Some(worker) = board.workers.get_mut(key) {
                    worker.note_probe();
                }
            }
        }
        if !board.workers.ahead.is_empty()
            && !std::mem::replace(&mut board.workers.take_back_armed, true)
        {
            cx.node.timers.arm(cx.now + limits::HAND_BACK_PAUSE, Timer::TakeBack);
        }
    }

    /// Asks this worker for one attempt. Returns false if none waits or no other worker would start
    /// it earlier.
    fn take_one_back(
        &mut self,
        cx: &mut Cx<'_>,
        board: &mut Board<'_>,
        from: PeerKey,
        nobody_for: &mut Option<ClassKey>,
    ) -> bool {
        let Some(waiting) = board.last_waiting(from) else { return false };
        if *nobody_for == Some(waiting.class) {
            return false;
        }
        let Some(to) = self.spare(cx, board, waiting.task, waiting.class) else {
            *nobody_for = Some(waiting.class);
            return false;
        };
        if board.wait_at(from, &waiting, cx.now) <= move_time(cx.node, from, to) {
            return false;
        }
        if !board.workers.ask_back(from, waiting.epoch, to) {
            return false;
        }
        cx.node.peers.tell_worker(from, ToWorker::HandBack(waiting.epoch));
        true
    }

    /// The worker for which an attempt was asked back, if it is still free for it.
    pub(super) fn wanted_by(
        &mut self,
        cx: &mut Cx<'_>,
        board: &mut Board<'_>,
        key: TaskKey,
        recall: Recall,
    ) -> Option<PeerKey> {
        let Recall::Asked(to) = recall else { return None };
        let task = board.store.tasks.get(key).filter(|_| !cx.node.is_closing())?;
        if board.store.groups.stops(task) {
            return None;
        }
        let (kind, eligible) = self.eligible_for(cx, board, task.class)?;
        let is_free = board.workers.get(to)?.free_slots() > 0;
        if is_free && eligible.contains(&to) { board.choose(cx, &[to], kind, key) } else { None }
    }
}

impl Board<'_> {
    /// The attempt that this worker would start last: workers start attempts in order within a
    /// priority.
    fn last_waiting(&self, key: PeerKey) -> Option<Waiting> {
        let worker = self.workers.get(key)?;
        let answers = matches!(worker.hands_back, HandBackSupport::Unknown | HandBackSupport::Yes);
        if !worker.session.is_open() || !answers || worker.credit().slots == 0 {
            return None;
        }
        let asked_or_waiting = (worker.waiting() + worker.asked_back()) as usize;
        let mut latest = worker.open().rev().take(asked_or_waiting);
        latest.find_map(|(epoch, attempt)| self.may_move(epoch, attempt))
    }

    fn may_move(&self, epoch: Epoch, attempt: &OpenAttempt) -> Option<Waiting> {
        if attempt.recall != Recall::Not {
            return None;
        }
        let key = attempt.task?;
        let groups = &self.store.groups;
        let task = self.store.tasks.get(key).filter(|task| !groups.stops(task))?;
        let sent = task.open()?.only(epoch)?.at;
        Some(Waiting { epoch, task: key, class: task.class, sent })
    }

    /// How long the worker's last attempt still waits. Each attempt before it takes as long as
    /// earlier ones did, or as long as this one has waited if that is longer.
    fn wait_at(&self, key: PeerKey, waiting: &Waiting, now: Time) -> Duration {
        let Some(worker) = self.workers.get(key) else { return Duration::ZERO };
        let mean = Duration::from_nanos(worker.open_nanos()) / worker.assigned().max(1);
        let each = mean.max(now.since(waiting.sent));
        each.saturating_mul(worker.waiting()) / worker.credit().slots.max(1)
    }
}

/// How long it takes to move an attempt: request, answer, and the way to the new worker.
fn move_time(node: &Node, from: PeerKey, to: PeerKey) -> Duration {
    let latency = |key| node.peers.get(key).map_or(0, |peer| peer.measured.latency);
    Duration::from_nanos(latency(from) + latency(to) / 2).max(limits::HAND_BACK_LEAST)
}
