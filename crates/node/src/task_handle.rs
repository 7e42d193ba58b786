//! The handle of a task.

use futures::{FutureExt as _, StreamExt};
use meshwork_core::{Reason, TaskEnd, TaskId, TaskResult, TaskState, engine::view::TaskView};
use tokio::sync::oneshot;

use crate::{
    driver::answer::EndOfTask,
    error::{NetworkError, TaskError},
    event::NetworkEvent,
    manager::NetworkManager,
};

/// Receives the end of a task, or why the task is unknown.
type EndReceiver = oneshot::Receiver<Result<EndOfTask, Reason>>;

/// A handle to an accepted task. Dropping it does not cancel the task.
#[derive(Debug)]
pub struct TaskHandle {
    id: TaskId,
    manager: NetworkManager,
    end: EndReceiver,
}

impl TaskHandle {
    pub(crate) fn new(id: TaskId, manager: NetworkManager, end: EndReceiver) -> Self {
        Self { id, manager, end }
    }

    /// The task's id. With a known idempotency key, the id of the earlier task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Waits for the task's end and returns its result.
    ///
    /// # Errors
    ///
    /// The task failed, was cancelled or expired, or the node stopped first.
    pub async fn result(self) -> Result<TaskResult, TaskError> {
        TaskError::of(self.end().await?)
    }

    /// Waits for the task's end.
    ///
    /// # Errors
    ///
    /// The node stopped first.
    pub async fn end(self) -> Result<TaskEnd, TaskError> {
        let answer = self.end.await.map_err(|_| TaskError::Stopped)?;
        self.manager.node().end_of(answer, true).await
    }

    /// The task's events from now on, up to its end. If it has ended, only its last state; if it
    /// was forgotten, nothing.
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
        let manager = self.manager.clone();
        futures::stream::unfold(Follow::Asking { manager, id, ours }, Follow::next).boxed()
    }

    /// Cancels the task and waits for its end, which may have come first and be another one.
    ///
    /// # Errors
    ///
    /// The node has stopped, or has forgotten the task.
    pub async fn cancel(&self) -> Result<TaskEnd, NetworkError> {
        self.manager.cancel_task(self.id, "cancelled by its submitter").await
    }
}

/// The state of a stream of one task's events.
enum Follow<S> {
    /// Before the first request for the task's state. Next: any other state.
    Asking { manager: NetworkManager, id: TaskId, ours: S },
    /// The task has not ended. Next: `Over`.
    Waiting { ours: S },
    /// The task has ended with event `last`; earlier events are returned first. Next: `Over`.
    Ended { last: Box<NetworkEvent>, ours: S },
    /// The last event was returned.
    Over,
}

impl<S: futures::Stream<Item = NetworkEvent> + Unpin> Follow<S> {
    /// The next event, and the state after it.
    async fn next(self) -> Option<(NetworkEvent, Self)> {
        let follow = match self {
            // The request follows the subscription, so an end is in the answer or still to come.
            Self::Asking { manager, id, ours } => match manager.task(id).await.ok()?? {
                TaskView { handler, state, end, .. } if state.is_terminal() => {
                    let end = end.map(Box::new);
                    let last = NetworkEvent::TaskChanged { id, handler, state, end };
                    Self::Ended { last: Box::new(last), ours }
                }
                TaskView { .. } => Self::Waiting { ours },
            },
            follow @ (Self::Waiting { .. } | Self::Ended { .. } | Self::Over) => follow,
        };
        match follow {
            Self::Waiting { mut ours } => {
                let event = ours.next().await?;
                let after = if is_end(&event) { Self::Over } else { Self::Waiting { ours } };
                Some((event, after))
            }
            Self::Ended { last, mut ours } => match ours.next().now_or_never().flatten() {
                Some(event) if is_end(&event) => Some((event, Self::Over)),
                Some(event) => Some((event, Self::Ended { last, ours })),
                None => Some((*last, Self::Over)),
            },
            Self::Asking { .. } | Self::Over => None,
        }
    }
}

/// Whether this is the task's last event.
fn is_end(event: &NetworkEvent) -> bool {
    matches!(event, NetworkEvent::TaskChanged { state, .. } if TaskState::is_terminal(state))
}
