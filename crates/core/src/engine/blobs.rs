//! The blobs in this node's store: which there are, what needs them, and which leave when space is
//! needed.
//!
//! A blob stays while something *holds* it: an own task (its input, or its output), a result kept
//! for another owner, or a blob that names it, as a folder names its files. The user can *pin* it.
//! A new blob has a *lease*: for a time it stays without a holder, so that its task can be
//! submitted. All other blobs are a cache, and the one that was free first leaves first.
//!
//! References need no records of their own: they are in the records of the tasks. A blob that is
//! held and not stored was lost.
//!
//! Absent on purpose: files. The host stores bytes before it reports them here, and removes them
//! after [`Effect::RemoveBlobs`].

use std::collections::BTreeSet;

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;

use super::{
    blob_input::{BlobRecord, NewBlob, StoredBlob},
    input::Effect,
    record::Record,
    view::{BlobSpace, BlobView},
};
use crate::{
    blob::{BlobForm, BlobHash, BlobRef},
    limits,
    reason::{BlobUse, Reason},
    time::Time,
};

#[cfg(test)]
mod tests;

/// The blobs of this node. [`limits::BLOBS`] bounds the stored ones, the tasks bound the lost ones.
#[derive(Debug)]
pub(super) struct Blobs {
    table: FxHashMap<BlobHash, Entry>,
    /// Stored blobs that nothing holds and nobody pinned, by when they may leave.
    free: BTreeSet<(Time, BlobHash)>,
    /// Number of stored blobs.
    stored: usize,
    /// Bytes of stored blobs.
    used: u64,
    /// Bytes of stored blobs that are pinned.
    pinned: u64,
    /// Bytes of stored blobs that are held and not pinned.
    held: u64,
    /// Bytes that are being stored.
    reserved: u64,
    /// Bytes that are on disk of transfers of an earlier start, by blob. They are reserved.
    remains: FxHashMap<BlobHash, u64>,
    budget: u64,
    /// Blobs that left in this pass.
    removed: Vec<StoredBlob>,
    /// The time of the latest input.
    now: Time,
}

/// The blob that a holder needed, and the one that it needs from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: Option<BlobHash>,
    pub(super) to: Option<BlobHash>,
}

/// A blob that is stored, or that something holds.
#[derive(Debug, Default)]
struct Entry {
    stored: Option<Stored>,
    holds: u32,
    pinned: bool,
    /// Until then the blob stays without a holder.
    lease: Time,
    /// Stored blobs that name it.
    parents: Vec<BlobHash>,
    /// Other nodes that have sent its bytes, at most [`limits::BLOB_SHOWN_BY`]. Only their tasks may
    /// use it here: a hash is an address and not a right.
    shown_by: Vec<Shown>,
    /// Other nodes that have fetched it from here, at most [`limits::BLOB_SENT_TO`]. They may have
    /// removed it since.
    sent_to: Vec<PeerId>,
}

/// A node that has sent the bytes of a blob.
#[derive(Clone, Copy, Debug)]
struct Shown {
    peer: PeerId,
    /// Whether it has sent them as a list, with all that the list names.
    as_list: bool,
}

#[derive(Debug)]
struct Stored {
    size: u64,
    serial: u64,
    /// The blobs that it names and holds.
    links: Box<[BlobHash]>,
}

impl Entry {
    /// The blob's place among those that may leave, if it is one.
    fn free_since(&self) -> Option<Time> {
        (self.stored.is_some() && self.holds == 0 && !self.pinned).then_some(self.lease)
    }

    /// Its bytes on disk if it is pinned, and if it is held and not pinned.
    fn kept(&self) -> (u64, u64) {
        let bytes = self.stored.as_ref().map_or(0, |stored| footprint(stored.size));
        match (self.pinned, self.holds) {
            (true, _) => (bytes, 0),
            (false, 0) => (0, 0),
            (false, _) => (0, bytes),
        }
    }
}

impl Blobs {
    /// No blobs, and a budget in bytes.
    pub(super) fn new(budget: u64) -> Self {
        Self {
            table: FxHashMap::default(),
            free: BTreeSet::new(),
            stored: 0,
            used: 0,
            pinned: 0,
            held: 0,
            reserved: 0,
            remains: FxHashMap::default(),
            budget,
            removed: Vec::new(),
            now: Time::ZERO,
        }
    }

    /// Sets the bytes that blobs may take. Fewer than they take now removes nothing that is needed.
    pub(super) fn set_budget(&mut self, budget: u64) {
        self.budget = budget;
    }

    /// Sets the time of the next changes.
    pub(super) fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// Makes room for bytes that are about to be written, and reserves it.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), Reason> {
        self.make_room(bytes)?;
        self.reserved += bytes;
        Ok(())
    }

    /// Whether so many bytes could be reserved, after blobs that nothing needs have left.
    pub(super) fn check_room(&mut self, bytes: u64) -> Result<(), Reason> {
        self.make_room(bytes)
    }

    /// Removes blobs that nothing needs until `need` bytes are free.
    fn make_room(&mut self, need: u64) -> Result<(), Reason> {
        // Nothing leaves for a request that cannot be met.
        let is_possible = need <= self.budget.saturating_sub(self.reserved);
        while self.free_bytes() < need {
            let Some(hash) = self.first_free().filter(|_| is_possible) else {
                let (free, budget) = (self.free_bytes(), self.budget);
                let (in_use, retry_after) = (Some(self.in_use()), limits::DISK_FULL_RETRY);
                return Err(Reason::NoSpace { need, free, budget, in_use, retry_after });
            };
            self.evict(&hash);
        }
        Ok(())
    }

    /// Notes what is on disk of transfers of an earlier start.
    pub(super) fn set_remains(&mut self, remains: FxHashMap<BlobHash, u64>) {
        self.reserved += remains.values().sum::<u64>();
        self.remains = remains;
    }

    /// A transfer of this blob goes on: its own reservation counts what is there.
    pub(super) fn continue_remains(&mut self, hash: &BlobHash) {
        let bytes = self.remains.remove(hash).unwrap_or_default();
        self.unreserve(bytes);
    }

    /// Gives up the space of all remains. Returns whether there were any.
    pub(super) fn drop_remains(&mut self) -> bool {
        let remains = std::mem::take(&mut self.remains);
        self.unreserve(remains.values().sum());
        !remains.is_empty()
    }

    /// Gives up reserved bytes: they are stored, or never will be.
    pub(super) fn unreserve(&mut self, bytes: u64) {
        self.reserved = self.reserved.saturating_sub(bytes);
    }

    /// A peer has sent the bytes of these blobs. The root of a folder and its parts are lists from
    /// then on.
    pub(super) fn note_shown(&mut self, hashes: &[BlobHash], blob: &BlobRef, peer: &PeerId) {
        hashes.iter().for_each(|hash| self.note_one_shown(hash, peer, false));
        if blob.form == BlobForm::Folder {
            let root = self.table.get(&blob.hash).and_then(|entry| entry.stored.as_ref());
            let parts = root.map(|stored| stored.links.to_vec()).unwrap_or_default();
            let lists = parts.iter().chain([&blob.hash]);
            lists.for_each(|hash| self.note_one_shown(hash, peer, true));
        }
    }

    /// A peer has fetched this blob, with all that it names.
    pub(super) fn note_sent(&mut self, hash: &BlobHash, peer: PeerId) {
        let Some(entry) = self.table.get_mut(hash) else { return };
        if entry.sent_to.contains(&peer) {
            return;
        }
        if entry.sent_to.len() == limits::BLOB_SENT_TO {
            entry.sent_to.remove(0);
        }
        entry.sent_to.push(peer);
    }

    /// Whether a peer probably has this blob: it has fetched it from here, or sent it.
    pub(super) fn is_probably_at(&self, hash: &BlobHash, peer: &PeerId) -> bool {
        let Some(entry) = self.table.get(hash) else { return false };
        entry.sent_to.contains(peer) || entry.shown_by.iter().any(|shown| shown.peer == *peer)
    }

    fn note_one_shown(&mut self, hash: &BlobHash, peer: &PeerId, as_list: bool) {
        let Some(entry) = self.table.get_mut(hash) else { return };
        if let Some(shown) = entry.shown_by.iter_mut().find(|shown| shown.peer == *peer) {
            shown.as_list |= as_list;
            return;
        }
        if entry.shown_by.len() == limits::BLOB_SHOWN_BY {
            entry.shown_by.remove(0);
        }
        entry.shown_by.push(Shown { peer: *peer, as_list });
    }

    /// Whether the blob is here and this peer has sent its bytes; a list, with all that it names.
    /// Bytes that were sent as a file are no list: the peer need not have what they name.
    pub(super) fn is_shown_by(&self, hash: &BlobHash, peer: &PeerId, as_list: bool) -> bool {
        let entry = self.table.get(hash).filter(|entry| entry.stored.is_some());
        let mut shown = entry.into_iter().flat_map(|entry| &entry.shown_by);
        shown.any(|shown| shown.peer == *peer && (shown.as_list || !as_list))
    }

    /// Whether the store has this file or folder with this size. The root of a folder counts only if
    /// it holds its parts.
    pub(super) fn has(&self, blob: &BlobRef) -> bool {
        let entry = self.table.get(&blob.hash);
        let Some(stored) = entry.and_then(|entry| entry.stored.as_ref()) else { return false };
        let holds_all = match blob.form {
            BlobForm::File { .. } => true,
            BlobForm::Folder => !stored.links.is_empty() || blob.list <= limits::EMPTY_LIST_BYTES,
        };
        holds_all && stored.size == blob.blob_bytes()
    }

    /// Whether the blob is one of `roots`, or a blob that names it is.
    pub(super) fn is_within(&self, hash: &BlobHash, roots: impl Fn(&BlobHash) -> bool) -> bool {
        let mut open = vec![*hash];
        for _ in 0..limits::BLOB_ANCESTORS {
            let Some(hash) = open.pop() else { return false };
            if roots(&hash) {
                return true;
            }
            let parents = self.table.get(&hash).map(|entry| entry.parents.as_slice());
            let parents = parents.unwrap_or_default();
            // The latest ones: a peer asks for what it was given just now.
            let skipped = (parents.len() + open.len()).saturating_sub(limits::BLOB_ANCESTORS);
            open.extend(parents.iter().skip(skipped));
        }
        false
    }

    /// The blob that leaves first, if one may leave.
    fn first_free(&self) -> Option<BlobHash> {
        self.free.first().filter(|(lease, _)| *lease <= self.now).map(|(_, hash)| *hash)
    }

    /// Whether so many bytes are free without removing anything.
    pub(super) fn has_free(&self, bytes: u64) -> bool {
        bytes <= self.free_bytes()
    }

    /// What takes the space.
    fn in_use(&self) -> BlobUse {
        let (pinned, held, arriving) = (self.pinned, self.held, self.reserved);
        let others = self.used.saturating_sub(pinned + held);
        BlobUse { pinned, held, arriving, others }
    }

    fn free_bytes(&self) -> u64 {
        self.budget.saturating_sub(self.used + self.reserved)
    }

    /// Adds blobs whose bytes are on disk, and returns their records. None is added if there is no
    /// room, or if one names a blob that is not stored.
    pub(super) fn store(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Record>, Reason> {
        let new: rustc_hash::FxHashSet<BlobHash> = blobs.iter().map(|blob| blob.hash).collect();
        let is_there = |hash: &BlobHash| new.contains(hash) || self.is_stored(hash);
        let missing = blobs.iter().flat_map(|blob| &blob.links).find(|hash| !is_there(hash));
        if let Some(hash) = missing {
            return Err(Reason::BlobMissing { hash: *hash });
        }
        // Those that are here already must not make room for the others.
        for hash in blobs.iter().flat_map(|blob| blob.links.iter().chain([&blob.hash])) {
            self.extend_lease(hash);
        }
        let need = blobs.iter().filter(|blob| !self.is_stored(&blob.hash));
        self.make_room(need.map(|blob| footprint(blob.size)).sum())?;
        self.make_places(new.iter().filter(|hash| !self.is_stored(hash)).count())?;
        let mut records = Vec::new();
        for NewBlob { hash, size, serial, links } in blobs {
            if let Some(stored) = self.table.get_mut(&hash).and_then(|entry| entry.stored.as_mut())
            {
                // Of two writers of the same bytes, the later one may report first.
                stored.serial = stored.serial.max(serial);
                self.adopt_links(hash, links, &mut records);
            } else {
                let named = links.clone();
                records.push(Record::Blob(BlobRecord::Stored { hash, size, links: named }));
                self.insert(hash, Stored { size, serial, links: links.into_boxed_slice() });
            }
            self.extend_lease(&hash);
        }
        Ok(records)
    }

    /// Evicts free blobs until the table has places for `added` more.
    fn make_places(&mut self, added: usize) -> Result<(), Reason> {
        while self.table.len() + added > limits::BLOBS {
            let free = self.first_free();
            let free = free.ok_or(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY })?;
            self.evict(&free);
        }
        Ok(())
    }

    /// Keeps the links of a list whose bytes came as a file before.
    fn adopt_links(&mut self, hash: BlobHash, links: Vec<BlobHash>, records: &mut Vec<Record>) {
        let Some(entry) = self.table.get_mut(&hash) else { return };
        let pinned = entry.pinned;
        let Some(stored) = entry.stored.as_mut() else { return };
        if links.is_empty() || !stored.links.is_empty() {
            return;
        }
        let size = stored.size;
        stored.links = links.clone().into_boxed_slice();
        links.iter().for_each(|link| self.add_parent(link, hash));
        records.push(Record::Blob(BlobRecord::Stored { hash, size, links }));
        if pinned {
            // The record before begins the blob anew.
            records.push(Record::Blob(BlobRecord::Pinned { hash, pinned: true }));
        }
    }

    /// Removes files that were not added. A blob that was here before keeps its bytes, and its file may
    /// be the new one.
    pub(super) fn reject(&mut self, files: Vec<StoredBlob>) {
        for file in files {
            let entry = self.table.get_mut(&file.hash);
            match entry.and_then(|entry| entry.stored.as_mut()) {
                Some(stored) => stored.serial = stored.serial.max(file.serial),
                None => self.removed.push(file),
            }
        }
    }

    fn insert(&mut self, hash: BlobHash, stored: Stored) {
        self.stored += 1;
        self.used += footprint(stored.size);
        stored.links.iter().for_each(|link| self.add_parent(link, hash));
        let now = self.now;
        self.table.entry(hash).or_default();
        self.change(&hash, |entry| {
            entry.stored = Some(stored);
            entry.lease = now;
        });
    }

    /// A blob that names this one holds it.
    fn add_parent(&mut self, link: &BlobHash, parent: BlobHash) {
        self.hold(link);
        if let Some(named) = self.table.get_mut(link) {
            named.parents.push(parent);
        }
    }

    /// The blob stays for a lease more.
    pub(super) fn extend_lease(&mut self, hash: &BlobHash) {
        let lease = self.now + limits::BLOB_LEASE;
        self.change(hash, |entry| entry.lease = entry.lease.max(lease));
    }

    /// Changes an entry and its place among those that may leave.
    fn change(&mut self, hash: &BlobHash, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.table.get_mut(hash) else { return };
        if let Some(since) = entry.free_since() {
            self.free.remove(&(since, *hash));
        }
        let (pinned, held) = entry.kept();
        change(entry);
        let (now_pinned, now_held) = entry.kept();
        self.pinned = (self.pinned - pinned) + now_pinned;
        self.held = (self.held - held) + now_held;
        match entry.free_since() {
            Some(since) => drop(self.free.insert((since, *hash))),
            None if entry.stored.is_none() && entry.holds == 0 => drop(self.table.remove(hash)),
            None => {}
        }
    }

    /// Whether the store has this blob. A blob that is being stored does not count.
    pub(super) fn is_stored(&self, hash: &BlobHash) -> bool {
        self.table.get(hash).is_some_and(|entry| entry.stored.is_some())
    }

    /// Something needs this blob, whether it is stored or lost.
    pub(super) fn hold(&mut self, hash: &BlobHash) {
        let entry = self.table.entry(*hash).or_default();
        // Before the change: an entry that is neither stored nor held would be removed.
        let (free_since, (_, held)) = (entry.free_since(), entry.kept());
        entry.holds = entry.holds.saturating_add(1);
        self.held = (self.held - held) + entry.kept().1;
        if let Some(since) = free_since {
            self.free.remove(&(since, *hash));
        }
    }

    /// One of the holders needs the blob no more.
    pub(super) fn release(&mut self, hash: &BlobHash) {
        let now = self.now;
        self.change(hash, |entry| {
            entry.holds = entry.holds.saturating_sub(1);
            entry.lease = entry.lease.max(now);
        });
    }

    /// A holder needs another blob from now on.
    pub(super) fn change_holder(&mut self, Change { from, to }: Change) {
        // In this order: both may be the same blob.
        to.iter().for_each(|hash| self.hold(hash));
        from.iter().for_each(|hash| self.release(hash));
    }

    /// Pins a blob, or no longer.
    pub(super) fn set_pinned(&mut self, hash: &BlobHash, pinned: bool) {
        self.change(hash, |entry| entry.pinned = pinned);
    }

    /// Removes a stored blob, and returns the bytes that this frees. Blobs that only it named become
    /// free.
    pub(super) fn evict(&mut self, hash: &BlobHash) -> u64 {
        let mut stored = None;
        self.change(hash, |entry| {
            stored = entry.stored.take();
            entry.pinned = false;
        });
        let Some(Stored { size, serial, links }) = stored else { return 0 };
        self.stored -= 1;
        self.used -= footprint(size);
        for link in &links {
            if let Some(named) = self.table.get_mut(link)
                && let Some(at) = named.parents.iter().position(|parent| parent == hash)
            {
                named.parents.swap_remove(at);
            }
            self.release(link);
        }
        self.removed.push(StoredBlob { hash: *hash, serial });
        footprint(size)
    }

    /// The bytes of a blob are gone: removes it, and with it the folders that are incomplete now.
    pub(super) fn lose(&mut self, hash: &BlobHash) {
        let mut open = vec![*hash];
        while let Some(hash) = open.pop() {
            let parents = self.table.get(&hash).map(|entry| entry.parents.as_slice());
            open.extend(parents.unwrap_or_default());
            self.evict(&hash);
        }
    }

    /// Removes all blobs that may leave, and returns how many bytes this frees.
    pub(super) fn evict_all(&mut self) -> u64 {
        let mut freed = 0;
        while let Some(hash) = self.first_free() {
            freed += self.evict(&hash);
        }
        freed
    }

    /// The record and the effect of the blobs that left in this pass.
    pub(super) fn take_removed(&mut self) -> Option<(Record, Effect)> {
        if self.removed.is_empty() {
            return None;
        }
        let blobs = std::mem::take(&mut self.removed);
        // A blob that came back in this pass has a new file, and its record is before this one.
        let gone = blobs.iter().map(|blob| blob.hash).filter(|hash| !self.is_stored(hash));
        let hashes = gone.collect();
        Some((Record::Blob(BlobRecord::Removed { hashes }), Effect::RemoveBlobs { blobs }))
    }

    /// Restores a blob that is on disk; its file has the serial 0.
    pub(super) fn restore(
        &mut self,
        (hash, size): (BlobHash, u64),
        links: Box<[BlobHash]>,
        pinned: bool,
    ) {
        self.insert(hash, Stored { size, serial: 0, links });
        self.extend_lease(&hash);
        self.change(&hash, |entry| entry.pinned = pinned);
    }

    /// One blob for callers.
    pub(super) fn view(&self, hash: &BlobHash) -> Option<BlobView> {
        let entry = self.table.get(hash)?;
        let stored = entry.stored.as_ref()?;
        let (links, holds) = (stored.links.len(), entry.holds);
        Some(BlobView { hash: *hash, size: stored.size, links, holds, pinned: entry.pinned })
    }

    /// All stored blobs for callers, unordered.
    pub(super) fn views(&self) -> impl Iterator<Item = BlobView> {
        self.table.keys().filter_map(|hash| self.view(hash))
    }

    /// The space of blobs.
    pub(super) fn space(&self) -> BlobSpace {
        let (budget, used, reserved) = (self.budget, self.used, self.reserved);
        let (blobs, lost) = (self.stored, self.table.len() - self.stored);
        BlobSpace { budget, used, reserved, blobs, lost }
    }
}

/// Bytes on disk of a blob of this size: whole blocks, and the hashes that verify its parts.
pub(super) fn footprint(size: u64) -> u64 {
    const BLOCK: u64 = 4096;
    // Never overflows: sizes of more than an exbibyte are refused before.
    (size.saturating_add(size / 1024) / BLOCK).saturating_add(1).saturating_mul(BLOCK)
}
