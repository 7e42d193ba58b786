//! Groups: tasks that are submitted, waited for, read and retried together.

use meshwork_core::{
    GroupId, PeerId, Reason, Task,
    engine::view::{GroupQuery, GroupView},
    limits::GROUP_CHUNK,
};
use tokio::sync::oneshot;

use super::{LISTED, NetworkManager};
use crate::{
    driver::{call::Call, question::Question},
    error::{InternalError, NetworkError},
    group_handle::GroupHandle,
    limits,
    members::Members,
};

impl NetworkManager {
    /// Submits members of a group. Returns once they are accepted. Members that were submitted before
    /// are skipped, so that a caller may repeat a lost call.
    ///
    /// # Errors
    ///
    /// A task is malformed, or another than the one submitted at its place before (`conflict`); the
    /// places do not follow those submitted before; the node holds its maximum of tasks
    /// (`queue_full`); too many members have failed (`group_stopped`), or the group was cancelled
    /// (`group_cancelled`).
    pub async fn distribute_members(
        &self,
        members: Members,
        target_peers: Vec<PeerId>,
    ) -> Result<GroupView, NetworkError> {
        let id = members.group;
        let tasks = members.placed()?;
        let (accepted, answer) = oneshot::channel();
        self.node.call(Call::SubmitGroup { tasks, targets: target_peers, accepted }).await?;
        match answer.await {
            Ok(Ok(())) => self.group(id).view().await,
            Ok(Err(reason)) => Err(self.node.noted(reason.into())),
            Err(_) => Err(InternalError::Stopped.into()),
        }
    }

    /// Submits tasks as one group, in portions; waits while the node holds its maximum of tasks.
    /// Returns once all are accepted.
    ///
    /// ```
    /// # use meshwork_node::{NetworkConfig, NetworkManager};
    /// # use meshwork_core::Task;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = NetworkConfig { mdns: false, ..NetworkConfig::default() };
    /// # let node = NetworkManager::new(config).await?;
    /// # node.start().await?;
    /// let words = ["one", "two", "three"];
    /// let tasks = words.map(|word| Task::new("text/upper").map(|task| task.with_input(word)));
    /// let tasks: Vec<Task> = tasks.into_iter().collect::<Result<_, _>>()?;
    /// let group = node.distribute_group(tasks, Vec::new(), Some(0)).await?;
    /// let end = group.wait().await?;
    /// assert!(end.is_success());
    /// let second = node.wait_task(group.id().member(1)).await?;
    /// # assert!(matches!(second, meshwork_core::TaskEnd::Succeeded(result) if result.output == "TWO"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no task, or as for [`Self::distribute_members`]. Members that were accepted before the
    /// error go on.
    pub async fn distribute_group(
        &self,
        tasks: impl IntoIterator<Item = Task>,
        target_peers: Vec<PeerId>,
        max_fails: Option<u32>,
    ) -> Result<GroupHandle, NetworkError> {
        let group = GroupId::new();
        let mut tasks = tasks.into_iter().peekable();
        let mut first = 0;
        loop {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            while let Some(task) = tasks.peek()
                && chunk.len() < GROUP_CHUNK
                && (bytes == 0 || bytes + task.input.weight() <= limits::MEMBERS_BYTES)
            {
                bytes += task.input.weight();
                chunk.extend(tasks.next());
            }
            let last = tasks.peek().is_none();
            let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let members = Members { group, first, tasks: chunk, last, max_fails };
            self.distribute_when_free(members, &target_peers).await?;
            first = first.saturating_add(count);
            if last {
                return Ok(self.group(group));
            }
        }
    }

    /// Submits members; waits while the node holds its maximum of tasks.
    pub(crate) async fn distribute_when_free(
        &self,
        members: Members,
        targets: &[PeerId],
    ) -> Result<(), NetworkError> {
        loop {
            match self.distribute_members(members.clone(), targets.to_vec()).await {
                Ok(_) => return Ok(()),
                Err(NetworkError::Refused(Reason::QueueFull { retry_after })) => {
                    tokio::time::sleep(retry_after).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The handle of a group. Its methods report an unknown group.
    pub fn group(&self, id: GroupId) -> GroupHandle {
        GroupHandle::new(id, self.clone())
    }

    /// The groups that match, the newest first; a limit of 0 means at most 1,024. To continue behind
    /// the last one, use [`GroupQuery::after`], which is valid as long as this node runs.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub async fn groups(&self, query: GroupQuery) -> Result<Vec<GroupView>, NetworkError> {
        let most = if query.limit == 0 { LISTED } else { query.limit };
        let (mut found, mut after): (Vec<GroupView>, _) = (Vec::new(), query.after);
        loop {
            let limit = (most - found.len()).min(LISTED);
            let query = GroupQuery { states: query.states.clone(), after, limit };
            let page = self.node.ask(|answer| Question::Groups { query, answer }).await?;
            let is_last = page.len() < limit;
            after = page.last().map(|group| (group.submitted, group.id));
            found.extend(page);
            if is_last || found.len() == most {
                return Ok(found);
            }
        }
    }
}
