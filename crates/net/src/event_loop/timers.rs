//! The timers of the loop, ordered by time.
//!
//! A timer cannot be cancelled: when it is due, the part that set it checks whether it still
//! matters. Each connection, target, search and waiting fetch has one timer at a time. Of any other kind, a part
//! sets a second timer only if it is due earlier. So the heap is bounded.

use std::{cmp::Reverse, collections::BinaryHeap};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::time::Instant;

use super::dials::TargetId;
use crate::protocol::discovery::errand::SearchId;

/// What to do when a timer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Close a surplus connection to the peer, if it still has one.
    Surplus(PeerId),
    /// Send our hello on this connection again.
    Hello(PeerId, ConnectionId),
    /// Close the connection, if its dialer has not said what it is for.
    Purpose(PeerId, ConnectionId),
    /// Open the stream of a waiting fetch on the connection of the tasks.
    Fetch(u64),
    /// Dial the target.
    Dial(TargetId),
    /// Give the next waiting target the place of an older dial.
    Places,
    /// Publish the table of peers.
    Publish,
    /// Check which peers are silent.
    Watch,
    /// Exchange adverts with one peer.
    Exchange,
    /// Report new peers to the others.
    News,
    /// Dial peers that other peers named.
    Mesh,
    /// Publish the peers known by hearsay.
    Leads,
    /// Publish this node's capabilities in Kademlia.
    Provide,
    /// End the search: its time is over.
    Search(SearchId),
}

/// All pending timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
}

impl Timers {
    /// Makes `timer` due at `at`.
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Removes and returns a timer that is due at `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, timer))| timer)
    }
}

#[cfg(test)]
mod tests;
