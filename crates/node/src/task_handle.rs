//! What the submitter of a task holds.

use futures::StreamExt;
use meshwork_core::{
    TaskEnd, TaskId, TaskResult, TaskState,
    engine::{Reply, Token},
};
use tokio::sync::oneshot;

use crate::{
    error::{NetworkError, TaskError},
    event::NetworkEvent,
    manager::NetworkManager,
};

/// A task that was accepted. Dropping it cancels nothing.
#[derive(Debug)]
pub struct TaskHandle {
    id: TaskId,
    manager: NetworkManager,
    end: oneshot::Receiver<Reply>,
}

impl TaskHandle {
    pub(crate) fn new(id: TaskId, manager: NetworkManager, end: oneshot::Receiver<Reply>) -> Self {
        Self { id, manager, end }
    }

    /// The task's id. With an idempotency key that is known, that of the earlier task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Waits for the end and gives the result.
    ///
    /// # Errors
    ///
    /// The task failed, was cancelled, expired, or the node stopped first.
    pub async fn result(self) -> Result<TaskResult, TaskError> {
        TaskError::of(self.end().await?)
    }

    /// Waits for the end, whatever it is.
    ///
    /// # Errors
    ///
    /// The node stopped first.
    pub async fn end(self) -> Result<TaskEnd, TaskError> {
        let reply = self.end.await.map_err(|_| TaskError::Stopped)?;
        self.manager.end_of(reply, true).await
    }

    /// The changes of this task from now on, up to its end.
    pub fn events(&self) -> impl futures::Stream<Item = NetworkEvent> + Send + use<> {
        let id = self.id;
        let ours = self.manager.subscribe().filter(move |event| {
            let ours = matches!(
                event,
                NetworkEvent::TaskChanged { id: of, .. }
                | NetworkEvent::TaskProgress { id: of, .. } if *of == id
            ) || matches!(event, NetworkEvent::Lagged(_));
            futures::future::ready(ours)
        });
        // The subscription is dropped with the last event: nothing of this task comes after it.
        futures::stream::unfold(Some(ours), |ours| async {
            let mut ours = ours?;
            let event = ours.next().await?;
            let ended = matches!(
                &event,
                NetworkEvent::TaskChanged { state, .. } if TaskState::is_terminal(state)
            );
            Some((event, (!ended).then_some(ours)))
        })
    }

    /// Cancels the task and waits for its end, which is another one if it came first.
    ///
    /// # Errors
    ///
    /// The node has stopped, or has forgotten the task.
    pub async fn cancel(&self) -> Result<TaskEnd, NetworkError> {
        self.manager.cancel_task(self.id, "cancelled by its submitter").await
    }
}

/// Where the driver sends the replies of one call: the acceptance first, then the end.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// Taken by the first reply.
    pub(crate) accepted: Option<oneshot::Sender<Reply>>,
    /// Taken by the end.
    pub(crate) end: Option<oneshot::Sender<Reply>>,
    /// Which task, once it is known.
    pub(crate) id: TaskId,
    /// Whether whoever waits for the end is given the result.
    pub(crate) hands_out: bool,
}

/// A free place in the table of waiters cannot be named by more bits than a token has.
pub(crate) fn token(key: usize) -> Option<Token> {
    u32::try_from(key).ok().map(Token)
}
