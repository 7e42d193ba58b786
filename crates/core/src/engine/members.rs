//! The members of a group one by one, and tasks that are to be tried again.

use libp2p_identity::PeerId;

use super::{
    Engine,
    tasks::{End, Owned, Phase},
    view::TaskView,
};
use crate::{
    limits,
    reason::Reason,
    task::{Durability, GroupId, Requirements, Task, TaskId, TaskInput, TaskState, TaskType},
    time::Time,
};

/// A task to be submitted anew, and where it may run.
pub type Anew = (Task, Vec<PeerId>);

impl Engine {
    /// The members of a group from place `from` on, at most `limit` of them, in order; none where one
    /// is forgotten. Nothing if the group is not known.
    pub fn members(
        &self,
        id: GroupId,
        from: u32,
        limit: usize,
        now: Time,
    ) -> Option<Vec<Option<TaskView>>> {
        let limit = u32::try_from(limit.min(limits::GROUP_CHUNK)).unwrap_or(u32::MAX);
        let until = self.group_received(id)?.min(from.saturating_add(limit));
        let member = |index| self.view(self.member(id, index)?, now, false);
        Some((from..until).map(member).collect())
    }

    /// The highest place below `below` whose task has not ended; at most [`limits::GROUP_CHUNK`]
    /// places are looked at. `Err` is where to look on.
    pub fn last_open(&self, id: GroupId, below: u32) -> Result<Option<TaskId>, u32> {
        let Some(received) = self.group_received(id) else { return Ok(None) };
        let top = received.min(below);
        let bottom = top.saturating_sub(u32::try_from(limits::GROUP_CHUNK).unwrap_or(u32::MAX));
        let is_open = |task: &&Owned| !self.state(task).is_terminal();
        let found = (bottom..top).rev().find_map(|at| self.member(id, at).filter(is_open));
        match found {
            None if bottom > 0 => Err(bottom),
            found => Ok(found.map(|task| task.id)),
        }
    }

    /// A task like one that has ended without success, with the id `new`, and its targets.
    ///
    /// # Errors
    ///
    /// It is not known, or forgotten (`not_found`), has not ended, or has succeeded.
    pub fn again(&self, id: TaskId, new: TaskId) -> Result<Anew, Reason> {
        let task = self.tasks.by_id(&id).and_then(|key| self.tasks.get(key));
        let task = task.ok_or(Reason::NotFound)?;
        let no = |why: &str| Reason::InvalidTask { detail: format!("task {}: {why}", id.short()) };
        let state = self.state(task);
        if state == TaskState::Succeeded {
            return Err(no("it has succeeded"));
        }
        if !state.is_terminal() {
            return Err(no("it has not ended"));
        }
        self.copy(task, new).ok_or(Reason::NotFound)
    }

    /// Tasks like the members of a group that have failed, expired or were cancelled, of those at
    /// places from `from` on, each with a new id to be replaced; and where to look on, if there is
    /// more. At most [`limits::GROUP_CHUNK`] places are looked at.
    pub fn failures(&self, id: GroupId, from: u32) -> (Vec<Anew>, Option<u32>) {
        let received = self.group_received(id).unwrap_or(0);
        let chunk = u32::try_from(limits::GROUP_CHUNK).unwrap_or(u32::MAX);
        let until = received.min(from.saturating_add(chunk));
        let again = |index| {
            let task = self.member(id, index)?;
            let failed = matches!(&task.phase, Phase::Ended { end, .. } if !End::is_success(end));
            if failed { self.copy(task, task.id) } else { None }
        };
        let found = (from..until).filter_map(again).collect();
        (found, (until < received).then_some(until))
    }

    fn member(&self, id: GroupId, index: u32) -> Option<&Owned> {
        let key = self.tasks.by_id(&id.member(index))?;
        self.tasks.get(key).filter(|task| task.member.is_some())
    }

    fn copy(&self, task: &Owned, id: TaskId) -> Option<Anew> {
        let name = self.kinds.name(task.kind)?;
        let needs = &self.queue.group(task.group)?.needs;
        let requirements: Requirements =
            needs.requirements.as_ref().map(|needs| needs.0.clone()).unwrap_or_default();
        let copy = Task {
            id,
            task_type: TaskType::from_family(name.family()),
            operation: name.operation().to_owned().into(),
            input: TaskInput::Bytes(task.input.clone()),
            params: task.params.clone(),
            requirements,
            priority: task.priority,
            limits: *task.limits(),
            retry: *task.retry(),
            idempotency_key: None,
            durability: Some(Durability::of(task.durable)),
            group: None,
        };
        Some((copy, needs.targets.to_vec()))
    }
}
