//! One own task: its needs, its state, its end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use libp2p_identity::PeerId;
use smallvec::SmallVec;

use super::{
    attempts::{Open, Sent},
    past::{Attempt, Past, Refusal, Rest},
};
use crate::{
    blob::{BlobHash, Payload},
    engine::{
        input::Token,
        keys::{ClassKey, GroupSlot},
        kinds::Kind,
        record::Seq,
        view::Ending,
    },
    failure::TaskFailure,
    frame::Epoch,
    limits,
    task::{
        CancelledBy, ExpiredLimit, RetryPolicy, TaskEnd, TaskId, TaskLimits, TaskResult, TaskState,
    },
    time::Time,
};

/// One task.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) id: TaskId,
    pub(super) kind: Kind,
    /// The class of the task's needs.
    pub(super) class: ClassKey,
    pub(super) priority: i8,
    /// The task's group.
    pub(super) member: Option<GroupSlot>,
    pub(super) arguments: Arguments,
    /// `None`: the usual terms, and no key.
    rare: Option<Box<Rare>>,
    /// Whether the task's result was handed out.
    pub(super) read: bool,
    /// Whether the task outlives the process.
    pub(super) durable: bool,
    /// Whether the task was unfinished in an earlier start of the node.
    came_back: bool,
    /// Hash of the contents, which distinguishes it from another task with the same id or key.
    pub(super) digest: u64,
    pub(super) submitted: Time,
    phase: Phase,
    tries: Tries,
    pub(super) watchers: SmallVec<[Token; 2]>,
    /// When the task's live timer fires; [`Time::NEVER`] if it has none.
    pub(super) armed: Time,
}

/// The arguments for the handler. A successful task keeps only their size.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) input: Payload,
    /// Size in bytes of the original input.
    pub(super) bytes: u64,
    pub(super) params: BTreeMap<String, String>,
}

/// The attempts so far.
#[derive(Debug, Default)]
struct Tries {
    attempts: u32,
    /// `None` if no attempt was unsuccessful.
    past: Option<Box<Past>>,
}

/// The task's phase. `Queued → Open → Queued | Ended`, `Queued → Ended`.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waiting for a worker since `since`, but not to be sent before `not_before`.
    Queued { since: Time, not_before: Time },
    /// One or two attempts are at workers.
    Open(Open),
    /// Final. `from`: the attempt that was open; callers see it as such until `safe_with` is on
    /// disk. `up`: the node's uptime at the end, over all its starts.
    Ended { at: Time, up: Time, end: End, from: Option<Sent>, safe_with: Seq },
}

/// The task's time limits and retry policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) limits: TaskLimits,
    pub(super) retry: RetryPolicy,
}

impl Terms {
    /// The terms of most tasks.
    const USUAL: Self = Self { limits: TaskLimits::USUAL, retry: RetryPolicy::USUAL };
}

/// Properties that most tasks do not have.
#[derive(Debug)]
struct Rare {
    terms: Terms,
    /// The idempotency key.
    key: Option<Box<str>>,
}

/// How a task ended, as it is stored.
#[derive(Clone, Debug)]
pub(super) enum End {
    Succeeded { output: Payload, worker: Arc<PeerId>, attempt: u32, took: Duration },
    Failed(Box<TaskFailure>),
    Cancelled { by: CancelledBy, reason: Box<str> },
    Expired(ExpiredLimit),
}

impl End {
    /// Converts to the public type.
    pub(super) fn to_public(&self) -> TaskEnd {
        match self {
            Self::Succeeded { output, worker, attempt, took } => TaskEnd::Succeeded(TaskResult {
                output: output.clone(),
                worker: **worker,
                attempt: *attempt,
                took: *took,
            }),
            Self::Failed(failure) => TaskEnd::Failed((**failure).clone()),
            Self::Cancelled { by, reason } => {
                TaskEnd::Cancelled { by: *by, reason: reason.to_string() }
            }
            Self::Expired(limit) => TaskEnd::Expired { limit: *limit },
        }
    }

    /// The state of a task with this end.
    pub(super) fn state(&self) -> TaskState {
        match self {
            Self::Succeeded { .. } => TaskState::Succeeded,
            Self::Failed(_) => TaskState::Failed,
            Self::Cancelled { .. } => TaskState::Cancelled,
            Self::Expired(_) => TaskState::Expired,
        }
    }

    /// The end without details.
    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Succeeded { .. } => Ending::Succeeded,
            Self::Failed(_) => Ending::Failed,
            Self::Cancelled { .. } => Ending::Cancelled,
            Self::Expired(_) => Ending::Expired,
        }
    }

    /// Whether there is a result. A task without one may be retried, so it keeps its arguments.
    pub(super) fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded { .. })
    }

    fn weight(&self) -> usize {
        match self {
            Self::Succeeded { output, .. } => output.weight(),
            Self::Failed(failure) => failure.message.len(),
            Self::Cancelled { reason, .. } => reason.len(),
            Self::Expired(_) => 0,
        }
    }
}

impl Owned {
    /// A new task that waits for its first attempt.
    pub(super) fn new(new: New) -> Self {
        let is_rare = new.terms != Terms::USUAL || new.key.is_some();
        Self {
            id: new.id,
            kind: new.kind,
            class: new.class,
            priority: new.priority,
            member: new.member,
            arguments: Arguments { bytes: new.input.size(), input: new.input, params: new.params },
            rare: is_rare.then(|| Box::new(Rare { terms: new.terms, key: new.key })),
            read: false,
            durable: new.durable,
            came_back: false,
            digest: new.digest,
            submitted: new.now,
            phase: Phase::Queued { since: new.now, not_before: new.now },
            tries: Tries::default(),
            watchers: SmallVec::new(),
            armed: Time::NEVER,
        }
    }

    /// The task's phase.
    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(super) fn is_queued(&self) -> bool {
        matches!(self.phase, Phase::Queued { .. })
    }

    /// The task's open attempts.
    pub(super) fn open(&self) -> Option<&Open> {
        match &self.phase {
            Phase::Open(open) => Some(open),
            Phase::Queued { .. } | Phase::Ended { .. } => None,
        }
    }

    pub(super) fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.phase {
            Phase::Open(open) => Some(open),
            Phase::Queued { .. } | Phase::Ended { .. } => None,
        }
    }

    /// Restores an unfinished task of an earlier start: it waits again.
    pub(super) fn on_restored(&mut self, now: Time) {
        self.came_back = true;
        if self.is_queued() {
            self.phase = Phase::Queued { since: now, not_before: now };
        }
    }

    /// Restores the attempts of an earlier start.
    pub(super) fn set_tries(&mut self, attempts: u32, past: Option<Box<Past>>) {
        self.tries = Tries { attempts, past };
    }

    /// Whether the task was unfinished in an earlier start of the node.
    pub(super) fn came_back(&self) -> bool {
        self.came_back
    }

    /// Number of attempts made.
    pub(super) fn attempts(&self) -> u32 {
        self.tries.attempts
    }

    /// Adds an attempt sent to a worker. Returns true if it is the only open one.
    pub(super) fn on_sent(&mut self, sent: Sent, look: Time) -> bool {
        self.tries.attempts += 1;
        match &mut self.phase {
            Phase::Open(open) => {
                open.add(sent);
                false
            }
            Phase::Queued { .. } => {
                self.phase = Phase::Open(Open::new(sent, look));
                true
            }
            Phase::Ended { .. } => false,
        }
    }

    /// Closes the only attempt: the task waits again, now or after a rest. Returns false, without a
    /// change, if none is open.
    pub(super) fn on_attempt_over(&mut self, now: Time, rest: Duration) -> bool {
        let was_open = self.open().is_some();
        if was_open {
            self.phase = Phase::Queued { since: now, not_before: now + rest };
        }
        was_open
    }

    /// Ends the rest before the next attempt. Returns false if there was none.
    pub(super) fn on_rested(&mut self, now: Time) -> bool {
        let Phase::Queued { since, not_before } = self.phase else { return false };
        let rested = not_before > since && not_before <= now;
        if rested {
            self.phase = Phase::Queued { since, not_before: since };
        }
        rested
    }

    /// Ends the task for good. Returns false, without a change, if it had ended.
    pub(super) fn on_end(&mut self, (at, up): (Time, Time), end: End, safe_with: Seq) -> bool {
        let from = match &self.phase {
            Phase::Queued { .. } => None,
            Phase::Open(open) => Some(open.first),
            Phase::Ended { .. } => return false,
        };
        if end.is_success() {
            self.arguments.input = Payload::default();
            self.arguments.params.clear();
        }
        self.phase = Phase::Ended { at, up, end, from, safe_with };
        if let Some(past) = &mut self.tries.past {
            past.forget_refusals();
        }
        true
    }

    /// The blob that the task needs: its input, or its output once it has succeeded.
    pub(super) fn blob(&self) -> Option<BlobHash> {
        let payload = match &self.phase {
            Phase::Ended { end: End::Succeeded { output, .. }, .. } => output,
            Phase::Queued { .. } | Phase::Open(_) | Phase::Ended { .. } => &self.arguments.input,
        };
        payload.blob().map(|blob| blob.hash)
    }

    /// Whether the task has ended with a result.
    pub(super) fn is_success(&self) -> bool {
        matches!(&self.phase, Phase::Ended { end, .. } if end.is_success())
    }

    /// The task's time limits.
    pub(super) fn limits(&self) -> &TaskLimits {
        self.rare.as_ref().map_or(&Terms::USUAL.limits, |rare| &rare.terms.limits)
    }

    /// The task's retry policy.
    pub(super) fn retry(&self) -> &RetryPolicy {
        self.rare.as_ref().map_or(&Terms::USUAL.retry, |rare| &rare.terms.retry)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// When the task's next timer is due.
    pub(super) fn due(&self) -> Time {
        let limits = self.limits();
        let total = limits.total.map_or(Time::NEVER, |limit| self.submitted + limit);
        match &self.phase {
            Phase::Queued { since, not_before } => {
                let queue = limits.queue.map_or(Time::NEVER, |limit| *since + limit);
                let retry = if *not_before > *since { *not_before } else { Time::NEVER };
                total.min(queue).min(retry)
            }
            Phase::Open(open) => {
                let attempts = open.iter().map(|sent| self.ends_by(sent)).min();
                total.min(open.look).min(attempts.unwrap_or(Time::NEVER))
            }
            Phase::Ended { .. } => Time::NEVER,
        }
    }

    /// When an attempt is given up. The worker enforces the limit itself; this is for a worker that
    /// does not report.
    pub(super) fn ends_by(&self, sent: &Sent) -> Time {
        self.limits()
            .attempt
            .filter(|_| sent.is_timed)
            .map_or(Time::NEVER, |limit| sent.at + limit.saturating_mul(2) + limits::ATTEMPT_GRACE)
    }

    /// The idempotency key.
    pub(super) fn key(&self) -> Option<&str> {
        self.rare.as_ref()?.key.as_deref()
    }

    /// As [`key_hash`]; 0 if it has no key.
    pub(super) fn key_hash(&self) -> u64 {
        self.key().map_or(0, key_hash)
    }

    /// [`Self::ended_weight`] as it is stored.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(self.ended_weight()).unwrap_or(u32::MAX)
    }

    /// Bytes that the ended task counts, at least [`limits::ENDED_WEIGHT`].
    pub(super) fn ended_weight(&self) -> usize {
        let Phase::Ended { end, .. } = &self.phase else { return 0 };
        let params = self.arguments.params.iter().map(|(name, value)| name.len() + value.len());
        (end.weight() + self.arguments.input.weight() + params.sum::<usize>())
            .max(limits::ENDED_WEIGHT)
    }
}

impl Owned {
    /// The task's past, created if needed.
    pub(super) fn past(&mut self) -> &mut Past {
        self.tries.past.get_or_insert_default()
    }

    /// Why the task rests, if it does.
    pub(super) fn rest(&self) -> Rest {
        self.tries.past.as_ref().map_or(Rest::Failed, |past| past.rest)
    }

    /// Whether any attempt was unsuccessful or refused for good.
    pub(super) fn has_past(&self) -> bool {
        self.tries.past.is_some()
    }

    /// Attempts that failed with the handler.
    pub(super) fn failures(&self) -> u32 {
        self.tries.past.as_ref().map_or(0, |past| past.failures)
    }

    /// Attempts that were lost with their worker.
    pub(super) fn crashes(&self) -> u32 {
        self.tries.past.as_ref().map_or(0, |past| past.crashes)
    }

    /// Ended attempts, except the successful one.
    pub(super) fn history(&self) -> &[Attempt] {
        self.tries.past.as_ref().map_or(&[], |past| past.history())
    }

    /// How many of the last ones were closed by the task's end.
    pub(super) fn open_at_end(&self) -> usize {
        self.tries.past.as_ref().map_or(0, |past| past.open_at_end())
    }

    /// Refusals that may still be valid.
    pub(super) fn refused(&self) -> &[Refusal] {
        self.tries.past.as_ref().map_or(&[], |past| past.refused())
    }
}

impl Owned {
    /// Whether this is the first of the task's open attempts.
    pub(super) fn leads_with(&self, epoch: Epoch) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.first.epoch == epoch)
    }

    /// Whether a second attempt is due and not sent yet.
    pub(super) fn is_overdue(&self) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.is_overdue())
    }
}

/// Hash of an idempotency key; the same in every version, never 0.
pub(super) fn key_hash(key: &str) -> u64 {
    let hash = blake3::hash(key.as_bytes());
    u64::from_le_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default()).max(1)
}

/// The data of a new task.
#[derive(Debug)]
pub(super) struct New {
    pub(super) id: TaskId,
    pub(super) kind: Kind,
    pub(super) class: ClassKey,
    pub(super) priority: i8,
    pub(super) member: Option<GroupSlot>,
    pub(super) input: Payload,
    pub(super) params: BTreeMap<String, String>,
    pub(super) terms: Terms,
    pub(super) key: Option<Box<str>>,
    pub(super) durable: bool,
    pub(super) digest: u64,
    pub(super) now: Time,
}
