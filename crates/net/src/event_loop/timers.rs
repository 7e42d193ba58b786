//! The timers of the loop, in order of time.
//!
//! A timer is not taken back: when it is due, the part that set it looks whether it still means
//! something. Each connection, target and search has one timer at a time; of any other kind a part sets
//! a second one only if it is due earlier. So the heap is bounded.

use std::{cmp::Reverse, collections::BinaryHeap};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::time::Instant;

use super::dials::TargetId;
use crate::protocol::discovery::errand::SearchId;

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The peer may have two connections still.
    Surplus(PeerId),
    /// Our hello on this connection is due again.
    Hello(PeerId, ConnectionId),
    /// The target may be dialled.
    Dial(TargetId),
    /// A dial has had its turn: the next target may have its place.
    Places,
    /// The table of peers may be published.
    Publish,
    /// Peers are to be looked at.
    Watch,
    /// One peer is to be told which peers this node knows.
    Exchange,
    /// The peers are to be told of those that have just come.
    News,
    /// Peers may be dialled on the word of others.
    Mesh,
    /// What is known by hearsay may be published.
    Leads,
    /// Kademlia may be told what this node provides.
    Provide,
    /// The search has had its time.
    Search(SearchId),
}

/// All reminders.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
}

impl Timers {
    /// Reminds of `timer` at `at`.
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, timer))| timer)
    }
}

#[cfg(test)]
mod tests;
