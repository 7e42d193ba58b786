//! The fetches of one process, and what it knows of the blobs that others have sent.

use std::collections::{BTreeMap, BTreeSet};

use meshwork_core::{BlobHash, BlobRef, engine::NewBlob};

/// A blob on its way here, with all that it names.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) from: usize,
    /// Distinguishes it from other fetches of the same blob.
    pub(crate) number: u64,
    /// The connection to the provider when it began.
    pub(crate) connection: Option<u32>,
    /// Blobs that are still to be asked for; the last one is on its way.
    pub(crate) todo: Vec<BlobHash>,
    /// Blobs that have arrived in this fetch.
    pub(crate) got: BTreeSet<BlobHash>,
    /// Bytes that have arrived, and were there before.
    pub(crate) bytes: u64,
    /// All is on disk: the engine learns of these blobs next.
    pub(crate) published: Option<Vec<NewBlob>>,
}

/// The fetches of one process, by their blob.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    table: BTreeMap<BlobHash, Fetch>,
    last: u64,
    /// Peers that have sent a blob to this process, or made it look for each byte.
    shown: BTreeSet<(usize, BlobHash)>,
    /// Bytes that are reserved for callers.
    reserved: u64,
}

impl Fetches {
    /// Begins a fetch. Returns its number.
    pub(crate) fn begin(&mut self, from: usize, root: BlobRef, connection: Option<u32>) -> u64 {
        self.last += 1;
        let fetch = Fetch {
            from,
            number: self.last,
            connection,
            todo: vec![root.hash],
            got: BTreeSet::new(),
            bytes: 0,
            published: None,
        };
        self.table.insert(root.hash, fetch);
        self.last
    }

    pub(crate) fn has(&self, root: &BlobHash) -> bool {
        self.table.contains_key(root)
    }

    /// The fetch of this number, if it has not ended.
    pub(crate) fn get_mut(&mut self, root: &BlobHash, number: u64) -> Option<&mut Fetch> {
        self.table.get_mut(root).filter(|fetch| fetch.number == number)
    }

    pub(crate) fn end(&mut self, root: &BlobHash) -> Option<Fetch> {
        self.table.remove(root)
    }

    /// The blobs that are being fetched.
    pub(crate) fn all(&self) -> impl Iterator<Item = &BlobHash> {
        self.table.keys()
    }

    /// A peer has sent the bytes of a blob.
    pub(crate) fn note_shown(&mut self, peer: usize, hash: BlobHash) {
        self.shown.insert((peer, hash));
    }

    /// Whether this peer has sent the bytes of a blob to this process.
    pub(crate) fn is_shown(&self, peer: usize, hash: BlobHash) -> bool {
        self.shown.contains(&(peer, hash))
    }

    /// The bytes are gone: what was shown counts no more.
    pub(crate) fn forget(&mut self, hash: &BlobHash) {
        self.shown.retain(|(_, of)| of != hash);
    }

    /// Bytes are reserved for a caller.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        self.reserved += bytes;
    }

    /// Reserved bytes are used, or given up.
    pub(crate) fn unreserve(&mut self, bytes: u64) {
        self.reserved = self.reserved.saturating_sub(bytes);
    }

    /// Bytes that are reserved for callers.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }
}
