//! The owner's table of tasks: unfinished ones, and ended ones that are not archived because they
//! ended just now or are kept in memory only.

use std::{collections::VecDeque, time::Duration};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    attempts::Sent,
    ends::Ends,
    past::Rest,
    task::{End, New, Owned, Phase},
};
use crate::{
    engine::{blobs::Change, gate::Gate, keys::TaskKey, record::Seq},
    task::TaskId,
    time::Time,
};

/// The table of tasks. `max_owned` bounds the unfinished ones, the kept bytes bound the ended ones.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    slab: Slab<Place>,
    /// The last 32 bits of each slot's id, also after its task was removed: a search by the end of an
    /// id reads these instead of the slots.
    tails: Vec<u32>,
    index: FxHashMap<TaskId, TaskKey>,
    keys: FxHashMap<Box<str>, TaskKey>,
    /// Ended tasks that will be archived.
    pub(super) disk: Recent,
    /// Ended tasks that are kept in memory only.
    pub(super) memory: Recent,
    /// Tasks with an attempt at a worker.
    open: usize,
    /// Unfinished durable members of groups.
    live_members: usize,
    next_generation: u32,
    /// Submission time, id and key of the latest submitted task.
    last: Option<(Time, TaskId, TaskKey)>,
}

/// A slot of the table, and its current task.
#[derive(Debug)]
struct Place {
    generation: u32,
    task: Owned,
}

/// Ended tasks in the order of their ends.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Keys in the order of the ends. Some belong to removed tasks.
    keys: VecDeque<TaskKey>,
    len: usize,
    bytes: u64,
    ends: Ends,
}

impl Recent {
    /// Number of tasks.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The sum of their weights.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The tasks by how they ended.
    pub(super) fn ends(&self) -> &Ends {
        &self.ends
    }

    /// The tasks in the order of their ends. Some keys belong to removed tasks.
    pub(super) fn keys(&self) -> impl Iterator<Item = TaskKey> {
        self.keys.iter().copied()
    }
}

impl Tasks {
    pub(super) fn live(&self) -> usize {
        self.slab.len() - self.disk.len - self.memory.len
    }

    /// Number of unfinished durable members of groups.
    pub(super) fn live_members(&self) -> usize {
        self.live_members
    }

    /// Number of tasks with an attempt at a worker; the other unfinished ones wait.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Adds an attempt sent to a worker. Returns true if it is the task's only open one.
    pub(super) fn on_sent(&mut self, key: TaskKey, sent: Sent, look: Time) -> bool {
        let is_first = self.get_mut(key).is_some_and(|task| task.on_sent(sent, look));
        self.open += usize::from(is_first);
        is_first
    }

    /// Notes why a task is about to rest.
    pub(super) fn note_rest(&mut self, key: TaskKey, rest: Rest) {
        if let Some(task) = self.get_mut(key) {
            task.past().rest = rest;
        }
    }

    /// Closes a task's only attempt: it waits again, now or after a rest.
    pub(super) fn on_attempt_over(&mut self, key: TaskKey, now: Time, rest: Duration) {
        let was_open = self.get_mut(key).is_some_and(|task| task.on_attempt_over(now, rest));
        self.open -= usize::from(was_open);
    }

    pub(super) fn by_id(&self, id: &TaskId) -> Option<TaskKey> {
        self.index.get(id).copied()
    }

    pub(super) fn by_key(&self, key: &str) -> Option<TaskKey> {
        self.keys.get(key).copied()
    }

    /// Inserts a task. `None` if the table is full.
    pub(super) fn insert(&mut self, new: New) -> Option<TaskKey> {
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).ok()?;
        self.next_generation = self.next_generation.wrapping_add(1);
        let key = TaskKey { index, generation: self.next_generation };
        self.live_members += usize::from(new.durable && new.member.is_some());
        let tail = low_bits(u128::from_be_bytes(*new.id.as_bytes()));
        match self.tails.get_mut(entry.key()) {
            Some(last) => *last = tail,
            None => self.tails.push(tail),
        }
        self.index.insert(new.id, key);
        if self.last.is_none_or(|(at, id, _)| (at, id) < (new.now, new.id)) {
            self.last = Some((new.now, new.id, key));
        }
        if let Some(name) = &new.key {
            self.keys.insert(name.clone(), key);
        }
        entry.insert(Place { generation: key.generation, task: Owned::new(new) });
        Some(key)
    }

    pub(super) fn get(&self, key: TaskKey) -> Option<&Owned> {
        let place =
            self.slab.get(key.index as usize).filter(|place| place.generation == key.generation)?;
        Some(&place.task)
    }

    pub(super) fn get_mut(&mut self, key: TaskKey) -> Option<&mut Owned> {
        let place = self.slab.get_mut(key.index as usize);
        Some(&mut place.filter(|place| place.generation == key.generation)?.task)
    }

    /// Ends a task at a time and an uptime of the node: stores its end and drops what only an
    /// attempt needs. An unsuccessful task keeps what a retry, under another id, needs. If the task
    /// is durable, the gate's current batch contains the end; without a gate, it is on disk already.
    /// Returns which blob it needs from now on.
    pub(super) fn end(
        &mut self,
        key: TaskKey,
        (at, up): (Time, Time),
        end: End,
        gate: Option<&Gate>,
    ) -> Change {
        let Some(task) = self.get_mut(key) else { return Change::default() };
        let before = task.blob();
        let was_open = task.open().is_some();
        let gate = gate.filter(|_| task.durable);
        let state = end.state();
        if !task.on_end((at, up), end, gate.map_or_else(Seq::default, Gate::next)) {
            return Change::default();
        }
        let change = Change { from: before, to: task.blob() };
        let (weight, durable) = (task.ended_weight() as u64, task.durable);
        let is_live_member = durable && task.member.is_some();
        self.open -= usize::from(was_open);
        self.live_members -= usize::from(is_live_member);
        let among = if durable { &self.disk } else { &self.memory };
        // Ordered by the uptime at the end, which is the order of insertion except for tasks of an
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
        match gate {
            Some(gate) => among.ends.add_unpersisted(&state, gate),
            None => among.ends.add(&state),
        }
        change
    }

    fn ended_up(&self, key: TaskKey) -> Time {
        match self.get(key).map(Owned::phase) {
            Some(Phase::Ended { up, .. }) => *up,
            Some(Phase::Queued { .. } | Phase::Open { .. }) | None => Time::ZERO,
        }
    }

    /// Whether this task is in the table and has ended. Callers check a whole batch before they
    /// remove its first task, so that the cache misses of the batch overlap.
    pub(super) fn is_ended(&self, key: TaskKey) -> bool {
        let task = self.get(key).filter(|task| task.has_ended());
        task.is_some_and(|task| self.by_id(&task.id) == Some(key))
    }

    /// Removes an ended task.
    pub(super) fn remove_ended(&mut self, key: TaskKey) -> Option<Owned> {
        let weight = self.get(key).filter(|task| task.has_ended())?.ended_weight() as u64;
        let task = self.slab.try_remove(key.index as usize)?.task;
        self.index.remove(&task.id);
        if let Some(name) = task.key() {
            self.keys.remove(name);
        }
        let slab = &self.slab;
        let is_there = |key: &TaskKey| {
            slab.get(key.index as usize).is_some_and(|place| place.generation == key.generation)
        };
        let among = if task.durable { &mut self.disk } else { &mut self.memory };
        among.len -= 1;
        among.bytes -= weight;
        if let Phase::Ended { end, .. } = task.phase() {
            among.ends.remove(&end.state());
        }
        while among.keys.front().is_some_and(|key| !is_there(key)) {
            among.keys.pop_front();
        }
        if among.keys.len() > 2 * among.len + STALE {
            among.keys.retain(is_there);
        }
        Some(task)
    }

    /// The keys of all unfinished tasks.
    pub(super) fn live_keys(&self) -> Vec<TaskKey> {
        let live = self.slab.iter().filter(|(_, place)| !place.task.has_ended());
        live.filter_map(|(index, place)| {
            Some(TaskKey { index: u32::try_from(index).ok()?, generation: place.generation })
        })
        .collect()
    }

    /// The most recently submitted task, even if it is no longer in the table.
    pub(super) fn last(&self) -> Option<(TaskId, TaskKey)> {
        self.last.map(|(_, id, key)| (id, key))
    }

    #[cfg(test)]
    pub(super) fn bytes_of_a_place() -> usize {
        size_of::<Place>()
    }

    /// Number of slots that were ever in use.
    pub(super) fn slots(&self) -> usize {
        self.tails.len()
    }

    /// The tasks in these slots whose ids have `bits` where `mask` is set.
    pub(super) fn ending(
        &self,
        slots: std::ops::Range<usize>,
        bits: u128,
        mask: u128,
    ) -> impl Iterator<Item = &Owned> {
        let slots = slots.start..slots.end.min(self.tails.len());
        let tails = self.tails.get(slots.clone()).unwrap_or_default();
        let (low, low_mask) = (low_bits(bits), low_bits(mask));
        let fitting = slots.zip(tails).filter(move |(_, tail)| **tail & low_mask == low);
        let tasks = fitting.filter_map(|(slot, _)| Some(&self.slab.get(slot)?.task));
        tasks.filter(move |task| u128::from_be_bytes(*task.id.as_bytes()) & mask == bits)
    }

    /// All tasks, unordered.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Owned> {
        self.slab.iter().map(|(_, place)| &place.task)
    }
}

/// The last 32 bits.
fn low_bits(bits: u128) -> u32 {
    u32::try_from(bits & u128::from(u32::MAX)).unwrap_or(0)
}

/// Keys of removed tasks tolerated in [`Recent`] beyond the number of others.
const STALE: usize = 64;
