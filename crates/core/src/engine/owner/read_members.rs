//! The members of a group one by one, and copies of tasks to retry.

use super::{reader::Reader, task::Owned};
use crate::{
    engine::{
        view::{Ending, Known, TaskView},
        volume::Resubmission,
    },
    limits,
    reason::Reason,
    task::{GroupId, TaskId, TaskState},
};

/// Members of a group in order; `None` where an earlier version has forgotten one.
pub type Members = Vec<Option<Known<TaskView>>>;

impl Reader<'_> {
    /// The members of a group from place `from` on, in order, at most `limit` of them; `None` where
    /// an earlier version has forgotten one.
    ///
    /// # Errors
    ///
    /// The group is unknown or forgotten.
    pub fn members(&self, id: GroupId, from: u32, limit: usize) -> Result<Members, Reason> {
        let limit = u32::try_from(limit.min(limits::GROUP_CHUNK)).unwrap_or(u32::MAX);
        let received = self
            .group_received(id)
            .ok_or_else(|| self.owner.store.unknown_group(&self.node.config, id))?;
        let until = received.min(from.saturating_add(limit));
        let member = |index| match self.owner.store.member(id, index) {
            Some(task) => Some(Known::Here(self.view(task, false)?)),
            None => self.archived_member(id, index),
        };
        Ok((from..until).map(member).collect())
    }

    fn archived_member<T>(&self, id: GroupId, index: u32) -> Option<Known<T>> {
        let (number, entry) = self.owner.store.archive.table.by_id(&id.member(index))?;
        let submitted = entry.submitted;
        entry.group.is_some().then_some(Known::Archived { id: entry.id, number, submitted })
    }

    /// The unfinished task at the highest place below `below`. Examines at most
    /// [`limits::GROUP_CHUNK`] places; `Err` is the place to continue at.
    pub fn last_open(&self, id: GroupId, below: u32) -> Result<Option<TaskId>, u32> {
        let Some(received) = self.group_received(id) else { return Ok(None) };
        let top = received.min(below);
        let bottom = top.saturating_sub(u32::try_from(limits::GROUP_CHUNK).unwrap_or(u32::MAX));
        let is_open = |task: &&Owned| !self.state(task).is_terminal();
        let found =
            (bottom..top).rev().find_map(|at| self.owner.store.member(id, at).filter(is_open));
        match found {
            None if bottom > 0 => Err(bottom),
            found => Ok(found.map(|task| task.id)),
        }
    }

    /// A copy of an unsuccessful task with the id `new`, and its targets; or its number in the
    /// archive.
    ///
    /// # Errors
    ///
    /// The task is unknown or forgotten, has not ended, or has succeeded.
    pub fn again(&self, id: TaskId, new: TaskId) -> Result<Known<Resubmission>, Reason> {
        let no = |why: &str| Reason::InvalidTask { detail: format!("task {}: {why}", id.short()) };
        let Some(task) =
            self.owner.store.tasks.by_id(&id).and_then(|key| self.owner.store.tasks.get(key))
        else {
            return match self.owner.store.archive.table.by_id(&id) {
                Some((_, entry)) if entry.ending == Ending::Succeeded => {
                    Err(no("it has succeeded"))
                }
                Some((number, entry)) => {
                    Ok(Known::Archived { id, number, submitted: entry.submitted })
                }
                None => Err(self.owner.store.unknown_task(&self.node.config, id)),
            };
        };
        let state = self.state(task);
        if state == TaskState::Succeeded {
            return Err(no("it has succeeded"));
        }
        if !state.is_terminal() {
            return Err(no("it has not ended"));
        }
        self.owner.store.copy(self.node, task, new).map(Known::Here).ok_or(Reason::NotFound)
    }

    /// Copies of a group's members from place `from` on that failed, expired or were cancelled,
    /// each with a new id to be replaced; and the place to continue at, if there are more. Examines
    /// at most [`limits::GROUP_CHUNK`] places.
    pub fn failures(&self, id: GroupId, from: u32) -> (Vec<Known<Resubmission>>, Option<u32>) {
        let received = self.group_received(id).unwrap_or(0);
        let chunk = u32::try_from(limits::GROUP_CHUNK).unwrap_or(u32::MAX);
        let until = received.min(from.saturating_add(chunk));
        let again = |index| {
            let Some(task) = self.owner.store.member(id, index) else {
                let (_, entry) = self.owner.store.archive.table.by_id(&id.member(index))?;
                let failed = entry.ending != Ending::Succeeded;
                return failed.then(|| self.archived_member(id, index)).flatten();
            };
            let failed = task.has_ended() && !task.is_success();
            if failed {
                self.owner.store.copy(self.node, task, task.id).map(Known::Here)
            } else {
                None
            }
        };
        let found = (from..until).filter_map(again).collect();
        (found, (until < received).then_some(until))
    }
}
