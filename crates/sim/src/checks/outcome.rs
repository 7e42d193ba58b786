//! Checks whether all work has ended, and what is left then.
//!
//! Absent on purpose: the tables of the engines, whose last timers must fire first, see `world`.

use std::time::Duration;

use meshwork_core::{PeerId, TaskState};

use super::Checks;
use crate::{
    callers::Submission,
    node::Node,
    report::{Broken, Ends, Invariant, Step},
};

impl Checks<'_> {
    /// Describes the work that has not ended; empty if all has.
    pub(crate) fn unfinished(&self) -> String {
        let mut found = String::new();
        let mut add = |what: String| {
            if found.len() < 2_000 {
                found.push_str(&what);
                found.push('\n');
            }
        };
        for (index, node) in self.nodes.iter().filter(|(_, node)| !node.is_gone()) {
            let Some(process) = node.process().filter(|process| !process.is_suspended()) else {
                add(format!("n{index} is down"));
                continue;
            };
            let engine = process.engine();
            let accounts = engine.accounts();
            let waits = accounts.queued + accounts.running;
            if (waits, accounts.held, accounts.unacked) != (0, 0, 0) {
                add(format!("n{index}: {accounts:?}"));
            }
            if !node.disk.is_idle() || !process.executions.is_empty() {
                add(format!("n{index} is busy"));
            }
            for id in process.open() {
                let view = engine.read(node.clock(self.now)).task(*id);
                let state = view.as_ref().map(|view| &view.state);
                let why = view.as_ref().and_then(|view| view.waiting.as_ref());
                add(format!("n{index} {id}: {state:?} {why:?}"));
            }
        }
        // These may be many, and the lines above say what they wait for.
        for (number, task) in self.callers.submissions().iter().enumerate() {
            if task.accepted_as().is_none() && !task.is_lost() && !task.is_refused() {
                add(format!("task {number} of n{} has no answer", task.owner()));
            }
        }
        found
    }

    /// How long an owner may be full of tasks that only workers gone for good can run. Each keeps
    /// its place until its time limit, and other tasks are refused meanwhile. In an owner with
    /// little room these times add up, so the limit of a single task does not bound them.
    pub(crate) fn time_lost_to_gone_workers(&self) -> Duration {
        let is_gone = |worker: &PeerId| {
            let node = self.nodes.index(worker).and_then(|index| self.nodes.get(index));
            node.is_some_and(Node::is_gone)
        };
        let cannot_run =
            |task: &&Submission| !task.targets().is_empty() && task.targets().iter().all(is_gone);
        let waits = |task: &Submission| {
            let limits = task.task().limits;
            [limits.queue, limits.total].into_iter().flatten().min().unwrap_or_default()
        };
        let lost = |(owner, node): (usize, &Node)| {
            let tasks = self.callers.submissions().iter().filter(|task| task.owner() == owner);
            let all: Duration = tasks.filter(cannot_run).map(waits).sum();
            all / u32::try_from(node.max_owned()).unwrap_or(u32::MAX).max(1)
        };
        let owners = self.nodes.iter().take(self.scenario.owners);
        owners.map(lost).max().unwrap_or_default()
    }

    /// No worker has an unacknowledged result on its disk.
    pub(crate) fn delivered(&self) -> Step {
        for (index, node) in self.nodes.iter().filter(|(_, node)| !node.is_gone()) {
            let (_, mut kept) = node.disk.ledger().into_parts();
            if let Some((kept, _)) = kept.next() {
                let details =
                    format!("n{index} still keeps attempt {} of task {}", kept.epoch, kept.task);
                return Err(Broken::new(Invariant::ResultIsDelivered, details));
            }
        }
        Ok(())
    }

    /// Every task of an owner has ended, and its end has a cause. Returns the numbers of ends.
    pub(crate) fn ends(&self, owner: usize) -> Result<Ends, Broken> {
        let mut ends = Ends::default();
        let Some(node) = self.nodes.get(owner) else { return Ok(ends) };
        for task in self.callers.submissions().iter().filter(|task| task.owner() == owner) {
            if task.is_lost() {
                ends.lost += 1;
                continue;
            }
            if task.is_refused() {
                ends.refused += 1;
                continue;
            }
            let Some(id) = task.accepted_as() else { continue };
            let Some(view) = node.view(id, self.now) else {
                // Another check shows that the node may have forgotten it.
                match self.history.end_of(&id) {
                    Some("succeeded") => ends.succeeded += 1,
                    Some("failed") => ends.failed += 1,
                    Some("cancelled") => ends.cancelled += 1,
                    Some("expired") => ends.expired += 1,
                    // It ended and was forgotten while its owner was down.
                    _ => ends.unreported += 1,
                }
                continue;
            };
            match view.state {
                TaskState::Succeeded => ends.succeeded += 1,
                TaskState::Failed => ends.failed += 1,
                TaskState::Cancelled => ends.cancelled += 1,
                TaskState::Expired => ends.expired += 1,
                TaskState::Queued | TaskState::Assigned { .. } | TaskState::Running { .. } => {
                    let details = format!("{id} is {} at the end", view.state);
                    return Err(Broken::new(Invariant::OneEnd, details));
                }
            }
            if let Some(end) = &view.end {
                self.end(id, end)?;
            }
        }
        Ok(ends)
    }
}
