//! The plan of what is forgotten next, and the schedule of age checks.

use std::collections::VecDeque;

use crate::{
    engine::{keys::TaskKey, node::Node, record::Record, timers::Timer},
    limits,
    task::GroupId,
    time::Time,
};

/// What is forgotten together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// A task that is not archived.
    Recent(TaskKey),
    /// An archived task, by its number.
    Archived(u64),
    Group(GroupId),
}

/// What is planned to be forgotten.
#[derive(Debug)]
pub(super) struct Retention {
    plan: VecDeque<Unit>,
    /// Single tasks in memory whose results were handed out, in that order. Some were removed
    /// since.
    handed_out: VecDeque<TaskKey>,
    /// The next place to forget of the group at the front of the plan.
    next_member: u32,
    /// Room for ended tasks on disk; full if too much is kept and nothing may be forgotten.
    disk: Space,
    /// The same for memory.
    memory: Space,
    /// When ages are checked next. If no plan was possible, space is not checked earlier either.
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

/// Whether there is room for ended tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Space {
    #[default]
    Free,
    /// Some of the excess is being written into the archive; it can be forgotten after that.
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
    /// Whether units are waiting to be forgotten.
    pub(super) fn is_forgetting(&self) -> bool {
        !self.plan.is_empty()
    }

    /// Adds units to the plan.
    pub(super) fn plan(&mut self, units: impl IntoIterator<Item = Unit>) {
        self.plan.extend(units);
    }

    /// The unit that is being forgotten.
    pub(super) fn current(&self) -> Option<Unit> {
        self.plan.front().copied()
    }

    /// Removes the current unit, because it is forgotten completely.
    pub(super) fn finish_current(&mut self) {
        self.plan.pop_front();
        self.next_member = 0;
    }

    /// The next places, at most `most`, of the group that is being forgotten; `received` is its
    /// size.
    pub(super) fn next_members(&mut self, received: u32, most: u32) -> std::ops::Range<u32> {
        let from = self.next_member;
        self.next_member = received.min(from.saturating_add(most));
        from..self.next_member
    }

    /// Whether ages are to be checked now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.due <= now
    }

    /// Ages are being checked: clears the time of the next check.
    pub(super) fn on_look(&mut self) {
        self.due = Time::NEVER;
    }

    /// Schedules a check of ages at `due` or earlier.
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

    /// A volume is on disk, so its tasks may be forgotten: checks again for space.
    pub(super) fn look_for_space(&mut self) {
        self.disk = Space::Free;
    }

    /// Notes that an archived task was forgotten. `time`: the time in its id, in milliseconds since
    /// 1970.
    pub(super) fn on_dropped(&mut self, number: u64, time: Option<u64>) {
        self.dropped.numbers.push(number);
        self.dropped.until = self.dropped.until.max(time.unwrap_or(0));
    }

    /// The record of the archived tasks that this pass has forgotten, if any.
    pub(super) fn take_dropped(&mut self) -> Option<Record> {
        let Dropped { numbers, until } = std::mem::take(&mut self.dropped);
        (!numbers.is_empty()).then_some(Record::Dropped { numbers, until })
    }

    /// Notes that a single task's result was handed out. Beyond the limit, returns the tasks handed
    /// out first, [`HANDED_OUT_AT_ONCE`] at a time.
    pub(super) fn hand_out(&mut self, key: TaskKey) -> Vec<TaskKey> {
        self.handed_out.push_back(key);
        if self.handed_out.len() < limits::HANDED_OUT_IN_MEMORY + HANDED_OUT_AT_ONCE {
            return Vec::new();
        }
        self.handed_out.drain(..HANDED_OUT_AT_ONCE).collect()
    }
}

/// Tasks that are forgotten together after their results were handed out.
const HANDED_OUT_AT_ONCE: usize = 256;
