//! The owners' accounts at this node: their attempts, their lanes and their credit.

use std::time::Duration;

use super::held::{HeldKey, Share};
use crate::{
    engine::{
        epoch_map::EpochMap,
        lanes::{Lanes, Rank, Turns},
        run_times::RunTimes,
    },
    frame::{Credit, Epoch, Load},
    limits,
    time::Time,
};

/// An owner's account at this node.
#[derive(Debug, Default)]
pub(super) struct OwnerAccount {
    pub(super) session: Session,
    /// The owner's attempts here, until it has acknowledged their results.
    pub(super) held: EpochMap<HeldKey>,
    line: Line,
    unfinished: Unfinished,
    pub(super) run_times: RunTimes,
    /// Bytes of finished results that the owner has not acknowledged.
    unacked_bytes: usize,
    /// Highest epoch received.
    seen: Epoch,
    pub(super) grant: Grant,
    /// Attempts accepted since the last flush, which announces those that are still held.
    pub(super) taken: Vec<(Epoch, HeldKey)>,
}

/// The session in which an owner sends attempts. `None → Open → Lost → Open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Session {
    #[default]
    None,
    /// `is_new`: no frame has arrived in it yet.
    Open {
        is_new: bool,
    },
    Lost {
        since: Time,
    },
}

/// The owner's attempts that wait for a slot, by priority.
#[derive(Debug, Default)]
struct Line {
    waiting: Lanes<HeldKey>,
    turns: Turns,
    /// Whether the owner is on the list of owners with waiting attempts.
    is_listed: bool,
}

/// The owner's attempts that wait or run.
#[derive(Clone, Copy, Debug, Default)]
struct Unfinished {
    count: u32,
    /// Sum of their inputs in bytes.
    bytes: u64,
    /// Sum of their expected run times in nanoseconds.
    nanos: u64,
}

impl OwnerAccount {
    pub(super) fn has_session(&self) -> bool {
        matches!(self.session, Session::Open { .. })
    }

    /// Notes a frame in the session. Returns whether it is the first.
    pub(super) fn note_frame(&mut self) -> bool {
        match &mut self.session {
            Session::Open { is_new } => std::mem::take(is_new),
            Session::None | Session::Lost { .. } => false,
        }
    }

    /// Notes a received epoch. Returns whether it, or a later one, was received before.
    pub(super) fn note_epoch(&mut self, epoch: Epoch) -> bool {
        let is_repeated = epoch <= self.seen;
        self.seen = self.seen.max(epoch);
        is_repeated
    }

    pub(super) fn seen(&self) -> Epoch {
        self.seen
    }

    pub(super) fn unfinished(&self) -> u32 {
        self.unfinished.count
    }

    pub(super) fn unfinished_bytes(&self) -> u64 {
        self.unfinished.bytes
    }

    pub(super) fn unacked_bytes(&self) -> usize {
        self.unacked_bytes
    }

    /// The owner's unfinished work here.
    pub(super) fn load(&self) -> Load {
        let Unfinished { count, bytes, nanos } = self.unfinished;
        Load { tasks: count, bytes, time: Duration::from_nanos(nanos) }
    }

    /// Adds an accepted attempt.
    pub(super) fn take(&mut self, epoch: Epoch, key: HeldKey, share: Share) {
        self.unfinished.count += 1;
        self.unfinished.bytes += share.bytes;
        self.unfinished.nanos += share.expected.nanos;
        self.held.push(epoch, key);
        self.taken.push((epoch, key));
    }

    /// An attempt waits for a slot from now on.
    pub(super) fn join_line(&mut self, priority: i8, key: HeldKey) {
        self.line.waiting.push(priority, key, false, &self.line.turns);
    }

    /// Adds a restored attempt of an earlier start, with its result.
    pub(super) fn take_finished(&mut self, epoch: Epoch, key: HeldKey, bytes: usize) {
        self.held.push(epoch, key);
        self.seen = self.seen.max(epoch);
        self.unacked_bytes += bytes;
    }

    /// An attempt neither waits nor runs any longer. Returns whether it was the last.
    pub(super) fn settle(&mut self, share: Share) -> bool {
        self.unfinished.count -= 1;
        self.unfinished.bytes -= share.bytes;
        self.unfinished.nanos -= share.expected.nanos;
        self.unfinished.count == 0
    }

    /// Counts the kept result of an attempt.
    pub(super) fn keep_result(&mut self, bytes: usize) {
        self.unacked_bytes += bytes;
    }

    /// Removes an attempt whose result is no longer kept.
    pub(super) fn release(&mut self, epoch: Epoch, bytes: usize) {
        self.held.remove(epoch);
        self.unacked_bytes -= bytes;
    }

    /// Removes an attempt that is handed back without a result. Returns whether it was the last
    /// unfinished one.
    pub(super) fn give_back(&mut self, epoch: Epoch, share: Share) -> bool {
        self.held.remove(epoch);
        self.settle(share)
    }

    /// Marks the owner as listed. Returns whether it must be added to the list: an attempt waits,
    /// and the owner is not there yet.
    pub(super) fn list(&mut self) -> bool {
        !self.line.waiting.is_empty() && !std::mem::replace(&mut self.line.is_listed, true)
    }

    /// Marks the owner as removed from that list.
    pub(super) fn unlist(&mut self) {
        self.line.is_listed = false;
    }

    /// Removes a waiting attempt from its lane.
    pub(super) fn leave_line(&mut self, priority: i8, key: HeldKey) {
        self.line.waiting.remove(priority, key);
    }

    /// Removes all waiting attempts and returns them, the most urgent first.
    pub(super) fn clear_line(&mut self) -> impl Iterator<Item = HeldKey> + use<> {
        std::mem::take(&mut self.line.waiting).into_items()
    }

    /// The attempt that starts next: from the highest priority, or from the lane that is due.
    pub(super) fn next_attempt(&mut self) -> Option<HeldKey> {
        let Line { waiting, turns, .. } = &mut self.line;
        let in_turn = rank_in_turn(waiting, turns);
        let rank = in_turn.or_else(|| waiting.head())?;
        turns.note_start(in_turn.is_some());
        waiting.take(rank, turns)
    }

    #[cfg(test)]
    pub(super) fn line_is_empty(&self) -> bool {
        self.line.waiting.is_empty()
    }
}

fn rank_in_turn(waiting: &Lanes<HeldKey>, turns: &mut Turns) -> Option<Rank> {
    if !waiting.is_mixed() || !turns.is_due() {
        return None;
    }
    let (served, rank) = waiting.longest()?;
    turns.wait_for(served);
    turns.has_turn(served).then_some(rank)
}

/// The owner's latest credit, and for a while the largest of the earlier ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grant {
    credit: Credit,
    earlier: Credit,
    /// Earlier credits are valid until then.
    until: Time,
}

impl Grant {
    pub(super) fn credit(&self) -> Credit {
        self.credit
    }

    pub(super) fn replace(&mut self, credit: Credit, now: Time) {
        let old = std::mem::replace(&mut self.credit, credit);
        self.earlier = if now < self.until { self.earlier.max(old) } else { old };
        self.until = now + limits::CREDIT_GRACE;
    }

    /// Whether one more attempt may be within the credit that the owner knows. Its run times lag
    /// behind this node's, so twice the time is tolerated.
    pub(super) fn tolerates(
        &self,
        load: &Load,
        bytes: u64,
        each: Option<Duration>,
        now: Time,
    ) -> bool {
        let earlier = if now < self.until { self.earlier } else { Credit::default() };
        let credit = self.credit.max(earlier);
        let lenient = Load { time: load.time / 2, ..*load };
        credit.allows(&lenient, bytes, each.map(|each| each / 2))
            || credit.allows(load, bytes, None)
    }
}
