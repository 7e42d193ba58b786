//! Bounds on this node's own running exchanges.

use libp2p::PeerId;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::limits;

/// Counts this node's running exchanges. A peer that never answers holds only a few places, and
/// exchanges of news leave room for all others.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// At most [`limits::DISCOVERY_STREAMS`] with each peer, and [`limits::EXCHANGES`] in all.
    of_peers: FxHashMap<PeerId, usize>,
    all: usize,
    /// Peers with a running exchange of news; at most [`limits::NEWS_PEERS`].
    news: FxHashSet<PeerId>,
}

impl Asking {
    /// Takes a place for an exchange with `peer`. False if no place is free.
    pub(crate) fn begin(&mut self, peer: PeerId, is_news: bool) -> bool {
        let of_peer = self.of_peers.get(&peer).copied().unwrap_or_default();
        let is_full = self.all >= limits::EXCHANGES || of_peer >= limits::DISCOVERY_STREAMS;
        let has_news = self.news.contains(&peer) || self.news.len() >= limits::NEWS_PEERS;
        if is_full || (is_news && has_news) {
            return false;
        }
        self.all += 1;
        self.of_peers.insert(peer, of_peer + 1);
        if is_news {
            self.news.insert(peer);
        }
        true
    }

    /// Frees the place of an exchange with `peer`.
    pub(crate) fn end(&mut self, peer: &PeerId, is_news: bool) {
        self.all = self.all.saturating_sub(1);
        if is_news {
            self.news.remove(peer);
        }
        let Some(of_peer) = self.of_peers.get_mut(peer) else { return };
        *of_peer = of_peer.saturating_sub(1);
        if *of_peer == 0 {
            self.of_peers.remove(peer);
        }
    }
}

#[cfg(test)]
mod tests;
