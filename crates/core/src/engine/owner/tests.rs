//! Access of tests to the state of the owner half.

use super::{ended::Entry, state::Owner, task::Phase, tasks::Tasks};
use crate::{
    engine::{
        keys::PeerKey,
        kinds::Kinds,
        node::{Cx, Node},
        view::Ending,
    },
    task::TaskId,
    time::Time,
};

impl Owner {
    /// Whether a task is in the table, or archived.
    pub(in crate::engine) fn is_known(&self, id: &TaskId) -> bool {
        self.store.is_known(id)
    }

    /// Whether a task is in the table.
    pub(in crate::engine) fn is_here(&self, id: &TaskId) -> bool {
        self.store.tasks.by_id(id).is_some()
    }

    /// Whether a task allows hedging, and how often it was lost with its worker.
    pub(in crate::engine) fn hedge_and_crashes(&self, id: &TaskId) -> (bool, u32) {
        let task = self.store.tasks.by_id(id).and_then(|key| self.store.tasks.get(key)).unwrap();
        (task.retry().hedge, task.crashes())
    }

    /// Number of attempts at a task whose handler failed.
    pub(in crate::engine) fn failures_of(&self, id: &TaskId) -> u32 {
        let task = self.store.tasks.by_id(id).and_then(|key| self.store.tasks.get(key)).unwrap();
        task.failures()
    }

    /// Whether a result was handed out.
    pub(in crate::engine) fn was_read(&self, id: &TaskId) -> bool {
        let here = self.store.tasks.by_id(id).and_then(|key| self.store.tasks.get(key));
        let archived = || self.store.archive.table.by_id(id).is_some_and(|(_, entry)| entry.read);
        here.map_or_else(archived, |task| task.read)
    }

    /// Number of unfinished tasks, and of all tasks in the table.
    pub(in crate::engine) fn live_and_all(&self) -> (usize, usize) {
        (self.store.tasks.live(), self.store.tasks.iter().count())
    }

    /// Size of one entry of the task table.
    pub(in crate::engine) fn bytes_of_a_task() -> usize {
        Tasks::bytes_of_a_place()
    }

    /// Archives a successful task without other data.
    pub(in crate::engine) fn put_into_archive(&mut self, number: u64, id: TaskId) {
        let kind = Kinds::default().of("text", "a").unwrap();
        let (times, end) = ((Time::ZERO, Time::ZERO), (Ending::Succeeded, false));
        let entry = Entry::new(id, (1, 0), times, 1_024, None, kind, end);
        assert!(self.store.archive.table.insert(number, entry));
    }

    /// Makes all ids with a time count as forgotten.
    pub(in crate::engine) fn forget_all_times(&mut self) {
        self.store.forgotten.raise(u64::MAX);
    }

    /// Adds `count` unfinished groups.
    pub(in crate::engine) fn fill_groups(&mut self, count: usize) {
        self.store.groups.fill(count);
    }

    /// Restarts the lease of a worker and watches it.
    pub(in crate::engine) fn restart_lease(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        self.workers.get_mut(key).unwrap().lease = super::lease::Lease::default();
        self.workers.arm_lease(cx.node, key);
    }

    /// Asserts that each worker's account matches its attempts, and that each task that may start
    /// is in a lane.
    pub(in crate::engine) fn check(&self) {
        for (_, worker) in self.workers.iter() {
            let sum = worker
                .open()
                .fold((0, 0), |(bytes, time), (_, open)| (bytes + open.bytes, time + open.time));
            assert_eq!(sum, (worker.open_bytes(), worker.open_nanos()));
        }
        let in_lane = self.store.queue.heads();
        for task in self.store.tasks.iter() {
            let Phase::Queued { since, not_before } = task.phase() else { continue };
            let rank = -i16::from(task.priority);
            let is_there =
                in_lane.iter().any(|(class, head)| *class == task.class && *head <= rank);
            assert!(not_before > since || is_there, "{} waits and is in no lane", task.id);
        }
    }

    /// Number of reserved slots, and of attempts asked back, over all workers.
    pub(in crate::engine) fn reserved_and_asked_back(&self) -> (u32, u32) {
        let all = self.workers.iter().map(|(_, worker)| (worker.reserved(), worker.asked_back()));
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

impl Node {
    /// Resets the timers to unarmed.
    pub(in crate::engine) fn forget_timers(&mut self) {
        self.timers = crate::engine::timers::Timers::default();
    }
}
