//! Places for streams in one direction, bounded per peer and in all.

use std::sync::Arc;

use libp2p::PeerId;
use rustc_hash::FxHashMap;

use crate::limits;

#[cfg(test)]
mod tests;

/// The places of one direction. The strong count of each is 1 plus the number of streams.
#[derive(Debug, Default)]
pub(crate) struct Places {
    all: Arc<()>,
    /// Peers that have a place, and some that had one; at most [`limits::FETCHES`] and one.
    peers: FxHashMap<PeerId, Arc<()>>,
}

/// The place of one stream. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    _all: Arc<()>,
    _peer: Arc<()>,
}

impl Places {
    /// Takes a place. `None` if the places of the peer, or those of all peers, are taken.
    pub(crate) fn take(&mut self, peer: PeerId) -> Option<Place> {
        self.peers.retain(|_, taken| count(taken) > 0);
        let taken = self.peers.get(&peer).map_or(0, count);
        if count(&self.all) >= limits::FETCHES || taken >= limits::FETCHES_PER_PEER {
            return None;
        }
        let peer = Arc::clone(self.peers.entry(peer).or_default());
        Some(Place { _all: Arc::clone(&self.all), _peer: peer })
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        count(&self.all)
    }
}

fn count(taken: &Arc<()>) -> usize {
    Arc::strong_count(taken).saturating_sub(1)
}
