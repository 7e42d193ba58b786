//! What the loop wants to be reminded of, in order of time.
//!
//! Reminders are not taken back: the tables say whether one still means something when it is due.
//! Whoever sets one of a kind that is not bound to a connection, a target or a search notes that it
//! is set, and sets no second one that is due later: so the heap is bounded.

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
    /// A peer is to be told whom this node knows.
    Exchange,
    /// The peers are to be told of those that have just come.
    News,
    /// Peers may be dialled that nobody asked for.
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
