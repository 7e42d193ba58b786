//! The owner's table of tasks: those that wait or run, and those that have ended and are not archived,
//! because they ended just now or are kept in memory only.

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
    view::Ending,
};
use crate::{
    failure::TaskFailure,
    limits,
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
    /// None: the usual terms, and no key.
    rare: Option<Box<Rare>>,
    /// Whether its result was handed out.
    pub(super) read: bool,
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

    /// Bytes that it counts when it has ended, at least [`limits::ENDED_WEIGHT`].
    pub(super) fn ended_weight(&self) -> usize {
        let Phase::Ended { end, .. } = &self.phase else { return 0 };
        let params: usize = self.params.iter().map(|(name, value)| name.len() + value.len()).sum();
        (end.weight() + self.input.len() + params).max(limits::ENDED_WEIGHT)
    }
}

/// The table. Live tasks are bounded by the engine's `max_owned`, ended ones by the bytes that are
/// kept of them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    slab: Slab<Owned>,
    index: FxHashMap<TaskId, TaskKey>,
    keys: FxHashMap<Box<str>, TaskKey>,
    /// Ended tasks that are to be archived.
    pub(super) disk: Recent,
    /// Ended tasks that are kept in memory only.
    pub(super) memory: Recent,
    /// Tasks with an attempt at a worker. Only [`Self::set_phase`] changes it.
    open: usize,
    /// Members of groups that have not ended and outlive the process.
    live_members: usize,
    next_tenant: u32,
    /// When the task that was submitted last was, its id and place.
    last: Option<(Time, TaskId, TaskKey)>,
}

/// Ended tasks in the order of their ends.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// In the order of their ends. Some name tasks that were removed since.
    keys: VecDeque<TaskKey>,
    len: usize,
    bytes: u64,
}

impl Recent {
    /// How many tasks these are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The weight of them all.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The tasks in the order of their ends. Some keys name tasks that were removed since.
    pub(super) fn keys(&self) -> impl Iterator<Item = TaskKey> {
        self.keys.iter().copied()
    }
}

impl Tasks {
    pub(super) fn live(&self) -> usize {
        self.slab.len() - self.disk.len - self.memory.len
    }

    /// Members of groups that have not ended and outlive the process.
    pub(super) fn live_members(&self) -> usize {
        self.live_members
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
        self.live_members += usize::from(new.durable && new.member.is_some());
        self.index.insert(new.id, key);
        if self.last.is_none_or(|(at, id, _)| (at, id) < (new.now, new.id)) {
            self.last = Some((new.now, new.id, key));
        }
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
            rare: (new.terms != Terms::USUAL || new.key.is_some())
                .then(|| Box::new(Rare { terms: new.terms, key: new.key })),
            read: false,
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

    /// Ends a task that has not ended, at a time and at an age of the node: keeps its end, lets go of
    /// what only an attempt needs. If there is no success there may be further attempts, of another
    /// task that is the same. The end is safe with this batch, if the task is durable.
    pub(super) fn end(&mut self, key: TaskKey, (at, up): (Time, Time), end: End, batch: Seq) {
        let Some(task) = self.get_mut(key) else { return };
        let from = match task.phase {
            Phase::Queued { .. } => None,
            Phase::Open(Open { first, .. }) => Some(first),
            Phase::Ended { .. } => return,
        };
        let (success, is_member) = (end.is_success(), task.member.is_some());
        let safe_with = if task.durable { batch } else { Seq::default() };
        self.set_phase(key, Phase::Ended { at, up, end, from, safe_with });
        let Some(task) = self.get_mut(key) else { return };
        task.forget_refusals();
        if success {
            task.input = Bytes::new();
            task.params.clear();
        }
        let (weight, durable) = (task.ended_weight() as u64, task.durable);
        self.live_members -= usize::from(durable && is_member);
        let among = if durable { &self.disk } else { &self.memory };
        // By the age of the node at their ends, which is the order of their coming but for those of an
        // earlier start.
        let earlier = among.keys.iter().rposition(|key| self.ended_up(*key) <= up);
        let place = earlier.map_or(0, |earlier| earlier + 1);
        let among = if durable { &mut self.disk } else { &mut self.memory };
        if place == among.keys.len() {
            among.keys.push_back(key);
        } else {
            among.keys.insert(place, key);
        }
        among.len += 1;
        among.bytes += weight;
    }

    fn ended_up(&self, key: TaskKey) -> Time {
        match self.get(key).map(|task| &task.phase) {
            Some(Phase::Ended { up, .. }) => *up,
            Some(Phase::Queued { .. } | Phase::Open { .. }) | None => Time::ZERO,
        }
    }

    /// Whether this task is in the table and has ended. Callers ask about a whole batch before they remove
    /// the first: the cache misses of the batch then overlap.
    pub(super) fn is_ended(&self, key: TaskKey) -> bool {
        let task = self.get(key).filter(|task| task.has_ended());
        task.is_some_and(|task| self.by_id(&task.id) == Some(key))
    }

    /// Removes a task that has ended.
    pub(super) fn remove_ended(&mut self, key: TaskKey) -> Option<Owned> {
        let weight = self.get(key).filter(|task| task.has_ended())?.ended_weight() as u64;
        let task = self.slab.try_remove(key.index as usize)?;
        self.index.remove(&task.id);
        if let Some(name) = task.key() {
            self.keys.remove(name);
        }
        let slab = &self.slab;
        let is_there = |key: &TaskKey| {
            slab.get(key.index as usize).is_some_and(|task| task.tenant == key.tenant)
        };
        let among = if task.durable { &mut self.disk } else { &mut self.memory };
        among.len -= 1;
        among.bytes -= weight;
        while among.keys.front().is_some_and(|key| !is_there(key)) {
            among.keys.pop_front();
        }
        if among.keys.len() > 2 * among.len + STALE {
            among.keys.retain(is_there);
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

    /// The most recently submitted task, even if it is no longer in the table.
    pub(super) fn last(&self) -> Option<(TaskId, TaskKey)> {
        self.last.map(|(_, id, key)| (id, key))
    }

    /// How many places there are.
    pub(super) fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    /// The tasks at these places.
    pub(super) fn places(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = &Owned> {
        let range = range.start..range.end.min(self.capacity());
        range.filter_map(|at| self.slab.get(at))
    }

    /// All tasks, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Owned> {
        self.slab.iter().map(|(_, task)| task)
    }
}

/// How many more keys of removed tasks than of others [`Recent`] may have.
const STALE: usize = 64;

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
