//! The bounded table of peers found by mDNS.

use libp2p::{Multiaddr, PeerId};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::limits;

/// The number of addresses of one peer at which libp2p's behaviour must forget them all.
const HELD_ADDRESSES: usize = 4 * limits::PEER_ADDRESSES;

/// What to do with an address that mDNS found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Report the address to the event loop.
    Report,
    /// Ignore the address: it is known, or the peer has too many.
    Ignore,
    /// Make libp2p's behaviour forget the peer: there are too many peers, or far too many of its
    /// addresses.
    Forget,
}

/// The peers that mDNS found.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// At most [`limits::MDNS_PEERS`].
    peers: FxHashMap<PeerId, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The addresses that libp2p's behaviour holds; at most [`HELD_ADDRESSES`].
    addresses: Vec<Multiaddr>,
    since: Instant,
}

impl Table {
    /// Adds an announced address of a peer.
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

    /// Removes an address that libp2p's behaviour dropped. Returns whether it was the peer's last.
    pub(super) fn on_expired(&mut self, peer: &PeerId, address: &Multiaddr) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else { return false };
        entry.addresses.retain(|held| held != address);
        let last = entry.addresses.is_empty();
        if last {
            self.peers.remove(peer);
        }
        last
    }

    /// The peers whose records are older than [`limits::MDNS_TTL`]. Each is returned once per
    /// lifetime of a record.
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
