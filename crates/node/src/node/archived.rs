//! Reads archived tasks. The engine gives their places; reading waits for neither the driver nor
//! commits.

use std::sync::Arc;

use meshwork_core::{
    Reason, TaskEnd, TaskId, Time,
    engine::{
        ArchivedTask,
        view::{Known, TaskView},
    },
};
use tokio::sync::oneshot;

use super::Node;
use crate::{
    driver::{answer::EndOfTask, call::Call, question::Question},
    error::{InternalError, NetworkError, TaskError},
    journal::ReadError,
};

impl Node {
    /// Reads archived tasks, each of which may be forgotten or damaged.
    async fn read(
        &self,
        tasks: Vec<(TaskId, u64)>,
    ) -> Result<Vec<Result<ArchivedTask, Reason>>, NetworkError> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let on_disk = self.running()?.on_disk.as_ref();
        let archive = Arc::clone(&on_disk.ok_or(InternalError::NotStarted)?.archive);
        let numbers: Vec<u64> = tasks.iter().map(|(_, number)| *number).collect();
        let read = tokio::task::spawn_blocking(move || archive.read(&numbers)).await;
        let mut found = Vec::with_capacity(tasks.len());
        for (read, (id, _)) in read.map_err(|_| InternalError::Stopped)?.into_iter().zip(tasks) {
            found.push(match read {
                Ok(task) => Ok(task),
                Err(ReadError::Gone) => {
                    Err(self.ask(|answer| Question::UnknownTask { id, answer }).await?)
                }
                Err(error) => {
                    tracing::warn!(%id, %error, "the record of an ended task cannot be read");
                    Err(Reason::Damaged { detail: error.to_string() })
                }
            });
        }
        Ok(found)
    }

    /// Replaces each place in the archive by the task there, in the same order.
    pub(crate) async fn resolve<T>(
        &self,
        tasks: Vec<Known<T>>,
        of: impl Fn(ArchivedTask) -> Option<T>,
    ) -> Result<Vec<Result<T, Reason>>, NetworkError> {
        let archived = tasks.iter().filter_map(|task| match task {
            Known::Here(_) => None,
            Known::Archived { id, number, .. } => Some((*id, *number)),
        });
        let mut read = self.read(archived.collect()).await?.into_iter();
        let resolved = tasks.into_iter().filter_map(|task| match task {
            Known::Here(task) => Some(Ok(task)),
            Known::Archived { .. } => {
                let damaged = || Reason::Damaged {
                    detail: "its record is not that of an ended task".to_owned(),
                };
                Some(read.next()?.and_then(|task| of(task).ok_or_else(damaged)))
            }
        });
        Ok(resolved.collect())
    }

    /// Views of tasks, in the same order.
    pub(crate) async fn task_views(
        &self,
        tasks: Vec<Known<TaskView>>,
    ) -> Result<Vec<Result<TaskView, Reason>>, NetworkError> {
        let submitted: Vec<Option<Time>> = tasks
            .iter()
            .map(|task| match task {
                Known::Here(_) => None,
                Known::Archived { submitted, .. } => Some(*submitted),
            })
            .collect();
        let mut views = self.resolve(tasks, |task| task.view()).await?;
        for (view, submitted) in views.iter_mut().zip(submitted) {
            // The engine's time is more exact than the one on disk, and lists continue behind it.
            if let (Ok(view), Some(submitted)) = (view, submitted) {
                view.submitted = submitted;
            }
        }
        Ok(views)
    }

    /// The end in the driver's answer. `hands_out`: the caller is given the result.
    pub(crate) async fn end_of(
        &self,
        answer: Result<EndOfTask, Reason>,
        hands_out: bool,
    ) -> Result<TaskEnd, TaskError> {
        match answer.map_err(TaskError::Refused)? {
            EndOfTask::Here(end) => Ok(end),
            // Boxed: thousands of callers wait for an end at once, and few read it from the archive.
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
        let tasks = vec![Known::Archived { id, number, submitted: Time::ZERO }];
        let read = self.resolve(tasks, ArchivedTask::end).await.map_err(|_| TaskError::Stopped)?;
        let end = read.into_iter().next().ok_or(TaskError::Stopped)?;
        let end = end.map_err(TaskError::Refused)?;
        if hands_out {
            self.handed_out(vec![id]);
        }
        Ok(end)
    }

    /// Notes that the results of these tasks were handed out: they are forgotten first when space is
    /// short. The note may be lost.
    pub(crate) fn handed_out(&self, ids: Vec<TaskId>) {
        self.driver.try_call(Call::Handed { ids });
    }

    /// Waits for the end of a task; `hands_out`: the caller is given the result.
    pub(crate) async fn watch(&self, id: TaskId, hands_out: bool) -> Result<TaskEnd, TaskError> {
        let (end, ended) = oneshot::channel();
        let call = Call::Watch { id, end, hands_out };
        self.call(call).await.map_err(|_| TaskError::Stopped)?;
        let reply = ended.await.map_err(|_| TaskError::Stopped)?;
        self.end_of(reply, hands_out).await
    }
}
