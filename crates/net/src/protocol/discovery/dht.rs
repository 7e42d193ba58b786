//! What Kademlia is told: capabilities of this node, addresses of peers, records of providers.
//!
//! Kademlia finds strangers and rare capabilities, and is never asked which peers are alive. Records
//! are kept for admitted peers alone, about themselves, and go with them. Absent on purpose: the
//! table itself, which the swarm has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use libp2p::{Multiaddr, PeerId, kad};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    event_loop::{action::Action, local::Local, timers::Timer},
    limits,
};

/// Code and length of a sha2-256 multihash: other implementations take no other keys.
const SHA2_256: [u8; 2] = [0x12, 0x20];

/// What Kademlia was told.
#[derive(Debug, Default)]
pub(crate) struct Dht {
    /// Whether this node publishes its capabilities.
    started: bool,
    /// Capabilities that are published.
    provided: BTreeSet<String>,
    /// When they were last told to others.
    told: Option<Instant>,
    /// A timer will tell them again.
    due: bool,
    /// Keys of the records kept for each peer, at most [`limits::KAD_RECORDS_PER_PEER`], and when
    /// each was last renewed: Kademlia's store forgets none by itself.
    records: BTreeMap<PeerId, HashMap<kad::RecordKey, Instant>>,
    /// Addresses of connected peers that Kademlia was told; at most [`limits::PEER_ADDRESSES`] of
    /// each.
    routed: FxHashMap<PeerId, Vec<Multiaddr>>,
}

/// What Kademlia is to publish, and what no longer.
#[derive(Debug)]
pub(crate) struct Provision {
    /// Capabilities, each with its key.
    pub(crate) start: Vec<(String, kad::RecordKey)>,
    pub(crate) stop: Vec<kad::RecordKey>,
}

impl Dht {
    /// Whether Kademlia was told about no peer.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.records.is_empty() && self.routed.is_empty()
    }

    /// A handle starts the DHT.
    pub(crate) fn start(&mut self) {
        self.started = true;
    }

    /// Whether a handle has started the DHT.
    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    /// Kademlia has met somebody: what is provided is told there, too, but not all the time.
    pub(crate) fn on_met(&mut self, local: &Local) -> Option<Action> {
        if !self.started || self.due || local.offer.advert.capabilities.is_empty() {
            return None;
        }
        self.due = true;
        let earliest = self.told.map(|told| told + limits::KAD_PROVIDE_PAUSE);
        let at = (Instant::now() + limits::HELLO_RETRY).max(earliest.unwrap_or_else(Instant::now));
        Some(Action::Remind(at, Timer::Provide))
    }

    /// The capabilities of this node are to be published: what has to change. `has_met`: Kademlia
    /// knows other nodes, to which it is told.
    pub(crate) fn provide(&mut self, has_met: bool, local: &Local) -> Provision {
        self.due = false;
        let capabilities = local.offer.advert.capabilities.clone();
        let key = |capability: &String| capability_key(&local.settings.network, capability);
        let stop = self.provided.difference(&capabilities).map(key).collect();
        let start = capabilities.iter().map(|it| (it.clone(), key(it))).collect();
        if has_met {
            self.told = Some(Instant::now());
        }
        self.provided = capabilities;
        Provision { start, stop }
    }

    /// There is reason to believe that an admitted peer is at these addresses. Returns those that
    /// Kademlia is to be told.
    pub(crate) fn on_believed(&mut self, peer: PeerId, believed: Vec<Multiaddr>) -> Vec<Multiaddr> {
        let routed = self.routed.entry(peer).or_default();
        let mut fresh = believed;
        fresh.retain(|address| {
            let is_fresh = routed.len() < limits::PEER_ADDRESSES && !routed.contains(address);
            if is_fresh {
                routed.push(address.clone());
            }
            is_fresh
        });
        fresh
    }

    /// Forgets the records that a peer has not renewed, so that they take no place of those that it
    /// has. Returns their keys.
    pub(crate) fn take_old_records(&mut self, peer: &PeerId) -> Vec<kad::RecordKey> {
        let mut old = Vec::new();
        if let Some(kept) = self.records.get_mut(peer) {
            kept.retain(|key, renewed| {
                let is_fresh = renewed.elapsed() < limits::KAD_RECORD_LIFE;
                if !is_fresh {
                    old.push(key.clone());
                }
                is_fresh
            });
        }
        old
    }

    /// Whether a record of a peer may be kept: it is known already, or there are not too many.
    pub(crate) fn has_room(&self, peer: &PeerId, key: &kad::RecordKey) -> bool {
        let kept = self.records.get(peer);
        let is_known = kept.is_some_and(|keys| keys.contains_key(key));
        let is_full = kept.is_some_and(|keys| keys.len() >= limits::KAD_RECORDS_PER_PEER);
        is_known || !is_full
    }

    /// A record of a peer is kept, or was renewed.
    pub(crate) fn on_kept(&mut self, peer: PeerId, key: kad::RecordKey) {
        self.records.entry(peer).or_default().insert(key, Instant::now());
    }

    /// The last connection to the peer is gone. Returns the keys of its records: it provides nothing
    /// any more.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) -> Vec<kad::RecordKey> {
        self.routed.remove(peer);
        self.records.remove(peer).unwrap_or_default().into_keys().collect()
    }
}

/// The key under which providers of a capability are found in a network.
pub(crate) fn capability_key(network: &str, capability: &str) -> kad::RecordKey {
    let hash = Sha256::digest(format!("{network}/{capability}"));
    kad::RecordKey::from([SHA2_256.as_slice(), &hash].concat())
}
