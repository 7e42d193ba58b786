//! Checks against the medium that a fact is on disk before it is reported, and that only ended
//! tasks are forgotten.

use meshwork_core::{Epoch, Reason, TaskEnd, TaskId, engine::Record};

use crate::{
    Invariant,
    disk::Kept,
    event::Event,
    limits,
    node::{Node, Process, Ran},
    report::{Broken, Step},
    world::World,
};

impl World<'_> {
    pub(crate) fn is_durable(&self, id: &TaskId) -> bool {
        let job = self.history.job_of(*id).and_then(|job| self.history.jobs.get(job));
        job.is_some_and(|job| job.durable)
    }

    /// A node reports that a task was accepted or has ended: checks that this is on disk.
    pub(crate) fn check_safe(&self, index: usize, id: &TaskId, ended: bool, how: &str) -> Step {
        if !self.is_durable(id) {
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
        Err(Broken::new(Invariant::SafeBeforeTold, details))
    }

    /// An owner acknowledges a result. If the task ended with it, that end must be on disk.
    pub(crate) fn check_acknowledged(&self, owner: usize, worker: usize, epoch: Epoch) -> Step {
        self.history.acknowledges(owner, worker, epoch)?;
        let Some((task, attempt)) = self.history.attempt(owner, epoch) else { return Ok(()) };
        // Results of an earlier boot are late, and change nothing.
        let node = self.nodes.get(owner).filter(|node| node.boot() == epoch.boot);
        let Some(node) = node else { return Ok(()) };
        let ends = node.disk.ending(task).is_some_and(|end| is_end_of(end, attempt))
            && self.history.is_latest(owner, epoch);
        if ends {
            return self.check_safe(owner, &task, true, &format!("ack {epoch} to n{worker}"));
        }
        Ok(())
    }

    /// An attempt has run. Its result must be kept once the worker's disk has written all of it.
    pub(crate) fn must_keep(&mut self, worker: usize, owner: usize, epoch: Epoch, task: TaskId) {
        if worker != owner
            && self.is_durable(&task)
            && let Some(process) = self.nodes.process_mut(worker)
        {
            process.attempt_ran(Ran { owner, epoch, task });
        }
    }

    /// When no write is in flight, each result is on the worker's disk, or its owner has stored it.
    pub(crate) fn check_results(&mut self, worker: usize) -> Step {
        let Some(node) = self.nodes.get_mut(worker).filter(|node| node.disk.is_idle()) else {
            return Ok(());
        };
        let Some(process) = node.process_mut() else { return Ok(()) };
        for Ran { owner, epoch, task } in process.take_unchecked() {
            let (Some(here), Some(there)) = (self.nodes.get(worker), self.nodes.get(owner)) else {
                continue;
            };
            let has_ended = matches!(there.disk.has(&task), Some(Kept::Ended | Kept::Forgotten));
            let kept = here.disk.has_result(there.id(), epoch) || has_ended;
            if !kept && !self.history.is_acknowledged(worker, owner, epoch) {
                let details = format!(
                    "n{worker} has run {epoch} of n{owner}, {task}: the result is on no disk"
                );
                return Err(Broken::new(Invariant::ResultIsKept, details));
            }
        }
        Ok(())
    }

    /// Checks a record that a node is about to write to its journal.
    pub(crate) fn check_record(&mut self, index: usize, record: &Record) -> Step {
        match record {
            Record::Released { owner, epoch } => match self.nodes.index(owner) {
                Some(owner) => self.history.released(index, owner, *epoch),
                None => Ok(()),
            },
            Record::Ended { id, .. } => {
                self.history.recorded_end(*id);
                Ok(())
            }
            Record::Forgotten { id } => self.check_forgotten(index, *id),
            Record::Dropped { numbers, .. } => {
                for number in numbers {
                    let node = self.nodes.get(index);
                    let task = node.and_then(|node| node.disk.archived(*number));
                    let Some(id) = task.map(|task| task.task.task.id) else {
                        let details = format!("n{index} drops {number}, which is not archived");
                        return Err(Broken::new(Invariant::AnsweredIsKnown, details));
                    };
                    self.check_forgotten(index, id)?;
                }
                Ok(())
            }
            Record::Archived { ids, .. } => {
                match ids.iter().find(|id| !self.history.ended_on(id)) {
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
                if matches!(node.disk.has(&id), None | Some(Kept::Forgotten))
                    && !node.disk.is_coming(id)
                {
                    return Ok(());
                }
                let details = format!("n{index} accepts {id} again, which it still has");
                Err(Broken::new(Invariant::SameKeySameTask, details))
            }
            Record::Tried { .. } | Record::Finished(_) | Record::Group(_) | Record::Read { .. } => {
                Ok(())
            }
            Record::GroupForgotten { id } => {
                self.timeline.log(format_args!("n{index} forgets group {}", id.short()));
                Ok(())
            }
        }
    }

    /// Checks that a forgotten task has ended, and so have all accepted members of its group.
    fn check_forgotten(&mut self, index: usize, id: TaskId) -> Step {
        let open = self.open_beside(&id);
        if self.history.forgets(id) && open.is_none() {
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
        if self.is_durable(id) {
            let kept = self.nodes.get(index).and_then(|node| node.disk.has(id));
            return kept == Some(Kept::Forgotten) || self.history.has_forgotten(id);
        }
        self.keeps_few(index) && self.history.has_ended(id)
    }

    fn keeps_few(&self, index: usize) -> bool {
        self.nodes.get(index).is_some_and(Node::keeps_few)
    }

    /// Whether a node may refuse durable tasks, because groups take its little room.
    pub(crate) fn is_short(&self, index: usize) -> bool {
        self.keeps_few(index) && self.scenario.max_members < limits::MEMBERS * self.scenario.groups
    }

    /// Whether a caller may submit a task now. If the task was forgotten, its history begins anew.
    /// False while a record of the task may be in flight: then the caller waits.
    pub(crate) fn begin_anew(&mut self, number: usize, owner: usize) -> bool {
        let Some(job) = self.history.jobs.get(number) else { return false };
        let ids = [job.task.id, job.again];
        let Some(node) = self.nodes.get(owner) else { return false };
        let Some(engine) = node.engine() else { return false };
        let known = |id: &TaskId| engine.read(node.clock(self.timeline.now())).known(*id).is_ok();
        let over = |id: &TaskId| self.history.has_ended(id) || self.history.has_forgotten(id);
        if !ids.iter().any(over) || ids.iter().any(known) {
            return true;
        }
        if !node.disk.is_idle() {
            return false;
        }
        self.history.begin_anew(number);
        true
    }

    /// A submit or a query was refused: checks that there is a cause.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a cause here")]
    pub(crate) fn refused(
        &mut self,
        index: usize,
        job: usize,
        submits: bool,
        reason: Reason,
    ) -> Step {
        let (accounts, most) = self.nodes.get(index).map_or_else(Default::default, |node| {
            let accounts = node.engine().map(|engine| engine.accounts());
            (accounts.unwrap_or_default(), node.max_owned())
        });
        let of = self.history.jobs.get(job);
        let id = of.and_then(|job| job.answered.or(Some(job.task.id)));
        match reason {
            Reason::ShuttingDown
                if submits && self.nodes.process(index).is_some_and(Process::is_closing) =>
            {
                self.timeline.log(format_args!("n{index} refuses job {job}: it stops"));
                self.later(Event::Submit { job, again: false });
                Ok(())
            }
            Reason::QueueFull { retry_after }
                if submits && accounts.queued + accounts.running >= most =>
            {
                self.timeline.log(format_args!("n{index} refuses job {job}: it is full"));
                let when = self.timeline.now() + retry_after + self.rngs.callers.up_to(retry_after);
                self.timeline.plan(when, Event::Submit { job, again: false });
                Ok(())
            }
            Reason::DiskFull { retry_after } if submits && self.is_short(index) => {
                self.timeline.log(format_args!("n{index} refuses job {job}: its space is taken"));
                let when = self.timeline.now() + retry_after + self.rngs.callers.up_to(retry_after);
                self.timeline.plan(when, Event::Submit { job, again: false });
                Ok(())
            }
            Reason::NotFound | Reason::Forgotten { .. }
                if id.is_some_and(|id| {
                    let is_denied = reason == Reason::NotFound && self.is_durable(&id);
                    self.may_forget(index, &id) && !is_denied
                }) =>
            {
                self.timeline.log(format_args!("n{index} knows job {job} no longer"));
                Ok(())
            }
            reason => {
                let details = format!("n{index} refuses a call about job {job}: {reason}");
                // A submit should have been accepted; any other call is about an accepted task.
                let invariant =
                    if submits { Invariant::NoFalseBlame } else { Invariant::AnsweredIsKnown };
                Err(Broken::new(invariant, details))
            }
        }
    }
}

/// Whether a task has ended with the result of this attempt.
fn is_end_of(end: &TaskEnd, attempt: u32) -> bool {
    matches!(end, TaskEnd::Succeeded(result) if result.attempt == attempt)
}
