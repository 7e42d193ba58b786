//! An engine that comes back: from what its journal knew of tasks and results.
//!
//! Attempts that are open are not journalled. Whatever had not ended waits again, under epochs of the
//! new boot; what workers still say of earlier ones is late.

use super::{
    Engine, GroupTally, KeptResult, Restored, RestoredEnd, Seq, archive,
    groups::Counts,
    tasks::{End, Phase},
};
use crate::{reason::Reason, task::TaskEnd, time::Time};

impl Engine {
    /// How long the node has been up, over all its earlier starts. Call it before anything is taken
    /// up.
    pub(super) fn set_up_before(&mut self, up: std::time::Duration) {
        self.config.up_before = up;
    }

    /// Takes up a task of an earlier start. Call it before anything else is fed, in the order in
    /// which tasks were submitted.
    ///
    /// # Errors
    ///
    /// It cannot be held: its id or key is that of another one, there are too many, or too many
    /// handler names.
    pub fn restore(&mut self, restored: Restored, now: Time) -> Result<(), Reason> {
        let Restored { mut task, targets, submitted, story, ended } = restored;
        let id = task.id;
        let taken =
            task.idempotency_key.as_deref().is_some_and(|key| self.tasks.by_key(key).is_some());
        if self.archive.table.by_id(&id).is_some() {
            // It was archived, and the journal has not been told before the node ended.
            return Ok(());
        }
        if taken || self.tasks.by_id(&id).is_some() {
            return Err(Reason::Conflict { what: format!("task id {id}") });
        }
        let kind = self.kinds.of(task.task_type.family(), &task.operation).ok_or_else(|| {
            Reason::InvalidTask { detail: format!("over {} handler names", crate::limits::KINDS) }
        })?;
        // It has been on disk, whatever the node is configured with now.
        task.durability = Some(crate::Durability::Disk);
        let full = Reason::QueueFull { retry_after: crate::limits::QUEUE_FULL_RETRY };
        // Nobody waits for a reason any more: it waits for a target that offers to run it.
        let key = self.insert_task(task, targets, (kind, false), submitted).ok_or(full)?;
        if let (Some(task), Some(told)) = (self.tasks.get_mut(key), story) {
            let (story, as_of) = *told;
            task.attempts = story.attempts;
            task.past = story.past(as_of);
        }
        match ended.map(|ended| *ended) {
            Some(RestoredEnd { end, at, up }) => {
                let end = End::from_public(end);
                let success = end.is_success();
                let state = end.state();
                self.tasks.end(key, (at, up), end, Seq::default());
                if let Some(task) = self.tasks.get(key) {
                    let (needs, member) = (task.group, task.member);
                    let weight = archive::weight(task);
                    if success {
                        self.queue.leave(needs);
                    } else {
                        self.queue.rest(needs);
                    }
                    if let Some(slot) = member {
                        self.groups.end_restored(
                            slot,
                            needs,
                            &state,
                            Counts { weight, up, read: false },
                        );
                    }
                }
                // Once all are back: a group is looked at as a whole.
                self.forget_by(now);
            }
            None => {
                let Some(task) = self.tasks.get_mut(key) else { return Ok(()) };
                task.came_back = true;
                task.phase = Phase::Queued { since: now, not_before: now };
                let last = task.history().iter().rfind(|past| past.number == task.attempts);
                let worker = last.map(|past| *past.peer);
                let lost = task.is_lost_for_good(worker, "this node ended before it did");
                self.enqueue(now, key, false);
                if let Some(failure) = lost {
                    self.end_task(key, now, End::Failed(Box::new(failure)));
                }
            }
        }
        Ok(())
    }

    /// Takes up what an earlier start knew of a group. Call it before the tasks are taken up.
    pub fn restore_group(&mut self, tally: &GroupTally) {
        self.groups.restore(tally);
    }

    /// Takes up a result that an earlier start has made for another owner, and how long the node had
    /// been up then, over all its starts.
    ///
    /// # Errors
    ///
    /// There is no place for it.
    pub fn restore_kept(&mut self, kept: KeptResult, up: Time, now: Time) -> Result<(), Reason> {
        let finished = now.before(self.up(now).since(up));
        let task = kept.task;
        if self.restore_result(kept, finished, now) {
            return Ok(());
        }
        Err(Reason::Conflict { what: format!("a result of task {task}") })
    }
}

impl End {
    /// From the public type.
    fn from_public(end: TaskEnd) -> Self {
        match end {
            TaskEnd::Succeeded(result) => Self::Succeeded {
                output: result.output,
                worker: std::sync::Arc::new(result.worker),
                attempt: result.attempt,
                took: result.took,
            },
            TaskEnd::Failed(failure) => Self::Failed(Box::new(failure)),
            TaskEnd::Cancelled { by, reason } => {
                Self::Cancelled { by, reason: reason.into_boxed_str() }
            }
            TaskEnd::Expired { limit } => Self::Expired(limit),
        }
    }
}
