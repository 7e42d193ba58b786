//! What is about to be forgotten, and when ages are looked at next.

use std::collections::VecDeque;

use crate::{
    engine::{keys::TaskKey, node::Node, record::Record, timers::Timer},
    limits,
    task::GroupId,
    time::Time,
};

/// What is forgotten as one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// A task that is not archived.
    Recent(TaskKey),
    /// A task that is, by its number.
    Archived(u64),
    Group(GroupId),
}

/// What is about to be forgotten.
#[derive(Debug)]
pub(super) struct Retention {
    plan: VecDeque<Unit>,
    /// Single tasks in memory whose results were handed out, in that order. Some are gone.
    handed_out: VecDeque<TaskKey>,
    /// The next place of the group at the front of the plan.
    next_member: u32,
    /// Whether there is too much on disk, and nothing more may be forgotten.
    disk: Space,
    /// The same in memory.
    memory: Space,
    /// When ages are looked at, and no plan is made before for want of space if there was nothing.
    due: Time,
    dropped: Dropped,
}

/// Archived tasks that this pass has forgotten.
#[derive(Debug, Default)]
struct Dropped {
    numbers: Vec<u64>,
    /// The latest time in their ids, in milliseconds since 1970.
    until: u64,
}

/// Whether ended tasks find room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Space {
    #[default]
    Free,
    /// Some of what is too much is being written into the archive: what may be forgotten is known when
    /// that is done.
    Waits,
    Full,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            plan: VecDeque::new(),
            handed_out: VecDeque::new(),
            next_member: 0,
            disk: Space::Free,
            memory: Space::Free,
            due: Time::NEVER,
            dropped: Dropped::default(),
        }
    }
}

impl Retention {
    /// Whether ended tasks wait for being forgotten.
    pub(super) fn is_forgetting(&self) -> bool {
        !self.plan.is_empty()
    }

    /// These are to be forgotten as well.
    pub(super) fn plan(&mut self, units: impl IntoIterator<Item = Unit>) {
        self.plan.extend(units);
    }

    /// The unit that is being forgotten.
    pub(super) fn current(&self) -> Option<Unit> {
        self.plan.front().copied()
    }

    /// Nothing of that unit is left.
    pub(super) fn finish_current(&mut self) {
        self.plan.pop_front();
        self.next_member = 0;
    }

    /// The next places of the group that is being forgotten, of `received`, at most `most`.
    pub(super) fn next_members(&mut self, received: u32, most: u32) -> std::ops::Range<u32> {
        let from = self.next_member;
        self.next_member = received.min(from.saturating_add(most));
        from..self.next_member
    }

    /// Whether ages are to be looked at now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.due <= now
    }

    /// Ages are being looked at: no time is set for the next look.
    pub(super) fn on_look(&mut self) {
        self.due = Time::NEVER;
    }

    /// Makes sure that what is old is forgotten at `due`, or before.
    pub(super) fn forget_by(&mut self, node: &mut Node, due: Time) {
        if due < self.due {
            self.due = due;
            node.timers.arm(due, Timer::Retention);
        }
    }

    pub(super) fn space(&self, durable: bool) -> Space {
        if durable { self.disk } else { self.memory }
    }

    pub(super) fn set_space(&mut self, durable: bool, space: Space) {
        *(if durable { &mut self.disk } else { &mut self.memory }) = space;
    }

    /// A volume is on disk, so that its tasks may be forgotten: looks again for what makes room.
    pub(super) fn look_for_space(&mut self) {
        self.disk = Space::Free;
    }

    /// An archived task was forgotten. `time`: that in its id, in milliseconds since 1970.
    pub(super) fn on_dropped(&mut self, number: u64, time: Option<u64>) {
        self.dropped.numbers.push(number);
        self.dropped.until = self.dropped.until.max(time.unwrap_or(0));
    }

    /// The archived tasks that this pass has forgotten, if any, for the journal.
    pub(super) fn take_dropped(&mut self) -> Option<Record> {
        let Dropped { numbers, until } = std::mem::take(&mut self.dropped);
        (!numbers.is_empty()).then_some(Record::Dropped { numbers, until })
    }

    /// The result of a single task in memory was handed out. Beyond the limit, those whose results were
    /// handed out first, [`HANDED_OUT_AT_ONCE`] at a time.
    pub(super) fn hand_out(&mut self, key: TaskKey) -> Vec<TaskKey> {
        self.handed_out.push_back(key);
        if self.handed_out.len() < limits::HANDED_OUT_IN_MEMORY + HANDED_OUT_AT_ONCE {
            return Vec::new();
        }
        self.handed_out.drain(..HANDED_OUT_AT_ONCE).collect()
    }
}

/// Tasks that are forgotten together once their results were handed out.
const HANDED_OUT_AT_ONCE: usize = 256;
