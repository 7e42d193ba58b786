//! Own tasks: submit them, wait for them, read them, cancel them.

use meshwork_core::{
    CancelledBy, PeerId, Reason, Task, TaskEnd, TaskId,
    engine::view::{Known, TaskQuery, TaskView, Waits},
    task::InvalidTask,
};
use tokio::sync::oneshot;

use super::{LISTED, NetworkManager};
use crate::{
    driver::{call::Call, question::Question},
    error::{InternalError, NetworkError, TaskError},
    task_handle::TaskHandle,
};

impl NetworkManager {
    /// Submits a task. Returns once it is accepted.
    ///
    /// With `target_peers`, the task runs on one of these peers only, trusted or not. Without, it runs
    /// on this node or any ready peer that this node trusts.
    ///
    /// # Errors
    ///
    /// The task is malformed, the node holds its maximum of tasks (`queue_full`), the id belongs to
    /// another task already (`conflict`), or the node is not running.
    pub async fn distribute_task(
        &self,
        task: Task,
        target_peers: Vec<PeerId>,
    ) -> Result<TaskHandle, NetworkError> {
        // Boxed before anything is awaited: the future of a submission, of which a caller may hold
        // thousands, then holds no copy of the task in each of its layers.
        let task = checked(task)?;
        self.submit(task, target_peers).await
    }

    async fn submit(
        &self,
        task: Box<Task>,
        targets: Vec<PeerId>,
    ) -> Result<TaskHandle, NetworkError> {
        let (accepted, answer) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        self.node.call(Call::Submit { task, targets, accepted, end }).await?;
        match answer.await {
            Ok(Ok(id)) => Ok(TaskHandle::new(id, self.clone(), ended)),
            Ok(Err(reason)) => Err(self.node.noted(reason.into())),
            Err(_) => Err(InternalError::Stopped.into()),
        }
    }

    /// Waits for the end of a task, and hands out its result.
    ///
    /// # Errors
    ///
    /// The task is unknown, or the node has stopped.
    pub async fn wait_task(&self, id: TaskId) -> Result<TaskEnd, TaskError> {
        self.node.watch(id, true).await
    }

    /// Waits for the end of a task, without handing out its result.
    ///
    /// # Errors
    ///
    /// The task is unknown or was forgotten, or the node has stopped.
    pub async fn wait_ended(&self, id: TaskId) -> Result<TaskEnd, TaskError> {
        self.node.watch(id, false).await
    }

    /// Notes that the results of these tasks were handed out: they are forgotten first when space is
    /// short.
    pub fn handed_out(&self, ids: Vec<TaskId>) {
        self.node.handed_out(ids);
    }

    /// Cancels a task and waits for its end. For a task that has ended, returns that end.
    ///
    /// # Errors
    ///
    /// The task is unknown, or the node has stopped.
    pub async fn cancel_task(&self, id: TaskId, reason: &str) -> Result<TaskEnd, NetworkError> {
        let (end, ended) = oneshot::channel();
        let reason = reason.to_owned();
        self.node.call(Call::Cancel { id, by: CancelledBy::Submitter, reason, end }).await?;
        let reply = ended.await.map_err(|_| InternalError::Stopped)?;
        self.node.end_of(reply, false).await.map_err(|error| {
            let TaskError::Refused(reason) = error else { return InternalError::Stopped.into() };
            reason.into()
        })
    }

    /// One task with its attempts. For a waiting task, the first condition that keeps it from each
    /// peer. `None` if the task is unknown.
    ///
    /// # Errors
    ///
    /// The task was forgotten (`forgotten`), or its record is damaged (`damaged`); the node has
    /// stopped.
    pub async fn task(&self, id: TaskId) -> Result<Option<TaskView>, NetworkError> {
        match self.node.ask(|answer| Question::Task { id, answer }).await? {
            Ok(task) => Ok(self.node.task_views(vec![task]).await?.pop().transpose()?),
            Err(Reason::NotFound) => Ok(None),
            Err(reason) => Err(reason.into()),
        }
    }

    /// The tasks that match, the newest first; a limit of 0 means at most 1,024. Tasks whose records
    /// are damaged are left out.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub async fn tasks(&self, filter: TaskQuery) -> Result<Vec<TaskView>, NetworkError> {
        let TaskQuery { states, handler, group, mut after, limit } = filter;
        let most = if limit == 0 { LISTED } else { limit };
        let mut found: Vec<TaskView> = Vec::new();
        let mut listed = 0;
        loop {
            let (states, handler) = (states.clone(), handler.clone());
            let limit = (most - listed).min(LISTED);
            let query = TaskQuery { states, handler, group, after, limit };
            let page = self.node.ask(|answer| Question::Tasks { query, answer }).await?;
            let is_last = page.len() < limit;
            listed += page.len();
            after = page.last().map(|task| match task {
                Known::Here(task) => (task.submitted, task.id),
                Known::Archived { id, submitted, .. } => (*submitted, *id),
            });
            found.extend(self.node.task_views(page).await?.into_iter().flatten());
            if is_last || listed == most {
                return Ok(found);
            }
        }
    }

    /// Why own tasks wait: each reason with its number of tasks, that of the longest wait first.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub async fn waits(&self) -> Result<Vec<Waits>, NetworkError> {
        self.node.ask(Question::Waits).await
    }

    /// Submits a task that failed, expired or was cancelled again, under a new id.
    ///
    /// # Errors
    ///
    /// The task is unknown (`not_found`), or was forgotten with its input (`forgotten`); it has not
    /// ended or has succeeded (`invalid_task`); or as for [`Self::distribute_task`].
    pub async fn retry_task(&self, id: TaskId) -> Result<TaskHandle, NetworkError> {
        let new = TaskId::new();
        let resubmission =
            self.node.ask(|answer| Question::Resubmission { id, new, answer }).await??;
        let read = self.node.resolve(vec![resubmission], |task| task.again(new)).await?;
        let (task, targets) = read.into_iter().next().ok_or(Reason::NotFound)??;
        self.distribute_task(task, targets).await
    }
}

fn checked(task: Task) -> Result<Box<Task>, InvalidTask> {
    task.check()?;
    Ok(Box::new(task))
}
