//! Checks groups: their counts equal a recount, and a stopped group stays stopped and starts no
//! further member.

use meshwork_core::{
    Reason, TaskId, TaskState,
    engine::view::{EndCounts, GroupStop, GroupView},
};

use super::Checks;
use crate::{
    callers::Group,
    report::{Broken, Invariant, Step},
};

impl Checks<'_> {
    /// The owner's view of a group; `None` if the owner does not know it, or is down.
    pub(crate) fn group_view(&self, group: &Group) -> Option<GroupView> {
        self.nodes.get(group.owner())?.group_view(group.id(), self.now)
    }

    /// An accepted member of this task's group that has not ended, if any.
    pub(super) fn open_member_beside(&self, task: &TaskId) -> Option<TaskId> {
        let mut members = self.callers.group_of(task)?.members();
        members.find_map(|member| {
            let id = self.callers.submission(member)?.accepted_as()?;
            (!self.history.has_recorded_end(&id)).then_some(id)
        })
    }

    /// A task was given to a worker: its group must not have stopped.
    pub(crate) fn placed(&self, owner: usize, id: TaskId) -> Step {
        let stopped = self
            .callers
            .groups()
            .iter()
            .find(|group| group.owner() == owner && group.is_stopped() && group.has(&id));
        let Some(group) = stopped else { return Ok(()) };
        let details = format!("n{owner} starts {id} of {}, which has stopped", group.id());
        Err(Broken::new(Invariant::GroupStops, details))
    }

    /// A caller received the answer that its group is cancelled, and the owner has this view of it.
    pub(crate) fn group_cancelled(&self, group: &Group, view: &GroupView) -> Step {
        let (owner, id) = (group.owner(), group.id());
        let on_disk = self.nodes.get(owner).is_some_and(|node| node.disk.is_cancelled(&id));
        let safe = !group.is_durable() || on_disk;
        let is_due = match &view.stop {
            Some(GroupStop::Cancelled { .. }) => safe,
            Some(GroupStop::Failures) => true,
            None => view.is_ended(),
        };
        if is_due {
            return Ok(());
        }
        let details = format!("n{owner} reports that {id} is cancelled: {view:?}, {on_disk}");
        let broken = if safe { Invariant::GroupStops } else { Invariant::DurableBeforeReported };
        Err(Broken::new(broken, details))
    }

    /// A request to cancel a group was refused: the owner must not know the group.
    pub(crate) fn group_not_cancelled(&self, group: &Group, reason: &Reason) -> Step {
        let is_unknown = matches!(reason, Reason::NotFound | Reason::Forgotten { .. });
        if is_unknown && self.group_view(group).is_none() {
            return Ok(());
        }
        let details = format!("n{} does not cancel {}: {reason}", group.owner(), group.id());
        Err(Broken::new(Invariant::RefusalHasCause, details))
    }

    /// When no write is in flight, a node's counts of its groups equal those of its disk.
    pub(crate) fn groups_on_disk(&self, index: usize) -> Step {
        let Some(node) = self.nodes.get(index).filter(|node| node.disk.is_idle()) else {
            return Ok(());
        };
        let groups = self.callers.groups().iter();
        for group in groups.filter(|group| group.owner() == index && group.is_durable()) {
            let mut ended = EndCounts::default();
            let (mut received, mut open) = (0, 0);
            for id in group.ids().filter(|id| node.disk.has(id).is_some()) {
                received += 1;
                match node.disk.end_of(&id) {
                    None => open += 1,
                    Some(TaskState::Succeeded) => ended.succeeded += 1,
                    Some(TaskState::Failed) => ended.failed += 1,
                    Some(TaskState::Cancelled) => ended.cancelled += 1,
                    Some(_) => ended.expired += 1,
                }
            }
            let Some(view) = self.group_view(group) else {
                let forgotten = group.ids().all(|id| node.disk.is_forgotten(&id));
                if forgotten || !node.is_up() {
                    continue;
                }
                let details = format!("n{index} does not know group {}", group.id());
                return Err(Broken::new(Invariant::GroupCounts, details));
            };
            self.group_stop(group, &view, &ended)?;
            let counted = (view.received, view.queued + view.running, view.ended);
            if counted != (received, open, ended) {
                let details = format!(
                    "n{index} counts {counted:?} of {}, but has {:?} on disk",
                    group.id(),
                    (received, open, ended)
                );
                return Err(Broken::new(Invariant::GroupCounts, details));
            }
        }
        Ok(())
    }

    /// A group has stopped exactly if the disk says so, and for the same reason.
    fn group_stop(&self, group: &Group, view: &GroupView, ended: &EndCounts) -> Step {
        let node = self.nodes.get(group.owner());
        let cancelled = node.is_some_and(|node| node.disk.is_cancelled(&group.id()));
        let failed = group.max_fails().is_some_and(|most| ended.fails() > most);
        let is_due = match &view.stop {
            Some(GroupStop::Cancelled { .. }) => cancelled,
            Some(GroupStop::Failures) => failed && !cancelled,
            None => !failed && !cancelled && !group.is_stopped(),
        };
        if is_due {
            return Ok(());
        }
        let index = group.owner();
        let details = format!("n{index} has {view:?}, but {ended:?} on disk, {cancelled}");
        Err(Broken::new(Invariant::GroupStops, details))
    }

    /// When all work has ended, a node's counts of its groups in memory equal the ends of their
    /// members.
    pub(crate) fn groups_in_memory(&self, index: usize) -> Step {
        let groups = self.callers.groups().iter();
        for group in groups.filter(|group| group.owner() == index && !group.is_durable()) {
            let Some(view) = self.group_view(group) else { continue };
            let mut ended = EndCounts::default();
            for id in (0..view.received).map(|place| group.id().member(place)) {
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
