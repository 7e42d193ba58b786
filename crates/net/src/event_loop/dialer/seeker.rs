//! Limits how often this node asks other peers and Kademlia for the addresses of a peer.

use libp2p::{PeerId, kad};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::{limits, quota::Rate};

/// The limits and the queries in progress.
#[derive(Debug)]
pub(crate) struct Seeker {
    /// Limits the questions to other peers.
    rate: Rate,
    /// When the last query of Kademlia began.
    last_lookup: Option<Instant>,
    /// The peer of each query in progress; at most [`limits::KAD_LOOKUPS`].
    lookups: FxHashMap<kad::QueryId, PeerId>,
}

impl Seeker {
    pub(crate) fn new() -> Self {
        Self { rate: Rate::new(limits::SEEKS), last_lookup: None, lookups: FxHashMap::default() }
    }

    /// Counts one more look-up. Returns false if the limit is reached.
    pub(crate) fn take(&self) -> bool {
        self.rate.take()
    }

    /// Counts one query of Kademlia. Returns false if the limit is reached.
    pub(crate) fn take_lookup(&mut self) -> bool {
        let is_recent = |last: Instant| last.elapsed() < limits::KAD_LOOKUP_PAUSE;
        if self.last_lookup.is_some_and(is_recent) || self.lookups.len() >= limits::KAD_LOOKUPS {
            return false;
        }
        self.last_lookup = Some(Instant::now());
        true
    }

    /// Notes a query for the addresses of `peer`.
    pub(crate) fn on_lookup_begun(&mut self, query: kad::QueryId, peer: PeerId) {
        self.lookups.insert(query, peer);
    }

    /// Notes an answer to a query. Returns the peer of the query. No more answers follow if `last`
    /// is set.
    pub(crate) fn on_answer(&mut self, query: kad::QueryId, last: bool) -> Option<PeerId> {
        if last { self.lookups.remove(&query) } else { self.lookups.get(&query).copied() }
    }
}
