//! The handle of a group of tasks.

use std::mem;

use meshwork_core::{
    GroupId, Reason, TaskId,
    engine::view::{GroupExplanation, GroupView, Known, TaskView},
};
use tokio::sync::oneshot;

use crate::{
    driver::{call::Call, question::Question},
    error::{InternalError, NetworkError, TaskError},
    limits,
    manager::NetworkManager,
    members::{Members, is_too_much, portion},
};

/// A group of tasks, from [`NetworkManager::group`] or [`NetworkManager::distribute_group`]. Dropping
/// it cancels nothing.
#[derive(Clone, Debug)]
pub struct GroupHandle {
    id: GroupId,
    manager: NetworkManager,
}

/// A group made of the unsuccessful members of another group.
#[derive(Clone, Debug)]
pub struct Retried {
    /// The new group.
    pub group: GroupView,
    /// Members of the earlier group that did not succeed either, and are no longer kept.
    pub forgotten: u32,
}

impl GroupHandle {
    pub(crate) fn new(id: GroupId, manager: NetworkManager) -> Self {
        Self { id, manager }
    }

    /// The group's id. [`GroupId::member`] gives the ids of its tasks.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The counts and the state of the group.
    ///
    /// # Errors
    ///
    /// The group is unknown (`not_found`), or was forgotten (`forgotten`); the node has stopped.
    pub async fn view(&self) -> Result<GroupView, NetworkError> {
        let id = self.id;
        Ok(self.manager.node().ask(|answer| Question::Group { id, answer }).await??)
    }

    /// Waits until the group has ended: no member is open, and no more are expected. A group whose
    /// submission was abandoned ends after [`GROUP_IDLE`](meshwork_core::limits::GROUP_IDLE).
    ///
    /// # Errors
    ///
    /// The group is unknown (`not_found`), or was forgotten (`forgotten`); the node has stopped.
    pub async fn wait(&self) -> Result<GroupView, TaskError> {
        loop {
            let view = self.view().await.map_err(|error| {
                let NetworkError::Refused(reason) = error else { return TaskError::Stopped };
                TaskError::Refused(reason)
            })?;
            if view.is_ended() {
                return Ok(view);
            }
            match self.last_open().await? {
                // A member that was forgotten meanwhile has ended.
                Some(task) => match self.manager.wait_ended(task).await {
                    Ok(_) | Err(TaskError::Refused(_)) => {}
                    Err(error) => return Err(error),
                },
                None => tokio::time::sleep(limits::GROUP_POLL).await,
            }
        }
    }

    /// The open member with the highest place. Most other members have ended when it has.
    async fn last_open(&self) -> Result<Option<TaskId>, TaskError> {
        let (id, mut below) = (self.id, u32::MAX);
        loop {
            let answer = self.manager.node().ask(|answer| Question::LastOpen { id, below, answer });
            match answer.await.map_err(|_| TaskError::Stopped)? {
                Ok(found) => return Ok(found),
                Err(further) => below = further,
            }
        }
    }

    /// Cancels the group: it accepts no more members (`group_cancelled`), places no more of its
    /// tasks, and cancels those that have not ended. Returns once the decision is final, also over a
    /// restart; [`Self::wait`] waits for the last member. A group that has ended stays as it is, so
    /// that a caller may repeat a lost call. Keeps the first
    /// [`GROUP_REASON_BYTES`](meshwork_core::limits::GROUP_REASON_BYTES) of the reason.
    ///
    /// # Errors
    ///
    /// The group is unknown (`not_found`), or was forgotten (`forgotten`); the node has stopped.
    pub async fn cancel(&self, reason: &str) -> Result<GroupView, NetworkError> {
        let (done, answer) = oneshot::channel();
        let (id, reason) = (self.id, reason.to_owned());
        self.manager.node().call(Call::CancelGroup { id, reason, done }).await?;
        match answer.await {
            Ok(Ok(())) => self.view().await,
            Ok(Err(reason)) => Err(reason.into()),
            Err(_) => Err(InternalError::Stopped.into()),
        }
    }

    /// The state of the group with its reasons: why members wait, and which of them failed first.
    ///
    /// # Errors
    ///
    /// The group is unknown (`not_found`), or was forgotten (`forgotten`); the node has stopped.
    pub async fn explain(&self) -> Result<GroupExplanation, NetworkError> {
        let (id, node) = (self.id, self.manager.node());
        let mut explained = node.ask(|answer| Question::ExplainGroup { id, answer }).await??;
        let failures = node.task_views(mem::take(&mut explained.failures)).await?;
        explained.failures = failures.into_iter().flatten().map(Known::Here).collect();
        Ok(explained)
    }

    /// The members from place `from` on, at most `limit` of them and at most
    /// [`GROUP_CHUNK`](meshwork_core::limits::GROUP_CHUNK), in order. A member that cannot be shown is
    /// a reason: its record is damaged (`damaged`), or an earlier version has forgotten it
    /// (`forgotten`).
    ///
    /// # Errors
    ///
    /// The group is unknown (`not_found`), or was forgotten (`forgotten`); the node has stopped.
    pub async fn members(
        &self,
        from: u32,
        limit: usize,
    ) -> Result<Vec<Result<TaskView, Reason>>, NetworkError> {
        let (id, node) = (self.id, self.manager.node());
        let page = node.ask(|answer| Question::Members { id, from, limit, answer }).await??;
        let (mut tasks, mut members) = (Vec::new(), Vec::with_capacity(page.len()));
        for member in page {
            members.push(member.map(|member| tasks.push(member)));
        }
        let mut views = node.task_views(tasks).await?.into_iter();
        let fill = |member: Result<(), Reason>| match member {
            Ok(()) => views.next().unwrap_or(Err(Reason::NotFound)),
            Err(reason) => Err(reason),
        };
        Ok(members.into_iter().map(fill).collect())
    }

    /// Submits the members that failed, expired or were cancelled again, in their order, as a new
    /// group.
    ///
    /// # Errors
    ///
    /// The group is unknown, or keeps none of these members (`not_found`), or was forgotten
    /// (`forgotten`); it has not ended, or every member has succeeded (`invalid_task`); or as for
    /// [`NetworkManager::distribute_members`].
    pub async fn retry(&self) -> Result<Retried, NetworkError> {
        let view = self.view().await?;
        let failed = self.check_failed(&view)?;
        let id = self.id;
        let (mut next, mut again, mut first) = (Some(0), Vec::new(), 0);
        let (new, mut targets) = (Self::new(GroupId::new(), self.manager.clone()), Vec::new());
        let members = |first, tasks, last| Members {
            group: new.id,
            first,
            tasks,
            last,
            max_fails: view.max_fails,
        };
        while let Some(from) = next {
            let answer = self.manager.node().ask(|answer| Question::Failures { id, from, answer });
            let (found, further) = answer.await?;
            // A member whose record is damaged cannot be submitted again.
            let found = self.manager.node().resolve(found, |task| task.again(TaskId::new()));
            for (task, of_task) in found.await?.into_iter().flatten() {
                targets = of_task;
                again.push(task);
            }
            next = further;
            // The last members are submitted once it is known that they are the last.
            while is_too_much(&again) {
                let rest = again.split_off(portion(&again));
                let tasks = mem::replace(&mut again, rest);
                let count = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
                self.manager.distribute_when_free(members(first, tasks, false), &targets).await?;
                first += count;
            }
        }
        let count = u32::try_from(again.len()).unwrap_or(u32::MAX);
        if first + count == 0 {
            return Err(Reason::NotFound.into());
        }
        self.manager.distribute_when_free(members(first, again, true), &targets).await?;
        let forgotten = failed.saturating_sub(first + count);
        Ok(Retried { group: new.view().await?, forgotten })
    }

    /// The number of members that did not succeed, if the group can be retried.
    fn check_failed(&self, view: &GroupView) -> Result<u32, Reason> {
        let no = |why: &str| {
            let detail = format!("group {}: {why}", self.id.short());
            Err(Reason::InvalidTask { detail })
        };
        if !view.is_ended() {
            return no("it has not ended");
        }
        match view.ended.all().saturating_sub(view.ended.succeeded) {
            0 => no("every member has succeeded"),
            failed => Ok(failed),
        }
    }
}
