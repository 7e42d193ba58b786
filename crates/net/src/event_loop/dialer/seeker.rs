//! How often other peers and Kademlia are asked where a peer is.

use libp2p::{PeerId, kad};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::{limits, quota::Rate};

/// Look-ups of peers.
#[derive(Debug)]
pub(crate) struct Seeker {
    /// How often other peers are asked.
    rate: Rate,
    /// When Kademlia was last asked.
    last_lookup: Option<Instant>,
    /// What Kademlia is being asked; at most [`limits::KAD_LOOKUPS`].
    lookups: FxHashMap<kad::QueryId, PeerId>,
}

impl Seeker {
    pub(crate) fn new() -> Self {
        Self { rate: Rate::new(limits::SEEKS), last_lookup: None, lookups: FxHashMap::default() }
    }

    /// Counts one more look-up; false if it is one too many.
    pub(crate) fn take(&self) -> bool {
        self.rate.take()
    }

    /// Whether Kademlia is asked as well; then that counts.
    pub(crate) fn take_lookup(&mut self) -> bool {
        let is_recent = |last: Instant| last.elapsed() < limits::KAD_LOOKUP_PAUSE;
        if self.last_lookup.is_some_and(is_recent) || self.lookups.len() >= limits::KAD_LOOKUPS {
            return false;
        }
        self.last_lookup = Some(Instant::now());
        true
    }

    /// Kademlia is being asked where `peer` is.
    pub(crate) fn on_lookup_begun(&mut self, query: kad::QueryId, peer: PeerId) {
        self.lookups.insert(query, peer);
    }

    /// Kademlia has an answer, the `last` one or not. Returns the peer that was asked for.
    pub(crate) fn on_answer(&mut self, query: kad::QueryId, last: bool) -> Option<PeerId> {
        if last { self.lookups.remove(&query) } else { self.lookups.get(&query).copied() }
    }
}
