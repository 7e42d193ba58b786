//! How long what is over is kept: ended tasks at their owner, results at a worker whose owner does not
//! come for them.
//!
//! The unit is a single task or a whole group that has ended. A unit is forgotten when the node was up
//! for [`EngineConfig::keep_results`](super::EngineConfig::keep_results) since its end; or, short of
//! space, when it was handed out as a whole, and else when it is the oldest. What is to be forgotten is
//! planned for several units at once, and carried out some thousand tasks in a pass.

use std::collections::VecDeque;

use super::{
    Engine, Kept, Record,
    forgotten::time_of,
    groups::retention::EndedGroup,
    held::{Held, HeldKey, Stage},
    peers::{OwnerSide, PeerKey},
    tasks::{Phase, TaskKey},
    timers::Timer,
    view::EndCounts,
};
use crate::{
    frame::Epoch,
    limits,
    reason::Reason,
    task::{GroupId, TaskId},
    time::Time,
};

/// What is forgotten as one.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// A task that is not archived.
    Recent(TaskKey),
    /// A task that is, by its number.
    Archived(u64),
    Group(GroupId),
}

/// What is about to be forgotten.
#[derive(Debug, Default)]
pub(super) struct Retention {
    plan: VecDeque<Unit>,
    /// Single tasks in memory whose results were handed out, in that order. Some are gone.
    handed_out: VecDeque<TaskKey>,
    /// The next place of the group at the front of the plan.
    next_member: u32,
    /// Nothing more may be forgotten of what is on disk, and in memory, and it is too much.
    full_disk: bool,
    full_memory: bool,
    /// Some of what is on disk was being written into the archive then: whether it is too much is known
    /// when that is done.
    waits: bool,
    /// When ages are looked at, and no plan is made before for want of space if there was nothing.
    due: Time,
    /// Numbers of archived tasks that this pass has forgotten, and the latest time in their ids.
    dropped: Vec<u64>,
    until: u64,
}

impl Retention {
    pub(super) fn new() -> Self {
        Self { due: Time::NEVER, ..Self::default() }
    }
}

impl Engine {
    /// How long the node has been up, over all its starts.
    pub(super) fn up(&self, now: Time) -> Time {
        Time::ZERO + self.config.up_before + now.since(self.config.started)
    }

    /// Whether ended tasks wait for being forgotten.
    pub(super) fn is_forgetting(&self) -> bool {
        !self.retention.plan.is_empty()
    }

    /// Forgets what is too old or too much, and sees to it that the age of the rest is noticed. Once
    /// in each pass.
    pub(super) fn forget_old(&mut self, now: Time) {
        if !self.is_forgetting() {
            self.plan(now);
        }
        let mut left = limits::FORGET_AT_ONCE;
        while left > 0
            && let Some(unit) = self.retention.plan.front().copied()
        {
            if self.forget_unit(unit, now, &mut left) {
                self.retention.plan.pop_front();
                self.retention.next_member = 0;
            }
        }
        if !self.retention.dropped.is_empty() {
            let numbers = std::mem::take(&mut self.retention.dropped);
            let until = std::mem::take(&mut self.retention.until);
            self.record_forgotten(Record::Dropped { numbers, until });
        }
    }

    fn plan(&mut self, now: Time) {
        let is_due = self.retention.due <= now;
        if is_due {
            self.plan_by_age(now);
        }
        if self.is_forgetting() {
            return;
        }
        for durable in [true, false] {
            let full = if durable { self.retention.full_disk } else { self.retention.full_memory };
            // Without anything to forget there is no use in looking again at once.
            if self.excess(durable) == 0 {
                self.set_full(durable, false);
            } else if is_due || !full {
                self.plan_for_space(durable, now);
            }
        }
        if self.groups.len() >= limits::GROUPS {
            self.plan_for_groups(now);
        }
    }

    fn set_full(&mut self, durable: bool, full: bool) {
        let Retention { full_disk, full_memory, .. } = &mut self.retention;
        *(if durable { full_disk } else { full_memory }) = full;
    }

    /// Units that are too old, and when the next one will be.
    fn plan_by_age(&mut self, now: Time) {
        let (up, keep) = (self.up(now), self.config.keep_results);
        let is_old = |end: Time| end + keep <= up;
        let mut next = Time::NEVER;
        let mut plan = VecDeque::new();
        let writing = self.writing();
        for group in self.groups.ended_groups(now) {
            let is_writing = writing.groups.contains(&group.slot);
            if !is_writing && (group.leaving || is_old(group.last_end)) {
                plan.push_back(Unit::Group(group.id));
            } else {
                next = next.min(group.last_end);
            }
        }
        for (number, entry) in self.archive.table.iter().filter(|(_, entry)| entry.group.is_none())
        {
            if !is_old(entry.up) {
                next = next.min(entry.up);
                break;
            }
            plan.push_back(Unit::Archived(number));
        }
        for recent in [&self.tasks.disk, &self.tasks.memory] {
            for key in recent.keys() {
                let Some(task) = self.tasks.get(key).filter(|task| task.member.is_none()) else {
                    continue;
                };
                let Phase::Ended { up, .. } = task.phase else { continue };
                let is_writing = writing.tasks.contains(&key);
                if is_writing || !is_old(up) {
                    next = next.min(up);
                }
                if !is_old(up) {
                    break;
                }
                if !is_writing {
                    plan.push_back(Unit::Recent(key));
                }
            }
        }
        self.retention.plan = plan;
        self.retention.due = Time::NEVER;
        let age = up.since(next);
        let due = if next == Time::NEVER {
            // A group may still be over, with nobody doing anything about it.
            if self.groups.len() == 0 { Time::NEVER } else { now + limits::GROUP_IDLE }
        } else {
            // No more often than in so small a part of the time that it does not matter.
            now + keep.saturating_sub(age).max(keep / AGE_STEPS)
        };
        self.forget_by(due);
    }

    /// Bytes above what is kept. A group that has not ended loses nothing, so that some are set aside
    /// for the members that have not.
    fn excess(&self, durable: bool) -> u64 {
        self.kept_bytes(durable).saturating_sub(self.most_bytes(durable))
    }

    fn most_bytes(&self, durable: bool) -> u64 {
        if durable { self.config.keep_bytes } else { self.config.memory_bytes }
    }

    fn kept_bytes(&self, durable: bool) -> u64 {
        if durable {
            let live = (self.tasks.live_members() * limits::ENDED_WEIGHT) as u64;
            self.archive.table.bytes() + self.tasks.disk.bytes() + live
        } else {
            self.tasks.memory.bytes()
        }
    }

    /// Units to make room: a sixteenth of the limit, so that this is done seldom.
    fn plan_for_space(&mut self, durable: bool, now: Time) {
        let aim = self.excess(durable) + self.most_bytes(durable) / 16;
        let writing = self.writing();
        let mut groups = self.groups.ended_groups(now);
        groups.retain(|group| group.durable == durable && !writing.groups.contains(&group.slot));
        groups.sort_unstable_by_key(|group| (group.last_end, group.id));
        let (read, unread): (Vec<EndedGroup>, Vec<EndedGroup>) =
            groups.into_iter().partition(|group| group.unread == 0);
        let mut freed = 0;
        let mut plan = VecDeque::new();
        for (was_read, groups) in [(true, read), (false, unread)] {
            if freed >= aim {
                // Not one look at those that were not read: it takes long to find that there are none.
                break;
            }
            let mut groups = groups.into_iter().peekable();
            let singles = self.singles(durable, was_read);
            let is_free =
                |unit: &Unit| !matches!(unit, Unit::Recent(key) if writing.tasks.contains(key));
            for (end, weight, unit) in singles.filter(|(_, _, unit)| is_free(unit)) {
                while freed < aim
                    && let Some(group) = groups.next_if(|group| group.last_end <= end)
                {
                    freed += group.weight;
                    plan.push_back(Unit::Group(group.id));
                }
                if freed >= aim {
                    break;
                }
                freed += weight;
                plan.push_back(unit);
            }
            for group in groups {
                if freed >= aim {
                    break;
                }
                freed += group.weight;
                plan.push_back(Unit::Group(group.id));
            }
        }
        let is_short = freed < self.excess(durable);
        self.set_full(durable, is_short);
        if durable {
            self.retention.waits = is_short && !writing.tasks.is_empty();
        }
        if is_short {
            self.forget_by(now + limits::DISK_FULL_RETRY);
        }
        self.retention.plan.append(&mut plan);
    }

    /// A volume is on disk, so that its tasks may be forgotten: looks again for what makes room.
    pub(super) fn look_for_space(&mut self) {
        self.retention.full_disk = false;
        self.retention.waits = false;
    }

    /// Single tasks in the order of their ends, with their weights.
    fn singles(
        &self,
        durable: bool,
        was_read: bool,
    ) -> impl Iterator<Item = (Time, u64, Unit)> + '_ {
        let archived =
            self.archive.table.iter().filter(move |(_, entry)| {
                durable && entry.group.is_none() && entry.read == was_read
            });
        let archived = archived
            .map(|(number, entry)| (entry.up, u64::from(entry.weight), Unit::Archived(number)));
        let recent = if durable { &self.tasks.disk } else { &self.tasks.memory };
        let recent = recent.keys().filter_map(move |key| {
            let task = self.tasks.get(key)?;
            let Phase::Ended { up, .. } = task.phase else { return None };
            let fits = task.member.is_none() && task.read == was_read;
            fits.then_some((up, task.ended_weight() as u64, Unit::Recent(key)))
        });
        archived.chain(recent)
    }

    /// There is no place for another group: those that ended first make room.
    fn plan_for_groups(&mut self, now: Time) {
        let writing = self.writing();
        let mut groups = self.groups.ended_groups(now);
        groups.retain(|group| !writing.groups.contains(&group.slot));
        groups.sort_unstable_by_key(|group| (group.unread > 0, group.last_end, group.id));
        let first = groups.into_iter().take(limits::GROUPS / 64);
        self.retention.plan.extend(first.map(|group| Unit::Group(group.id)));
    }

    /// Forgets a unit, or as much of it as there is left to do in this pass. False if there is more.
    fn forget_unit(&mut self, unit: Unit, now: Time, left: &mut usize) -> bool {
        match unit {
            Unit::Recent(key) => self.forget_recent(key),
            Unit::Archived(number) => self.forget_archived(number),
            Unit::Group(id) => return self.forget_group(id, now, left),
        }
        *left -= 1;
        true
    }

    fn forget_group(&mut self, id: GroupId, now: Time, left: &mut usize) -> bool {
        // Members may have come meanwhile.
        let Some(group) = self.groups.ended_group(&id, now) else { return true };
        if !group.leaving {
            self.groups.leave(group.slot);
        }
        let from = self.retention.next_member;
        let received = self.groups.received(group.slot);
        let chunk = u32::try_from(*left).unwrap_or(u32::MAX);
        let until = received.min(from.saturating_add(chunk));
        for index in from..until {
            self.forget_task(&id.member(index));
        }
        *left = left.saturating_sub((until - from).max(1) as usize);
        self.retention.next_member = until;
        if until < received {
            return false;
        }
        if let Some(record) = self.groups.remove(group.slot) {
            self.record_forgotten(record);
        }
        true
    }

    fn forget_task(&mut self, id: &TaskId) {
        if let Some(key) = self.tasks.by_id(id) {
            self.forget_recent(key);
        } else if let Some((number, _)) = self.archive.table.by_id(id) {
            self.forget_archived(number);
        }
    }

    fn forget_recent(&mut self, key: TaskKey) {
        let Some(task) = self.tasks.remove_ended(key) else { return };
        if task.durable {
            self.record_forgotten(Record::Forgotten { id: task.id });
        } else {
            self.forgotten.add(task.id.as_bytes());
        }
        let Phase::Ended { end, .. } = &task.phase else { return };
        if !end.is_success() {
            self.queue.leave_rest(task.group);
        }
    }

    /// The result of a single task in memory was handed out. Beyond the limit the tasks whose results were
    /// handed out first are forgotten, [`HANDED_OUT_AT_ONCE`] at a time.
    pub(super) fn hand_out(&mut self, key: TaskKey) {
        let handed_out = &mut self.retention.handed_out;
        handed_out.push_back(key);
        if handed_out.len() < limits::HANDED_OUT_IN_MEMORY + HANDED_OUT_AT_ONCE {
            return;
        }
        let first = handed_out.drain(..HANDED_OUT_AT_ONCE);
        let first: Vec<TaskKey> = first.filter(|key| self.tasks.is_ended(*key)).collect();
        first.into_iter().for_each(|key| self.forget_recent(key));
    }

    fn forget_archived(&mut self, number: u64) {
        let Some(entry) = self.archive.table.remove(number) else { return };
        if let Some(time) = time_of(entry.id.as_bytes()) {
            self.retention.until = self.retention.until.max(time);
        } else if entry.group.is_none() {
            // Its id has to be remembered itself.
            self.record_forgotten(Record::Forgotten { id: entry.id });
        }
        self.retention.dropped.push(number);
    }

    fn record_forgotten(&mut self, record: Record) {
        self.forgotten.apply(&record);
        self.gate.record(record);
    }

    /// Whether there is room for the end of one more task.
    pub(super) fn check_space(&self, durable: bool) -> Result<(), Reason> {
        let Retention { full_disk, full_memory, waits, .. } = self.retention;
        let full = if durable { self.disk_full || (full_disk && !waits) } else { full_memory };
        if full {
            return Err(Reason::DiskFull { retry_after: limits::DISK_FULL_RETRY });
        }
        Ok(())
    }

    /// Ended tasks that are kept, and how many of them are forgotten next.
    pub fn kept(&self, now: Time) -> Kept {
        let most = self.config.keep_bytes;
        let bytes = self.archive.table.bytes() + self.tasks.disk.bytes();
        let mut kept = Kept {
            bytes,
            most,
            memory_bytes: self.tasks.memory.bytes(),
            short: self.kept_bytes(true) > most / 5 * 4,
            ..Kept::default()
        };
        kept.ended = self.ended_counts();
        let soon = Time::ZERO + self.config.keep_results / 10 * 9;
        let (up, age) = (self.up(now), |end: Time| Time::ZERO + self.up(now).since(end));
        let is_old = |end: Time| up > soon && age(end) >= soon;
        // Short of space, about as much goes next as is made room of at once.
        let mut left = if kept.short { most / 8 } else { 0 };
        let mut goes = |end: Time, weight: u64| {
            let goes = left > 0 || is_old(end);
            left = left.saturating_sub(weight);
            goes
        };
        let groups = self.groups.ended_groups(now);
        for group in groups.iter().filter(|group| group.durable && group.unread > 0) {
            if goes(group.last_end, group.weight) {
                kept.unread_due += u64::from(group.unread);
            }
        }
        let singles = self.singles(true, false);
        let next = singles.take_while(|(end, weight, _)| goes(*end, *weight));
        kept.unread_due += next.count() as u64;
        kept
    }

    fn ended_counts(&self) -> EndCounts {
        let mut counts = self.archive.table.counts();
        for key in self.tasks.disk.keys().chain(self.tasks.memory.keys()) {
            if let Some(task) = self.tasks.get(key) {
                counts.add(&self.state(task));
            }
        }
        counts
    }

    /// Sees to it that what is old is forgotten at `due`, or before.
    pub(super) fn forget_by(&mut self, due: Time) {
        if due < self.retention.due {
            self.retention.due = due;
            self.timers.arm(due, Timer::Retention);
        }
    }

    /// Lets go of the results that an absent owner has not come for in time.
    pub(super) fn expire_results(&mut self, owner: PeerKey, now: Time) {
        let keep = self.config.keep_results;
        let Some(peer) = self.peers.get(owner) else { return };
        // Roughly in the order in which they ended: one that is younger hides few that are older, and
        // those not for long.
        let old: Vec<(Epoch, HeldKey)> = self
            .finished(&peer.owner)
            .take_while(|(_, _, since)| *since + keep <= now)
            .map(|(epoch, held, _)| (epoch, held))
            .collect();
        self.counts.dropped_results += old.len() as u64;
        for (epoch, held) in old {
            self.release(owner, epoch, held);
        }
    }

    /// Too much is kept: drops the oldest results of the absent owner that holds most of it, so that
    /// nobody who stays away costs others theirs.
    pub(super) fn drop_unacked(&mut self) {
        while self.held.unacked_bytes > limits::UNACKED_BYTES {
            let absent = self.peers.iter().filter(|(_, peer)| !peer.owner.session);
            let worst = absent.max_by_key(|(_, peer)| peer.owner.unacked_bytes);
            let Some((owner, peer)) = worst else { return };
            let Some((epoch, held, _)) = self.finished(&peer.owner).next() else { return };
            self.counts.dropped_results += 1;
            self.release(owner, epoch, held);
        }
    }

    /// What an owner has not acknowledged, and since when, in the order of its epochs.
    fn finished<'e>(
        &'e self,
        owner: &'e OwnerSide,
    ) -> impl Iterator<Item = (Epoch, HeldKey, Time)> + 'e {
        owner.held.iter().filter_map(|(epoch, held)| match self.held.get(*held) {
            Some(Held { stage: Stage::Finished { since, .. }, .. }) => Some((epoch, *held, *since)),
            _ => None,
        })
    }
}

/// Tasks that are forgotten together once their results were handed out.
const HANDED_OUT_AT_ONCE: usize = 256;

/// Ages are looked at no more often than in such a part of the time that is kept.
const AGE_STEPS: u32 = 10_000;
