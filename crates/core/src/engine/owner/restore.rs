//! Restores own tasks from the journal.
//!
//! Open attempts are not journalled. Unfinished tasks wait again, under epochs of the new boot
//! count; messages about earlier epochs are late.

use super::{
    group::Counts, past::Past, state::Owner, store::queue_full, story::NODE_STOPPED, task::End,
};
use crate::{
    engine::{
        keys::TaskKey,
        node::Cx,
        record::{Restored, RestoredEnd},
    },
    limits,
    reason::Reason,
    task::{Durability, TaskEnd},
};

impl Owner {
    /// See [`Engine::restore`](crate::engine::Engine::restore).
    pub(in crate::engine) fn restore(
        &mut self,
        cx: &mut Cx<'_>,
        restored: Restored,
    ) -> Result<(), Reason> {
        let Restored { mut task, targets, submitted, story, ended } = restored;
        let id = task.id;
        if self.store.archive.table.by_id(&id).is_some() {
            // It was archived, and the node stopped before the journal recorded that.
            return Ok(());
        }
        let key = task.idempotency_key.as_deref();
        let is_taken = key.is_some_and(|key| self.store.tasks.by_key(key).is_some());
        if is_taken || self.store.tasks.by_id(&id).is_some() {
            return Err(Reason::Conflict { what: format!("task id {id}") });
        }
        let kind = cx.node.kinds.of(task.task_type.family(), &task.operation);
        let kind = kind.ok_or_else(|| Reason::InvalidTask {
            detail: format!("over {} handler names", limits::KINDS),
        })?;
        // It was on disk, whatever the configuration is now.
        task.durability = Some(Durability::Disk);
        // No caller waits for a reason: the task waits for a target that offers its handler.
        let blob = task.input.blob();
        let key = self.store.insert(task, &targets, (kind, false), true, submitted);
        let key = key.ok_or_else(queue_full)?;
        blob.iter().for_each(|blob| cx.node.blobs.hold(&blob.hash));
        if let (Some(task), Some(told)) = (self.store.tasks.get_mut(key), story) {
            let (story, as_of) = *told;
            task.set_tries(story.attempts, Past::of(story, as_of));
        }
        match ended {
            Some(ended) => self.restore_ended(cx, key, *ended),
            None => self.restore_open(cx, key),
        }
        Ok(())
    }

    fn restore_ended(&mut self, cx: &mut Cx<'_>, key: TaskKey, ended: RestoredEnd) {
        let RestoredEnd { end, at, up } = ended;
        let end = End::from_public(end);
        let (success, state) = (end.is_success(), end.state());
        cx.node.blobs.change_holder(self.store.tasks.end(key, (at, up), end, None));
        if let Some(task) = self.store.tasks.get(key) {
            let (class, member) = (task.class, task.member);
            let counts = Counts { weight: task.weight(), up, read: false };
            self.store.leave_class(class, false, success);
            if let Some(slot) = member {
                self.store.groups.end_restored(slot, class, &state, counts);
            }
        }
        // Ages are checked once all tasks are restored, because a group is examined as a whole.
        self.store.retention.forget_by(cx.node, cx.now);
    }

    fn restore_open(&mut self, cx: &mut Cx<'_>, key: TaskKey) {
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        task.on_restored(cx.now);
        let last = task.history().iter().rfind(|past| past.number == task.attempts());
        let worker = last.map(|past| *past.peer);
        let lost = task.is_lost_for_good(worker, NODE_STOPPED);
        self.store.enqueue(cx, key, false);
        if let Some(failure) = lost {
            self.end_task(cx, key, End::Failed(Box::new(failure)));
        }
    }
}

impl End {
    /// Converts from the public type.
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
