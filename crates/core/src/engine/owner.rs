//! The owner's half, towards its workers: what they say of attempts, time limits, retries.

use std::{sync::Arc, time::Duration};

use super::{
    Cx, Effect, Engine, Record, Reply, archive,
    groups::Counts,
    hedge::Sent,
    kinds::Kinds,
    peers::{Conduct, PeerKey, Recall},
    tasks::{End, Owned, Phase, TaskKey},
    view::Progress,
};
use crate::{
    failure::{FailureCode, TaskFailure},
    frame::{AttemptEnd, Epoch, ToOwner, ToWorker, epoch_hash},
    limits,
    message::NetworkMessage,
    task::{ExpiredLimit, TaskEnd, TaskResult, TaskState},
    time::Time,
};

impl Engine {
    /// What a worker says. An epoch that is not open there changes nothing (P-19, X-09).
    pub(super) fn on_from_worker(&mut self, cx: &mut Cx<'_>, key: PeerKey, frames: Vec<ToOwner>) {
        if let Some(peer) = self.peers.get_mut(key) {
            peer.worker.heard = cx.now;
            peer.worker.probed = false;
            if std::mem::take(&mut peer.worker.silent) {
                self.peers.offers_changed();
                self.cancel_lost(key);
            }
        }
        self.place = true;
        for frame in frames {
            match frame {
                ToOwner::Credit(credit) => {
                    if let Some(peer) = self.peers.get_mut(key) {
                        peer.worker.credit = credit.clamped();
                    }
                }
                ToOwner::Accepted(epoch) => self.on_accepted(cx, key, epoch),
                ToOwner::Busy { epoch, retry_after } => self.on_busy(cx, key, epoch, retry_after),
                ToOwner::Refused { epoch: Some(epoch), reason } => {
                    self.on_refused(cx, key, epoch, reason);
                }
                ToOwner::Unsupported { kind: ToWorker::HAND_BACK } => self.on_keeps(key),
                ToOwner::Refused { epoch: None, .. } | ToOwner::Unsupported { .. } => {
                    self.rest(cx, key, limits::MAX_RETRY_AFTER);
                }
                ToOwner::Progress { epoch, fraction, message } => {
                    self.on_progressed(cx, key, epoch, Progress { fraction, message });
                }
                ToOwner::Result { epoch, end, took } => self.on_result(cx, key, epoch, end, took),
                ToOwner::Heartbeat { seen, count, hash } => {
                    self.on_heartbeat(cx, key, seen, count, hash);
                }
            }
        }
    }

    fn on_progressed(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch, progress: Progress) {
        let Some(task) = self.task_of(key, epoch).and_then(|task| self.tasks.get(task)) else {
            return;
        };
        if self.observed.tasks {
            let Progress { fraction, message } = progress.clone();
            cx.out.push(Effect::TaskProgress { id: task.id, fraction, message });
        }
        if let Some(peer) = self.peers.get_mut(key) {
            peer.worker.note_progress(epoch, progress);
        }
    }

    fn on_accepted(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch) {
        self.note_started(key, epoch);
        match self.task_of(key, epoch) {
            Some(task_key) => {
                let Some(task) = self.tasks.get_mut(task_key) else { return };
                let Phase::Open(open) = &mut task.phase else { return };
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
            // It works on something that nobody waits for any more.
            None => self.peers.tell_worker(key, ToWorker::Cancel(epoch)),
        }
    }

    /// Tells where a task stands whose attempt is another, or has begun.
    pub(super) fn tell_state(&self, cx: &mut Cx<'_>, key: TaskKey) {
        if self.observed.tasks
            && let Some(task) = self.tasks.get(key)
        {
            cx.out.extend(change(&self.kinds, task, self.state(task), None));
        }
    }

    fn on_busy(&mut self, cx: &mut Cx<'_>, key: PeerKey, epoch: Epoch, retry_after: Duration) {
        let Some(attempt) = self.peers.close_attempt(key, epoch) else { return };
        if attempt.recall != Recall::Not && retry_after.is_zero() {
            return self.on_handed_back(cx, key, epoch, &attempt);
        }
        self.rest(cx, key, retry_after.min(limits::MAX_RETRY_AFTER));
        self.requeue(cx, attempt.task, epoch, "busy", Duration::ZERO);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the frame")]
    fn on_result(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        epoch: Epoch,
        end: AttemptEnd,
        took: Duration,
    ) {
        let Some(attempt) = self.peers.close_attempt(key, epoch) else {
            // Late, from before a restart, or from after the state that this node came back with: it
            // changes nothing, and the worker may forget it.
            self.counts.late += 1;
            return self.acknowledge(key, epoch);
        };
        self.acknowledge(key, epoch);
        let Some(task_key) = attempt.task else { return };
        let Some(peer) = self.peers.get_mut(key) else { return };
        let worker = Arc::clone(&peer.id);
        peer.worker.conduct.add(Conduct::ANSWERED);
        match end {
            AttemptEnd::Output(output) => {
                peer.worker.run_times.learn(attempt.kind, took);
                let number = self.win(cx, task_key, epoch).unwrap_or_default();
                if self.observed.messages
                    && key != PeerKey::LOCAL
                    && let Some(task) = self.tasks.get(task_key)
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
                self.end_task(task_key, cx.now, end);
            }
            AttemptEnd::Failed(mut failure) => {
                failure.worker = Some(Box::new(*worker));
                self.fail(cx, task_key, epoch, failure);
            }
            AttemptEnd::Cancelled => {
                // Nobody here asked for it: the worker stops.
                let why = "stopped by the worker";
                if self.tasks.get(task_key).is_some_and(|task| task.came_back) {
                    // Its start was recorded as if it could be the reason.
                    return self.try_again(cx, task_key, epoch, why, Duration::ZERO);
                }
                self.requeue(cx, Some(task_key), epoch, why, Duration::ZERO);
            }
        }
    }

    /// The worker may forget this result, once it cannot be lost here any more. To the node itself
    /// that is said at once: nothing of its own crosses a wire.
    fn acknowledge(&mut self, key: PeerKey, epoch: Epoch) {
        if key == PeerKey::LOCAL {
            return self.peers.tell_worker(key, ToWorker::Ack(epoch));
        }
        self.peers.touch(key);
        if let Some(peer) = self.peers.get_mut(key) {
            peer.worker.acks.push(epoch);
        }
    }

    /// What the worker runs differs from what should run there: asks for each, though not as often
    /// as a worker may like: the question is far longer than what provokes it.
    #[expect(clippy::too_many_arguments, reason = "the fields of the frame")]
    fn on_heartbeat(&mut self, cx: &Cx<'_>, key: PeerKey, seen: Epoch, count: u32, hash: u64) {
        let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.worker.ask_after <= cx.now)
        else {
            return;
        };
        let open: Vec<Epoch> = peer
            .worker
            .open
            .iter()
            .map(|(epoch, _)| epoch)
            .take_while(|epoch| *epoch <= seen)
            .collect();
        let ours = open.iter().fold(0, |hash, epoch| hash ^ epoch_hash(*epoch));
        if (open.len() as u64, ours) != (u64::from(count), hash) && !open.is_empty() {
            peer.worker.ask_after = cx.now + limits::RESUME_PAUSE;
            self.peers.tell_worker(key, ToWorker::Resume(open));
        }
    }

    /// The handler failed: goes on with another attempt if that may help, or ends the task.
    fn fail(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch, failure: TaskFailure) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.past().failures += 1;
        if failure.is_retryable() && self.goes_on_without(cx, key, epoch, &failure.to_string()) {
            return self.record_story(key, cx.now);
        }
        let Some(task) = self.tasks.get_mut(key) else { return };
        let (failures, retry) = (task.failures(), *task.retry());
        if failure.is_retryable() && failures < retry.attempts {
            let doubled = 2u32.saturating_pow(failures.min(31) - 1);
            let rest = retry.backoff.saturating_mul(doubled).min(retry.max_backoff);
            let rest = jitter(rest, cx);
            return self.try_again(cx, key, epoch, &failure.to_string(), rest);
        }
        self.lead(cx, key, epoch);
        if failure.code == FailureCode::TimedOut {
            return self.end_task(key, cx.now, End::Expired(ExpiredLimit::Attempt));
        }
        self.end_task(key, cx.now, End::Failed(Box::new(failure)));
    }

    /// The attempt was lost with its worker: a task that does that too often ends.
    pub(super) fn lose(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch, how: &str) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if let Phase::Open(open) = &mut task.phase
            && open.get_mut(epoch).is_some_and(|sent| sent.accepted)
        {
            task.past().crashes += 1;
        }
        if self.goes_on_without(cx, key, epoch, how) {
            return self.record_story(key, cx.now);
        }
        let Some(task) = self.tasks.get(key) else { return };
        let Phase::Open(open) = &task.phase else { return };
        let worker = self.peers.get(open.first.peer).map(|peer| *peer.id);
        if let Some(failure) = task.is_lost_for_good(worker, how) {
            return self.end_task(key, cx.now, End::Failed(Box::new(failure)));
        }
        self.try_again(cx, key, epoch, how, Duration::ZERO);
    }

    /// As [`Self::requeue`], for an attempt that counts.
    #[expect(clippy::too_many_arguments, reason = "which attempt, and what becomes of its task")]
    fn try_again(
        &mut self,
        cx: &mut Cx<'_>,
        key: TaskKey,
        epoch: Epoch,
        why: &str,
        rest: Duration,
    ) {
        self.requeue(cx, Some(key), epoch, why, rest);
        self.record_story(key, cx.now);
    }

    /// The attempt is over. If there is no other, the task waits again, from now on or after a rest.
    #[expect(clippy::too_many_arguments, reason = "which attempt, and what becomes of its task")]
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
            self.enqueue(cx.now, key, true);
        }
    }

    /// The attempt is over. True if it was the only one: the task waits, and is not in line yet.
    #[expect(clippy::too_many_arguments, reason = "which attempt, and what becomes of its task")]
    pub(super) fn close_only(
        &mut self,
        cx: &mut Cx<'_>,
        key: TaskKey,
        epoch: Epoch,
        why: &str,
        rest: Duration,
    ) -> bool {
        if self.goes_on_without(cx, key, epoch, why) {
            return false;
        }
        let Some(task) = self.tasks.get_mut(key) else { return false };
        let Phase::Open(open) = &task.phase else { return false };
        if let Some(peer) = self.peers.get(open.first.peer) {
            let attempt = open.first.closed(&peer.id, cx.now, why);
            task.past().add(attempt);
        }
        self.tasks.set_phase(key, Phase::Queued { since: cx.now, not_before: cx.now + rest });
        if self.observed.tasks
            && let Some(task) = self.tasks.get(key)
        {
            cx.out.extend(change(&self.kinds, task, TaskState::Queued, None));
        }
        true
    }

    /// Ends a task for ever, and tells whoever waits for it once that is safe.
    pub(super) fn end_task(&mut self, key: TaskKey, now: Time, end: End) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let (queued, group) = match task.phase {
            Phase::Ended { .. } => return,
            // One that rests is not in line, also when its rest is over and its timer is late.
            Phase::Queued { since, not_before } => (not_before <= since, task.group),
            Phase::Open(_) => (false, task.group),
        };
        self.close_open(key, now, &end);
        let Some(task) = self.tasks.get_mut(key) else { return };
        let (id, durable, member) = (task.id, task.durable, task.member);
        let success = end.is_success();
        let state = end.state();
        if durable {
            let story = task.story_beside(&end, now);
            self.gate.record(Record::Ended { id, end: Box::new(end.to_public()), story });
        }
        for token in std::mem::take(&mut task.watchers) {
            let reply = Reply::Ended { id, end: end.to_public() };
            self.gate.tell(durable, Effect::Reply { token, reply });
        }
        let armed = std::mem::replace(&mut task.armed, Time::NEVER) != Time::NEVER;
        let change = if self.observed.tasks {
            change(&self.kinds, task, state, Some(Box::new(end.to_public())))
        } else {
            None
        };
        let up = self.up(now);
        self.tasks.end(key, (now, up), end, self.gate.next());
        self.forget_by(now + self.config.keep_results);
        self.counts.ended(&state);
        if let Some(change) = change {
            self.gate.tell(durable, change);
        }
        if queued {
            let tasks = &self.tasks;
            self.queue.note_gone(group, |key| {
                tasks.get(key).is_some_and(|task| matches!(task.phase, Phase::Queued { .. }))
            });
        }
        if success {
            self.queue.leave(group);
        } else {
            // It keeps what it needs, to be tried again.
            self.queue.rest(group);
        }
        if let Some(slot) = member {
            let weight = self.tasks.get(key).map_or(0, archive::weight);
            self.groups.count(slot, Counts { weight, up, read: false });
            self.groups.end(slot, group, &state, &self.gate);
        }
        if armed {
            self.note_stale_timer();
        }
    }

    /// A time limit of a task may have been reached.
    pub(super) fn on_task_timer(&mut self, cx: &mut Cx<'_>, key: TaskKey, at: Time) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.armed != at {
            return;
        }
        task.armed = Time::NEVER;
        let limits = *task.limits();
        let reached =
            |from: Time, limit: Option<Duration>| limit.is_some_and(|l| from + l <= cx.now);
        if reached(task.submitted, limits.total) {
            return self.end_task(key, cx.now, End::Expired(ExpiredLimit::Total));
        }
        match &task.phase {
            Phase::Queued { since, .. } if reached(*since, limits.queue) => {
                self.end_task(key, cx.now, End::Expired(ExpiredLimit::Queue));
            }
            Phase::Queued { not_before, since } if not_before > since && *not_before <= cx.now => {
                let since = *since;
                let (group, priority) = (task.group, task.priority);
                task.phase = Phase::Queued { since, not_before: since };
                self.queue.push(group, priority, key, true);
                self.place = true;
                self.arm_task(key);
            }
            Phase::Open(open) => {
                let late = open.iter().find(|sent| task.ends_by(sent) <= cx.now);
                if let Some(Sent { peer, epoch, .. }) = late.copied() {
                    self.withdraw(peer, epoch);
                    let failure = TaskFailure::new(
                        FailureCode::TimedOut,
                        "the worker did not end the attempt at its time limit",
                    );
                    self.fail(cx, key, epoch, failure);
                } else {
                    self.on_look(key, cx.now);
                }
                self.arm_task(key);
            }
            Phase::Queued { .. } => self.arm_task(key),
            Phase::Ended { .. } => {}
        }
    }

    fn task_of(&self, key: PeerKey, epoch: Epoch) -> Option<TaskKey> {
        self.peers.get(key)?.worker.open.get(epoch)?.task
    }
}

/// The news that a task is in this state now.
pub(super) fn change(
    kinds: &Kinds,
    task: &Owned,
    state: TaskState,
    end: Option<Box<TaskEnd>>,
) -> Option<Effect> {
    let handler = kinds.name(task.kind)?.clone();
    Some(Effect::TaskChanged { id: task.id, handler, state, end })
}

/// `rest` ± 50 %, so that many tasks that failed together do not come back together.
fn jitter(rest: Duration, cx: &mut Cx<'_>) -> Duration {
    let permille = 500 + cx.rng.next_u32() % 1_000;
    rest.saturating_mul(permille) / 1_000
}
