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

use rustc_hash::FxHashMap;

use super::{
    blob_input::{BlobEvent, BlobRecord, BlobReply, BlobRequest, NewBlob, StoredBlob},
    input::{Effect, Reply, Token},
    node::Cx,
    record::Record,
    view::{BlobSpace, BlobView},
};
use crate::{
    blob::{BlobHash, BlobRef},
    failure::{FailureCode, TaskFailure},
    frame::AttemptEnd,
    limits,
    reason::Reason,
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
    /// Bytes that are being stored.
    reserved: u64,
    budget: u64,
    /// Blobs that left in this pass.
    removed: Vec<StoredBlob>,
    /// The time of the latest input.
    now: Time,
}

/// A blob that is stored, or that something holds.
#[derive(Debug, Default)]
struct Entry {
    stored: Option<Stored>,
    holds: u32,
    pinned: bool,
    /// Until then the blob stays without a holder.
    lease: Time,
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
}

impl Blobs {
    /// No blobs, and a budget in bytes.
    pub(super) fn new(budget: u64) -> Self {
        Self {
            table: FxHashMap::default(),
            free: BTreeSet::new(),
            stored: 0,
            used: 0,
            reserved: 0,
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
    fn reserve(&mut self, bytes: u64) -> Result<(), Reason> {
        self.make_room(bytes)?;
        self.reserved += bytes;
        Ok(())
    }

    /// Removes blobs that nothing needs until `need` bytes are free.
    fn make_room(&mut self, need: u64) -> Result<(), Reason> {
        while self.free_bytes() < need {
            let Some(hash) = self.first_free() else {
                let (free, budget) = (self.free_bytes(), self.budget);
                let retry_after = limits::DISK_FULL_RETRY;
                return Err(Reason::NoSpace { need, free, budget, retry_after });
            };
            self.evict(&hash);
        }
        Ok(())
    }

    /// Something happened to blobs outside the engine.
    pub(super) fn on_event(&mut self, event: BlobEvent) {
        match event {
            BlobEvent::Unreserved { bytes } => self.reserved = self.reserved.saturating_sub(bytes),
            BlobEvent::Lost { hash } => self.evict(&hash),
        }
    }

    /// The blob that leaves first, if one may leave.
    fn first_free(&self) -> Option<BlobHash> {
        self.free.first().filter(|(lease, _)| *lease <= self.now).map(|(_, hash)| *hash)
    }

    fn free_bytes(&self) -> u64 {
        self.budget.saturating_sub(self.used + self.reserved)
    }

    /// Adds blobs whose bytes are on disk. None is added if one names a blob that is not stored.
    fn store(&mut self, blobs: Vec<NewBlob>) -> Result<Vec<Record>, Reason> {
        let new: rustc_hash::FxHashSet<BlobHash> = blobs.iter().map(|blob| blob.hash).collect();
        let is_there = |hash: &BlobHash| new.contains(hash) || self.is_stored(hash);
        let missing = blobs.iter().flat_map(|blob| &blob.links).find(|hash| !is_there(hash));
        if let Some(hash) = missing {
            return Err(Reason::BlobMissing { hash: *hash });
        }
        if self.table.len() + blobs.len() > limits::BLOBS {
            return Err(Reason::QueueFull { retry_after: limits::QUEUE_FULL_RETRY });
        }
        let mut records = Vec::new();
        for NewBlob { hash, size, serial, links } in blobs {
            if let Some(stored) = self.table.get_mut(&hash).and_then(|entry| entry.stored.as_mut())
            {
                stored.serial = serial;
            } else {
                let named = links.clone();
                records.push(Record::Blob(BlobRecord::Stored { hash, size, links: named }));
                self.insert(hash, Stored { size, serial, links: links.into_boxed_slice() });
            }
            self.extend_lease(&hash);
        }
        Ok(records)
    }

    fn insert(&mut self, hash: BlobHash, stored: Stored) {
        self.stored += 1;
        self.used += footprint(stored.size);
        for link in &stored.links {
            self.hold(link);
        }
        let now = self.now;
        self.table.entry(hash).or_default();
        self.change(&hash, |entry| {
            entry.stored = Some(stored);
            entry.lease = now;
        });
    }

    fn extend_lease(&mut self, hash: &BlobHash) {
        let lease = self.now + limits::BLOB_LEASE;
        self.change(hash, |entry| entry.lease = entry.lease.max(lease));
    }

    /// Changes an entry and its place among those that may leave.
    fn change(&mut self, hash: &BlobHash, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.table.get_mut(hash) else { return };
        if let Some(since) = entry.free_since() {
            self.free.remove(&(since, *hash));
        }
        change(entry);
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
        let free_since = entry.free_since();
        entry.holds = entry.holds.saturating_add(1);
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

    /// Removes a stored blob. Blobs that only it named become free.
    fn evict(&mut self, hash: &BlobHash) {
        let mut stored = None;
        self.change(hash, |entry| {
            stored = entry.stored.take();
            entry.pinned = false;
        });
        let Some(Stored { size, serial, links }) = stored else { return };
        self.stored -= 1;
        self.used -= footprint(size);
        for link in &links {
            self.release(link);
        }
        self.removed.push(StoredBlob { hash: *hash, serial });
    }

    /// Removes all blobs that may leave, and returns how many bytes this frees.
    fn evict_all(&mut self) -> u64 {
        let before = self.used;
        while let Some(hash) = self.first_free() {
            self.evict(&hash);
        }
        before - self.used
    }

    /// The record and the effect of the blobs that left in this pass.
    pub(super) fn take_removed(&mut self) -> Option<(Record, Effect)> {
        if self.removed.is_empty() {
            return None;
        }
        let blobs = std::mem::take(&mut self.removed);
        let hashes = blobs.iter().map(|blob| blob.hash).collect();
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
    fn view(&self, hash: &BlobHash) -> Option<BlobView> {
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

/// A caller's request about blobs.
pub(super) fn on_request(cx: &mut Cx<'_>, request: BlobRequest, token: Token) {
    let (reply, is_recorded) = match request {
        BlobRequest::Reserve { bytes } => {
            (cx.node.blobs.reserve(bytes).map(|()| BlobReply::Reserved), false)
        }
        BlobRequest::Store { blobs, reserved } => (store(cx, blobs, reserved), true),
        BlobRequest::Find { hash } => (find(cx, &hash), false),
        BlobRequest::Pin { hash, pinned } => (pin(cx, &hash, pinned), true),
        BlobRequest::Remove { hash } => (remove(cx, &hash), true),
        BlobRequest::Collect => (Ok(BlobReply::Removed { bytes: cx.node.blobs.evict_all() }), true),
    };
    let reply = reply.map_or_else(Reply::Refused, Reply::Blobs);
    cx.node.gate.tell(is_recorded, Effect::Reply { token, reply });
}

/// The bytes of these blobs are on disk.
fn store(cx: &mut Cx<'_>, blobs: Vec<NewBlob>, reserved: u64) -> Result<BlobReply, Reason> {
    let all = &mut cx.node.blobs;
    all.on_event(BlobEvent::Unreserved { bytes: reserved });
    let need = blobs.iter().filter(|blob| !all.is_stored(&blob.hash));
    all.make_room(need.map(|blob| footprint(blob.size)).sum())?;
    let records = all.store(blobs)?;
    records.into_iter().for_each(|record| cx.node.gate.record(record));
    Ok(BlobReply::Stored)
}

/// An attempt has these blobs as its output: how it ends.
pub(super) fn on_collected(cx: &mut Cx<'_>, new: Vec<NewBlob>, output: BlobRef) -> AttemptEnd {
    let files = new.iter().map(|blob| StoredBlob { hash: blob.hash, serial: blob.serial });
    let files: Vec<StoredBlob> = files.collect();
    match store(cx, new, 0) {
        Ok(_) => AttemptEnd::Output(output.into()),
        Err(reason) => {
            cx.out.push(Effect::RemoveBlobs { blobs: files });
            AttemptEnd::Failed(TaskFailure::new(FailureCode::NoSpace, reason.to_string()))
        }
    }
}

/// A caller looks for a blob, and may use it soon.
fn find(cx: &mut Cx<'_>, hash: &BlobHash) -> Result<BlobReply, Reason> {
    cx.node.blobs.extend_lease(hash);
    let blob = cx.node.blobs.view(hash).ok_or(Reason::BlobMissing { hash: *hash })?;
    Ok(BlobReply::Blob(blob))
}

/// The user pins a blob, or no longer.
fn pin(cx: &mut Cx<'_>, hash: &BlobHash, pinned: bool) -> Result<BlobReply, Reason> {
    let blobs = &mut cx.node.blobs;
    if !blobs.is_stored(hash) {
        return Err(Reason::BlobMissing { hash: *hash });
    }
    blobs.change(hash, |entry| entry.pinned = pinned);
    cx.node.gate.record(Record::Blob(BlobRecord::Pinned { hash: *hash, pinned }));
    find(cx, hash)
}

/// The user removes a blob that nothing holds, whatever its lease.
fn remove(cx: &mut Cx<'_>, hash: &BlobHash) -> Result<BlobReply, Reason> {
    let blobs = &mut cx.node.blobs;
    let blob = blobs.view(hash).ok_or(Reason::BlobMissing { hash: *hash })?;
    if blob.holds > 0 {
        return Err(Reason::BlobInUse { hash: *hash });
    }
    let before = blobs.used;
    blobs.evict(hash);
    Ok(BlobReply::Removed { bytes: before - blobs.used })
}

/// Bytes on disk of a blob of this size: whole blocks, and the hashes that verify its parts.
fn footprint(size: u64) -> u64 {
    const BLOCK: u64 = 4096;
    // Never overflows: sizes of more than an exbibyte are refused before.
    (size.saturating_add(size / 1024) / BLOCK).saturating_add(1).saturating_mul(BLOCK)
}
