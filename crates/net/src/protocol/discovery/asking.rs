//! Exchanges that this node has begun and that have not ended.

use libp2p::PeerId;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::limits;

/// Exchanges of ours that were begun and have not ended. A peer that never answers holds only a few
/// of them, and news leave room for everything else.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// Each at most [`limits::DISCOVERY_STREAMS`]; in all at most [`limits::EXCHANGES`].
    of_peers: FxHashMap<PeerId, usize>,
    all: usize,
    /// Peers that are being told news; at most [`limits::NEWS_PEERS`].
    news: FxHashSet<PeerId>,
}

impl Asking {
    /// Takes a place for an exchange with `peer`. False if there is none.
    pub(crate) fn begin(&mut self, peer: PeerId, is_news: bool) -> bool {
        let of_peer = self.of_peers.get(&peer).copied().unwrap_or_default();
        let is_full = self.all >= limits::EXCHANGES || of_peer >= limits::DISCOVERY_STREAMS;
        let is_told = self.news.contains(&peer) || self.news.len() >= limits::NEWS_PEERS;
        if is_full || (is_news && is_told) {
            return false;
        }
        self.all += 1;
        self.of_peers.insert(peer, of_peer + 1);
        if is_news {
            self.news.insert(peer);
        }
        true
    }

    /// Gives the place of an exchange with `peer` back.
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
