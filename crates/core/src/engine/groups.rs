//! Groups of tasks that were submitted together: what has become of their members, and when too many
//! have failed.
//!
//! Which tasks are members is not kept here: their ids follow from their places. A group is known as
//! long as one of its members is, and counts those that are forgotten. (The groups of `queue`, in
//! which interchangeable tasks wait, are another thing.)

use std::{collections::VecDeque, num::NonZeroU32};

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    Cx, Effect, Engine, GroupTally, Record, Reply, Seq, Token,
    gate::Gate,
    kinds::Kind,
    tasks::End,
    view::{EndCounts, GroupView},
};
use crate::{
    limits,
    reason::Reason,
    task::{CancelledBy, GroupId, GroupMember, Task, TaskState},
    time::Time,
};

/// Names a group that has members, in four bytes also where there may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Members that have not ended.
    open: u32,
    /// Members in the table of tasks, ended or not.
    kept: u32,
    ended: EndCounts,
    /// Those of them that are safe with these batches, of which some may be on disk since.
    unsafe_ends: VecDeque<(Seq, EndCounts)>,
    /// Those of them that are not in the table any more.
    forgotten: EndCounts,
    /// Whether a tally of it is journalled.
    noted: bool,
    /// Whether it is on the list of those whose tally has changed.
    touched: bool,
    /// Whether it is among those whose open members are cancelled, and up to which place they are.
    stopping: bool,
    stopped_to: u32,
}

impl Group {
    fn has_stopped(&self) -> bool {
        self.max_fails.is_some_and(|most| self.ended.fails() > most)
    }

    fn tally(&self) -> GroupTally {
        let Self { id, received, complete, max_fails, forgotten, .. } = *self;
        GroupTally { id, received, complete, max_fails, forgotten }
    }
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
    pub(super) fn slot(&self, id: &GroupId) -> Option<GroupSlot> {
        self.index.get(id).copied()
    }

    fn get(&self, id: &GroupId) -> Option<&Group> {
        self.slab.get(self.slot(id)?.at())
    }

    fn get_mut(&mut self, id: &GroupId) -> Option<&mut Group> {
        let slot = self.slot(id)?;
        self.slab.get_mut(slot.at())
    }

    pub(super) fn id(&self, slot: GroupSlot) -> Option<GroupId> {
        self.slab.get(slot.at()).map(|group| group.id)
    }

    /// All that are known.
    pub(super) fn ids(&self) -> impl Iterator<Item = GroupId> {
        self.slab.iter().map(|(_, group)| group.id)
    }

    /// Whether any group has members left to cancel.
    pub(super) fn is_stopping(&self) -> bool {
        !self.stopping.is_empty()
    }

    /// One more task is a member.
    pub(super) fn join(
        &mut self,
        member: &GroupMember,
        durable: bool,
        submitted: Time,
    ) -> Option<GroupSlot> {
        let slot = match self.slot(&member.group) {
            Some(slot) => slot,
            None => self.add(member.group, member.max_fails, durable, submitted)?,
        };
        let group = self.slab.get_mut(slot.at())?;
        group.received = group.received.max(member.index.saturating_add(1));
        group.complete |= member.last;
        group.submitted = group.submitted.min(submitted);
        group.open += 1;
        group.kept += 1;
        Some(slot)
    }

    fn add(
        &mut self,
        id: GroupId,
        max_fails: Option<u32>,
        durable: bool,
        submitted: Time,
    ) -> Option<GroupSlot> {
        let entry = self.slab.vacant_entry();
        let slot = GroupSlot::of(entry.key())?;
        entry.insert(Group {
            id,
            received: 0,
            complete: false,
            max_fails,
            durable,
            submitted,
            open: 0,
            kept: 0,
            ended: EndCounts::default(),
            unsafe_ends: VecDeque::new(),
            forgotten: EndCounts::default(),
            noted: false,
            touched: false,
            stopping: false,
            stopped_to: 0,
        });
        self.index.insert(id, slot);
        Some(slot)
    }

    /// What an earlier start knew besides the members that are kept.
    pub(super) fn restore(&mut self, tally: &GroupTally, now: Time) {
        if self.slot(&tally.id).is_none()
            && self.add(tally.id, tally.max_fails, true, now).is_none()
        {
            return;
        }
        let Some(group) = self.get_mut(&tally.id) else { return };
        group.received = tally.received;
        group.complete = tally.complete;
        group.ended = tally.forgotten;
        group.forgotten = tally.forgotten;
        group.noted = true;
        self.stop_if_due(&tally.id);
    }

    /// A member has ended. Decisions follow at once; it is shown when `gate` says that it is safe.
    pub(super) fn end(&mut self, slot: GroupSlot, state: &TaskState, gate: &Gate) {
        let Some(group) = self.slab.get_mut(slot.at()) else { return };
        group.open = group.open.saturating_sub(1);
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
        if group.has_stopped() && !group.stopping {
            group.stopping = true;
            self.stopping.push_back(*id);
        }
    }

    /// A member had ended before the start.
    pub(super) fn end_restored(&mut self, slot: GroupSlot, state: &TaskState) {
        let Some(group) = self.slab.get_mut(slot.at()) else { return };
        group.open = group.open.saturating_sub(1);
        group.ended.add(state);
        let id = group.id;
        self.stop_if_due(&id);
    }

    /// A member that has ended is forgotten; with the last one the group is. Gives what is to be
    /// journalled of that.
    pub(super) fn forget(&mut self, slot: GroupSlot, state: &TaskState) -> Option<Record> {
        let group = self.slab.get_mut(slot.at())?;
        group.kept = group.kept.saturating_sub(1);
        group.forgotten.add(state);
        let id = group.id;
        if group.kept > 0 {
            self.touch(&id);
            return None;
        }
        let noted = group.noted;
        self.slab.try_remove(slot.at());
        self.index.remove(&id);
        noted.then_some(Record::GroupForgotten { id })
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

    /// Whether these members may be handed in; how many of them were before.
    fn check(&self, chunk: &Chunk, durable: bool) -> Result<usize, Reason> {
        let Chunk { id, first, end, last, max_fails } = *chunk;
        let Some(group) = self.get(&id) else {
            return match first {
                0 if self.slab.len() < limits::GROUPS => Ok(0),
                0 => Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY }),
                _ => Err(Reason::NotFound),
            };
        };
        if group.has_stopped() {
            let failed = group.ended.fails();
            return Err(Reason::GroupStopped { failed, max_fails: max_fails.unwrap_or(0) });
        }
        if first > group.received {
            return Err(invalid(format!("{first} is not the next place: {}", group.received)));
        }
        let fits =
            if group.complete { end <= group.received } else { !last || end >= group.received };
        let same_end = !(group.complete && last) || end == group.received;
        if !fits || !same_end || group.max_fails != max_fails || group.durable != durable {
            return Err(Reason::Conflict { what: format!("group id {id}") });
        }
        Ok((group.received.min(end) - first) as usize)
    }
}

/// What members that are handed in together have in common.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    id: GroupId,
    /// The place of the first, and that behind the last of them.
    first: u32,
    end: u32,
    last: bool,
    max_fails: Option<u32>,
}

impl Chunk {
    fn of(tasks: &[Task]) -> Result<Self, Reason> {
        if tasks.len() > limits::GROUP_CHUNK {
            return Err(invalid(format!("at most {} members at once", limits::GROUP_CHUNK)));
        }
        let mut members = tasks.iter().map(|task| task.group);
        let Some(first) = members.next() else {
            return Err(invalid("there is no member".to_owned()));
        };
        let first = first.ok_or_else(|| invalid("a task is no member".to_owned()))?;
        let mut chunk = Self {
            id: first.group,
            first: first.index,
            end: first.index + 1,
            last: first.last,
            max_fails: first.max_fails,
        };
        for member in members {
            let same = member.is_some_and(|member| {
                let GroupMember { group, index, max_fails, .. } = member;
                (group, index, max_fails) == (chunk.id, chunk.end, chunk.max_fails)
            });
            if chunk.last || !same {
                let why = format!("what follows place {} is not the next member", chunk.end - 1);
                return Err(invalid(why));
            }
            chunk.end += 1;
            chunk.last = member.is_some_and(|member| member.last);
        }
        Ok(chunk)
    }
}

fn invalid(why: String) -> Reason {
    Reason::InvalidTask { detail: format!("group: {why}") }
}

impl Engine {
    pub(super) fn on_submit_group(
        &mut self,
        cx: &mut Cx<'_>,
        tasks: Vec<Task>,
        targets: Vec<PeerId>,
        token: Token,
    ) {
        match self.accept_members(cx.now, tasks, &targets) {
            Ok((id, durable)) => {
                let reply = Reply::GroupAccepted { id };
                self.gate.tell(durable, Effect::Reply { token, reply });
            }
            // A kill may still undo the failure that stopped it, and the group would go on.
            Err(reason @ Reason::GroupStopped { .. }) => {
                self.gate.tell(true, Effect::Reply { token, reply: Reply::Refused(reason) });
            }
            Err(reason) => cx.reply(token, Reply::Refused(reason)),
        }
    }

    /// All or none: nothing is taken before everything is checked.
    fn accept_members(
        &mut self,
        now: Time,
        mut tasks: Vec<Task>,
        targets: &[PeerId],
    ) -> Result<(GroupId, bool), Reason> {
        if self.closing {
            return Err(Reason::ShuttingDown);
        }
        let chunk = Chunk::of(&tasks)?;
        let durable = tasks.first().is_some_and(|task| self.is_durable(task));
        if tasks.iter().any(|task| self.is_durable(task) != durable) {
            return Err(invalid("members have the same durability".to_owned()));
        }
        let known = self.groups.check(&chunk, durable)?;
        let new = tasks.split_off(known);
        for task in &tasks {
            self.check_again(task)?;
        }
        if self.disk_full && durable && !new.is_empty() {
            return Err(Reason::DiskFull { retry_after: limits::DISK_FULL_RETRY });
        }
        let kinds = self.check_new(&new, targets)?;
        for (task, kind) in new.into_iter().zip(kinds) {
            let unknown = targets.is_empty() && self.is_hopeless(kind);
            let key = self.admit(Box::new(task), targets.to_vec(), kind, now);
            let key = key.ok_or(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY })?;
            self.begin(now, key, kind, unknown);
        }
        if let Some(group) = self.groups.get_mut(&chunk.id)
            && chunk.last
            && !group.complete
        {
            // Its last member was handed in before, and was not said to be the last one.
            group.complete = true;
            self.groups.touch(&chunk.id);
        }
        Ok((chunk.id, durable))
    }

    /// A place that was handed in before must be the same task again, as far as that is known.
    fn check_again(&self, task: &Task) -> Result<(), Reason> {
        let known = self.tasks.by_id(&task.id).and_then(|key| self.tasks.get(key));
        if known.is_some_and(|known| known.digest != super::submit::digest(task)) {
            return Err(Reason::Conflict { what: format!("task id {}", task.id) });
        }
        Ok(())
    }

    fn check_new(&mut self, tasks: &[Task], targets: &[PeerId]) -> Result<Vec<Kind>, Reason> {
        if self.tasks.live() + tasks.len() > self.config.max_owned {
            return Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY });
        }
        let mut kinds = Vec::with_capacity(tasks.len());
        for task in tasks {
            if self.tasks.by_id(&task.id).is_some() {
                return Err(Reason::Conflict { what: format!("task id {}", task.id) });
            }
            kinds.push(self.kind_of(task, targets)?);
        }
        Ok(kinds)
    }

    /// Cancels open members of groups that have stopped, so many in one pass.
    pub(super) fn stop_groups(&mut self, now: Time) {
        let mut left = u32::try_from(limits::GROUP_CHUNK).unwrap_or(u32::MAX);
        while let Some(id) = self.groups.stopping.front().copied() {
            let Some(group) = self.groups.get_mut(&id) else {
                self.groups.stopping.pop_front();
                continue;
            };
            let reason = format!(
                "{} members of group {} did not succeed, at most {} may",
                group.ended.fails(),
                id.short(),
                group.max_fails.unwrap_or(0)
            );
            let (from, to) = (group.stopped_to, group.received);
            let until = to.min(from.saturating_add(left));
            group.stopped_to = until;
            for index in from..until {
                if let Some(key) = self.tasks.by_id(&id.member(index)) {
                    let reason = reason.as_str().into();
                    self.end_task(key, now, End::Cancelled { by: CancelledBy::Group, reason });
                }
            }
            if until < to {
                return;
            }
            left -= until - from;
            self.groups.stopping.pop_front();
        }
    }

    /// How many members of a group were handed in.
    pub(super) fn group_received(&self, id: GroupId) -> Option<u32> {
        self.groups.get(&id).map(|group| group.received)
    }

    /// One group; none if it is not known, or forgotten.
    pub fn group(&self, id: GroupId) -> Option<GroupView> {
        let slot = self.groups.slot(&id)?;
        let group = self.groups.get(&id)?;
        let (mut running, mut workers) = (0, 0);
        for (_, peer) in self.peers.iter() {
            let mut has_some = false;
            for (epoch, attempt) in peer.worker.open.iter() {
                let task = attempt.task.and_then(|key| self.tasks.get(key));
                let Some(task) = task.filter(|task| task.member == Some(slot)) else { continue };
                has_some = true;
                // A member with two attempts is one that runs.
                running += u32::from(task.leads_with(epoch));
            }
            workers += u32::from(has_some);
        }
        let mut ended = group.ended;
        for (_, ends) in group.unsafe_ends.iter().filter(|(batch, _)| !self.gate.is_safe(*batch)) {
            ended.take(ends);
        }
        let stopped = group.max_fails.is_some_and(|most| ended.fails() > most);
        Some(GroupView {
            id,
            received: group.received,
            complete: group.complete,
            max_fails: group.max_fails,
            stopped,
            queued: group.open.saturating_sub(running),
            running: running + (group.ended.all() - ended.all()),
            ended,
            workers,
            submitted: group.submitted,
        })
    }
}
