//! Groups: tasks that are submitted, waited for, read and tried again together.

use meshwork_core::{
    GroupId, GroupMember, PeerId, Reason, Task, TaskId,
    engine::{
        Engine,
        view::{GroupExplanation, GroupQuery, GroupView, Known, TaskView},
    },
    limits::GROUP_CHUNK,
};
use tokio::sync::oneshot;

use super::{LISTED, NetworkManager};
use crate::{
    driver::Call,
    error::{InternalError, NetworkError, TaskError},
    limits,
    task_handle::TaskHandle,
};

/// Members of a group that are handed in together: all of them are taken, or none.
#[derive(Clone, Debug)]
pub struct Members {
    /// Which group; the first members make it.
    pub group: GroupId,
    /// The place of the first of them: those before it were handed in earlier.
    pub first: u32,
    /// The tasks, at most [`GROUP_CHUNK`]. Their ids become those of their places.
    pub tasks: Vec<Task>,
    /// Whether these are the last ones.
    pub last: bool,
    /// How many members may fail or expire before the others are cancelled; none: any number. The
    /// same each time.
    pub max_fails: Option<u32>,
}

impl Members {
    fn placed(self) -> Result<Vec<Task>, NetworkError> {
        let Self { group, first, tasks, last, max_fails } = self;
        let count = tasks.len();
        let mut placed = Vec::with_capacity(count);
        for (at, task) in tasks.into_iter().enumerate() {
            let index = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(first);
            let member = GroupMember { group, index, last: last && at + 1 == count, max_fails };
            let task = member.place(task);
            task.check()?;
            placed.push(task);
        }
        Ok(placed)
    }
}

/// A group whose members are those of another that did not succeed.
#[derive(Clone, Debug)]
pub struct Retried {
    /// The new one.
    pub group: GroupView,
    /// Members of the earlier one that did not succeed either, and are not kept any more.
    pub forgotten: u32,
}

impl NetworkManager {
    /// Hands in members of a group; returns once they are accepted. Members that were handed in
    /// before are passed over, so that whoever got no answer may hand in the same again.
    ///
    /// # Errors
    ///
    /// A task is malformed or not the one that was at its place before (`conflict`), the places do
    /// not follow those that are known, the node holds as many tasks as it may (`queue_full`), or
    /// the group has stopped because too many of it failed (`group_stopped`), or was cancelled
    /// (`group_cancelled`).
    pub async fn distribute_members(
        &self,
        members: Members,
        target_peers: Vec<PeerId>,
    ) -> Result<GroupView, NetworkError> {
        let id = members.group;
        let tasks = members.placed()?;
        let (accepted, answer) = oneshot::channel();
        self.call(Call::SubmitGroup { tasks, targets: target_peers, accepted }).await?;
        match answer.await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(self.noted(reason.into())),
            Err(_) => return Err(InternalError::Stopped.into()),
        }
        self.known_group(id).await
    }

    /// Submits tasks as one group, as many at a time as a pass takes; waits while the queue is full.
    /// Tells the group's id once all are accepted.
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
    /// let end = node.wait_group(group).await?;
    /// assert!(end.is_success());
    /// let second = node.wait_task(group.member(1)).await?;
    /// # assert!(matches!(second, meshwork_core::TaskEnd::Succeeded(result) if result.output == "TWO"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Self::distribute_members`]; there is no task. What was accepted before goes on.
    pub async fn distribute_group(
        &self,
        tasks: impl IntoIterator<Item = Task>,
        target_peers: Vec<PeerId>,
        max_fails: Option<u32>,
    ) -> Result<GroupId, NetworkError> {
        let group = GroupId::new();
        let mut tasks = tasks.into_iter().peekable();
        let mut first = 0;
        loop {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            while let Some(task) = tasks.peek()
                && chunk.len() < GROUP_CHUNK
                && (bytes == 0 || bytes + task.input.len() <= limits::MEMBERS_BYTES)
            {
                bytes += task.input.len();
                chunk.extend(tasks.next());
            }
            let last = tasks.peek().is_none();
            let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let members = Members { group, first, tasks: chunk, last, max_fails };
            self.distribute_when_free(members, &target_peers).await?;
            first = first.saturating_add(count);
            if last {
                return Ok(group);
            }
        }
    }

    async fn distribute_when_free(
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

    /// One group.
    ///
    /// # Errors
    ///
    /// It is not known (`not_found`), or was forgotten (`forgotten`); the node has stopped.
    pub async fn known_group(&self, id: GroupId) -> Result<GroupView, NetworkError> {
        let asked = move |engine: &Engine, now| {
            engine.read(now).group(id).ok_or_else(|| engine.unknown_group(id))
        };
        Ok(self.ask(asked).await??)
    }

    /// One group; none if it is not known, or was forgotten: [`Self::known_group`] tells which.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub async fn group(&self, id: GroupId) -> Result<Option<GroupView>, NetworkError> {
        self.ask(move |engine, now| engine.read(now).group(id)).await
    }

    /// The groups that match, the newest first; a limit of 0 means at most 1,024. To go on behind
    /// them, ask again with [`GroupQuery::after`]; it is good for as long as this node runs.
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
            let page = self.ask(move |engine, now| engine.read(now).groups(&query)).await?;
            let is_last = page.len() < limit;
            after = page.last().map(|group| (group.submitted, group.id));
            found.extend(page);
            if is_last || found.len() == most {
                return Ok(found);
            }
        }
    }

    /// How a group is, and why: what its members wait for, and which of them failed first. None if it
    /// is not known, or forgotten.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub async fn explain_group(
        &self,
        id: GroupId,
    ) -> Result<Option<GroupExplanation>, NetworkError> {
        let asked = self.ask(move |engine, now| engine.read(now).explain_group(id)).await?;
        let Some(mut explained) = asked else { return Ok(None) };
        let failures = self.shown(std::mem::take(&mut explained.failures)).await?;
        explained.failures = failures.into_iter().flatten().map(Known::Here).collect();
        Ok(Some(explained))
    }

    /// Cancels a group: it takes no more members (`group_cancelled`), none is sent out any more, and
    /// those that have not ended are cancelled. Returns once that is decided for good, also over a
    /// restart; [`Self::wait_group`] waits for the last of them. A group that is over stays as it is,
    /// so that whoever got no answer may ask again. Of the reason the first
    /// [`GROUP_REASON_BYTES`](meshwork_core::limits::GROUP_REASON_BYTES) are kept.
    ///
    /// # Errors
    ///
    /// No such group is known (`not_found`), or it was forgotten (`forgotten`); the node has stopped.
    pub async fn cancel_group(&self, id: GroupId, reason: &str) -> Result<GroupView, NetworkError> {
        let (done, answer) = oneshot::channel();
        let reason = reason.to_owned();
        self.call(Call::CancelGroup { id, reason, done }).await?;
        match answer.await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(reason.into()),
            Err(_) => return Err(InternalError::Stopped.into()),
        }
        self.known_group(id).await
    }

    /// The members of a group from place `from` on, at most `limit` of them and no more than
    /// [`GROUP_CHUNK`], in order. In place of a task is the reason why it cannot be shown: its record
    /// is damaged (`damaged`), or an earlier version has forgotten it (`forgotten`).
    ///
    /// # Errors
    ///
    /// The group is not known (`not_found`), or was forgotten (`forgotten`); the node has stopped.
    pub async fn group_members(
        &self,
        id: GroupId,
        from: u32,
        limit: usize,
    ) -> Result<Vec<Result<TaskView, Reason>>, NetworkError> {
        let asked = move |engine: &Engine, now| {
            let members = engine.read(now).members(id, from, limit)?;
            Ok::<_, Reason>((members, engine.forgotten()))
        };
        let (members, forgotten) = self.ask(asked).await??;
        let is_known: Vec<bool> = members.iter().map(Option::is_some).collect();
        let mut shown = self.shown(members.into_iter().flatten().collect()).await?.into_iter();
        let members = is_known.into_iter().map(|is_known| {
            let shown = if is_known { shown.next() } else { None };
            shown.unwrap_or_else(|| Err(forgotten.clone()))
        });
        Ok(members.collect())
    }

    /// Waits until all of a group has ended: no member is open, and no more come or are expected.
    /// What was handed in in part, and not gone on with for
    /// [`GROUP_IDLE`](meshwork_core::limits::GROUP_IDLE), is over then.
    ///
    /// # Errors
    ///
    /// No such group is known (`not_found`), or it was forgotten (`forgotten`); the node has stopped.
    pub async fn wait_group(&self, id: GroupId) -> Result<GroupView, TaskError> {
        loop {
            let view = self.known_group(id).await.map_err(|error| {
                let NetworkError::Refused(reason) = error else { return TaskError::Stopped };
                TaskError::Refused(reason)
            })?;
            if view.is_ended() {
                return Ok(view);
            }
            match self.last_open(id).await? {
                // It may have been forgotten since: then it has ended.
                Some(task) => match self.watch(task, false).await {
                    Ok(_) | Err(TaskError::Refused(_)) => {}
                    Err(error) => return Err(error),
                },
                None => tokio::time::sleep(limits::GROUP_POLL).await,
            }
        }
    }

    /// The open member with the highest place: others have mostly ended when it has.
    async fn last_open(&self, id: GroupId) -> Result<Option<TaskId>, TaskError> {
        let mut below = u32::MAX;
        loop {
            let looked = self.ask(move |engine, now| engine.read(now).last_open(id, below)).await;
            match looked.map_err(|_| TaskError::Stopped)? {
                Ok(found) => return Ok(found),
                Err(further) => below = further,
            }
        }
    }

    /// Submits a task like one that failed, expired or was cancelled, under a new id.
    ///
    /// # Errors
    ///
    /// It is not known (`not_found`), or was forgotten with its input (`forgotten`); it has not ended or
    /// has succeeded (`invalid_task`); or as for [`Self::distribute_task`].
    pub async fn retry_task(&self, id: TaskId) -> Result<TaskHandle, NetworkError> {
        let new = TaskId::new();
        let known = self.ask(move |engine, now| engine.read(now).again(id, new)).await??;
        let read = self.resolved(vec![known], |task| task.again(new)).await?;
        let (task, targets) = read.into_iter().next().ok_or(Reason::NotFound)??;
        self.distribute_task(task, targets).await
    }

    /// Submits the members of a group that failed, expired or were cancelled, in their order, as a new
    /// group.
    ///
    /// # Errors
    ///
    /// The group is not known, or none of these members is kept (`not_found`), or it was forgotten
    /// (`forgotten`); it has not ended, or every member has succeeded (`invalid_task`); or as for
    /// [`Self::distribute_members`].
    pub async fn retry_group(&self, id: GroupId) -> Result<Retried, NetworkError> {
        let view = self.known_group(id).await?;
        let no = |why: &str| Reason::InvalidTask { detail: format!("group {}: {why}", id.short()) };
        if !view.is_ended() {
            return Err(no("it has not ended").into());
        }
        let failed = view.ended.all().saturating_sub(view.ended.succeeded);
        if failed == 0 {
            return Err(no("every member has succeeded").into());
        }
        let (mut next, mut again, mut first) = (Some(0), Vec::new(), 0);
        let (group, mut targets) = (GroupId::new(), Vec::new());
        while let Some(from) = next {
            let (found, further) =
                self.ask(move |engine, now| engine.read(now).failures(id, from)).await?;
            // One whose record is damaged cannot be tried again.
            let found = self.resolved(found, |task| task.again(TaskId::new())).await?;
            for (task, of_task) in found.into_iter().flatten() {
                targets = of_task;
                again.push(task);
            }
            next = further;
            // The last ones are handed in when it is known that they are.
            while again.len() > GROUP_CHUNK || weight(&again) > limits::MEMBERS_BYTES {
                let rest = again.split_off(portion(&again));
                let tasks = std::mem::replace(&mut again, rest);
                let count = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
                let members =
                    Members { group, first, tasks, last: false, max_fails: view.max_fails };
                self.distribute_when_free(members, &targets).await?;
                first += count;
            }
        }
        let count = u32::try_from(again.len()).unwrap_or(u32::MAX);
        if first + count == 0 {
            return Err(Reason::NotFound.into());
        }
        let members = Members { group, first, tasks: again, last: true, max_fails: view.max_fails };
        self.distribute_when_free(members, &targets).await?;
        let forgotten = failed.saturating_sub(first + count);
        Ok(Retried { group: self.known_group(group).await?, forgotten })
    }
}

/// Bytes of the inputs of tasks.
fn weight(tasks: &[Task]) -> usize {
    tasks.iter().map(|task| task.input.len()).sum()
}

/// How many tasks can be handed in at once; fewer than all.
fn portion(tasks: &[Task]) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for task in tasks {
        bytes += task.input.len();
        if count > 0 && (count >= GROUP_CHUNK || bytes > limits::MEMBERS_BYTES) {
            break;
        }
        count += 1;
    }
    count.min(tasks.len().saturating_sub(1)).max(1)
}
