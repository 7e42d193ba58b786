//! Retention: which ended tasks are forgotten, and when.
//!
//! The unit is a single task or a whole ended group. A unit is forgotten once the node was up for
//! [`EngineConfig::keep_results`] since its end. When space is short, units that were handed out as
//! a whole go first, then the oldest. Forgetting is planned for several units at once, and carried
//! out some thousand tasks per pass.

use super::{
    archiving::Writing,
    ended::Entry,
    group::EndedGroup,
    retention::{Space, Unit},
    store::{Place, Store},
    task::Phase,
    tasks::Recent,
};
use crate::{
    engine::{
        config::EngineConfig,
        forgotten::Forgotten,
        input::Kept,
        keys::TaskKey,
        node::{Cx, Node},
        record::Record,
    },
    limits,
    reason::Reason,
    task::{GroupId, TaskId},
    time::Time,
};

impl Store {
    /// Forgets what is too old or too much, and schedules the next check of ages. Called once per
    /// pass.
    pub(in crate::engine) fn forget_old(&mut self, cx: &mut Cx<'_>) {
        if !self.retention.is_forgetting() {
            self.plan(cx);
        }
        let mut left = limits::FORGET_AT_ONCE;
        while left > 0
            && let Some(unit) = self.retention.current()
        {
            if self.forget_unit(cx, unit, &mut left) {
                self.retention.finish_current();
            }
        }
        if let Some(dropped) = self.retention.take_dropped() {
            self.record_forgotten(cx.node, dropped);
        }
    }

    fn plan(&mut self, cx: &mut Cx<'_>) {
        let is_due = self.retention.is_due(cx.now);
        if is_due {
            self.plan_by_age(cx);
        }
        if self.retention.is_forgetting() {
            return;
        }
        for durable in [true, false] {
            // With nothing to forget, another look at once is useless.
            if self.excess(&cx.node.config, durable) == 0 {
                self.retention.set_space(durable, Space::Free);
            } else if is_due || self.retention.space(durable) == Space::Free {
                self.plan_for_space(cx, durable);
            }
        }
        if self.groups.len() >= limits::GROUPS {
            self.plan_for_groups(cx.now);
        }
    }

    /// Plans the units that are too old, and schedules the next check.
    fn plan_by_age(&mut self, cx: &mut Cx<'_>) {
        let (now, up, keep) = (cx.now, cx.up(), cx.node.config.keep_results);
        let is_old = |end: Time| end + keep <= up;
        let mut next = Time::NEVER;
        let mut plan = Vec::new();
        let writing = self.writing();
        for group in self.groups.ended_groups(now) {
            let is_writing = writing.groups.contains(&group.slot);
            if !is_writing && (group.leaving || is_old(group.last_end)) {
                plan.push(Unit::Group(group.id));
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
            plan.push(Unit::Archived(number));
        }
        for recent in [&self.tasks.disk, &self.tasks.memory] {
            for key in recent.keys() {
                let Some(task) = self.tasks.get(key).filter(|task| task.member.is_none()) else {
                    continue;
                };
                let Phase::Ended { up, .. } = *task.phase() else { continue };
                let is_writing = writing.tasks.contains(&key);
                if is_writing || !is_old(up) {
                    next = next.min(up);
                }
                if !is_old(up) {
                    break;
                }
                if !is_writing {
                    plan.push(Unit::Recent(key));
                }
            }
        }
        self.retention.plan(plan);
        self.retention.on_look();
        let age = up.since(next);
        let due = if next == Time::NEVER {
            // An unfinished group may become over without any input.
            if self.groups.len() == 0 { Time::NEVER } else { now + limits::GROUP_IDLE }
        } else {
            // Rounded up to a small part of the retention, so that checks stay rare.
            now + keep.saturating_sub(age).max(keep / AGE_STEPS)
        };
        self.retention.forget_by(cx.node, due);
    }

    /// Bytes above the limit. Members of an unfinished group are never forgotten, so some space is
    /// reserved for its open members.
    fn excess(&self, config: &EngineConfig, durable: bool) -> u64 {
        self.kept_bytes(durable).saturating_sub(most_bytes(config, durable))
    }

    fn kept_bytes(&self, durable: bool) -> u64 {
        if durable {
            let live = (self.tasks.live_members() * limits::ENDED_WEIGHT) as u64;
            self.archive.table.bytes() + self.tasks.disk.bytes() + live
        } else {
            self.tasks.memory.bytes()
        }
    }

    /// Plans units to make room: a sixteenth of the limit, so that this happens seldom.
    fn plan_for_space(&mut self, cx: &mut Cx<'_>, durable: bool) {
        let excess = self.excess(&cx.node.config, durable);
        let aim = excess + most_bytes(&cx.node.config, durable) / 16;
        let writing = self.writing();
        let mut groups = self.groups.ended_groups(cx.now);
        groups.retain(|group| group.durable == durable);
        groups.sort_unstable_by_key(|group| (group.last_end, group.id));
        let (read, unread): (Vec<EndedGroup>, Vec<EndedGroup>) =
            groups.into_iter().partition(|group| group.unread == 0);
        let mut room = Room { excess, aim, freed: 0, plan: Vec::new(), waits: false };
        for (was_read, groups) in [(true, read), (false, unread)] {
            let groups = groups.iter().map(|group| Candidate::group(group, &writing));
            let singles = self.singles(durable).filter(|single| single.was_read == was_read);
            let singles = singles.map(|single| Candidate::single(single, &writing));
            let mut candidates = in_order(groups, singles);
            // Units that were not read are not searched in vain: finding none takes long.
            while room.needs_more()
                && let Some(candidate) = candidates.next()
            {
                room.take(candidate);
            }
        }
        let space = match (room.freed < excess, durable && !writing.tasks.is_empty()) {
            (false, _) => Space::Free,
            (true, true) => Space::Waits,
            (true, false) => Space::Full,
        };
        self.retention.set_space(durable, space);
        if space != Space::Free {
            self.retention.forget_by(cx.node, cx.now + limits::DISK_FULL_RETRY);
        }
        self.retention.plan(room.plan);
    }

    /// Single tasks in the order of their ends.
    fn singles(&self, durable: bool) -> impl Iterator<Item = Single> + '_ {
        let archived = durable.then(|| Self::archived_singles(self.archive.table.iter()));
        let recent = if durable { &self.tasks.disk } else { &self.tasks.memory };
        archived.into_iter().flatten().chain(self.recent_singles(recent))
    }

    fn archived_singles<'s>(
        entries: impl Iterator<Item = (u64, &'s Entry)> + 's,
    ) -> impl Iterator<Item = Single> + 's {
        entries.filter(|(_, entry)| entry.group.is_none()).map(|(number, entry)| Single {
            end: entry.up,
            weight: u64::from(entry.weight),
            was_read: entry.read,
            unit: Unit::Archived(number),
        })
    }

    fn recent_singles<'s>(&'s self, recent: &'s Recent) -> impl Iterator<Item = Single> + 's {
        recent.keys().filter_map(|key| {
            let task = self.tasks.get(key).filter(|task| task.member.is_none())?;
            let Phase::Ended { up, .. } = *task.phase() else { return None };
            let (weight, unit) = (task.ended_weight() as u64, Unit::Recent(key));
            Some(Single { end: up, weight, was_read: task.read, unit })
        })
    }

    /// The table of groups is full: plans the groups that ended first.
    fn plan_for_groups(&mut self, now: Time) {
        let writing = self.writing();
        let mut groups = self.groups.ended_groups(now);
        groups.retain(|group| !writing.groups.contains(&group.slot));
        groups.sort_unstable_by_key(|group| (group.unread > 0, group.last_end, group.id));
        let first = groups.into_iter().take(limits::GROUPS / 64);
        self.retention.plan(first.map(|group| Unit::Group(group.id)));
    }

    /// Forgets a unit, or as much of it as this pass may. Returns false if some is left.
    fn forget_unit(&mut self, cx: &mut Cx<'_>, unit: Unit, left: &mut usize) -> bool {
        match unit {
            Unit::Recent(key) => self.forget_recent(cx.node, key),
            Unit::Archived(number) => self.forget_archived(cx.node, number),
            Unit::Group(id) => return self.forget_group(cx, id, left),
        }
        *left -= 1;
        true
    }

    fn forget_group(&mut self, cx: &mut Cx<'_>, id: GroupId, left: &mut usize) -> bool {
        // Members may have been submitted since the plan.
        let Some(group) = self.groups.ended_group(&id, cx.now) else { return true };
        if !group.leaving {
            self.groups.leave(group.slot);
        }
        let received = self.groups.received(group.slot);
        let most = u32::try_from(*left).unwrap_or(u32::MAX);
        let places = self.retention.next_members(received, most);
        *left = left.saturating_sub(places.len().max(1));
        let is_last = places.end >= received;
        for index in places {
            self.forget_task(cx.node, &id.member(index));
        }
        if is_last && let Some(record) = self.groups.remove(group.slot) {
            self.record_forgotten(cx.node, record);
        }
        is_last
    }

    fn forget_task(&mut self, node: &mut Node, id: &TaskId) {
        match self.find_by_id(id) {
            Some(Place::Here(key)) => self.forget_recent(node, key),
            Some(Place::Archived(number)) => self.forget_archived(node, number),
            None => {}
        }
    }

    fn forget_recent(&mut self, node: &mut Node, key: TaskKey) {
        let Some(task) = self.tasks.remove_ended(key) else { return };
        task.blob().iter().for_each(|hash| node.blobs.release(hash));
        if task.durable {
            self.record_forgotten(node, Record::Forgotten { id: task.id });
        } else {
            self.forgotten.add(task.id.as_bytes());
        }
        if !task.is_success() {
            self.queue.leave_rest(task.class);
        }
    }

    /// Notes that the result of a single task in memory was handed out. If there are too many such
    /// tasks, forgets those handed out first.
    pub(super) fn hand_out(&mut self, node: &mut Node, key: TaskKey) {
        let mut first = self.retention.hand_out(key);
        first.retain(|key| self.tasks.is_ended(*key));
        first.into_iter().for_each(|key| self.forget_recent(node, key));
    }

    fn forget_archived(&mut self, node: &mut Node, number: u64) {
        let Some(entry) = self.archive.table.remove(number) else { return };
        if let Some(hash) = self.archive.take_blob(number) {
            node.blobs.release(&hash);
        }
        let time = Forgotten::time_of(entry.id.as_bytes());
        if time.is_none() && entry.group.is_none() {
            // An id without a time must be remembered itself.
            self.record_forgotten(node, Record::Forgotten { id: entry.id });
        }
        self.retention.on_dropped(number, time);
    }

    fn record_forgotten(&mut self, node: &mut Node, record: Record) {
        self.forgotten.apply(&record);
        node.gate.record(record);
    }

    /// Whether there is room for the end of one more task.
    pub(super) fn check_space(&self, node: &Node, durable: bool) -> Result<(), Reason> {
        let is_full = self.retention.space(durable) == Space::Full;
        if is_full || (durable && node.disk_full) {
            return Err(Reason::DiskFull { retry_after: limits::DISK_FULL_RETRY });
        }
        Ok(())
    }

    /// Counts of the kept tasks.
    pub(super) fn kept(&self, node: &Node) -> Kept {
        let mut ended = self.archive.table.counts();
        ended.join(&self.tasks.disk.ends().safe(&node.gate));
        ended.join(&self.tasks.memory.ends().all());
        Kept {
            ended,
            bytes: self.archive.table.bytes() + self.tasks.disk.bytes(),
            most: node.config.keep_bytes,
            memory_bytes: self.tasks.memory.bytes(),
            short: self.is_short(node),
        }
    }

    /// Whether less than a fifth of the space is free.
    fn is_short(&self, node: &Node) -> bool {
        self.kept_bytes(true) > node.config.keep_bytes / 5 * 4
    }

    /// The number of tasks that are forgotten next and whose results nobody has read.
    pub(super) fn unread_due(&self, node: &Node, now: Time) -> u64 {
        let soon = Time::ZERO + node.config.keep_results / 10 * 9;
        let up = node.config.up(now);
        let is_old = |end: Time| up > soon && Time::ZERO + up.since(end) >= soon;
        // When space is short, the next plan frees about this much.
        let mut left = if self.is_short(node) { node.config.keep_bytes / 8 } else { 0 };
        let mut is_due = |end: Time, weight: u64| {
            let is_due = left > 0 || is_old(end);
            left = left.saturating_sub(weight);
            is_due
        };
        let groups = self.groups.ended_groups(now);
        let groups = groups.iter().filter(|group| group.durable && group.unread > 0);
        let groups = groups.filter(|group| is_due(group.last_end, group.weight));
        let in_groups: u64 = groups.map(|group| u64::from(group.unread)).sum();
        // Bounded before members of groups are skipped: an archive may contain few others.
        let archived = Self::archived_singles(self.archive.table.iter().take(limits::EXAMINED_DUE));
        let recent = self.recent_singles(&self.tasks.disk).take(limits::EXAMINED_DUE);
        let unread = archived.chain(recent).filter(|single| !single.was_read);
        in_groups + unread.take_while(|single| is_due(single.end, single.weight)).count() as u64
    }
}

/// A single task that has ended.
struct Single {
    /// The node's uptime at its end.
    end: Time,
    weight: u64,
    /// Whether its result was handed out.
    was_read: bool,
    unit: Unit,
}

/// A unit that could be forgotten.
struct Candidate {
    /// The node's uptime at its end.
    end: Time,
    weight: u64,
    unit: Unit,
    /// Whether it is being written to the archive: it cannot be forgotten before it is there.
    is_writing: bool,
}

impl Candidate {
    fn group(group: &EndedGroup, writing: &Writing) -> Self {
        let &EndedGroup { id, slot, last_end, weight, .. } = group;
        let is_writing = writing.groups.contains(&slot);
        Self { end: last_end, weight, unit: Unit::Group(id), is_writing }
    }

    fn single(Single { end, weight, unit, .. }: Single, writing: &Writing) -> Self {
        let is_writing = matches!(&unit, Unit::Recent(key) if writing.tasks.contains(key));
        Self { end, weight, unit, is_writing }
    }
}

/// Both kinds of units, in the order of their ends.
fn in_order(
    groups: impl Iterator<Item = Candidate>,
    singles: impl Iterator<Item = Candidate>,
) -> impl Iterator<Item = Candidate> {
    let (mut groups, mut singles) = (groups.peekable(), singles.peekable());
    std::iter::from_fn(move || match (groups.peek(), singles.peek()) {
        (Some(group), Some(single)) if single.end < group.end => singles.next(),
        (None, _) => singles.next(),
        (Some(_), _) => groups.next(),
    })
}

/// The units that are forgotten to make room.
struct Room {
    /// Bytes that must become free.
    excess: u64,
    /// Bytes that should become free.
    aim: u64,
    /// Bytes that become free now, or when a volume is written.
    freed: u64,
    plan: Vec<Unit>,
    /// Whether a unit is forgotten only when it is written.
    waits: bool,
}

impl Room {
    fn needs_more(&self) -> bool {
        self.freed < if self.waits { self.excess } else { self.aim }
    }

    fn take(&mut self, candidate: Candidate) {
        self.freed += candidate.weight;
        if candidate.is_writing {
            // It counts already: otherwise newer results that nobody has read would go in its place.
            self.waits = true;
        } else {
            self.plan.push(candidate.unit);
        }
    }
}

fn most_bytes(config: &EngineConfig, durable: bool) -> u64 {
    if durable { config.keep_bytes } else { config.memory_bytes }
}

/// Ages are checked at most this many times per retention period.
const AGE_STEPS: u32 = 10_000;
