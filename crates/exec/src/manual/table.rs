//! The attempts that wait at a desk.
//!
//! An entry exists exactly as long as its attempt waits: the attempt holds a [`Waiting`], which
//! removes the entry on drop. The lock is never held across an `.await`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use meshwork_core::{PeerId, TaskId};
use tokio::sync::oneshot;

use super::CompleteError;
use crate::{context::TaskContext, handler::HandlerError, limits::MANUAL_ATTEMPTS};

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Mutex<Entries>,
}

/// One attempt per owner and task, at most [`MANUAL_ATTEMPTS`].
#[derive(Debug, Default)]
struct Entries {
    by_task: BTreeMap<Key, Entry>,
    /// Number of entries made so far.
    made: u64,
}

/// The output or the failure that the program gives.
pub(super) type Answer = Result<Bytes, HandlerError>;

/// A task id and the number of the entry. The number distinguishes owners that use the same task
/// id, and an attempt from a later one.
type Key = (TaskId, u64);

#[derive(Debug)]
struct Entry {
    cx: TaskContext,
    answer: oneshot::Sender<Answer>,
}

impl Table {
    /// Adds the attempt. It replaces an earlier attempt of the same task, which the owner has
    /// abandoned.
    pub(super) fn enter(table: &Arc<Self>, cx: &TaskContext) -> Result<Waiting, HandlerError> {
        let mut entries = table.entries();
        if let Some(earlier) = entries.of_owner(cx.task(), cx.peer()) {
            entries.by_task.remove(&earlier);
        }
        if entries.by_task.len() >= MANUAL_ATTEMPTS {
            return Err(HandlerError::failed(format!(
                "{MANUAL_ATTEMPTS} manual attempts wait already"
            )));
        }
        entries.made += 1;
        let key = (cx.task(), entries.made);
        let (sender, answer) = oneshot::channel();
        entries.by_task.insert(key, Entry { cx: cx.clone(), answer: sender });
        Ok(Waiting { key, answer, table: Arc::clone(table) })
    }

    /// Removes the waiting attempt of `task`, of `owner` if one is given.
    pub(super) fn take(
        &self,
        task: TaskId,
        owner: Option<PeerId>,
    ) -> Result<oneshot::Sender<Answer>, CompleteError> {
        let mut entries = self.entries();
        // An attempt that was signalled to stop counts as ended, even if it still runs.
        let mut candidates = entries.of_task(task).filter(|(_, entry)| {
            !entry.cx.is_cancelled() && owner.is_none_or(|owner| owner == entry.cx.peer())
        });
        let found = candidates.next().map(|(key, _)| *key);
        if candidates.next().is_some() {
            return Err(CompleteError::Ambiguous { task });
        }
        drop(candidates);
        let entry = found.and_then(|key| entries.by_task.remove(&key));
        entry.map(|entry| entry.answer).ok_or(CompleteError::NotFound { task })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries().by_task.len()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A panic cannot leave the table half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn of_task(&self, task: TaskId) -> impl Iterator<Item = (&Key, &Entry)> {
        self.by_task.range((task, 0)..=(task, u64::MAX))
    }

    fn of_owner(&self, task: TaskId, owner: PeerId) -> Option<Key> {
        self.of_task(task).find(|(_, entry)| entry.cx.peer() == owner).map(|(key, _)| *key)
    }
}

/// Guard that an attempt holds while it waits.
#[derive(Debug)]
pub(super) struct Waiting {
    key: Key,
    answer: oneshot::Receiver<Answer>,
    table: Arc<Table>,
}

impl Waiting {
    /// Waits for the outcome of the attempt. Await it once.
    pub(super) async fn answered(&mut self) -> Answer {
        match (&mut self.answer).await {
            Ok(outcome) => outcome,
            Err(_) => Err(HandlerError::failed("a later attempt of the task took its place")),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.table.entries().by_task.remove(&self.key);
    }
}
