//! One own task: what it asks for, where it stands, and how it ends.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use libp2p_identity::PeerId;
use smallvec::SmallVec;

use super::{
    attempts::{Open, Sent},
    past::{Attempt, Past, Refusal},
};
use crate::{
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
    /// The tasks with equal needs that it is one of.
    pub(super) class: ClassKey,
    pub(super) priority: i8,
    /// The group that it was submitted with.
    pub(super) member: Option<GroupSlot>,
    pub(super) payload: Payload,
    /// None: the usual terms, and no key.
    rare: Option<Box<Rare>>,
    /// Whether its result was handed out.
    pub(super) read: bool,
    /// Whether it outlives the process.
    pub(super) durable: bool,
    /// Whether it waited or ran in an earlier start of the node.
    came_back: bool,
    /// Hash of what it asks for, to tell it from another task with its id or key.
    pub(super) digest: u64,
    pub(super) submitted: Time,
    phase: Phase,
    tries: Tries,
    pub(super) watchers: SmallVec<[Token; 2]>,
    /// When its live timer fires; [`Time::NEVER`] if it has none.
    pub(super) armed: Time,
}

/// What a task's handler is given. A task that has succeeded keeps the size alone.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) input: Bytes,
    /// The size that the input had.
    pub(super) bytes: usize,
    pub(super) params: BTreeMap<String, String>,
}

/// What was tried so far.
#[derive(Debug, Default)]
struct Tries {
    attempts: u32,
    /// None if no attempt was unsuccessful.
    past: Option<Box<Past>>,
}

/// Where a task stands. `Queued → Open → Queued | Ended`, `Queued → Ended`.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waits for a worker, since `since`, and not before `not_before`.
    Queued { since: Time, not_before: Time },
    /// An attempt is at a worker, or two of them.
    Open(Open),
    /// For ever. `from`: the attempt that was open, as which it is shown until `safe_with` is on disk.
    /// `up`: how long the node had been up then, over all its starts.
    Ended { at: Time, up: Time, end: End, from: Option<Sent>, safe_with: Seq },
}

/// How long a task may take, and how often it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) limits: TaskLimits,
    pub(super) retry: RetryPolicy,
}

impl Terms {
    /// Those of most tasks.
    const USUAL: Self = Self { limits: TaskLimits::USUAL, retry: RetryPolicy::USUAL };
}

/// What most tasks do not have.
#[derive(Debug)]
struct Rare {
    terms: Terms,
    /// The idempotency key.
    key: Option<Box<str>>,
}

/// How a task ended, in the form in which it is kept.
#[derive(Clone, Debug)]
pub(super) enum End {
    Succeeded { output: Bytes, worker: Arc<PeerId>, attempt: u32, took: Duration },
    Failed(Box<TaskFailure>),
    Cancelled { by: CancelledBy, reason: Box<str> },
    Expired(ExpiredLimit),
}

impl End {
    /// As the public type.
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

    /// The state that a task with this end is in.
    pub(super) fn state(&self) -> TaskState {
        match self {
            Self::Succeeded { .. } => TaskState::Succeeded,
            Self::Failed(_) => TaskState::Failed,
            Self::Cancelled { .. } => TaskState::Cancelled,
            Self::Expired(_) => TaskState::Expired,
        }
    }

    /// The same, without its details.
    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Succeeded { .. } => Ending::Succeeded,
            Self::Failed(_) => Ending::Failed,
            Self::Cancelled { .. } => Ending::Cancelled,
            Self::Expired(_) => Ending::Expired,
        }
    }

    /// Whether there is a result. What has none may be tried again, so that what it takes is kept.
    pub(super) fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded { .. })
    }

    fn weight(&self) -> usize {
        match self {
            Self::Succeeded { output, .. } => output.len(),
            Self::Failed(failure) => failure.message.len(),
            Self::Cancelled { reason, .. } => reason.len(),
            Self::Expired(_) => 0,
        }
    }
}

impl Owned {
    /// A task that waits for its first attempt.
    pub(super) fn new(new: New) -> Self {
        let is_rare = new.terms != Terms::USUAL || new.key.is_some();
        Self {
            id: new.id,
            kind: new.kind,
            class: new.class,
            priority: new.priority,
            member: new.member,
            payload: Payload { bytes: new.input.len(), input: new.input, params: new.params },
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

    /// Where it stands.
    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(super) fn is_queued(&self) -> bool {
        matches!(self.phase, Phase::Queued { .. })
    }

    /// Its attempts at workers.
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

    /// It has waited or run in an earlier start, of which it brings this past, and waits again.
    pub(super) fn on_restored(&mut self, now: Time) {
        self.came_back = true;
        if self.is_queued() {
            self.phase = Phase::Queued { since: now, not_before: now };
        }
    }

    /// What an earlier start has tried.
    pub(super) fn set_tries(&mut self, attempts: u32, past: Option<Box<Past>>) {
        self.tries = Tries { attempts, past };
    }

    /// Whether it waited or ran in an earlier start of the node.
    pub(super) fn came_back(&self) -> bool {
        self.came_back
    }

    /// Attempts made.
    pub(super) fn attempts(&self) -> u32 {
        self.tries.attempts
    }

    /// An attempt is sent to a worker. True if it is the only one that is open.
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

    /// Its only attempt is over: it waits again, from now on or after a rest. False, and nothing
    /// changes, if none is open.
    pub(super) fn on_attempt_over(&mut self, now: Time, rest: Duration) -> bool {
        let was_open = self.open().is_some();
        if was_open {
            self.phase = Phase::Queued { since: now, not_before: now + rest };
        }
        was_open
    }

    /// The rest before its next attempt is over. False if there was none.
    pub(super) fn on_rested(&mut self, now: Time) -> bool {
        let Phase::Queued { since, not_before } = self.phase else { return false };
        let rested = not_before > since && not_before <= now;
        if rested {
            self.phase = Phase::Queued { since, not_before: since };
        }
        rested
    }

    /// It ends, for good. False, and nothing changes, if it has ended before.
    pub(super) fn on_end(&mut self, (at, up): (Time, Time), end: End, safe_with: Seq) -> bool {
        let from = match &self.phase {
            Phase::Queued { .. } => None,
            Phase::Open(open) => Some(open.first),
            Phase::Ended { .. } => return false,
        };
        if end.is_success() {
            self.payload.input = Bytes::new();
            self.payload.params.clear();
        }
        self.phase = Phase::Ended { at, up, end, from, safe_with };
        if let Some(past) = &mut self.tries.past {
            past.forget_refusals();
        }
        true
    }

    /// Whether it has ended with a result.
    pub(super) fn is_success(&self) -> bool {
        matches!(&self.phase, Phase::Ended { end, .. } if end.is_success())
    }

    /// How long it may take.
    pub(super) fn limits(&self) -> &TaskLimits {
        self.rare.as_ref().map_or(&Terms::USUAL.limits, |rare| &rare.terms.limits)
    }

    /// How often it is tried.
    pub(super) fn retry(&self) -> &RetryPolicy {
        self.rare.as_ref().map_or(&Terms::USUAL.retry, |rare| &rare.terms.retry)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// When something about this task is due.
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

    /// When an attempt is given up. The worker measures the run itself; this is for one that does not
    /// say.
    pub(super) fn ends_by(&self, sent: &Sent) -> Time {
        self.limits()
            .attempt
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

    /// As [`Self::ended_weight`], in the form in which it is kept.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(self.ended_weight()).unwrap_or(u32::MAX)
    }

    /// Bytes that it counts when it has ended, at least [`limits::ENDED_WEIGHT`].
    pub(super) fn ended_weight(&self) -> usize {
        let Phase::Ended { end, .. } = &self.phase else { return 0 };
        let params = self.payload.params.iter().map(|(name, value)| name.len() + value.len());
        (end.weight() + self.payload.input.len() + params.sum::<usize>()).max(limits::ENDED_WEIGHT)
    }
}

impl Owned {
    /// Its past, to be added to.
    pub(super) fn past(&mut self) -> &mut Past {
        self.tries.past.get_or_insert_default()
    }

    /// Whether any attempt was unsuccessful, or refused for good.
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

    /// Attempts that are over, but for the one that succeeded.
    pub(super) fn history(&self) -> &[Attempt] {
        self.tries.past.as_ref().map_or(&[], |past| past.history())
    }

    /// How many of them, the last ones, were open until the task ended.
    pub(super) fn open_at_end(&self) -> usize {
        self.tries.past.as_ref().map_or(0, |past| past.open_at_end())
    }

    /// Refusals that may still count.
    pub(super) fn refused(&self) -> &[Refusal] {
        self.tries.past.as_ref().map_or(&[], |past| past.refused())
    }
}

impl Owned {
    /// Whether this is its first attempt of those that are open.
    pub(super) fn leads_with(&self, epoch: Epoch) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.first.epoch == epoch)
    }

    /// Whether it is time for a second attempt, and none was sent yet.
    pub(super) fn is_overdue(&self) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.is_overdue())
    }
}

/// Hash of an idempotency key, the same in every version; never 0.
pub(super) fn key_hash(key: &str) -> u64 {
    let hash = blake3::hash(key.as_bytes());
    u64::from_le_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default()).max(1)
}

/// What a new task is made of.
#[derive(Debug)]
pub(super) struct New {
    pub(super) id: TaskId,
    pub(super) kind: Kind,
    pub(super) class: ClassKey,
    pub(super) priority: i8,
    pub(super) member: Option<GroupSlot>,
    pub(super) input: Bytes,
    pub(super) params: BTreeMap<String, String>,
    pub(super) terms: Terms,
    pub(super) key: Option<Box<str>>,
    pub(super) durable: bool,
    pub(super) digest: u64,
    pub(super) now: Time,
}
