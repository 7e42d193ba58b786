//! Tasks to workers, results to owners.

use bytes::Bytes;
use meshwork_core::{PeerId, Reason, Task, TaskId, TaskResult};
use meshwork_exec::{HandlerError, ManualDesk};

use crate::{error::NetworkError, manager::NetworkManager, task_handle::TaskHandle};

/// What a node can be asked about tasks. From
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

    /// Hands in a task; returns once it is accepted. The same as
    /// [`NetworkManager::distribute_task`](crate::NetworkManager::distribute_task).
    ///
    /// # Errors
    ///
    /// The task is malformed, the node holds as many as it may, the id names another task already,
    /// or the node is not running.
    pub async fn send_task(
        &self,
        task: Task,
        target_peers: Vec<PeerId>,
    ) -> Result<TaskHandle, NetworkError> {
        self.manager.distribute_task(task, target_peers).await
    }

    /// Completes an attempt of a manual handler that waits at this node (see
    /// [`NetworkManagerBuilder::manual_handler`](crate::NetworkManagerBuilder::manual_handler)): its
    /// owner is sent the output. What else the result says is known to the node already.
    ///
    /// # Errors
    ///
    /// `source_peer` is another node (`denied`), no attempt of that task waits here (`not_found`),
    /// those of two owners do (`conflict`), or the output is too large.
    #[expect(clippy::unused_async, reason = "the seed's signature")]
    pub async fn send_result(
        &self,
        task_id: TaskId,
        result: TaskResult,
        source_peer: PeerId,
    ) -> Result<(), NetworkError> {
        if source_peer != self.manager.local_peer_id() {
            let detail = "a node sends results of its own alone".to_owned();
            return Err(self.manager.node().noted(Reason::Denied { detail }.into()));
        }
        self.complete(task_id, Ok(result.output))
    }

    /// As [`Self::send_result`], for an attempt that has failed.
    ///
    /// # Errors
    ///
    /// No attempt of that task waits here, or those of two owners do.
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
