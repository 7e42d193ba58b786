//! Checks groups: their counts equal a recount, and a stopped group stays stopped and starts no
//! further member.

use meshwork_core::{
    CancelledBy, Reason, TaskEnd, TaskId, TaskState,
    engine::view::{EndCounts, GroupStop, GroupView},
};

use super::Batch;
use crate::{
    Invariant,
    report::{Broken, Step},
    world::World,
};

impl World<'_> {
    /// Records which groups of this node have stopped; their members must not be placed any more.
    pub(crate) fn note_stopped(&mut self, owner: usize) {
        let Some(node) = self.nodes.get(owner) else { return };
        let Some(engine) = node.engine() else { return };
        let clock = node.clock(self.timeline.now());
        for batch in self.groups.iter_mut().filter(|batch| batch.owner == owner) {
            if batch.began() && !batch.stopped {
                batch.stopped =
                    engine.read(clock).group(batch.id).is_some_and(|view| view.stop.is_some());
            }
        }
    }

    /// A task was given to a worker: its group must not have stopped.
    pub(crate) fn check_placed(&self, owner: usize, id: TaskId) -> Step {
        let stopped = self.groups.iter().find(|batch| {
            batch.owner == owner && batch.stopped && batch.id.index_of(&id).is_some()
        });
        let Some(batch) = stopped else { return Ok(()) };
        let details = format!("n{owner} starts {id} of {}, which has stopped", batch.id);
        Err(Broken::new(Invariant::GroupStops, details))
    }

    /// Checks the end of a member: a group cancels members only after too many failures, or after a
    /// request.
    pub(crate) fn check_member_end(&self, id: TaskId, end: &TaskEnd) -> Step {
        let TaskEnd::Cancelled { by, reason } = end else { return Ok(()) };
        let batch = self.groups.iter().find(|batch| batch.id.index_of(&id).is_some());
        let view = batch.and_then(|batch| self.view_group(batch.owner, batch.id));
        let is_due = match by {
            // A forgotten group cannot be asked.
            CancelledBy::Group => {
                batch.is_some() && view.is_none_or(|view| view.stop == Some(GroupStop::Failures))
            }
            CancelledBy::Submitter if reason.starts_with("group ") => {
                batch.is_some_and(|batch| batch.cancelled)
            }
            CancelledBy::Submitter | CancelledBy::Shutdown => true,
        };
        if is_due {
            return Ok(());
        }
        let details = format!("{id} was cancelled by its group, which has not stopped");
        Err(Broken::new(Invariant::GroupStops, details))
    }

    /// A caller received the answer that its group is cancelled.
    pub(crate) fn group_cancelled(&mut self, group: usize) -> Step {
        let Some(batch) = self.groups.get_mut(group) else { return Ok(()) };
        batch.cancelling = false;
        let (owner, id, durable) = (batch.owner, batch.id, batch.durable);
        let view = self.view_group(owner, id);
        let on_disk = self.nodes.get(owner).is_some_and(|node| node.disk.is_cancelled(&id));
        self.timeline.log(format_args!("n{owner} has cancelled group {group}: {view:?}"));
        // The whole group may be forgotten by now.
        let Some(view) = view else { return Ok(()) };
        let safe = !durable || on_disk;
        let is_due = match &view.stop {
            Some(GroupStop::Cancelled { .. }) => safe,
            Some(GroupStop::Failures) => true,
            None => view.is_ended(),
        };
        if let Some(batch) = self.groups.get_mut(group) {
            batch.stopped |= view.stop.is_some();
        }
        if is_due {
            return Ok(());
        }
        let details = format!("n{owner} reports that {id} is cancelled: {view:?}, {on_disk}");
        let told = if safe { Invariant::GroupStops } else { Invariant::SafeBeforeTold };
        Err(Broken::new(told, details))
    }

    /// A request to cancel a group was refused: the owner must not know the group.
    pub(crate) fn group_not_cancelled(&mut self, group: usize, reason: &Reason) -> Step {
        let Some(batch) = self.groups.get_mut(group) else { return Ok(()) };
        batch.cancelling = false;
        let (owner, id) = (batch.owner, batch.id);
        let is_unknown = matches!(reason, Reason::NotFound | Reason::Forgotten { .. });
        if is_unknown && self.view_group(owner, id).is_none() {
            return Ok(());
        }
        let details = format!("n{owner} does not cancel {id}: {reason}");
        Err(Broken::new(Invariant::NoFalseBlame, details))
    }

    /// An accepted member of this task's group that has not ended, if any.
    pub(crate) fn open_beside(&self, task: &TaskId) -> Option<TaskId> {
        let batch = self.groups.iter().find(|batch| batch.id.index_of(task).is_some())?;
        let accepted = batch.jobs.clone().filter_map(|job| self.history.jobs.get(job)?.answered);
        accepted.into_iter().find(|id| !self.history.ended_on(id))
    }

    /// When no write is in flight, a node's counts of its groups equal those of its disk.
    pub(crate) fn check_groups(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index).filter(|node| node.disk.is_idle()) else {
            return Ok(());
        };
        for batch in self.groups.iter().filter(|batch| batch.owner == index && batch.durable) {
            let mut ended = EndCounts::default();
            let (mut received, mut open) = (0, 0);
            for id in batch.ids().filter(|id| node.disk.has(id).is_some()) {
                received += 1;
                match node.disk.end_of(&id) {
                    None => open += 1,
                    Some(TaskState::Succeeded) => ended.succeeded += 1,
                    Some(TaskState::Failed) => ended.failed += 1,
                    Some(TaskState::Cancelled) => ended.cancelled += 1,
                    Some(_) => ended.expired += 1,
                }
            }
            let Some(view) = self.view_group(index, batch.id) else {
                let forgotten = batch.ids().all(|id| node.disk.is_forgotten(&id));
                if forgotten || !node.is_up() {
                    continue;
                }
                let details = format!("n{index} does not know group {}", batch.id);
                return Err(Broken::new(Invariant::GroupCounts, details));
            };
            self.check_stop(index, batch, &view, &ended)?;
            let counted = (view.received, view.queued + view.running, view.ended);
            if counted != (received, open, ended) {
                let details = format!(
                    "n{index} counts {counted:?} of {}, but has {:?} on disk",
                    batch.id,
                    (received, open, ended)
                );
                return Err(Broken::new(Invariant::GroupCounts, details));
            }
        }
        Ok(())
    }

    /// Checks that a group has stopped exactly if the disk says so, and for the same reason.
    fn check_stop(&self, index: usize, batch: &Batch, view: &GroupView, ended: &EndCounts) -> Step {
        let cancelled = self.nodes.get(index).is_some_and(|node| node.disk.is_cancelled(&batch.id));
        let failed = batch.max_fails.is_some_and(|most| ended.fails() > most);
        let is_due = match &view.stop {
            Some(GroupStop::Cancelled { .. }) => cancelled,
            Some(GroupStop::Failures) => failed && !cancelled,
            None => !failed && !cancelled && !batch.stopped,
        };
        if is_due {
            return Ok(());
        }
        let details = format!("n{index} has {view:?}, but {ended:?} on disk, {cancelled}");
        Err(Broken::new(Invariant::GroupStops, details))
    }

    /// When everything rests, a node's counts of its groups in memory equal the ends of their
    /// members.
    pub(crate) fn check_groups_in_memory(&self, index: usize) -> Step {
        for batch in self.groups.iter().filter(|batch| batch.owner == index && !batch.durable) {
            let Some(view) = self.view_group(index, batch.id) else { continue };
            let mut ended = EndCounts::default();
            for id in (0..view.received).map(|place| batch.id.member(place)) {
                match self.history.end_of(&id) {
                    Some("succeeded") => ended.succeeded += 1,
                    Some("failed") => ended.failed += 1,
                    Some("cancelled") => ended.cancelled += 1,
                    Some("expired") => ended.expired += 1,
                    _ => {}
                }
            }
            if (ended.all(), ended) != (view.received, view.ended) {
                let details = format!("n{index} counts {view:?}, but has reported {ended:?}");
                return Err(Broken::new(Invariant::GroupCounts, details));
            }
        }
        Ok(())
    }
}
