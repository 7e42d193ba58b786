//! An engine that comes back: from what its journal knew of tasks and results.
//!
//! Attempts are not journalled. Whatever had not ended waits again, under epochs of the new boot;
//! what workers still say of earlier ones is late.

use super::{
    Engine, KeptResult, Restored, Seq,
    tasks::{End, Phase},
};
use crate::{reason::Reason, task::TaskEnd, time::Time};

impl Engine {
    /// Takes up a task of an earlier start. Call it before anything else is fed, in the order in
    /// which tasks were submitted.
    ///
    /// # Errors
    ///
    /// It cannot be held: its id or key is that of another one, there are too many, or too many
    /// handler names.
    pub fn restore(&mut self, restored: Restored, now: Time) -> Result<(), Reason> {
        let Restored { mut task, targets, submitted, ended } = restored;
        let id = task.id;
        let taken =
            task.idempotency_key.as_deref().is_some_and(|key| self.tasks.by_key(key).is_some());
        if taken || self.tasks.by_id(&id).is_some() {
            return Err(Reason::Conflict { what: format!("task id {id}") });
        }
        let kind = self.kinds.of(task.task_type.family(), &task.operation).ok_or_else(|| {
            Reason::InvalidTask { detail: format!("over {} handler names", crate::limits::KINDS) }
        })?;
        // It has been on disk, whatever the node is configured with now.
        task.durability = Some(crate::Durability::Disk);
        let full = Reason::QueueFull { retry_after: crate::limits::QUEUE_FULL_RETRY };
        let key = self.insert_task(task, targets, kind, submitted).ok_or(full)?;
        match ended {
            Some((end, at)) => {
                let group = self.tasks.get(key).map(|task| task.group);
                self.tasks.end(key, at, End::from_public(end), Seq::default());
                if let Some(group) = group {
                    self.queue.leave(group);
                }
                self.forget_old();
            }
            None => {
                if let Some(task) = self.tasks.get_mut(key) {
                    task.phase = Phase::Queued { since: now, not_before: now };
                }
                self.enqueue(now, key, false);
            }
        }
        Ok(())
    }

    /// Takes up a result that an earlier start has made for another owner.
    ///
    /// # Errors
    ///
    /// There is no place for it.
    pub fn restore_kept(&mut self, kept: KeptResult) -> Result<(), Reason> {
        let task = kept.task;
        if self.restore_result(kept) {
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
