//! The owner's table of tasks: those that wait or run, and those that have ended and are kept for
//! questions.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;
use slab::Slab;
use smallvec::SmallVec;

use super::{
    Seq, Token,
    groups::GroupSlot,
    hedge::{Open, Sent},
    kinds::Kind,
    past::Past,
    queue::GroupKey,
};
use crate::{
    failure::TaskFailure,
    task::{
        CancelledBy, ExpiredLimit, RetryPolicy, TaskEnd, TaskId, TaskLimits, TaskResult, TaskState,
    },
    time::Time,
};

/// A place in the table, and which of its successive tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TaskKey {
    index: u32,
    tenant: u32,
}

/// One task.
#[derive(Debug)]
pub(super) struct Owned {
    tenant: u32,
    pub(super) id: TaskId,
    pub(super) kind: Kind,
    pub(super) group: GroupKey,
    pub(super) priority: i8,
    /// The group that it was submitted with.
    pub(super) member: Option<GroupSlot>,
    pub(super) input: Bytes,
    pub(super) input_bytes: usize,
    pub(super) params: std::collections::BTreeMap<String, String>,
    /// None: the usual ones.
    terms: Option<Box<Terms>>,
    key: Option<Box<str>>,
    /// Whether it outlives the process.
    pub(super) durable: bool,
    /// Whether it waited or ran in an earlier life of the node.
    pub(super) came_back: bool,
    /// What it is, to be told from another of its name.
    pub(super) digest: u64,
    pub(super) submitted: Time,
    pub(super) phase: Phase,
    /// Attempts made.
    pub(super) attempts: u32,
    /// None: nothing came to nothing.
    pub(super) past: Option<Box<Past>>,
    pub(super) watchers: SmallVec<[Token; 2]>,
    /// When its live timer fires; [`Time::NEVER`] if it has none.
    pub(super) armed: Time,
}

/// Where a task stands. `Queued → Open → Queued | Ended`, `Queued → Ended`.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waits for a worker, since `since`, and not before `not_before`.
    Queued { since: Time, not_before: Time },
    /// An attempt is at a worker, or two of them.
    Open(Open),
    /// For ever. `from`: the attempt that was open, as which it is shown until `safe_with` is on disk.
    Ended { at: Time, end: End, from: Option<Sent>, safe_with: Seq },
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

    fn boxed(self) -> Option<Box<Self>> {
        (self != Self::USUAL).then(|| Box::new(self))
    }
}

/// How a task ended, in the form in which it is kept.
#[derive(Clone, Debug)]
pub(super) enum End {
    Succeeded { output: Bytes, worker: Arc<PeerId>, attempt: u32, took: std::time::Duration },
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
    /// Whether it has ended with a result.
    pub(super) fn is_success(&self) -> bool {
        matches!(&self.phase, Phase::Ended { end, .. } if end.is_success())
    }

    /// How long it may take.
    pub(super) fn limits(&self) -> &TaskLimits {
        self.terms.as_ref().map_or(&Terms::USUAL.limits, |terms| &terms.limits)
    }

    /// How often it is tried.
    pub(super) fn retry(&self) -> &RetryPolicy {
        self.terms.as_ref().map_or(&Terms::USUAL.retry, |terms| &terms.retry)
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
        self.limits().attempt.map_or(Time::NEVER, |limit| {
            sent.at + limit.saturating_mul(2) + crate::limits::ATTEMPT_GRACE
        })
    }

    /// Bytes that are kept with its end.
    fn ended_weight(&self) -> usize {
        let Phase::Ended { end, .. } = &self.phase else { return 0 };
        let params: usize = self.params.iter().map(|(name, value)| name.len() + value.len()).sum();
        end.weight() + self.input.len() + params
    }
}

/// The table. Live tasks are bounded by the engine's `max_owned`, ended ones by
/// [`Self::forget`].
#[derive(Debug, Default)]
pub(super) struct Tasks {
    slab: Slab<Owned>,
    index: FxHashMap<TaskId, TaskKey>,
    keys: FxHashMap<Box<str>, TaskKey>,
    ended: VecDeque<TaskKey>,
    /// Members of groups that have ended without success.
    failures: VecDeque<TaskKey>,
    ended_bytes: usize,
    /// Tasks with an attempt at a worker. Only [`Self::set_phase`] changes it.
    open: usize,
    next_tenant: u32,
}

impl Tasks {
    pub(super) fn live(&self) -> usize {
        self.slab.len() - self.ended.len() - self.failures.len()
    }

    /// Live tasks with an attempt at a worker; the others wait.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Moves a task to another phase.
    pub(super) fn set_phase(&mut self, key: TaskKey, phase: Phase) {
        let Some(task) = self.get_mut(key) else { return };
        let is_open = matches!(phase, Phase::Open(_));
        let was_open = matches!(std::mem::replace(&mut task.phase, phase), Phase::Open(_));
        self.open = self.open + usize::from(is_open) - usize::from(was_open);
    }

    pub(super) fn by_id(&self, id: &TaskId) -> Option<TaskKey> {
        self.index.get(id).copied()
    }

    pub(super) fn by_key(&self, key: &str) -> Option<TaskKey> {
        self.keys.get(key).copied()
    }

    /// Inserts what `make` builds; it is given its place. None if the table cannot hold more.
    pub(super) fn insert(&mut self, new: New) -> Option<TaskKey> {
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).ok()?;
        self.next_tenant = self.next_tenant.wrapping_add(1);
        let key = TaskKey { index, tenant: self.next_tenant };
        self.index.insert(new.id, key);
        if let Some(name) = &new.key {
            self.keys.insert(name.clone(), key);
        }
        entry.insert(Owned {
            tenant: key.tenant,
            id: new.id,
            kind: new.kind,
            group: new.group,
            priority: new.priority,
            member: new.member,
            input_bytes: new.input.len(),
            input: new.input,
            params: new.params,
            terms: new.terms.boxed(),
            key: new.key,
            durable: new.durable,
            came_back: false,
            digest: new.digest,
            submitted: new.now,
            phase: Phase::Queued { since: new.now, not_before: new.now },
            attempts: 0,
            past: None,
            watchers: SmallVec::new(),
            armed: Time::NEVER,
        });
        Some(key)
    }

    pub(super) fn get(&self, key: TaskKey) -> Option<&Owned> {
        self.slab.get(key.index as usize).filter(|task| task.tenant == key.tenant)
    }

    pub(super) fn get_mut(&mut self, key: TaskKey) -> Option<&mut Owned> {
        self.slab.get_mut(key.index as usize).filter(|task| task.tenant == key.tenant)
    }

    /// Ends a task that has not ended: keeps its end, lets go of what only an attempt needs. If there
    /// is no success there may be further attempts, of another task that is the same. The end is safe
    /// with this batch, if the task is durable.
    pub(super) fn end(&mut self, key: TaskKey, at: Time, end: End, batch: Seq) {
        let Some(task) = self.get_mut(key) else { return };
        let from = match task.phase {
            Phase::Queued { .. } => None,
            Phase::Open(Open { first, .. }) => Some(first),
            Phase::Ended { .. } => return,
        };
        let success = end.is_success();
        let safe_with = if task.durable { batch } else { Seq::default() };
        self.set_phase(key, Phase::Ended { at, end, from, safe_with });
        let Some(task) = self.get_mut(key) else { return };
        task.forget_refusals();
        if success {
            task.input = Bytes::new();
            task.params.clear();
        }
        let (weight, is_member) = (task.ended_weight(), task.member.is_some());
        self.ended_bytes += weight;
        let among = if is_member && !success { &self.failures } else { &self.ended };
        // By the time of their ends, which is that of their coming but for those of an earlier start.
        let earlier = among.iter().rposition(|key| self.ended_at(*key) <= at);
        let place = earlier.map_or(0, |earlier| earlier + 1);
        let among = if is_member && !success { &mut self.failures } else { &mut self.ended };
        if place == among.len() { among.push_back(key) } else { among.insert(place, key) }
    }

    fn ended_at(&self, key: TaskKey) -> Time {
        match self.get(key).map(|task| &task.phase) {
            Some(Phase::Ended { at, .. }) => *at,
            Some(Phase::Queued { .. } | Phase::Open { .. }) | None => Time::ZERO,
        }
    }

    /// When the task ended that has ended first.
    pub(super) fn oldest_end(&self) -> Option<Time> {
        let fronts = [self.ended.front(), self.failures.front()];
        fronts.into_iter().flatten().map(|key| self.ended_at(*key)).min()
    }

    /// Forgets the oldest ended task, if it is too old, or there are more than are kept, or more bytes;
    /// for want of place members of groups that did not succeed last of all.
    pub(super) fn forget(&mut self, kept: &Kept) -> Option<Owned> {
        let is_old =
            |key: Option<&TaskKey>| key.is_some_and(|key| kept.is_old(self.ended_at(*key)));
        let heavy = self.ended_bytes > kept.bytes;
        let of_ended = self.ended.len() > kept.ended
            || (heavy && !self.ended.is_empty())
            || is_old(self.ended.front());
        let of_failures =
            heavy || self.failures.len() > kept.failures || is_old(self.failures.front());
        let key = if of_ended {
            self.ended.pop_front()
        } else if of_failures {
            self.failures.pop_front()
        } else {
            None
        }?;
        let task = self.slab.try_remove(key.index as usize)?;
        self.ended_bytes -= task.ended_weight();
        self.index.remove(&task.id);
        if let Some(name) = &task.key {
            self.keys.remove(name);
        }
        Some(task)
    }

    /// The places of all that have not ended.
    pub(super) fn live_keys(&self) -> Vec<TaskKey> {
        let live = self.slab.iter().filter(|(_, task)| !matches!(task.phase, Phase::Ended { .. }));
        live.filter_map(|(index, task)| {
            Some(TaskKey { index: u32::try_from(index).ok()?, tenant: task.tenant })
        })
        .collect()
    }

    /// Members of groups that have ended without success, in the order of their ends.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Owned> {
        self.failures.iter().filter_map(|key| self.get(*key))
    }

    /// All tasks, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Owned> {
        self.slab.iter().map(|(_, task)| task)
    }
}

/// How much is kept of ended tasks: so many, so many members of groups that did not succeed, so many
/// bytes of both, for so long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) ended: usize,
    pub(super) failures: usize,
    pub(super) bytes: usize,
    pub(super) time: std::time::Duration,
    pub(super) now: Time,
}

impl Kept {
    fn is_old(&self, at: Time) -> bool {
        at + self.time <= self.now
    }
}

/// What a new task is made of.
#[derive(Debug)]
pub(super) struct New {
    pub(super) id: TaskId,
    pub(super) kind: Kind,
    pub(super) group: GroupKey,
    pub(super) priority: i8,
    pub(super) member: Option<GroupSlot>,
    pub(super) input: Bytes,
    pub(super) params: std::collections::BTreeMap<String, String>,
    pub(super) terms: Terms,
    pub(super) key: Option<Box<str>>,
    pub(super) durable: bool,
    pub(super) digest: u64,
    pub(super) now: Time,
}
