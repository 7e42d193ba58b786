//! The bounded table behind the mDNS wrapper.

use libp2p::{Multiaddr, PeerId};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::limits;

/// Addresses of one peer that libp2p's behaviour may hold before it is made to forget them all.
const HELD_ADDRESSES: usize = 4 * limits::PEER_ADDRESSES;

/// What to do with a find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Tell the event loop.
    Report,
    /// Not one more of this peer.
    Ignore,
    /// Make libp2p's behaviour forget the peer: there are too many of them, or of it.
    Forget,
}

/// Who was found.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// At most [`limits::MDNS_PEERS`].
    peers: FxHashMap<PeerId, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// As libp2p's behaviour holds them; at most [`HELD_ADDRESSES`].
    addresses: Vec<Multiaddr>,
    since: Instant,
}

impl Table {
    /// An address of a peer was announced.
    pub(super) fn on_found(&mut self, peer: PeerId, address: &Multiaddr, now: Instant) -> Verdict {
        if self.peers.len() >= limits::MDNS_PEERS && !self.peers.contains_key(&peer) {
            return Verdict::Forget;
        }
        let new = || Entry { addresses: Vec::new(), since: now };
        let entry = self.peers.entry(peer).or_insert_with(new);
        if entry.addresses.len() >= HELD_ADDRESSES {
            return Verdict::Forget;
        }
        if entry.addresses.contains(address) {
            return Verdict::Ignore;
        }
        entry.addresses.push(address.clone());
        if entry.addresses.len() > limits::PEER_ADDRESSES {
            return Verdict::Ignore;
        }
        Verdict::Report
    }

    /// libp2p's behaviour holds an address no longer. True if it was the peer's last.
    pub(super) fn on_expired(&mut self, peer: &PeerId, address: &Multiaddr) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else { return false };
        entry.addresses.retain(|held| held != address);
        let last = entry.addresses.is_empty();
        if last {
            self.peers.remove(peer);
        }
        last
    }

    /// Peers whose packets asked for a longer life than is granted. Each is named once per life.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<PeerId> {
        let mut overdue = Vec::new();
        for (peer, entry) in &mut self.peers {
            if now.duration_since(entry.since) >= limits::MDNS_TTL {
                entry.since = now;
                overdue.push(*peer);
            }
        }
        overdue
    }
}

#[cfg(test)]
mod tests;
