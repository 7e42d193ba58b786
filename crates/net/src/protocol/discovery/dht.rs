//! The data given to Kademlia: capabilities of this node, addresses of peers, provider records.
//!
//! Kademlia finds strangers and rare capabilities; it does not decide which peers are alive. This
//! node keeps records of admitted peers about themselves only, and drops them when the peer
//! disconnects. Absent on purpose: the routing table, which the swarm owns.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use libp2p::{Multiaddr, PeerId, kad};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    event_loop::{action::Action, local::Local, timers::Timer},
    limits,
};

/// Code and length of a sha2-256 multihash: other implementations accept only such keys.
const SHA2_256: [u8; 2] = [0x12, 0x20];

/// The data that Kademlia has from this node.
#[derive(Debug, Default)]
pub(crate) struct Dht {
    /// Whether this node publishes its capabilities.
    started: bool,
    /// Published capabilities.
    provided: BTreeSet<String>,
    /// When other nodes last received the capabilities.
    published: Option<Instant>,
    /// Whether a timer to publish again is set.
    due: bool,
    /// Keys of the records kept for each peer, at most [`limits::KAD_RECORDS_PER_PEER`], and when
    /// each was last renewed: Kademlia's store does not expire records.
    records: BTreeMap<PeerId, HashMap<kad::RecordKey, Instant>>,
    /// Addresses of connected peers that Kademlia has; at most [`limits::PEER_ADDRESSES`] of each
    /// peer.
    routed: FxHashMap<PeerId, Vec<Multiaddr>>,
}

/// The capabilities to publish, and those to withdraw.
#[derive(Debug)]
pub(crate) struct Provision {
    /// Capabilities to publish, each with its key.
    pub(crate) start: Vec<(String, kad::RecordKey)>,
    /// Keys of the capabilities to withdraw.
    pub(crate) stop: Vec<kad::RecordKey>,
}

impl Dht {
    /// Whether Kademlia has no data about peers.
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

    /// Kademlia has added another node to its table: schedules to publish the capabilities there
    /// too, at most once per [`limits::KAD_PROVIDE_PAUSE`].
    pub(crate) fn on_node_added(&mut self, local: &Local) -> Option<Action> {
        if !self.started || self.due || local.offer.advert.capabilities.is_empty() {
            return None;
        }
        self.due = true;
        let earliest = self.published.map(|at| at + limits::KAD_PROVIDE_PAUSE);
        let at = (Instant::now() + limits::HELLO_RETRY).max(earliest.unwrap_or_else(Instant::now));
        Some(Action::Remind(at, Timer::Provide))
    }

    /// The changes that publish this node's current capabilities. `has_nodes`: Kademlia knows other
    /// nodes, so the capabilities reach somebody.
    pub(crate) fn provide(&mut self, has_nodes: bool, local: &Local) -> Provision {
        self.due = false;
        let capabilities = local.offer.advert.capabilities.clone();
        let key = |capability: &String| capability_key(&local.settings.network, capability);
        let stop = self.provided.difference(&capabilities).map(key).collect();
        let start = capabilities.iter().map(|it| (it.clone(), key(it))).collect();
        if has_nodes {
            self.published = Some(Instant::now());
        }
        self.provided = capabilities;
        Provision { start, stop }
    }

    /// An admitted peer is believed to be at these addresses. Returns those that Kademlia does not
    /// have yet, up to the peer's bound.
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

    /// Drops the records that a peer has not renewed, to make room for newer ones. Returns their
    /// keys.
    pub(crate) fn take_old_records(&mut self, peer: &PeerId) -> Vec<kad::RecordKey> {
        let mut old = Vec::new();
        if let Some(records) = self.records.get_mut(peer) {
            records.retain(|key, renewed| {
                let is_fresh = renewed.elapsed() < limits::KAD_RECORD_LIFE;
                if !is_fresh {
                    old.push(key.clone());
                }
                is_fresh
            });
        }
        old
    }

    /// Whether a record of a peer may be kept: it is known already, or the peer has room for more.
    pub(crate) fn has_room(&self, peer: &PeerId, key: &kad::RecordKey) -> bool {
        let records = self.records.get(peer);
        let is_known = records.is_some_and(|keys| keys.contains_key(key));
        let is_full = records.is_some_and(|keys| keys.len() >= limits::KAD_RECORDS_PER_PEER);
        is_known || !is_full
    }

    /// A record of a peer was stored or renewed.
    pub(crate) fn on_kept(&mut self, peer: PeerId, key: kad::RecordKey) {
        self.records.entry(peer).or_default().insert(key, Instant::now());
    }

    /// The last connection to the peer is gone. Drops its records and returns their keys.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId) -> Vec<kad::RecordKey> {
        self.routed.remove(peer);
        self.records.remove(peer).unwrap_or_default().into_keys().collect()
    }
}

/// The key of the provider records of a capability in a network.
pub(crate) fn capability_key(network: &str, capability: &str) -> kad::RecordKey {
    let hash = Sha256::digest(format!("{network}/{capability}"));
    kad::RecordKey::from([SHA2_256.as_slice(), &hash].concat())
}
