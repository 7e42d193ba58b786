//! When the engine must be woken: a heap in which entries are never searched for.
//!
//! An entry whose subject has moved on is stale: it is recognised when it fires, and swept out
//! when more than half of the heap is stale, so the heap is bounded by what is alive.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::keys::{PeerKey, TaskKey};
use crate::time::Time;

/// What a timer is about. The subject decides what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Task(TaskKey),
    /// A rest, of a worker or before another session, is over.
    Rest(PeerKey),
    Lease(PeerKey),
    Heartbeat,
    Acks,
    /// A worker may be free for what waits at another.
    TakeBack,
    /// The oldest of what has ended may be too old.
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

    /// When the next entry, perhaps a stale one, fires.
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

    /// One more entry is stale. `is_live` tells which are not, when it is time to sweep.
    pub(super) fn note_stale(&mut self, is_live: impl Fn(Time, Timer) -> bool) {
        self.stale += 1;
        if self.stale > self.heap.len() / 2 + SLACK {
            self.heap.retain(|Reverse((at, timer))| is_live(*at, *timer));
            self.stale = 0;
        }
    }

    /// Entries but for those that only wait for what has ended to grow old.
    pub(super) fn len(&self) -> usize {
        let lasts = |timer: &Timer| *timer == Timer::Retention;
        self.heap.iter().filter(|Reverse((_, timer))| !lasts(timer)).count()
    }
}

/// Stale entries that are tolerated beyond half of the heap.
const SLACK: usize = 1_024;
