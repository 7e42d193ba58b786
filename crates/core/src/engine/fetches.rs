//! Blobs that this node fetches from other nodes: inputs of attempts here, and outputs of its own
//! tasks.
//!
//! Each blob is fetched once, for all that need it. A fetch that fails rests and is tried again, as
//! long as something needs it; a provider that does not have the blob is asked once more. What has
//! arrived of an input stays for a while when nothing needs it any more: an owner that was away, or
//! has started again, assigns its task anew.
//!
//! Absent on purpose: connections and bytes (the host), and who needs a blob (the two halves).

use std::time::Duration;

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{input::RunId, keys::PeerKey};
use crate::{
    blob::{BlobHash, BlobRef},
    frame::Epoch,
    limits,
    time::Time,
};

/// What a blob is fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The input of an attempt that this node holds for an owner.
    Input(RunId),
    /// The output of an attempt at a worker of this node.
    Output(PeerKey, Epoch),
}

/// Why a blob is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Its provider does not have it.
    Lost,
    /// Its provider sent nothing for a long time.
    Unsent,
    /// This node has no room for it.
    NoSpace(String),
}

pub(super) type Purposes = SmallVec<[Purpose; 1]>;

/// The blobs that are being fetched. Each is needed by a held attempt or an open one, except for
/// [`limits::IDLE_FETCHES`]; that bounds the table.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    table: FxHashMap<BlobHash, Fetch>,
}

/// A peer that a blob is fetched from, and what for.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) blob: BlobRef,
    pub(super) from: PeerId,
    pub(super) purposes: Purposes,
    /// Failures without an answer of the peer since the last bytes arrived.
    failures: u32,
    /// Answers without the blob.
    refusals: u32,
}

/// `Running ↔ Resting`, until the blob is there or nothing needs it. A fetch without a purpose is idle:
/// it only keeps what has arrived, and its space, until its rest is over.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) source: Source,
    /// Other peers that it is fetched from afterwards: each owner has to show the bytes.
    later: Vec<Source>,
    /// Bytes that have arrived.
    arrived: u64,
    /// When it is tried again, or ends if it is idle; `None` while it runs.
    rests_until: Option<Time>,
}

impl Fetch {
    /// A fetch that runs.
    pub(super) fn new(source: Source) -> Self {
        Self { source, later: Vec::new(), arrived: 0, rests_until: None }
    }

    /// Whether this peer sends these contents, or will.
    fn comes_from(&self, blob: &BlobRef, from: PeerId) -> bool {
        let mut sources = std::iter::once(&self.source).chain(&self.later);
        sources.any(|source| source.is(blob, from))
    }

    /// Something else needs the same file or folder from this peer. Returns false if the peer is a new
    /// one, or the same bytes are something else now.
    pub(super) fn join(&mut self, blob: &BlobRef, from: PeerId, purpose: Purpose) -> bool {
        let mut sources = std::iter::once(&mut self.source).chain(&mut self.later);
        let same = sources.find(|source| source.is(blob, from));
        let Some(source) = same else { return false };
        source.purposes.push(purpose);
        true
    }

    /// The blob is fetched from another peer as well, afterwards.
    pub(super) fn add_later(&mut self, source: Source) {
        self.later.push(source);
    }

    /// Something no longer needs the blob. Returns the other peers that will not be asked.
    pub(super) fn leave(&mut self, purpose: Purpose) -> Vec<Source> {
        self.source.purposes.retain(|other| *other != purpose);
        for source in &mut self.later {
            source.purposes.retain(|other| *other != purpose);
        }
        self.later.extract_if(.., |source| source.purposes.is_empty()).collect()
    }

    /// The blob is here: takes the outputs that others would have sent.
    pub(super) fn take_outputs(&mut self) -> (Purposes, Vec<Source>) {
        let mut outputs = Purposes::new();
        let is_same = |other: &&mut Source| other.blob.is_same_content(&self.source.blob);
        for source in self.later.iter_mut().filter(is_same) {
            let is_output = |purpose: &Purpose| matches!(purpose, Purpose::Output(..));
            outputs.extend(source.purposes.iter().copied().filter(is_output));
            source.purposes.retain(|purpose| !is_output(purpose));
        }
        let over = self.later.extract_if(.., |source| source.purposes.is_empty()).collect();
        (outputs, over)
    }

    /// The fetch from the next peer, which runs, if there is another one.
    pub(super) fn next(mut self) -> Option<Self> {
        if self.later.is_empty() {
            return None;
        }
        let source = self.later.remove(0);
        let later = self.later;
        Some(Self { later, ..Self::new(source) })
    }

    /// The peer does not answer: the next one is tried first, so that no peer holds up the others.
    pub(super) fn take_turns(&mut self) {
        if !self.later.is_empty() {
            let next = self.later.remove(0);
            self.later.push(std::mem::replace(&mut self.source, next));
        }
    }

    pub(super) fn rest(&mut self, until: Time) {
        self.rests_until = Some(until);
    }

    /// Ends the rest. Returns whether there was one.
    pub(super) fn wake(&mut self) -> bool {
        self.rests_until.take().is_some()
    }

    /// Whether nothing needs the blob from the peer that is asked now.
    pub(super) fn is_idle(&self) -> bool {
        self.source.purposes.is_empty()
    }

    /// Whether bytes have arrived, and no other peer waits for its turn.
    pub(super) fn is_worth_keeping(&self) -> bool {
        self.arrived > 0 && self.later.is_empty()
    }
}

impl Source {
    pub(super) fn new(blob: BlobRef, from: PeerId, purpose: Purpose) -> Self {
        let purposes = Purposes::from_iter([purpose]);
        Self { blob, from, purposes, failures: 0, refusals: 0 }
    }

    /// Whether it is an input, also one that no attempt needs now.
    fn is_input(&self) -> bool {
        let is_input = |purpose: &Purpose| matches!(purpose, Purpose::Input(_));
        self.purposes.is_empty() || self.purposes.iter().any(is_input)
    }

    fn is(&self, blob: &BlobRef, from: PeerId) -> bool {
        self.from == from && self.blob.is_same_content(blob)
    }

    /// A failure without an answer. Returns the rest, which doubles each time, so that an absent
    /// peer costs little.
    pub(super) fn on_unreachable(&mut self, retry_after: Duration) -> Duration {
        let doubled = limits::FETCH_REST.saturating_mul(2u32.saturating_pow(self.failures.min(16)));
        self.failures += 1;
        doubled.min(limits::FETCH_REST_MOST).max(retry_after.min(limits::MAX_RETRY_AFTER))
    }

    /// Whether the peer sent nothing for a long time: it may never do so.
    pub(super) fn is_hopeless(&self) -> bool {
        self.failures > limits::FETCH_TRIES
    }

    /// The provider has answered without the blob. Returns whether it is asked once more.
    pub(super) fn on_refused(&mut self) -> bool {
        self.refusals += 1;
        self.refusals == 1
    }
}

impl Fetches {
    /// Adds a fetch that runs.
    pub(super) fn insert(&mut self, fetch: Fetch) {
        self.table.insert(fetch.source.blob.hash, fetch);
    }

    /// Whether this peer sends these contents, or will.
    pub(super) fn comes_from(&self, blob: &BlobRef, from: PeerId) -> bool {
        self.table.get(&blob.hash).is_some_and(|fetch| fetch.comes_from(blob, from))
    }

    /// Bytes that are reserved for the inputs that these peers send, or will.
    pub(super) fn reserved_for(&self, is_of: impl Fn(&PeerId) -> bool) -> u64 {
        let each = self.table.values();
        let sources = each.flat_map(|fetch| std::iter::once(&fetch.source).chain(&fetch.later));
        let inputs = sources.filter(|source| source.is_input() && is_of(&source.from));
        inputs.map(|source| source.blob.size).sum()
    }

    pub(super) fn get_mut(&mut self, hash: &BlobHash) -> Option<&mut Fetch> {
        self.table.get_mut(hash)
    }

    pub(super) fn remove(&mut self, hash: &BlobHash) -> Option<Fetch> {
        self.table.remove(hash)
    }

    /// So many bytes of a blob have arrived: the next failure is the first again.
    pub(super) fn on_progress(&mut self, hash: &BlobHash, bytes: u64) {
        if let Some(fetch) = self.table.get_mut(hash) {
            fetch.source.failures = 0;
            fetch.arrived = bytes;
        }
    }

    /// Bytes of a blob that have arrived.
    pub(super) fn arrived(&self, hash: &BlobHash) -> u64 {
        self.table.get(hash).map_or(0, |fetch| fetch.arrived)
    }

    /// Takes the fetches whose rest is over, which run from now on.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<(BlobRef, PeerId)> {
        let needed = self.table.values_mut().filter(|fetch| !fetch.is_idle());
        let due = needed.filter(|fetch| fetch.rests_until.is_some_and(|until| until <= now));
        due.map(|fetch| {
            fetch.rests_until = None;
            (fetch.source.blob, fetch.source.from)
        })
        .collect()
    }

    /// Ends the rests of fetches from a peer, which run from now on.
    pub(super) fn take_resting(&mut self, from: PeerId) -> Vec<BlobRef> {
        let of_peer = self.table.values_mut().filter(|fetch| fetch.source.from == from);
        let resting = of_peer.filter_map(|fetch| {
            let is_woken = !fetch.is_idle() && fetch.wake();
            is_woken.then_some(fetch.source.blob)
        });
        resting.collect()
    }

    /// Idle fetches whose rest is over at this time.
    pub(super) fn idle_until(&self, time: Time) -> Vec<BlobHash> {
        let idle = self.table.iter().filter(|(_, fetch)| fetch.is_idle());
        let due = idle.filter(|(_, fetch)| fetch.rests_until.is_none_or(|until| until <= time));
        due.map(|(hash, _)| *hash).collect()
    }

    /// What each blob is fetched for.
    pub(super) fn purposes(&self) -> impl Iterator<Item = (BlobHash, Purpose)> {
        let each = self.table.iter();
        each.flat_map(|(hash, fetch)| fetch.source.purposes.iter().map(|purpose| (*hash, *purpose)))
    }
}
