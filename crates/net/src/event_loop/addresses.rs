//! The addresses of one peer: those known to this node, and those that the peer signed.

use std::net::IpAddr;

use libp2p::{Multiaddr, PeerId};

use crate::{address, config::Remembered, limits};

/// The addresses of one peer, without `/p2p/…`.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Addresses where the peer was reached, then those that it claims; at most
    /// [`limits::PEER_ADDRESSES`].
    known: Vec<KnownAddress>,
    /// The dialable addresses of the peer's last signed advert; at most [`limits::PEER_ADDRESSES`].
    signed: Vec<Multiaddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownAddress {
    address: Multiaddr,
    /// This node reached the peer there.
    proven: bool,
}

impl Addresses {
    /// Adds an address. One where the peer was reached (`proven`) displaces one that the peer only
    /// claims.
    pub(crate) fn remember(&mut self, address: &Multiaddr, proven: bool) {
        let address = address::without_peer(address);
        if let Some(known) = self.known.iter_mut().find(|known| known.address == address) {
            known.proven |= proven;
        } else {
            if self.known.len() >= limits::PEER_ADDRESSES {
                let worst = self.known.iter().rposition(|known| !known.proven);
                match (worst, proven) {
                    (Some(worst), true) => self.known.remove(worst),
                    (None, true) => self.known.remove(0),
                    (_, false) => return,
                };
            }
            self.known.push(KnownAddress { address, proven });
        }
        self.known.sort_by_key(|known| !known.proven);
    }

    /// Replaces the signed addresses. Returns false if they are the same as before.
    pub(crate) fn on_signed(&mut self, mut addresses: Vec<Multiaddr>) -> bool {
        addresses.truncate(limits::PEER_ADDRESSES);
        let is_new = self.signed != addresses;
        self.signed = addresses;
        is_new
    }

    /// Removes an address at which another peer answered.
    pub(crate) fn forget(&mut self, wrong: &Multiaddr) {
        self.known.retain(|known| known.address != *wrong);
        self.signed.retain(|signed| signed != wrong);
    }

    /// The addresses known to this node, the best first.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Multiaddr> {
        self.known.iter().map(|known| &known.address)
    }

    /// The addresses that the peer signed.
    pub(crate) fn signed(&self) -> impl Iterator<Item = &Multiaddr> {
        self.signed.iter()
    }

    /// Whether this node has connected to the peer at this address.
    pub(crate) fn was_reached_at(&self, address: &Multiaddr) -> bool {
        self.known.iter().any(|known| known.proven && known.address == *address)
    }

    /// The believable addresses: those where this node dialled the peer, and those that the peer
    /// claims on one of `remote_ips`, those of its connections.
    pub(crate) fn believed(&self, remote_ips: &[IpAddr]) -> Vec<Multiaddr> {
        let is_seen =
            |it: &Multiaddr| address::ip_of(it).is_some_and(|ip| remote_ips.contains(&ip));
        let proven = self.known.iter().filter(|known| {
            (known.proven && address::ip_of(&known.address).is_some()) || is_seen(&known.address)
        });
        let signed = self.signed.iter().filter(|address| is_seen(address));
        distinct(proven.map(|known| &known.address).chain(signed), limits::PEER_ADDRESSES)
    }

    /// All addresses, the best first; at most [`limits::PEER_ADDRESSES`].
    pub(crate) fn all(&self) -> Vec<Multiaddr> {
        distinct(self.known().chain(&self.signed), limits::PEER_ADDRESSES)
    }

    /// The addresses for the peer book; where the peer was last reached comes first.
    pub(crate) fn recallable(&self, peer: &PeerId) -> Vec<Multiaddr> {
        let proven = self.known.iter().filter(|known| known.proven).rev();
        let all = proven.map(|known| &known.address).chain(&self.signed);
        let taken = all.filter(|address| Remembered::takes(peer, address));
        distinct(taken, limits::REMEMBERED_ADDRESSES)
    }
}

/// The first `most` addresses without repetitions.
fn distinct<'a>(addresses: impl Iterator<Item = &'a Multiaddr>, most: usize) -> Vec<Multiaddr> {
    let mut all: Vec<Multiaddr> = Vec::new();
    for address in addresses {
        if all.len() >= most {
            break;
        }
        if !all.contains(address) {
            all.push(address.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests;
