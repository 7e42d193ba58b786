//! Checks the whole world at regular intervals: conditions that must not last.

use std::collections::{BTreeMap, BTreeSet};

use meshwork_core::{Epoch, TaskId, Time};

use super::Checks;
use crate::{
    limits,
    node::Node,
    report::{Broken, Invariant, Step},
};

/// At how many probes in a row each attempt was missing at its worker.
type Missing = BTreeMap<Epoch, u32>;

/// What the last probes have seen.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    /// Attempts that an owner expects at a worker, by owner and worker.
    expected: BTreeMap<(usize, usize), Missing>,
    /// Tasks that waited although a worker was free at the last probe.
    waited: BTreeSet<TaskId>,
}

impl Probes {
    /// An owner gives attempts to a worker: the next probes look for them.
    pub(crate) fn expect(&mut self, owner: usize, worker: usize) {
        self.expected.entry((owner, worker)).or_default();
    }

    pub(crate) fn probe(&mut self, checks: Checks<'_>) -> Step {
        self.look_for_missing_attempts(checks)?;
        checks.overdue()?;
        self.look_for_idle_workers(checks)
    }

    /// Finds attempts that an owner considers running although their worker does not know them.
    /// Each attempt has its own count, because an owner whose attempts are refused in a row has
    /// another one at each probe.
    fn look_for_missing_attempts(&mut self, checks: Checks<'_>) -> Step {
        self.expected.retain(|(owner, worker), before| {
            let has_none = checks.has_none(*owner, *worker);
            let seen = |epoch| match has_none {
                true => before.get(&epoch).map_or(1, |seen| seen + 1),
                false => 0,
            };
            let attempts = checks.attempts_at(*owner, *worker);
            *before = attempts.map(|epoch| (epoch, seen(epoch))).collect();
            !before.is_empty()
        });
        for ((owner, worker), attempts) in &self.expected {
            let missing = attempts.iter().find(|(_, seen)| **seen > limits::MISSING_PROBES);
            if let Some((epoch, _)) = missing {
                let details = format!(
                    "n{owner} expects attempt {epoch} at n{worker}, which does not have it"
                );
                return Err(Broken::new(Invariant::NoMissingAttempt, details));
            }
        }
        Ok(())
    }

    /// Finds tasks that wait although a worker is free for them, at two probes in a row.
    fn look_for_idle_workers(&mut self, checks: Checks<'_>) -> Step {
        let mut waited = BTreeSet::new();
        for (index, node) in checks.nodes.iter().filter(|(_, node)| node.is_awake()) {
            let Some(process) = node.process() else { continue };
            let engine = process.engine();
            let clock = node.clock(checks.now);
            if process.is_closing() || engine.next_timer().is_some_and(|at| at <= clock) {
                // The node is still placing tasks, or does not place any.
                continue;
            }
            for id in process.open().iter().take(limits::PROBED_TASKS) {
                let waiting = engine.read(clock).task(*id).and_then(|view| view.waiting);
                let Some(waiting) = waiting.filter(|why| why.next_try.is_none()) else { continue };
                let free = waiting.peers.iter().find(|(_, obstacle)| obstacle.is_free());
                let Some((peer, _)) = free else { continue };
                if self.waited.contains(id) {
                    let peer = checks.nodes.index(peer);
                    let details = format!("{id} waits at n{index} although n{peer:?} is free");
                    return Err(Broken::new(Invariant::NoIdleWorker, details));
                }
                waited.insert(*id);
            }
        }
        self.waited = waited;
        Ok(())
    }
}

impl Checks<'_> {
    /// The attempts that the owner expects at this worker.
    fn attempts_at(&self, owner: usize, worker: usize) -> impl Iterator<Item = Epoch> {
        let both = self.nodes.get(owner).zip(self.nodes.get(worker));
        both.into_iter()
            .filter_map(|(owner, worker)| Some((owner.engine()?, worker.id())))
            .flat_map(|(engine, worker)| engine.read(Time::ZERO).attempts_at(&worker))
    }

    /// Whether the two have an open session, and the worker has no attempt of the owner.
    fn has_none(&self, owner: usize, worker: usize) -> bool {
        let Some(owner_id) = self.nodes.id(owner) else { return false };
        let Some(here) = self.nodes.process(owner) else { return false };
        let Some(there) = self.nodes.process(worker) else { return false };
        let session = here.sessions.to_worker(worker);
        let talks = self.wires.carries_well(self.now, owner, worker)
            && !here.is_suspended()
            && !there.is_suspended()
            && session.is_some()
            && there.sessions.to_owner(owner) == session;
        let engine = there.engine();
        talks && engine.load(&owner_id).held == 0 && engine.accounts().unacked == 0
    }

    /// Finds tasks that exceed their total time limit, at owners that are awake. Skips ends that
    /// are still being written.
    fn overdue(&self) -> Step {
        let has_reported = |node: &Node| node.is_awake() && node.disk.is_idle();
        for (index, node) in self.nodes.iter().filter(|(_, node)| has_reported(node)) {
            let Some(process) = node.process() else { continue };
            let engine = process.engine();
            for id in process.open() {
                let task = self.callers.submission_of(*id);
                let Some(limit) = task.and_then(|it| it.task().limits.total) else { continue };
                let clock = node.clock(self.now);
                let Some(view) = engine.read(clock).task(*id) else { continue };
                let overdue =
                    view.end.is_none() && view.submitted + limit + limits::OVERDUE < clock;
                // An end is visible only when it is on disk.
                if overdue && !node.disk.is_writing_end(*id) {
                    let details = format!("n{index} has not ended {id} at its limit");
                    return Err(Broken::new(Invariant::OneEnd, details));
                }
            }
        }
        Ok(())
    }
}
