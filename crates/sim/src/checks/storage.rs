//! Checks against the medium that a fact is on disk before it is reported, that results are kept,
//! and that only ended tasks are forgotten.

use meshwork_core::{Epoch, Reason, TaskEnd, TaskId, engine::Record};

use super::Checks;
use crate::{
    disk::Kept,
    history::same_end,
    node::{FinishedAttempt, Node},
    report::{Broken, Invariant, Step},
};

impl Checks<'_> {
    /// A node reports that a task was accepted or has ended, in the way that `how` names. This must
    /// be on disk.
    pub(crate) fn reported(&self, index: usize, id: &TaskId, ended: bool, how: &str) -> Step {
        if !self.callers.is_durable(id) {
            return Ok(());
        }
        let kept = self.nodes.get(index).and_then(|node| node.disk.has(id));
        let safe = match kept {
            None => false,
            Some(Kept::Accepted) => !ended,
            Some(Kept::Ended | Kept::Forgotten) => true,
        };
        if safe {
            return Ok(());
        }
        let what = if ended { "has ended" } else { "is accepted" };
        let details = format!("n{index} reports that {id} {what}, but has {kept:?} on disk: {how}");
        Err(Broken::new(Invariant::DurableBeforeReported, details))
    }

    /// An owner acknowledges a result. If the task ended with it, that end must be on disk.
    pub(crate) fn acknowledged(&self, owner: usize, worker: usize, epoch: Epoch) -> Step {
        self.history.check_acknowledgement(owner, worker, epoch)?;
        let Some((task, attempt)) = self.history.attempt(owner, epoch) else { return Ok(()) };
        // Results of an earlier boot are late, and change nothing.
        let node = self.nodes.get(owner).filter(|node| node.boot() == epoch.boot);
        let Some(node) = node else { return Ok(()) };
        let ends = node.disk.end_in_flight(task).is_some_and(|end| is_end_of(end, attempt))
            && self.history.is_latest(owner, epoch);
        if ends {
            return self.reported(owner, &task, true, &format!("ack {epoch} to n{worker}"));
        }
        Ok(())
    }

    /// Attempts have run here for other owners, and no write is in flight: each result must be on
    /// the worker's disk, or its owner has stored it.
    pub(crate) fn results(&self, worker: usize, ran: &[FinishedAttempt]) -> Step {
        for FinishedAttempt { owner, epoch, task } in ran {
            let (Some(here), Some(there)) = (self.nodes.get(worker), self.nodes.get(*owner)) else {
                continue;
            };
            let has_ended = matches!(there.disk.has(task), Some(Kept::Ended | Kept::Forgotten));
            let kept = here.disk.has_result(there.id(), *epoch) || has_ended;
            if !kept && !self.history.is_acknowledged(worker, *owner, *epoch) {
                let details = format!(
                    "n{worker} has run {epoch} of n{owner}, {task}: the result is on no disk"
                );
                return Err(Broken::new(Invariant::ResultIsKept, details));
            }
        }
        Ok(())
    }

    /// A node is about to write a record to its journal.
    pub(crate) fn record(&self, index: usize, record: &Record) -> Step {
        match record {
            Record::Released { owner, epoch } => match self.nodes.index(owner) {
                Some(owner) => self.history.check_release(index, owner, *epoch),
                None => Ok(()),
            },
            Record::Forgotten { id } => self.forgotten(index, *id),
            Record::Dropped { numbers, .. } => {
                for number in numbers {
                    let node = self.nodes.get(index);
                    let task = node.and_then(|node| node.disk.archived(*number));
                    let Some(id) = task.map(|task| task.task.task.id) else {
                        let details = format!("n{index} drops {number}, which is not archived");
                        return Err(Broken::new(Invariant::AnsweredIsKnown, details));
                    };
                    self.forgotten(index, id)?;
                }
                Ok(())
            }
            Record::Archived { ids, .. } => {
                match ids.iter().find(|id| !self.history.has_recorded_end(id)) {
                    Some(id) => {
                        let details = format!("n{index} archives {id}, which has not ended");
                        Err(Broken::new(Invariant::AnsweredIsKnown, details))
                    }
                    None => Ok(()),
                }
            }
            Record::Submitted { task, .. } => {
                let id = task.id;
                let Some(node) = self.nodes.get(index) else { return Ok(()) };
                if node.disk.is_forgotten(&id) && !node.disk.is_writing(id) {
                    return Ok(());
                }
                let details = format!("n{index} accepts {id} again, which it still has");
                Err(Broken::new(Invariant::SameKeySameTask, details))
            }
            Record::Ended { .. }
            | Record::Tried { .. }
            | Record::Finished(_)
            | Record::Group(_)
            | Record::Blob(_)
            | Record::Read { .. }
            | Record::GroupForgotten { .. } => Ok(()),
        }
    }

    /// A forgotten task must have ended, and so must all accepted members of its group.
    fn forgotten(&self, index: usize, id: TaskId) -> Step {
        let open = self.open_member_beside(&id);
        if self.history.has_recorded_end(&id) && open.is_none() {
            return Ok(());
        }
        let details = match open {
            Some(open) => format!("n{index} forgets {id}, but {open} of its group has not ended"),
            None => format!("n{index} forgets {id}, which has not ended"),
        };
        Err(Broken::new(Invariant::AnsweredIsKnown, details))
    }

    /// Whether a node may have forgotten this task: its disk forgot it; or, for a task in memory,
    /// it has ended and the node keeps few ended tasks.
    pub(crate) fn may_forget(&self, index: usize, id: &TaskId) -> bool {
        let node = self.nodes.get(index);
        if self.callers.is_durable(id) {
            let kept = node.and_then(|node| node.disk.has(id));
            return kept == Some(Kept::Forgotten) || self.history.has_forgotten(id);
        }
        node.is_some_and(Node::keeps_few) && self.history.has_ended(id)
    }

    /// A started node must know all answered tasks, and reported ends must be unchanged.
    pub(crate) fn known(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index) else { return Ok(()) };
        let Some(engine) = node.engine().filter(|_| index < self.scenario.owners) else {
            return Ok(());
        };
        // A node must not deny a task that it has only forgotten.
        let denied = |id: TaskId| {
            self.callers.is_durable(&id) && matches!(engine.unknown_task(id), Reason::NotFound)
        };
        let submissions = self.callers.submissions().iter();
        let here = submissions.filter(|task| task.owner() == index && !task.is_lost());
        for task in here {
            let Some(id) = task.accepted_as() else { continue };
            let Some(view) = node.view(id, self.now) else {
                if self.may_forget(index, &id) && !denied(id) {
                    continue;
                }
                let details = format!("n{index}, boot {}, does not know {id}", node.boot());
                return Err(Broken::new(Invariant::AnsweredIsKnown, details));
            };
            match (task.end(), view.end) {
                (Some(reported), Some(end)) => same_end(id, reported, &end)?,
                (Some(reported), None) => {
                    let details =
                        format!("{id} was reported as {}, but is open again", reported.state());
                    return Err(Broken::new(Invariant::OneEnd, details));
                }
                (None, _) => {}
            }
        }
        Ok(())
    }
}

/// Whether a task has ended with the result of this attempt.
fn is_end_of(end: &TaskEnd, attempt: u32) -> bool {
    matches!(end, TaskEnd::Succeeded(result) if result.attempt == attempt)
}
