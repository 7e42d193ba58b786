//! The blob files of a node: a folder beside the journal.
//!
//! A file is on the medium before the record that names it. A start removes the files that no
//! record names, and finds the records whose files are gone.

use std::collections::{BTreeMap, BTreeSet};

use meshwork_core::{
    BlobHash, Time,
    engine::{KnownBlob, StoredBlob},
};

/// What has arrived of a blob.
#[derive(Clone, Copy, Debug)]
struct Part {
    bytes: u64,
    /// The last bytes arrived before this start.
    is_old: bool,
}

/// The blob files of a node.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The serial of each file; 0 if an earlier start has written it.
    files: BTreeMap<BlobHash, u64>,
    /// The last serial.
    last: u64,
    /// Blobs that have arrived in part.
    partial: BTreeMap<BlobHash, Part>,
    /// Blobs that a fault has taken away here, at any time.
    struck: BTreeSet<BlobHash>,
    full_until: Time,
}

impl Files {
    /// Writes a blob, whether it is there or not. Returns the serial of its file.
    pub(crate) fn publish(&mut self, hash: BlobHash) -> u64 {
        self.last += 1;
        self.files.insert(hash, self.last);
        self.last
    }

    /// Removes a file, unless it was published again since. Returns whether it was there.
    pub(crate) fn remove(&mut self, file: &StoredBlob) -> bool {
        let is_it = self.files.get(&file.hash) == Some(&file.serial);
        is_it && self.files.remove(&file.hash).is_some()
    }

    /// A fault deletes or damages a file.
    pub(crate) fn strike(&mut self, hash: BlobHash) {
        self.files.remove(&hash);
        self.struck.insert(hash);
    }

    /// Whether a fault has taken this blob away here, at any time.
    pub(crate) fn was_struck(&self, hash: &BlobHash) -> bool {
        self.struck.contains(hash)
    }

    pub(crate) fn has(&self, hash: &BlobHash) -> bool {
        self.files.contains_key(hash)
    }

    /// The blobs whose files are there.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &BlobHash> {
        self.files.keys()
    }

    /// The node starts with these records: removes the files that none of them names and the parts
    /// that the last start has found. Returns the number of files, and the blobs that have none.
    pub(crate) fn start(
        &mut self,
        known: &BTreeMap<BlobHash, KnownBlob>,
    ) -> (usize, Vec<BlobHash>) {
        self.partial.retain(|_, part| !std::mem::replace(&mut part.is_old, true));
        let before = self.files.len();
        self.files.retain(|hash, _| known.contains_key(hash));
        self.files.values_mut().for_each(|serial| *serial = 0);
        let lost = known.keys().filter(|hash| !self.files.contains_key(hash)).copied().collect();
        (before - self.files.len(), lost)
    }

    // === Parts ===

    /// Bytes of a blob that have arrived.
    pub(crate) fn arrived(&self, hash: &BlobHash) -> u64 {
        self.partial.get(hash).map_or(0, |part| part.bytes)
    }

    /// So many bytes of a blob have arrived.
    pub(crate) fn set_arrived(&mut self, hash: BlobHash, bytes: u64) {
        self.partial.insert(hash, Part { bytes, is_old: false });
    }

    /// Removes what has arrived of a blob.
    pub(crate) fn drop_arrived(&mut self, hash: &BlobHash) {
        self.partial.remove(hash);
    }

    /// Blobs of which a part has arrived since the start.
    pub(crate) fn partial(&self) -> impl Iterator<Item = &BlobHash> {
        self.partial.iter().filter(|(_, part)| !part.is_old).map(|(hash, _)| hash)
    }

    // === Space ===

    /// Nothing can be written until then.
    pub(crate) fn fill(&mut self, until: Time) {
        self.full_until = self.full_until.max(until);
    }

    pub(crate) fn is_full(&self, now: Time) -> bool {
        now < self.full_until
    }
}
