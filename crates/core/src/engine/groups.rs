//! Groups of tasks that were submitted together: what has become of their members, and when they take
//! no more.
//!
//! Which tasks are members is not kept here: their ids follow from their places. A group is forgotten
//! as a whole, after it has ended. (The groups of `queue`, in
//! which interchangeable tasks wait, are another thing.)

use std::{collections::VecDeque, num::NonZeroU32};

use rustc_hash::FxHashMap;
use slab::Slab;

use self::{needs::OpenNeeds, stop::Stop};
use super::{GroupTally, Record, Seq, gate::Gate, queue::GroupKey, tasks::Owned, view::EndCounts};
use crate::{
    task::{GroupId, GroupMember, TaskState},
    time::Time,
};

mod batch;
mod needs;
mod query;
pub(super) mod retention;
mod stop;

/// Names a group that has members, in four bytes also where there may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupSlot(NonZeroU32);

impl GroupSlot {
    fn at(self) -> usize {
        self.0.get() as usize - 1
    }

    fn of(at: usize) -> Option<Self> {
        u32::try_from(at + 1).ok().and_then(NonZeroU32::new).map(Self)
    }
}

/// One group.
#[derive(Debug)]
struct Group {
    id: GroupId,
    /// The places below it were handed in.
    received: u32,
    complete: bool,
    max_fails: Option<u32>,
    durable: bool,
    submitted: Time,
    /// When members were handed in last, new ones or not.
    handed_in: Time,
    /// Members that have not ended, and what they need.
    open: u32,
    needs: OpenNeeds,
    /// Members that are known, ended or not.
    kept: u32,
    /// What its ended members count against the limit.
    weight: u64,
    /// How long the node had been up, over all its starts, when the last of them ended.
    last_end: Time,
    /// Members whose results were handed out.
    read: u32,
    /// Whether it is being forgotten.
    leaving: bool,
    ended: EndCounts,
    /// Those of them that are safe with these batches, of which some may be on disk since.
    unsafe_ends: VecDeque<(Seq, EndCounts)>,
    /// Those of them that are not in the table any more.
    forgotten: EndCounts,
    /// Why somebody has cancelled it, if so, and with which batch that is safe.
    cancelled: Option<(Box<str>, Seq)>,
    /// Whether a tally of it is journalled.
    noted: bool,
    /// Whether it is on the list of those whose tally has changed.
    touched: bool,
    /// Whether it is among those whose open members are cancelled, and up to which place they are.
    stopping: bool,
    stopped_to: u32,
}

impl Group {
    /// Why it takes no more members, as far as is decided.
    fn stop(&self) -> Option<Stop<'_>> {
        self.stop_by(&self.ended)
    }

    /// The same, had only these ended.
    fn stop_by(&self, ended: &EndCounts) -> Option<Stop<'_>> {
        if let Some((reason, _)) = &self.cancelled {
            return Some(Stop::Cancelled { reason });
        }
        let max_fails = self.max_fails.filter(|most| ended.fails() > *most)?;
        Some(Stop::Failures { failed: ended.fails(), max_fails })
    }

    fn count(&mut self, Counts { weight, up, read }: Counts) {
        self.weight += u64::from(weight);
        self.last_end = self.last_end.max(up);
        self.read += u32::from(read);
    }

    fn tally(&self) -> GroupTally {
        let Self { id, received, complete, max_fails, forgotten, leaving, .. } = *self;
        let cancelled = self.cancelled.as_ref().map(|(reason, _)| reason.clone());
        GroupTally { id, received, complete, max_fails, cancelled, forgotten, leaving }
    }
}

/// What an ended member counts for its group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) weight: u32,
    /// How long the node had been up, over all its starts, when it ended.
    pub(super) up: Time,
    pub(super) read: bool,
}

/// The table of groups; see [`limits::GROUPS`].
#[derive(Debug, Default)]
pub(super) struct Groups {
    slab: Slab<Group>,
    index: FxHashMap<GroupId, GroupSlot>,
    /// Those whose tally is to be journalled with this pass.
    touched: Vec<GroupId>,
    /// Those whose open members are to be cancelled. Each is in it once.
    stopping: VecDeque<GroupId>,
}

impl Groups {
    /// Where a group is; none if it is being forgotten.
    pub(super) fn slot(&self, id: &GroupId) -> Option<GroupSlot> {
        let slot = self.any_slot(id)?;
        self.slab.get(slot.at()).filter(|group| !group.leaving).map(|_| slot)
    }

    /// Where a group is, also one that is being forgotten.
    fn any_slot(&self, id: &GroupId) -> Option<GroupSlot> {
        self.index.get(id).copied()
    }

    fn get(&self, id: &GroupId) -> Option<&Group> {
        self.slab.get(self.slot(id)?.at())
    }

    fn get_mut(&mut self, id: &GroupId) -> Option<&mut Group> {
        let slot = self.any_slot(id)?;
        self.slab.get_mut(slot.at())
    }

    pub(super) fn id(&self, slot: GroupSlot) -> Option<GroupId> {
        self.slab.get(slot.at()).map(|group| group.id)
    }

    pub(super) fn max_fails(&self, slot: GroupSlot) -> Option<Option<u32>> {
        self.slab.get(slot.at()).map(|group| group.max_fails)
    }

    /// All that are known.
    pub(super) fn ids(&self) -> impl Iterator<Item = GroupId> {
        self.slab.iter().filter(|(_, group)| !group.leaving).map(|(_, group)| group.id)
    }

    /// Whether this is a member of a group that takes no more: it is not to start any more.
    pub(super) fn stops(&self, task: &Owned) -> bool {
        let group = task.member.and_then(|slot| self.slab.get(slot.at()));
        group.is_some_and(|group| group.stopping)
    }

    /// One more task is a member.
    pub(super) fn join(
        &mut self,
        member: &GroupMember,
        needs: GroupKey,
        durable: bool,
        submitted: Time,
    ) -> Option<GroupSlot> {
        let slot = match self.any_slot(&member.group) {
            Some(slot) => slot,
            None => self.add(member.group, member.max_fails, durable)?,
        };
        let group = self.slab.get_mut(slot.at())?;
        group.received = group.received.max(member.index.saturating_add(1));
        group.complete |= member.last;
        group.submitted = group.submitted.min(submitted);
        group.handed_in = group.handed_in.max(submitted);
        group.open += 1;
        group.needs.add(needs);
        group.kept += 1;
        Some(slot)
    }

    /// An open member needs something else from now on.
    pub(super) fn change_needs(&mut self, slot: GroupSlot, before: GroupKey, now: GroupKey) {
        if let Some(group) = self.slab.get_mut(slot.at()) {
            group.needs.remove(before);
            group.needs.add(now);
        }
    }

    /// A member that had ended before the start, and is archived. The tally has told before what else
    /// there is to know of the group; without one, as much as the member tells is known.
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
        let group = self.slab.get_mut(slot.at())?;
        group.received = group.received.max(index.saturating_add(1));
        group.submitted = group.submitted.min(submitted);
        group.handed_in = group.handed_in.max(submitted);
        group.kept += 1;
        Some(slot)
    }

    /// What a member counts that has ended before the start.
    pub(super) fn keep(&mut self, slot: GroupSlot, state: &TaskState, counts: Counts) {
        let Some(group) = self.slab.get_mut(slot.at()) else { return };
        group.ended.add(state);
        group.count(counts);
        let id = group.id;
        self.stop_if_due(&id);
    }

    /// What a member counts that has just ended.
    pub(super) fn count(&mut self, slot: GroupSlot, counts: Counts) {
        if let Some(group) = self.slab.get_mut(slot.at()) {
            group.count(counts);
        }
    }

    /// A member's result was handed out.
    pub(super) fn note_read(&mut self, member: Option<GroupSlot>) {
        if let Some(group) = member.and_then(|slot| self.slab.get_mut(slot.at())) {
            group.read = group.read.saturating_add(1);
        }
    }

    /// Its tally is to be journalled with this pass.
    pub(super) fn note(&mut self, slot: GroupSlot) {
        if let Some(id) = self.id(slot) {
            self.touch(&id);
        }
    }

    /// Its times are those of members, which are still to join.
    fn add(&mut self, id: GroupId, max_fails: Option<u32>, durable: bool) -> Option<GroupSlot> {
        let entry = self.slab.vacant_entry();
        let slot = GroupSlot::of(entry.key())?;
        entry.insert(Group {
            id,
            received: 0,
            complete: false,
            max_fails,
            durable,
            submitted: Time::NEVER,
            handed_in: Time::ZERO,
            open: 0,
            needs: OpenNeeds::default(),
            kept: 0,
            weight: 0,
            last_end: Time::ZERO,
            read: 0,
            leaving: false,
            ended: EndCounts::default(),
            unsafe_ends: VecDeque::new(),
            forgotten: EndCounts::default(),
            cancelled: None,
            noted: false,
            touched: false,
            stopping: false,
            stopped_to: 0,
        });
        self.index.insert(id, slot);
        Some(slot)
    }

    /// What an earlier start knew besides the members that are kept.
    pub(super) fn restore(&mut self, tally: &GroupTally) {
        if self.any_slot(&tally.id).is_none() && self.add(tally.id, tally.max_fails, true).is_none()
        {
            return;
        }
        let Some(group) = self.get_mut(&tally.id) else { return };
        group.received = tally.received;
        group.complete = tally.complete;
        group.ended = tally.forgotten;
        group.forgotten = tally.forgotten;
        group.cancelled = tally.cancelled.clone().map(|reason| (reason, Seq::default()));
        group.noted = true;
        group.leaving = tally.leaving;
        self.stop_if_due(&tally.id);
    }

    /// A member has ended. Decisions follow at once; it is shown when `gate` says that it is safe.
    pub(super) fn end(&mut self, slot: GroupSlot, needs: GroupKey, state: &TaskState, gate: &Gate) {
        let Some(group) = self.slab.get_mut(slot.at()) else { return };
        group.open = group.open.saturating_sub(1);
        group.needs.remove(needs);
        group.ended.add(state);
        if group.durable {
            let batch = gate.next();
            while group.unsafe_ends.front().is_some_and(|(batch, _)| gate.is_safe(*batch)) {
                group.unsafe_ends.pop_front();
            }
            match group.unsafe_ends.back_mut() {
                Some((at, ends)) if *at == batch => ends.add(state),
                _ => {
                    let mut ends = EndCounts::default();
                    ends.add(state);
                    group.unsafe_ends.push_back((batch, ends));
                }
            }
        }
        let id = group.id;
        self.stop_if_due(&id);
    }

    fn stop_if_due(&mut self, id: &GroupId) {
        let Some(group) = self.get_mut(id) else { return };
        if group.stop().is_some() && !group.stopping {
            group.stopping = true;
            self.stopping.push_back(*id);
        }
    }

    /// A member had ended before the start.
    pub(super) fn end_restored(
        &mut self,
        slot: GroupSlot,
        needs: GroupKey,
        state: &TaskState,
        counts: Counts,
    ) {
        let Some(group) = self.slab.get_mut(slot.at()) else { return };
        group.open = group.open.saturating_sub(1);
        group.needs.remove(needs);
        self.keep(slot, state, counts);
    }

    /// A group is to be forgotten: nothing of it is shown from now on. The tally says so, too, should
    /// the node end before its last member is gone.
    pub(super) fn leave(&mut self, slot: GroupSlot) {
        let Some(group) = self.slab.get_mut(slot.at()) else { return };
        group.leaving = true;
        let id = group.id;
        self.touch(&id);
    }

    /// A group is forgotten with its members. Gives what is to be journalled of that.
    pub(super) fn remove(&mut self, slot: GroupSlot) -> Option<Record> {
        let group = self.slab.try_remove(slot.at())?;
        self.index.remove(&group.id);
        group.durable.then_some(Record::GroupForgotten { id: group.id })
    }

    fn touch(&mut self, id: &GroupId) {
        let Some(group) = self.get_mut(id) else { return };
        if group.durable && !group.touched {
            group.touched = true;
            self.touched.push(*id);
        }
    }

    /// What is to be journalled with this pass.
    pub(super) fn take_tallies(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.touched)
            .into_iter()
            .filter_map(|id| {
                let group = self.get_mut(&id)?;
                group.touched = false;
                group.noted = true;
                Some(Record::Group(Box::new(group.tally())))
            })
            .collect()
    }
}
