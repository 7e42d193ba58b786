//! Owners that this node works for: their attempts here, in line and in numbers, and their credit.

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
    /// Its attempts here, until it has acknowledged their results.
    pub(super) held: EpochMap<HeldKey>,
    line: Line,
    unfinished: Unfinished,
    pub(super) run_times: RunTimes,
    /// Finished results that it has not acknowledged, in bytes.
    unacked_bytes: usize,
    /// Highest epoch that has arrived.
    seen: Epoch,
    pub(super) grant: Grant,
    /// Attempts taken since the last flush, to be announced if they are still held then.
    pub(super) taken: Vec<(Epoch, HeldKey)>,
}

/// The session in which an owner sends attempts. `None → Open → Lost → Open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Session {
    #[default]
    None,
    /// `is_new`: nothing has arrived in it yet.
    Open {
        is_new: bool,
    },
    Lost {
        since: Time,
    },
}

/// Attempts that wait for a slot, by priority.
#[derive(Debug, Default)]
struct Line {
    waiting: Lanes<HeldKey>,
    turns: Turns,
    /// Whether the owner is on the list of those whose turn comes.
    is_listed: bool,
}

/// Attempts that wait or run.
#[derive(Clone, Copy, Debug, Default)]
struct Unfinished {
    count: u32,
    /// Bytes of their input.
    bytes: u64,
    /// Their expected run time.
    nanos: u64,
}

impl OwnerAccount {
    pub(super) fn has_session(&self) -> bool {
        matches!(self.session, Session::Open { .. })
    }

    /// Something arrives in the session. Whether it is the first.
    pub(super) fn note_frame(&mut self) -> bool {
        match &mut self.session {
            Session::Open { is_new } => std::mem::take(is_new),
            Session::None | Session::Lost { .. } => false,
        }
    }

    /// An epoch has arrived. Whether it is one that it, or a later one, has had before.
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

    /// Its unfinished work here.
    pub(super) fn load(&self) -> Load {
        let Unfinished { count, bytes, nanos } = self.unfinished;
        Load { tasks: count, bytes, time: Duration::from_nanos(nanos) }
    }

    /// An attempt is taken, and waits.
    pub(super) fn take(&mut self, epoch: Epoch, key: HeldKey, share: Share, priority: i8) {
        self.unfinished.count += 1;
        self.unfinished.bytes += share.bytes;
        self.unfinished.nanos += share.expected.nanos;
        self.held.push(epoch, key);
        self.taken.push((epoch, key));
        self.line.waiting.push(priority, key, false, &self.line.turns);
    }

    /// An attempt of an earlier start of this node is taken up with its result.
    pub(super) fn take_finished(&mut self, epoch: Epoch, key: HeldKey, bytes: usize) {
        self.held.push(epoch, key);
        self.seen = self.seen.max(epoch);
        self.unacked_bytes += bytes;
    }

    /// An attempt neither waits nor runs any longer. Whether it was the last.
    pub(super) fn settle(&mut self, share: Share) -> bool {
        self.unfinished.count -= 1;
        self.unfinished.bytes -= share.bytes;
        self.unfinished.nanos -= share.expected.nanos;
        self.unfinished.count == 0
    }

    /// The result of an attempt is kept for it.
    pub(super) fn keep_result(&mut self, bytes: usize) {
        self.unacked_bytes += bytes;
    }

    /// The result of an attempt is not kept any longer.
    pub(super) fn release(&mut self, epoch: Epoch, bytes: usize) {
        self.held.remove(epoch);
        self.unacked_bytes -= bytes;
    }

    /// An attempt goes back to it without a result. Whether it was the last that had not finished.
    pub(super) fn give_back(&mut self, epoch: Epoch, share: Share) -> bool {
        self.held.remove(epoch);
        self.settle(share)
    }

    /// Whether it is to be put on the list of owners whose turn comes: something waits, and it is not
    /// there.
    pub(super) fn list(&mut self) -> bool {
        !self.line.waiting.is_empty() && !std::mem::replace(&mut self.line.is_listed, true)
    }

    /// It has been taken off that list.
    pub(super) fn unlist(&mut self) {
        self.line.is_listed = false;
    }

    /// An attempt leaves the line before its turn.
    pub(super) fn leave_line(&mut self, priority: i8, key: HeldKey) {
        self.line.waiting.remove(priority, key);
    }

    /// Takes all out of the line, the most urgent first.
    pub(super) fn clear_line(&mut self) -> impl Iterator<Item = HeldKey> + use<> {
        std::mem::take(&mut self.line.waiting).into_items()
    }

    /// The attempt that starts next: of the highest priority, or of the one whose turn it is.
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

/// The credit that an owner was granted last, and for a while those before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grant {
    credit: Credit,
    earlier: Credit,
    /// Until then the earlier ones count.
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

    /// Whether one more attempt may be within what the owner knows of its credit. Its estimates lag
    /// behind ours, so that twice the time is tolerated.
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
