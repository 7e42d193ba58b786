//! Ended tasks that the archive has: the engine says where, and whoever asks reads them, apart from
//! the driver and from commits.

use std::sync::Arc;

use meshwork_core::{
    Reason, TaskEnd, TaskId, Time,
    engine::{
        ArchivedTask,
        view::{Known, TaskView},
    },
};
use tokio::sync::oneshot;

use super::NetworkManager;
use crate::{
    driver::{Call, EndOfTask},
    error::{InternalError, NetworkError, TaskError},
    journal::ReadError,
};

impl NetworkManager {
    /// Reads archived tasks; each on its own may be forgotten or damaged.
    async fn read(
        &self,
        tasks: Vec<(TaskId, u64)>,
    ) -> Result<Vec<Result<ArchivedTask, Reason>>, NetworkError> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let archive = Arc::clone(self.inner.archive.get().ok_or(InternalError::NotStarted)?);
        let numbers: Vec<u64> = tasks.iter().map(|(_, number)| *number).collect();
        let read = tokio::task::spawn_blocking(move || archive.read(&numbers)).await;
        let mut found = Vec::with_capacity(tasks.len());
        for (read, (id, _)) in read.map_err(|_| InternalError::Stopped)?.into_iter().zip(tasks) {
            found.push(match read {
                Ok(task) => Ok(task),
                Err(ReadError::Gone) => {
                    Err(self.ask(move |engine, _| engine.unknown_task(id)).await?)
                }
                Err(error) => {
                    tracing::warn!(%id, %error, "the record of an ended task cannot be read");
                    Err(Reason::Damaged { detail: error.to_string() })
                }
            });
        }
        Ok(found)
    }

    /// Puts what the archive has in place of where it has it, in the same order.
    pub(super) async fn resolved<T>(
        &self,
        known: Vec<Known<T>>,
        of: impl Fn(ArchivedTask) -> Option<T>,
    ) -> Result<Vec<Result<T, Reason>>, NetworkError> {
        let archived = known.iter().filter_map(|known| match known {
            Known::Here(_) => None,
            Known::Archived { id, number, .. } => Some((*id, *number)),
        });
        let mut read = self.read(archived.collect()).await?.into_iter();
        let resolved = known.into_iter().filter_map(|known| match known {
            Known::Here(known) => Some(Ok(known)),
            Known::Archived { .. } => {
                let damaged = || Reason::Damaged { detail: "it makes no sense".to_owned() };
                Some(read.next()?.and_then(|task| of(task).ok_or_else(damaged)))
            }
        });
        Ok(resolved.collect())
    }

    /// Views of tasks, in the same order.
    pub(super) async fn shown(
        &self,
        known: Vec<Known<TaskView>>,
    ) -> Result<Vec<Result<TaskView, Reason>>, NetworkError> {
        let submitted: Vec<Option<Time>> = known
            .iter()
            .map(|known| match known {
                Known::Here(_) => None,
                Known::Archived { submitted, .. } => Some(*submitted),
            })
            .collect();
        let mut shown = self.resolved(known, |task| task.view()).await?;
        for (shown, submitted) in shown.iter_mut().zip(submitted) {
            // On disk it is less exact, and a list goes on behind it.
            if let (Ok(view), Some(submitted)) = (shown, submitted) {
                view.submitted = submitted;
            }
        }
        Ok(shown)
    }

    /// The end that the driver has answered. `hands_out`: the caller is given the result.
    pub(crate) async fn end_of(
        &self,
        answer: Result<EndOfTask, Reason>,
        hands_out: bool,
    ) -> Result<TaskEnd, TaskError> {
        match answer.map_err(TaskError::Refused)? {
            EndOfTask::Here(end) => Ok(end),
            // Boxed: thousands wait for an end at once, of which few are read from the archive.
            EndOfTask::Archived { id, number } => {
                Box::pin(self.archived_end(id, number, hands_out)).await
            }
        }
    }

    async fn archived_end(
        &self,
        id: TaskId,
        number: u64,
        hands_out: bool,
    ) -> Result<TaskEnd, TaskError> {
        let known = vec![Known::Archived { id, number, submitted: Time::ZERO }];
        let read = self.resolved(known, ArchivedTask::end).await.map_err(|_| TaskError::Stopped)?;
        let end = read.into_iter().next().ok_or(TaskError::Stopped)?;
        let end = end.map_err(TaskError::Refused)?;
        if hands_out {
            self.handed_out(vec![id]);
        }
        Ok(end)
    }

    /// The results of these tasks were given to somebody: short of space, they may go first.
    pub fn handed_out(&self, ids: Vec<TaskId>) {
        // It is lost without harm.
        self.inner.calls.try_send(Call::Handed { ids }).ok();
    }

    /// Waits for the end of a task; `hands_out`: the caller is given the result.
    pub(super) async fn watch(&self, id: TaskId, hands_out: bool) -> Result<TaskEnd, TaskError> {
        let (end, ended) = oneshot::channel();
        let call = Call::Watch { id, end, hands_out };
        self.call(call).await.map_err(|_| TaskError::Stopped)?;
        let reply = ended.await.map_err(|_| TaskError::Stopped)?;
        self.end_of(reply, hands_out).await
    }

    /// Waits until a task has ended, without its result.
    ///
    /// # Errors
    ///
    /// No such task is known, or it was forgotten; the node has stopped.
    pub async fn wait_ended(&self, id: TaskId) -> Result<TaskEnd, TaskError> {
        self.watch(id, false).await
    }
}
