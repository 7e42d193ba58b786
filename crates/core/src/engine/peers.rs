//! The directory of peers: ids, adverts, distances, and the frames that the next flush sends. The
//! node itself is a peer here, so that local work takes the same path.
//!
//! Absent on purpose: work. The owner half knows the attempts at a peer, the worker half a peer's
//! attempts here.

use std::{sync::Arc, time::Duration};

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::keys::PeerKey;
use crate::{
    advert::Advert,
    frame::{ToOwner, ToWorker},
    limits,
    resource::ResourceUsage,
};

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: Arc<PeerId>,
    pub(super) trusted: bool,
    /// The highest version of the protocol that the peer speaks.
    pub(super) version: u32,
    /// The peer's advert, while it is ready.
    pub(super) advert: Option<Advert>,
    /// Number of adverts that it has sent: a refusal is valid until the next advert.
    pub(super) adverts: u32,
    pub(super) measured: Measured,
    to_worker: Vec<ToWorker>,
    to_owner: Vec<ToOwner>,
    touched: bool,
}

/// A peer's distance and load, in the form that placement compares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// The shorter of the last two round trips, in nanoseconds rounded to whole milliseconds: peers
    /// on one network are equally near, and a machine that was busy once is not farther away.
    pub(super) latency: u64,
    /// The last round trip. The first one alone is not used: it is measured while the connection
    /// starts.
    last: Option<u64>,
    /// Unused CPU capacity, in thousandths.
    pub(super) pace: u64,
    /// Free memory in bytes, if the peer has reported it.
    pub(super) free_memory: Option<u64>,
}

impl Default for Measured {
    fn default() -> Self {
        Self { latency: 0, last: None, pace: 1_000, free_memory: None }
    }
}

impl Measured {
    pub(super) fn add_round_trip(&mut self, round_trip: Duration) {
        let ms = u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX);
        let this = ms.saturating_mul(1_000_000).min(MAX_LATENCY);
        self.latency = self.last.replace(this).map_or(0, |last| last.min(this));
    }

    /// A machine with no idle CPU still counts a quarter as free, because its scheduler shares.
    pub(super) fn set_usage(&mut self, usage: &ResourceUsage) {
        self.pace = 1_000 - (usage.cpu_used.clamp(0.0, 1.0) * 750.0) as u64;
        self.free_memory = Some(usage.memory_free_bytes);
    }
}

/// The version of the protocol from which on inputs and results can be blobs.
pub(super) const BLOB_VERSION: u32 = 2;
/// Longest round trip that placement distinguishes, in nanoseconds.
const MAX_LATENCY: u64 = 60_000_000_000;

/// The directory of peers, at most [`limits::PEERS`].
#[derive(Debug)]
pub(super) struct Peers {
    slab: Slab<Peer>,
    index: FxHashMap<PeerId, PeerKey>,
    /// Rises whenever the eligibility of a peer may have changed, or a session is to be opened.
    version: u64,
    /// Rises, together with `version`, whenever an advert, the trust in a peer or its connection
    /// changes: far less often, because each change costs a look at every peer.
    adverts_version: u64,
    /// Peers with frames to send.
    touched: Vec<PeerKey>,
}

impl Peers {
    pub(super) fn new(local: PeerId, advert: Advert) -> Self {
        let mut peers = Self {
            slab: Slab::new(),
            index: FxHashMap::default(),
            version: 1,
            adverts_version: 1,
            touched: Vec::new(),
        };
        let key = peers.add(local);
        debug_assert_eq!(key, Some(PeerKey::LOCAL), "the first place is that of the node itself");
        if let Some(peer) = peers.get_mut(PeerKey::LOCAL) {
            peer.trusted = true;
            peer.version = BLOB_VERSION;
            peer.advert = Some(advert);
        }
        peers
    }

    pub(super) fn key(&self, id: &PeerId) -> Option<PeerKey> {
        self.index.get(id).copied()
    }

    /// Whether there is no room for another peer.
    pub(super) fn is_full(&self) -> bool {
        self.slab.len() >= limits::PEERS
    }

    /// Adds a peer that is not in the table. `None` if the table is full.
    pub(super) fn add(&mut self, id: PeerId) -> Option<PeerKey> {
        if self.is_full() {
            return None;
        }
        let at = self.slab.insert(Peer {
            id: Arc::new(id),
            trusted: false,
            version: 1,
            advert: None,
            adverts: 0,
            measured: Measured::default(),
            to_worker: Vec::new(),
            to_owner: Vec::new(),
            touched: false,
        });
        let key = PeerKey::of(at)?;
        self.index.insert(id, key);
        Some(key)
    }

    /// Forgets a peer.
    pub(super) fn remove(&mut self, key: PeerKey) {
        if let Some(peer) = self.slab.try_remove(key.at()) {
            self.index.remove(&*peer.id);
            self.adverts_changed();
        }
    }

    /// The first peer that is neither trusted nor ready and for which `holds` is false.
    pub(super) fn find_evictable(&self, holds: impl Fn(PeerKey) -> bool) -> Option<PeerKey> {
        let is_gone = |(key, peer): &(PeerKey, &Peer)| {
            *key != PeerKey::LOCAL && !peer.trusted && peer.advert.is_none() && !holds(*key)
        };
        self.iter().find(is_gone).map(|(key, _)| key)
    }

    /// Rises whenever the eligibility of a peer may have changed.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Rises whenever an advert, the trust in a peer or its connection has changed.
    pub(super) fn adverts_version(&self) -> u64 {
        self.adverts_version
    }

    /// The eligibility of a peer may have changed: it is computed anew.
    pub(super) fn changed(&mut self) {
        self.version += 1;
    }

    /// An advert, the trust in a peer or its connection has changed.
    pub(super) fn adverts_changed(&mut self) {
        self.version += 1;
        self.adverts_version += 1;
    }

    pub(super) fn get(&self, key: PeerKey) -> Option<&Peer> {
        self.slab.get(key.at())
    }

    pub(super) fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        self.slab.get_mut(key.at())
    }

    pub(super) fn by_id(&self, id: &PeerId) -> Option<&Peer> {
        self.get(self.key(id)?)
    }

    pub(super) fn id(&self, key: PeerKey) -> Option<PeerId> {
        self.get(key).map(|peer| *peer.id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerKey, &Peer)> {
        self.slab.iter().filter_map(|(at, peer)| Some((PeerKey::of(at)?, peer)))
    }

    pub(super) fn keys(&self) -> Vec<PeerKey> {
        self.iter().map(|(key, _)| key).collect()
    }

    /// Marks a peer as having frames to send.
    pub(super) fn touch(&mut self, key: PeerKey) {
        if let Some(peer) = self.slab.get_mut(key.at())
            && !peer.touched
        {
            peer.touched = true;
            self.touched.push(key);
        }
    }

    /// Takes the list of peers with frames to send. Return it with [`Self::untouch`].
    pub(super) fn take_touched(&mut self) -> Vec<PeerKey> {
        std::mem::take(&mut self.touched)
    }

    /// Clears the marks after the frames were taken, and reuses the list.
    pub(super) fn untouch(&mut self, mut touched: Vec<PeerKey>) {
        for key in touched.drain(..) {
            if let Some(peer) = self.slab.get_mut(key.at()) {
                peer.touched = false;
            }
        }
        if self.touched.is_empty() {
            self.touched = touched;
        }
    }

    /// Queues a frame to a worker of this node for the next flush.
    pub(super) fn tell_worker(&mut self, key: PeerKey, frame: ToWorker) {
        self.touch(key);
        if let Some(peer) = self.get_mut(key) {
            peer.to_worker.push(frame);
        }
    }

    /// Queues a frame to an owner with attempts here for the next flush.
    pub(super) fn tell_owner(&mut self, key: PeerKey, frame: ToOwner) {
        self.touch(key);
        if let Some(peer) = self.get_mut(key) {
            peer.to_owner.push(frame);
        }
    }
}

impl Peer {
    /// Stores a new advert of the peer.
    pub(super) fn on_advert(&mut self, advert: Advert) {
        self.advert = Some(advert);
        self.adverts = self.adverts.wrapping_add(1);
    }

    /// Takes the queued frames to this worker.
    pub(super) fn take_to_worker(&mut self) -> Vec<ToWorker> {
        std::mem::take(&mut self.to_worker)
    }

    /// Takes the queued frames to this owner.
    pub(super) fn take_to_owner(&mut self) -> Vec<ToOwner> {
        std::mem::take(&mut self.to_owner)
    }

    pub(super) fn has_frames_to_worker(&self) -> bool {
        !self.to_worker.is_empty()
    }

    /// Drops the queued frames to this worker, because its session is lost.
    pub(super) fn drop_to_worker(&mut self) {
        self.to_worker.clear();
    }

    /// Drops the queued frames to this owner, because its session is lost.
    pub(super) fn drop_to_owner(&mut self) {
        self.to_owner.clear();
    }

    /// Number of queued frames in both directions.
    pub(super) fn unsent(&self) -> usize {
        self.to_worker.len() + self.to_owner.len()
    }
}

/// A table of one value per peer, for one half of the engine.
#[derive(Debug)]
pub(super) struct PerPeer<T> {
    entries: Vec<T>,
}

impl<T> Default for PerPeer<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T: Default> PerPeer<T> {
    pub(super) fn get(&self, key: PeerKey) -> Option<&T> {
        self.entries.get(key.at())
    }

    pub(super) fn get_mut(&mut self, key: PeerKey) -> Option<&mut T> {
        self.entries.get_mut(key.at())
    }

    /// Sets the value of a new peer, replacing that of the previous one with this key.
    pub(super) fn set(&mut self, key: PeerKey, value: T) {
        if self.entries.len() <= key.at() {
            self.entries.resize_with(key.at() + 1, T::default);
        }
        if let Some(entry) = self.entries.get_mut(key.at()) {
            *entry = value;
        }
    }

    /// All entries, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerKey, &T)> {
        self.entries.iter().enumerate().filter_map(|(at, entry)| Some((PeerKey::of(at)?, entry)))
    }
}
