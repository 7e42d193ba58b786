//! The engine's timers: a heap whose entries are never searched for.
//!
//! An entry is stale when its subject has moved on. Stale entries are recognised when they fire,
//! and swept out when they are more than half of the heap, so live entries bound its size.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::keys::{PeerKey, TaskKey};
use crate::time::Time;

/// The subject of a timer, which decides what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Task(TaskKey),
    /// A worker's rest, or the rest before the next session, is over.
    Rest(PeerKey),
    Lease(PeerKey),
    Heartbeat,
    Acks,
    /// A worker may be free for an attempt that waits at another.
    TakeBack,
    /// The rest of a fetch of a blob may be over.
    Fetches,
    /// The remains of an earlier start were kept long enough.
    Remains,
    /// The oldest ended task may have reached its retention.
    Retention,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Time, Timer)>>,
    stale: usize,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Time, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    /// When the next entry fires; it may be stale.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next entry that is due.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Counts one more stale entry, and sweeps the heap when due; `is_live` tells which entries
    /// stay.
    pub(super) fn note_stale(&mut self, is_live: impl Fn(Time, Timer) -> bool) {
        self.stale += 1;
        if self.stale > self.heap.len() / 2 + SLACK {
            self.heap.retain(|Reverse((at, timer))| is_live(*at, *timer));
            self.stale = 0;
        }
    }

    /// Number of entries, without those for retention.
    pub(super) fn len(&self) -> usize {
        let lasts = |timer: &Timer| *timer == Timer::Retention;
        self.heap.iter().filter(|Reverse((_, timer))| !lasts(timer)).count()
    }
}

/// Stale entries tolerated beyond half of the heap.
const SLACK: usize = 1_024;
