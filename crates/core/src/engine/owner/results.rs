//! Messages from workers about attempts, and the ends of tasks.

use std::{sync::Arc, time::Duration};

use super::{
    attempts::Sent,
    group::Counts,
    past::Rest,
    placement::Board,
    state::Owner,
    store::change,
    task::{End, Owned, Phase},
    workers::{OpenAttempt, Recall},
};
use crate::{
    engine::{
        input::{Effect, Reply},
        keys::{PeerKey, TaskKey},
        node::Cx,
        record::Record,
        view::Progress,
    },
    failure::{FailureCode, TaskFailure},
    frame::{AttemptEnd, Epoch, ToOwner, ToWorker},
    limits,
    message::NetworkMessage,
    task::{ExpiredLimit, TaskResult, TaskState},
    time::Time,
};

impl Owner {
    /// Handles a worker's frames. An epoch that is not open there changes nothing (P-19, X-09).
    pub(in crate::engine) fn on_from_worker(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        frames: Vec<ToOwner>,
    ) {
        self.workers.on_heard(cx, key);
        self.store.queue.look_again();
        for frame in frames {
            match frame {
                ToOwner::Credit(credit) => {
                    if let Some(worker) = self.workers.get_mut(key) {
                        worker.on_credit(credit.clamped());
                    }
                }
                ToOwner::Accepted(epoch) => self.on_accepted(cx, key, epoch),
                ToOwner::Busy { epoch, retry_after } => self.on_busy(cx, key, epoch, retry_after),
                ToOwner::Refused { epoch: Some(epoch), reason } => {
                    self.on_refused(cx, key, epoch, reason);
                }
                ToOwner::Unsupported { kind: ToWorker::HAND_BACK } => {
                    self.workers.on_hand_back_unsupported(key)
                }
                ToOwner::Refused { epoch: None, .. } | ToOwner::Unsupported { .. } => {
                    self.workers.rest(cx, key, limits::MAX_RETRY_AFTER);
                }
                ToOwner::Progress { epoch, fraction, message } => {
                    self.on_progressed(cx, key, epoch, Progress { fraction, message });
                }
                ToOwner::Started(epoch) => self.set_timed(cx, (key, epoch), true),
                ToOwner::Result { epoch, end, took } => self.on_result(cx, key, epoch, end, took),
                ToOwner::Heartbeat { seen, count, hash } => {
                    self.workers.on_heartbeat(cx, key, seen, count, hash);
                }
            }
        }
    }

    fn on_progressed(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch, progress: Progress) {
        let Some(task) =
            self.workers.task_of(key, epoch).and_then(|task| self.store.tasks.get(task))
        else {
            return;
        };
        if cx.node.observed.tasks {
            let Progress { fraction, message } = progress.clone();
            cx.out.push(Effect::TaskProgress { id: task.id, fraction, message });
        }
        let mut open = task.open().into_iter().flat_map(|open| open.iter());
        let is_fetching = open.any(|sent| sent.epoch == epoch && !sent.is_timed);
        let size = task.arguments.input.size();
        if let Some(worker) = self.workers.get_mut(key) {
            if is_fetching {
                let arrived = size as f64 * f64::from(progress.fraction);
                worker.transfer.on_arrived(epoch, arrived as u64, cx.now);
            }
            worker.note_progress(epoch, progress);
        }
    }

    fn on_accepted(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch) {
        self.workers.note_started(key, epoch);
        let Some(task_key) = self.workers.task_of(key, epoch) else {
            // No task needs the attempt that the worker reports.
            return cx.node.peers.tell_worker(key, ToWorker::Cancel(epoch));
        };
        let task = self.store.tasks.get_mut(task_key);
        let Some(open) = task.and_then(|task| task.open_mut()) else { return };
        let is_first = open.first.epoch == epoch;
        let Some(sent) = open.get_mut(epoch) else { return };
        if std::mem::replace(&mut sent.accepted, true) {
            return;
        }
        if is_first {
            self.tell_state(cx, task_key);
        }
        self.stop_asking(task_key);
    }

    /// Reports the state of a task whose attempt was replaced or has started.
    pub(super) fn tell_state(&self, cx: &mut Cx<'_>, key: TaskKey) {
        if !cx.node.observed.tasks {
            return;
        }
        let Some(task) = self.store.tasks.get(key) else { return };
        let Some(Sent { peer, epoch, accepted, .. }) = task.open().map(|open| open.first) else {
            return;
        };
        let Some(peer) = cx.node.peers.id(peer) else { return };
        let state = if accepted {
            TaskState::Running { peer, epoch }
        } else {
            TaskState::Assigned { peer, epoch }
        };
        cx.out.extend(change(&cx.node.kinds, task, state, None));
    }

    fn on_busy(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch, retry_after: Duration) {
        let Some(attempt) = self.workers.close_attempt(key, epoch) else { return };
        if attempt.recall != Recall::Not && retry_after.is_zero() {
            return self.on_handed_back(cx, key, epoch, &attempt);
        }
        self.workers.rest(cx, key, retry_after.min(limits::MAX_RETRY_AFTER));
        self.requeue(cx, attempt.task, epoch, "busy", Duration::ZERO);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the frame")]
    pub(super) fn on_result(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        epoch: Epoch,
        end: AttemptEnd,
        took: Duration,
    ) {
        if self.collect(cx, (key, epoch), &end, took) {
            return;
        }
        let Some(attempt) = self.workers.close_attempt(key, epoch) else {
            // A late result, from before a restart or from a newer state than this node was
            // restored to. It changes nothing, and the worker may forget it.
            self.counts.late += 1;
            return self.workers.acknowledge(cx.node, key, epoch);
        };
        self.workers.acknowledge(cx.node, key, epoch);
        let Some(task_key) = attempt.task else { return };
        let Some(worker) = cx.node.peers.get(key).map(|peer| Arc::clone(&peer.id)) else { return };
        let Some(account) = self.workers.get_mut(key) else { return };
        account.conduct.on_answer();
        match end {
            AttemptEnd::Output(output) => {
                account.run_times.learn(attempt.kind, took);
                let number = self.win(cx, task_key, epoch).unwrap_or_default();
                if cx.node.observed.messages
                    && key != PeerKey::LOCAL
                    && let Some(task) = self.store.tasks.get(task_key)
                {
                    let (output, worker) = (output.clone(), *worker);
                    let result = TaskResult { output, worker, attempt: number, took };
                    cx.out.push(Effect::Message(Box::new(NetworkMessage::TaskResult {
                        task_id: task.id,
                        result,
                        source_peer: worker,
                    })));
                }
                let end = End::Succeeded { output, worker, attempt: number, took };
                self.end_task(cx, task_key, end);
            }
            AttemptEnd::Failed(failure) if failure.code.is_of_worker() => {
                // The worker needs time to recover, and other workers may do the task meanwhile.
                self.workers.rest(cx, key, limits::FAULT_REST);
                let why = failure.to_string();
                self.store.tasks.note_rest(task_key, Rest::WorkerFull);
                self.requeue(cx, Some(task_key), epoch, &why, limits::FAULT_REST);
            }
            AttemptEnd::Failed(failure) if failure.code == FailureCode::InputUnavailable => {
                self.lose(cx, task_key, epoch, &failure.to_string());
            }
            AttemptEnd::Failed(mut failure) => {
                failure.worker = Some(Box::new(*worker));
                self.fail(cx, task_key, epoch, failure);
            }
            AttemptEnd::Cancelled => {
                // This owner did not cancel it: the worker is stopping.
                let why = "stopped by the worker";
                if self.store.tasks.get(task_key).is_some_and(|task| task.came_back()) {
                    // Its start was recorded as a possible cause of a crash.
                    return self.try_again(cx, task_key, epoch, why, Duration::ZERO);
                }
                self.requeue(cx, Some(task_key), epoch, why, Duration::ZERO);
            }
        }
    }

    /// The handler failed: tries again if that may help, or ends the task.
    fn fail(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch, failure: TaskFailure) {
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        task.past().failures += 1;
        task.past().rest = Rest::Failed;
        if failure.is_retryable() && self.close_one_of_two(cx, key, epoch, &failure.to_string()) {
            return self.store.record_story(cx, key);
        }
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        let (failures, retry) = (task.failures(), *task.retry());
        if failure.is_retryable() && failures < retry.attempts {
            let doubled = 2u32.saturating_pow(failures.min(31) - 1);
            let rest = retry.backoff.saturating_mul(doubled).min(retry.max_backoff);
            let rest = jitter(rest, cx);
            return self.try_again(cx, key, epoch, &failure.to_string(), rest);
        }
        self.lead(cx, key, epoch);
        if failure.code == FailureCode::TimedOut {
            return self.end_task(cx, key, End::Expired(ExpiredLimit::Attempt));
        }
        self.end_task(cx, key, End::Failed(Box::new(failure)));
    }

    /// The attempt was lost with its worker. Ends a task that was lost too often.
    pub(super) fn lose(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch, how: &str) {
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        let sent = task.open_mut().and_then(|open| open.get_mut(epoch));
        if sent.is_some_and(|sent| sent.accepted) {
            task.past().crashes += 1;
        }
        if self.close_one_of_two(cx, key, epoch, how) {
            return self.store.record_story(cx, key);
        }
        let Some(task) = self.store.tasks.get(key) else { return };
        let Some(open) = task.open() else { return };
        let worker = cx.node.peers.id(open.first.peer);
        if let Some(failure) = task.is_lost_for_good(worker, how) {
            return self.end_task(cx, key, End::Failed(Box::new(failure)));
        }
        self.try_again(cx, key, epoch, how, Duration::ZERO);
    }

    /// Like [`Self::requeue`], for an attempt that counts.
    #[expect(clippy::too_many_arguments, reason = "the attempt, and what happens to its task")]
    fn try_again(
        &mut self,
        cx: &mut Cx<'_>,
        key: TaskKey,
        epoch: Epoch,
        why: &str,
        rest: Duration,
    ) {
        self.requeue(cx, Some(key), epoch, why, rest);
        self.store.record_story(cx, key);
    }

    /// Closes an attempt. If it was the only one, the task waits again, now or after a rest.
    #[expect(clippy::too_many_arguments, reason = "the attempt, and what happens to its task")]
    pub(super) fn requeue(
        &mut self,
        cx: &mut Cx<'_>,
        key: Option<TaskKey>,
        epoch: Epoch,
        why: &str,
        rest: Duration,
    ) {
        let Some(key) = key else { return };
        if self.close_only(cx, key, epoch, why, rest) {
            self.store.enqueue(cx, key, true);
        }
    }

    /// Closes an attempt. Returns true if it was the only one: the task is then queued but not in a
    /// lane yet.
    #[expect(clippy::too_many_arguments, reason = "the attempt, and what happens to its task")]
    pub(super) fn close_only(
        &mut self,
        cx: &mut Cx<'_>,
        key: TaskKey,
        epoch: Epoch,
        why: &str,
        rest: Duration,
    ) -> bool {
        if self.close_one_of_two(cx, key, epoch, why) {
            return false;
        }
        let Some(task) = self.store.tasks.get_mut(key) else { return false };
        let Some(first) = task.open().map(|open| open.first) else { return false };
        if let Some(peer) = cx.node.peers.get(first.peer) {
            task.past().add(first.closed(&peer.id, cx.now, why));
        }
        self.store.tasks.on_attempt_over(key, cx.now, rest);
        if cx.node.observed.tasks
            && let Some(task) = self.store.tasks.get(key)
        {
            cx.out.extend(change(&cx.node.kinds, task, TaskState::Queued, None));
        }
        true
    }

    /// Ends a task for good, and answers its watchers once the end is on disk.
    pub(super) fn end_task(&mut self, cx: &mut Cx<'_>, key: TaskKey, end: End) {
        let Some(task) = self.store.tasks.get(key) else { return };
        let was_in_line = match *task.phase() {
            Phase::Ended { .. } => return,
            // A resting task is not in a lane, even if its rest is over and the timer is late.
            Phase::Queued { since, not_before } => not_before <= since,
            Phase::Open(_) => false,
        };
        self.close_open(cx, key, &end);
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        let (id, durable, member, class) = (task.id, task.durable, task.member, task.class);
        let (success, state) = (end.is_success(), end.state());
        if durable {
            let story = task.story_beside(&end, cx.now);
            cx.node.gate.record(Record::Ended { id, end: Box::new(end.to_public()), story });
        }
        for token in std::mem::take(&mut task.watchers) {
            let reply = Reply::Ended { id, end: end.to_public() };
            cx.node.gate.tell(durable, Effect::Reply { token, reply });
        }
        let was_armed = std::mem::replace(&mut task.armed, Time::NEVER) != Time::NEVER;
        if cx.node.observed.tasks
            && let Some(change) =
                change(&cx.node.kinds, task, state, Some(Box::new(end.to_public())))
        {
            cx.node.gate.tell(durable, change);
        }
        let up = cx.up();
        let change = self.store.tasks.end(key, (cx.now, up), end, Some(&cx.node.gate));
        cx.node.blobs.change_holder(change);
        self.store.retention.forget_by(cx.node, cx.now + cx.node.config.keep_results);
        self.counts.on_end(&state);
        self.store.leave_class(class, was_in_line, success);
        if let Some(slot) = member {
            let weight = self.store.tasks.get(key).map_or(0, Owned::weight);
            let counts = Counts { weight, up, read: false };
            self.store.groups.end(slot, class, &state, counts, &cx.node.gate);
        }
        if was_armed {
            self.store.note_stale_timer(cx.node);
        }
    }

    /// A worker handed back an attempt: its task goes to the worker for which it was asked, if that
    /// is still free.
    pub(super) fn on_handed_back(
        &mut self,
        cx: &mut Cx<'_>,
        from: PeerKey,
        epoch: Epoch,
        attempt: &OpenAttempt,
    ) {
        if let Some(worker) = self.workers.get_mut(from) {
            worker.on_hand_back_supported();
        }
        let Some(key) = attempt.task else { return };
        if !self.close_only(cx, key, epoch, HANDED_BACK, Duration::ZERO) {
            return;
        }
        let Self { placement, store, workers, .. } = self;
        let board = &mut Board { store, workers };
        match placement.wanted_by(cx, board, key, attempt.recall) {
            Some(to) => placement.assign(cx, board, key, to),
            None => self.store.enqueue(cx, key, true),
        }
    }

    /// A time limit of a task may have been reached.
    pub(in crate::engine) fn on_task_timer(&mut self, cx: &mut Cx<'_>, key: TaskKey, at: Time) {
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        if task.armed != at {
            return;
        }
        task.armed = Time::NEVER;
        let limits = *task.limits();
        let reached =
            |from: Time, limit: Option<Duration>| limit.is_some_and(|l| from + l <= cx.now);
        if reached(task.submitted, limits.total) {
            return self.end_task(cx, key, End::Expired(ExpiredLimit::Total));
        }
        match task.phase() {
            Phase::Queued { since, .. } if reached(*since, limits.queue) => {
                self.end_task(cx, key, End::Expired(ExpiredLimit::Queue));
            }
            Phase::Queued { .. } => {
                if task.on_rested(cx.now) {
                    let (class, priority) = (task.class, task.priority);
                    self.store.queue.push(class, priority, key, true);
                }
                self.store.arm(cx.node, key);
            }
            Phase::Open(open) => {
                let late = open.iter().find(|sent| task.ends_by(sent) <= cx.now);
                if let Some(Sent { peer, epoch, .. }) = late.copied() {
                    self.workers.withdraw(cx.node, peer, epoch);
                    let failure = TaskFailure::new(
                        FailureCode::TimedOut,
                        "the worker did not end the attempt at its time limit",
                    );
                    self.fail(cx, key, epoch, failure);
                } else {
                    self.on_look(cx, key);
                }
                self.store.arm(cx.node, key);
            }
            Phase::Ended { .. } => {}
        }
    }
}

/// The end of an attempt that was handed back.
const HANDED_BACK: &str = "handed back for a free worker";

/// `rest` ± 50 %, so that tasks that failed together do not retry together.
fn jitter(rest: Duration, cx: &mut Cx<'_>) -> Duration {
    let permille = 500 + cx.rng.next_u32() % 1_000;
    rest.saturating_mul(permille) / 1_000
}
