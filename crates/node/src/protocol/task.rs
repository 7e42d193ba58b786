//! Submits tasks, and completes attempts at manual handlers.

use bytes::Bytes;
use meshwork_core::{PeerId, Reason, Task, TaskId, TaskResult};
use meshwork_exec::{HandlerError, ManualDesk};

use crate::{error::NetworkError, manager::NetworkManager, task_handle::TaskHandle};

/// Submits tasks, and completes attempts at manual handlers. From
/// [`NetworkManager::task_protocol`](crate::NetworkManager::task_protocol).
#[derive(Clone, Debug)]
pub struct TaskProtocol {
    manager: NetworkManager,
    desk: ManualDesk,
}

impl TaskProtocol {
    pub(crate) fn new(manager: NetworkManager) -> Self {
        let desk = manager.node().desk.clone();
        Self { manager, desk }
    }

    /// Submits a task; returns once it is accepted. The same as
    /// [`NetworkManager::distribute_task`](crate::NetworkManager::distribute_task).
    ///
    /// # Errors
    ///
    /// The task is malformed, the node has the maximum number of tasks, another task has the same
    /// id, or the node is not running.
    pub async fn send_task(
        &self,
        task: Task,
        target_peers: Vec<PeerId>,
    ) -> Result<TaskHandle, NetworkError> {
        self.manager.distribute_task(task, target_peers).await
    }

    /// Completes an attempt at a manual handler that waits at this node (see
    /// [`NetworkManagerBuilder::manual_handler`](crate::NetworkManagerBuilder::manual_handler)),
    /// and sends the output to its owner. The other fields of `result` are ignored.
    ///
    /// # Errors
    ///
    /// `source_peer` is another node (`denied`), no attempt at that task waits here (`not_found`),
    /// attempts for two owners do (`conflict`), or the output is too large (`too_large`).
    #[expect(clippy::unused_async, reason = "the seed's signature")]
    pub async fn send_result(
        &self,
        task_id: TaskId,
        result: TaskResult,
        source_peer: PeerId,
    ) -> Result<(), NetworkError> {
        if source_peer != self.manager.local_peer_id() {
            let detail = "a node can send only its own results".to_owned();
            return Err(self.manager.node().noted(Reason::Denied { detail }.into()));
        }
        let Ok(output) = result.bytes().cloned() else {
            let limit = meshwork_core::limits::INLINE_BYTES as u64;
            return Err(self.manager.node().noted(Reason::TooLarge { limit }.into()));
        };
        self.complete(task_id, Ok(output))
    }

    /// Like [`Self::send_result`], for an attempt that failed.
    ///
    /// # Errors
    ///
    /// No attempt at that task waits here (`not_found`), or attempts for two owners do
    /// (`conflict`).
    pub fn send_failure(&self, task_id: TaskId, error: HandlerError) -> Result<(), NetworkError> {
        self.complete(task_id, Err(error))
    }

    fn complete(
        &self,
        task_id: TaskId,
        result: Result<Bytes, HandlerError>,
    ) -> Result<(), NetworkError> {
        let completed = self.desk.complete(task_id, result);
        completed.map_err(|error| self.manager.node().noted(error.into()))
    }
}
