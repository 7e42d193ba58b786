//! One group: its members' ends, and why it accepts no more members.

use super::{
    chunk::{Chunk, invalid},
    ends::Ends,
    needs::OpenNeeds,
};
use crate::{
    engine::{
        gate::Gate,
        keys::{ClassKey, GroupSlot},
        record::{GroupTally, Seq},
        view::{EndCounts, GroupStop, GroupView},
    },
    limits,
    reason::Reason,
    task::{CancelledBy, Durability, GroupId, GroupMember, TaskState},
    time::Time,
};

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    /// Number of submitted members: all places below it.
    received: u32,
    complete: bool,
    pub(super) max_fails: Option<u32>,
    pub(super) durable: bool,
    pub(super) submitted: Time,
    /// When members were last submitted, new ones or not.
    handed_in: Time,
    /// Open members, by their needs.
    open: u32,
    needs: OpenNeeds,
    kept: Kept,
    /// Whether the group is being forgotten.
    leaving: bool,
    /// The members' ends.
    ends: Ends,
    /// Ends of members that an earlier version has forgotten.
    forgotten: EndCounts,
    /// Why the group was cancelled, if it was, and the batch with that record.
    cancelled: Option<(Box<str>, Seq)>,
    /// Whether the group is on the list of changed tallies.
    is_touched: bool,
    /// The place below which open members were cancelled, if the group is stopping.
    stopping: Option<u32>,
}

/// Members that are known, ended or not.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    members: u32,
    /// Bytes that the ended members count against the limit.
    weight: u64,
    /// The node's uptime at the latest end, over all its starts.
    last_end: Time,
    /// Members whose results were handed out.
    read: u32,
}

/// Members of one group that are at workers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AtWork {
    pub(super) running: u32,
    pub(super) workers: u32,
}

impl Group {
    /// A group without members. The first members set its times.
    pub(super) fn new(id: GroupId, max_fails: Option<u32>, durable: bool) -> Self {
        Self {
            id,
            received: 0,
            complete: false,
            max_fails,
            durable,
            submitted: Time::NEVER,
            handed_in: Time::ZERO,
            open: 0,
            needs: OpenNeeds::default(),
            kept: Kept::default(),
            leaving: false,
            ends: Ends::default(),
            forgotten: EndCounts::default(),
            cancelled: None,
            is_touched: false,
            stopping: None,
        }
    }

    /// Restores the group from an earlier start.
    pub(super) fn on_restored(&mut self, tally: &GroupTally) {
        self.received = tally.received;
        self.complete = tally.complete;
        self.ends = Ends::of(tally.forgotten);
        self.forgotten = tally.forgotten;
        self.cancelled = tally.cancelled.clone().map(|reason| (reason, Seq::default()));
        self.leaving = tally.leaving;
    }

    /// Number of submitted members.
    pub(super) fn received(&self) -> u32 {
        self.received
    }

    /// Whether the group is being forgotten.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Whether the group's open members are being cancelled.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// The needs of the group's open members.
    pub(super) fn needs(&self) -> &OpenNeeds {
        &self.needs
    }

    /// Adds a member.
    pub(super) fn on_join(&mut self, member: &GroupMember, needs: ClassKey, submitted: Time) {
        self.complete |= member.last;
        self.open += 1;
        self.needs.add(needs);
        self.note_member(member.index, submitted);
    }

    /// Adds a member that had ended before the start.
    pub(super) fn note_member(&mut self, index: u32, submitted: Time) {
        self.received = self.received.max(index.saturating_add(1));
        self.submitted = self.submitted.min(submitted);
        self.handed_in = self.handed_in.max(submitted);
        self.kept.members += 1;
    }

    /// Notes that members were submitted, new ones or not.
    pub(super) fn on_members_submitted(&mut self, now: Time) {
        self.handed_in = now;
    }

    /// Notes that the last member was submitted. Returns false if that was known.
    pub(super) fn on_complete(&mut self) -> bool {
        !std::mem::replace(&mut self.complete, true)
    }

    /// Notes that the needs of an open member have changed.
    pub(super) fn change_needs(&mut self, before: ClassKey, now: ClassKey) {
        self.needs.remove(before);
        self.needs.add(now);
    }

    /// Notes that a member has ended.
    pub(super) fn on_end(&mut self, needs: ClassKey, state: &TaskState, gate: &Gate) {
        self.on_closed(needs);
        if self.durable {
            self.ends.add_unpersisted(state, gate);
        } else {
            self.ends.add(state);
        }
    }

    /// Notes that a member is no longer open.
    pub(super) fn on_closed(&mut self, needs: ClassKey) {
        self.open = self.open.saturating_sub(1);
        self.needs.remove(needs);
    }

    /// Counts a member that had ended before the start.
    pub(super) fn on_ended_before(&mut self, state: &TaskState, counts: Counts) {
        self.ends.add(state);
        self.count(counts);
    }

    /// Adds an ended member's counts.
    pub(super) fn count(&mut self, Counts { weight, up, read }: Counts) {
        self.kept.weight += u64::from(weight);
        self.kept.last_end = self.kept.last_end.max(up);
        self.kept.read += u32::from(read);
    }

    /// Notes that a member's result was handed out.
    pub(super) fn on_read(&mut self) {
        self.kept.read = self.kept.read.saturating_add(1);
    }

    /// Cancels the group. The batch `safe_with` contains that record.
    pub(super) fn on_cancel(&mut self, reason: String, safe_with: Seq) {
        let safe_with = if self.durable { safe_with } else { Seq::default() };
        self.cancelled = Some((reason.into_boxed_str(), safe_with));
    }

    /// Marks the group as being forgotten.
    pub(super) fn on_leave(&mut self) {
        self.leaving = true;
    }

    /// Marks the tally as changed. Returns true if the group must be added to the list.
    pub(super) fn touch(&mut self) -> bool {
        self.durable && !std::mem::replace(&mut self.is_touched, true)
    }

    /// The group's current tally, for the journal.
    pub(super) fn take_tally(&mut self) -> GroupTally {
        self.is_touched = false;
        let Self { id, received, complete, max_fails, leaving, .. } = *self;
        let forgotten = self.forgotten;
        let cancelled = self.cancelled.as_ref().map(|(reason, _)| reason.clone());
        GroupTally { id, received, complete, max_fails, cancelled, forgotten, leaving }
    }

    /// Starts to cancel the open members. Returns false if that was started before.
    pub(super) fn begin_stop(&mut self) -> bool {
        let begins = self.stop().is_some() && self.stopping.is_none();
        if begins {
            self.stopping = Some(0);
        }
        begins
    }

    /// The next places, at most `most`, whose open members are to be cancelled, and the end that
    /// they get. `None` after the last place.
    pub(super) fn stop_next(&mut self, most: u32) -> Option<StopPart> {
        let (by, reason) = self.stop()?.end(self.id);
        let from = self.stopping?;
        let until = self.received.min(from.saturating_add(most));
        self.stopping = Some(until);
        Some(StopPart { places: from..until, is_last: until == self.received, by, reason })
    }

    /// Why the group accepts no more members, if it does not.
    pub(super) fn stop(&self) -> Option<Stop<'_>> {
        self.stop_by(&self.ends.all())
    }

    /// The same, if only the members in `ended` had ended.
    fn stop_by(&self, ended: &EndCounts) -> Option<Stop<'_>> {
        if let Some((reason, _)) = &self.cancelled {
            return Some(Stop::Cancelled { reason });
        }
        let max_fails = self.max_fails.filter(|most| ended.fails() > *most)?;
        Some(Stop::Failures { failed: ended.fails(), max_fails })
    }

    /// Whether no member is open and none can come.
    pub(super) fn is_over(&self) -> bool {
        self.stop().is_some() || (self.complete && self.open == 0)
    }

    /// Checks whether these members may be submitted. Returns how many of them were submitted
    /// before.
    pub(super) fn check(&self, chunk: &Chunk, durable: bool) -> Result<usize, Reason> {
        let Chunk { id, first, end, last, max_fails } = *chunk;
        if self.leaving {
            // The group is being forgotten; a moment later its id names a new group.
            return Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY });
        }
        if let Some(stop) = self.stop() {
            return Err(stop.refusal());
        }
        if first > self.received {
            return Err(invalid(format!("the next place is {}, not {first}", self.received)));
        }
        let fits = if self.complete { end <= self.received } else { !last || end >= self.received };
        let same_end = !(self.complete && last) || end == self.received;
        if !fits || !same_end || self.max_fails != max_fails || self.durable != durable {
            return Err(Reason::Conflict { what: format!("group id {id}") });
        }
        Ok((self.received.min(end) - first) as usize)
    }

    /// A snapshot for callers. Leaves out what is not on disk yet.
    pub(super) fn view(&self, at_work: AtWork, gate: &Gate, now: Time) -> GroupView {
        let ended = self.ends.safe(gate);
        let stop = self.safe_stop(&ended, gate);
        let is_left = !self.complete && self.stop().is_none();
        GroupView {
            id: self.id,
            received: self.received,
            complete: self.complete,
            max_fails: self.max_fails,
            durability: Durability::of(self.durable),
            stop,
            unfinished: is_left && self.handed_in + limits::GROUP_IDLE <= now,
            queued: self.open.saturating_sub(at_work.running),
            running: at_work.running + (self.ends.all().all() - ended.all()),
            ended,
            workers: at_work.workers,
            // Without any member, `submitted` is not set.
            submitted: self.submitted.min(self.handed_in),
            handed_in: self.handed_in,
        }
    }

    /// Why the group accepts no more members, if that is on disk; `ended` are the ends on disk.
    fn safe_stop(&self, ended: &EndCounts, gate: &Gate) -> Option<GroupStop> {
        if self.cancelled.as_ref().is_some_and(|(_, batch)| !gate.is_persisted(*batch)) {
            return None;
        }
        Some(match self.stop_by(ended)? {
            Stop::Failures { .. } => GroupStop::Failures,
            Stop::Cancelled { reason } => GroupStop::Cancelled { reason: reason.to_owned() },
        })
    }

    /// What decides about keeping the group, if it has ended: no member is open, and none is
    /// expected.
    pub(super) fn ended(&self, slot: GroupSlot, now: Time) -> Option<EndedGroup> {
        let is_closed = self.complete || self.stop().is_some();
        let is_ended = self.open == 0 && (is_closed || self.handed_in + limits::GROUP_IDLE <= now);
        is_ended.then_some(EndedGroup {
            id: self.id,
            slot,
            last_end: self.kept.last_end,
            weight: self.kept.weight,
            unread: self.kept.members.saturating_sub(self.kept.read),
            durable: self.durable,
            leaving: self.leaving,
        })
    }
}

/// Members to cancel now.
#[derive(Clone, Debug)]
pub(super) struct StopPart {
    pub(super) places: std::ops::Range<u32>,
    /// Whether these are the group's last places.
    pub(super) is_last: bool,
    pub(super) by: CancelledBy,
    pub(super) reason: String,
}

/// What an ended member adds to its group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) weight: u32,
    /// The node's uptime at the member's end, over all its starts.
    pub(super) up: Time,
    pub(super) read: bool,
}

/// Why a group accepts no more members.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop<'g> {
    /// `failed` members did not succeed, more than `max_fails`.
    Failures { failed: u32, max_fails: u32 },
    /// A user cancelled it.
    Cancelled { reason: &'g str },
}

impl Stop<'_> {
    /// The refusal for further members.
    pub(super) fn refusal(self) -> Reason {
        match self {
            Self::Failures { failed, max_fails } => Reason::GroupStopped { failed, max_fails },
            Self::Cancelled { .. } => Reason::GroupCancelled,
        }
    }

    /// How open members end.
    fn end(self, id: GroupId) -> (CancelledBy, String) {
        let short = id.short();
        match self {
            Self::Failures { failed, max_fails } => {
                let may = format!("at most {max_fails} may");
                let reason = format!("{failed} members of group {short} did not succeed, {may}");
                (CancelledBy::Group, reason)
            }
            Self::Cancelled { reason: "" } => (CancelledBy::Submitter, format!("group {short}")),
            Self::Cancelled { reason } => {
                (CancelledBy::Submitter, format!("group {short}: {reason}"))
            }
        }
    }
}

/// An ended group, and what decides about keeping it.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedGroup {
    pub(super) id: GroupId,
    pub(super) slot: GroupSlot,
    /// The node's uptime at its last member's end.
    pub(super) last_end: Time,
    pub(super) weight: u64,
    /// Members whose results nobody has read.
    pub(super) unread: u32,
    pub(super) durable: bool,
    /// Whether the group is being forgotten already.
    pub(super) leaving: bool,
}
