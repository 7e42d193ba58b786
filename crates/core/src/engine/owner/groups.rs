//! The groups of this owner: their members' ends, and when they accept no more members.
//!
//! Absent on purpose: lists of members, whose ids follow from their places. A group is forgotten as
//! a whole after it has ended.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    chunk::Chunk,
    group::{Counts, EndedGroup, Group, StopPart},
    task::Owned,
};
use crate::{
    engine::{
        gate::Gate,
        keys::{ClassKey, GroupSlot},
        record::{GroupTally, Record},
    },
    limits,
    reason::Reason,
    task::{GroupId, GroupMember, TaskState},
    time::Time,
};

/// The table of groups; see [`limits::GROUPS`].
#[derive(Debug, Default)]
pub(super) struct Groups {
    slab: Slab<Group>,
    index: FxHashMap<GroupId, GroupSlot>,
    /// Groups whose tally this pass journals.
    touched: Vec<GroupId>,
    /// Groups whose open members are to be cancelled; each is listed once.
    stopping: VecDeque<GroupId>,
}

impl Groups {
    /// The slot of a group; `None` if it is being forgotten.
    pub(super) fn slot(&self, id: &GroupId) -> Option<GroupSlot> {
        let slot = self.any_slot(id)?;
        self.slab.get(slot.at()).filter(|group| !group.is_leaving()).map(|_| slot)
    }

    /// The slot of a group, even if it is being forgotten.
    fn any_slot(&self, id: &GroupId) -> Option<GroupSlot> {
        self.index.get(id).copied()
    }

    /// A group by id; `None` if it is being forgotten.
    pub(super) fn get(&self, id: &GroupId) -> Option<&Group> {
        self.slab.get(self.slot(id)?.at())
    }

    fn get_mut(&mut self, id: &GroupId) -> Option<&mut Group> {
        let slot = self.any_slot(id)?;
        self.slab.get_mut(slot.at())
    }

    fn at_mut(&mut self, slot: GroupSlot) -> Option<&mut Group> {
        self.slab.get_mut(slot.at())
    }

    pub(super) fn id(&self, slot: GroupSlot) -> Option<GroupId> {
        self.slab.get(slot.at()).map(|group| group.id)
    }

    pub(super) fn max_fails(&self, slot: GroupSlot) -> Option<Option<u32>> {
        self.slab.get(slot.at()).map(|group| group.max_fails)
    }

    /// Number of groups, including those being forgotten.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// All groups except those being forgotten.
    pub(super) fn iter(&self) -> impl Iterator<Item = (GroupSlot, &Group)> {
        let known = self.slab.iter().filter(|(_, group)| !group.is_leaving());
        known.filter_map(|(at, group)| Some((GroupSlot::of(at)?, group)))
    }

    /// Whether this task's group is stopping, so that the task must not start.
    pub(super) fn stops(&self, task: &Owned) -> bool {
        let group = task.member.and_then(|slot| self.slab.get(slot.at()));
        group.is_some_and(Group::is_stopping)
    }

    /// Checks whether these members may be submitted. Returns how many of them were submitted
    /// before.
    pub(super) fn check(&self, chunk: &Chunk, durable: bool) -> Result<usize, Reason> {
        match self.any_slot(&chunk.id).and_then(|slot| self.slab.get(slot.at())) {
            Some(group) => group.check(chunk, durable),
            None if chunk.first > 0 => Err(Reason::NotFound),
            None if self.slab.len() < limits::GROUPS => Ok(0),
            None => Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY }),
        }
    }

    /// Notes that members were submitted, new ones or not: the submitter is still active.
    pub(super) fn on_members_submitted(&mut self, id: &GroupId, now: Time) {
        if let Some(group) = self.get_mut(id) {
            group.on_members_submitted(now);
        }
    }

    /// Notes that the group's last member was submitted.
    pub(super) fn on_complete(&mut self, id: &GroupId) {
        if self.get_mut(id).is_some_and(Group::on_complete) {
            self.touch(id);
        }
    }

    /// Adds a task to a group.
    pub(super) fn join(
        &mut self,
        member: &GroupMember,
        needs: ClassKey,
        durable: bool,
        submitted: Time,
    ) -> Option<GroupSlot> {
        let slot = match self.any_slot(&member.group) {
            Some(slot) => slot,
            None => self.add(member.group, member.max_fails, durable)?,
        };
        self.at_mut(slot)?.on_join(member, needs, submitted);
        Some(slot)
    }

    /// Notes that the needs of an open member have changed.
    pub(super) fn change_needs(&mut self, slot: GroupSlot, before: ClassKey, now: ClassKey) {
        if let Some(group) = self.at_mut(slot) {
            group.change_needs(before, now);
        }
    }

    /// Adds an archived member of an earlier start. The group's tally was restored before it;
    /// without a tally, the member's data is all that is known of the group.
    pub(super) fn join_ended(
        &mut self,
        id: &GroupId,
        index: u32,
        submitted: Time,
    ) -> Option<GroupSlot> {
        let slot = match self.any_slot(id) {
            Some(slot) => slot,
            None => self.add(*id, None, true)?,
        };
        self.at_mut(slot)?.note_member(index, submitted);
        Some(slot)
    }

    /// Adds the counts of a member that had ended before the start.
    pub(super) fn keep(&mut self, slot: GroupSlot, state: &TaskState, counts: Counts) {
        let Some(group) = self.at_mut(slot) else { return };
        group.on_ended_before(state, counts);
        let id = group.id;
        self.stop_if_due(&id);
    }

    /// Notes that a member's result was handed out.
    pub(super) fn note_read(&mut self, member: Option<GroupSlot>) {
        if let Some(group) = member.and_then(|slot| self.at_mut(slot)) {
            group.on_read();
        }
    }

    /// Journals the group's tally with this pass.
    pub(super) fn note(&mut self, slot: GroupSlot) {
        if let Some(id) = self.id(slot) {
            self.touch(&id);
        }
    }

    fn add(&mut self, id: GroupId, max_fails: Option<u32>, durable: bool) -> Option<GroupSlot> {
        let entry = self.slab.vacant_entry();
        let slot = GroupSlot::of(entry.key())?;
        entry.insert(Group::new(id, max_fails, durable));
        self.index.insert(id, slot);
        Some(slot)
    }

    /// Restores a group's tally from an earlier start.
    pub(super) fn restore(&mut self, tally: &GroupTally) {
        if self.any_slot(&tally.id).is_none() && self.add(tally.id, tally.max_fails, true).is_none()
        {
            return;
        }
        if let Some(group) = self.get_mut(&tally.id) {
            group.on_restored(tally);
        }
        self.stop_if_due(&tally.id);
    }

    /// Notes that a member has ended. Decisions follow at once; callers see the end once `gate`
    /// says it is on disk.
    #[expect(clippy::too_many_arguments, reason = "the member and its end")]
    pub(super) fn end(
        &mut self,
        slot: GroupSlot,
        needs: ClassKey,
        state: &TaskState,
        counts: Counts,
        gate: &Gate,
    ) {
        let Some(group) = self.at_mut(slot) else { return };
        group.count(counts);
        group.on_end(needs, state, gate);
        let id = group.id;
        self.stop_if_due(&id);
    }

    fn stop_if_due(&mut self, id: &GroupId) {
        if self.get_mut(id).is_some_and(Group::begin_stop) {
            self.stopping.push_back(*id);
        }
    }

    /// Adds a member that had ended before the start.
    pub(super) fn end_restored(
        &mut self,
        slot: GroupSlot,
        needs: ClassKey,
        state: &TaskState,
        counts: Counts,
    ) {
        let Some(group) = self.at_mut(slot) else { return };
        group.on_closed(needs);
        self.keep(slot, state, counts);
    }

    /// Cancels a group unless it is over; the next batch contains the record. Returns whether the
    /// group is durable; `None` if it is unknown.
    pub(super) fn cancel(&mut self, id: &GroupId, reason: String, gate: &Gate) -> Option<bool> {
        self.slot(id)?;
        let group = self.get_mut(id)?;
        let durable = group.durable;
        if !group.is_over() {
            group.on_cancel(reason, gate.next());
            self.stop_if_due(id);
            self.touch(id);
        }
        Some(durable)
    }

    /// Whether open members are to be cancelled.
    pub(super) fn is_stopping(&self) -> bool {
        !self.stopping.is_empty()
    }

    /// The members to cancel now, at most `most`, and their group.
    pub(super) fn stop_next(&mut self, most: u32) -> Option<(GroupId, StopPart)> {
        while let Some(id) = self.stopping.front().copied() {
            let part = self.get_mut(&id).and_then(|group| group.stop_next(most));
            if part.as_ref().is_none_or(|part| part.is_last) {
                self.stopping.pop_front();
            }
            if let Some(part) = part {
                return Some((id, part));
            }
        }
        None
    }

    /// Starts to forget a group: callers no longer see it. The journalled tally says so too, in
    /// case the node stops before the last member is gone.
    pub(super) fn leave(&mut self, slot: GroupSlot) {
        let Some(group) = self.at_mut(slot) else { return };
        group.on_leave();
        let id = group.id;
        self.touch(&id);
    }

    /// Forgets a group whose members are gone. Returns the record of that.
    pub(super) fn remove(&mut self, slot: GroupSlot) -> Option<Record> {
        let group = self.slab.try_remove(slot.at())?;
        self.index.remove(&group.id);
        group.durable.then_some(Record::GroupForgotten { id: group.id })
    }

    fn touch(&mut self, id: &GroupId) {
        if self.get_mut(id).is_some_and(Group::touch) {
            self.touched.push(*id);
        }
    }

    /// The records of changed tallies, for this pass.
    pub(super) fn take_tallies(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.touched)
            .into_iter()
            .filter_map(|id| Some(Record::Group(Box::new(self.get_mut(&id)?.take_tally()))))
            .collect()
    }

    /// A group by id, if it has ended.
    pub(super) fn ended_group(&self, id: &GroupId, now: Time) -> Option<EndedGroup> {
        let slot = self.any_slot(id)?;
        self.slab.get(slot.at()).and_then(|group| group.ended(slot, now))
    }

    /// All ended groups, unordered.
    pub(super) fn ended_groups(&self, now: Time) -> Vec<EndedGroup> {
        let all = self.slab.iter();
        all.filter_map(|(at, group)| group.ended(GroupSlot::of(at)?, now)).collect()
    }

    /// Number of submitted members of a group: all places below it.
    pub(super) fn received(&self, slot: GroupSlot) -> u32 {
        self.slab.get(slot.at()).map_or(0, Group::received)
    }

    /// Adds `count` unfinished groups.
    #[cfg(test)]
    pub(super) fn fill(&mut self, count: usize) {
        for _ in 0..count {
            self.add(GroupId::new(), None, false);
        }
    }
}
