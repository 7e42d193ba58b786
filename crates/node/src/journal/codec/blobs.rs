//! The records about blobs, and the names of blobs in other records.

use meshwork_core::{BlobForm, BlobHash, BlobRef, engine::BlobRecord};
use prost::Message;

pub(super) const BLOB_STORED: u8 = 9;
pub(super) const BLOB_PINNED: u8 = 10;
pub(super) const BLOBS_REMOVED: u8 = 11;

/// Appends a record.
pub(super) fn encode(record: &BlobRecord, out: &mut Vec<u8>) {
    match record {
        BlobRecord::Stored { hash, size, links } => {
            put(BLOB_STORED, &StoredBlob::of(hash, *size, links), out);
        }
        BlobRecord::Pinned { hash, pinned } => {
            let stored = StoredBlob { pinned: *pinned, ..StoredBlob::of(hash, 0, &[]) };
            put(BLOB_PINNED, &stored, out);
        }
        BlobRecord::Removed { hashes } => put(BLOBS_REMOVED, &StoredHashes::of(hashes), out),
    }
}

/// Decodes a record of this kind.
pub(super) fn decode(kind: u8, body: &[u8]) -> Option<BlobRecord> {
    if kind == BLOBS_REMOVED {
        let hashes = StoredHashes::decode(body).ok()?.hashes()?;
        return Some(BlobRecord::Removed { hashes });
    }
    let stored = StoredBlob::decode(body).ok()?;
    let (hash, size) = (blob_hash(&stored.hash)?, stored.size);
    Some(if kind == BLOB_STORED {
        BlobRecord::Stored { hash, size, links: stored.links.hashes()? }
    } else {
        BlobRecord::Pinned { hash, pinned: stored.pinned }
    })
}

/// A blob that is an input or an output.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredRef {
    #[prost(bytes = "vec", tag = "1")]
    hash: Vec<u8>,
    #[prost(uint64, tag = "2")]
    size: u64,
    #[prost(bool, tag = "3")]
    executable: bool,
    #[prost(bool, tag = "4")]
    folder: bool,
    #[prost(uint32, tag = "5")]
    list: u32,
}

impl StoredRef {
    pub(super) fn of(blob: BlobRef) -> Self {
        let executable = blob.form == BlobForm::File { executable: true };
        let folder = blob.form == BlobForm::Folder;
        Self {
            hash: blob.hash.as_bytes().to_vec(),
            size: blob.size,
            executable,
            folder,
            list: blob.list,
        }
    }

    pub(super) fn blob(&self) -> Option<BlobRef> {
        let form = match (self.folder, self.executable) {
            (true, _) => BlobForm::Folder,
            (false, executable) => BlobForm::File { executable },
        };
        Some(BlobRef { hash: blob_hash(&self.hash)?, size: self.size, form, list: self.list })
    }
}

/// A blob on the disk of this node.
#[derive(Clone, PartialEq, Message)]
struct StoredBlob {
    #[prost(bytes = "vec", tag = "1")]
    hash: Vec<u8>,
    #[prost(uint64, tag = "2")]
    size: u64,
    #[prost(message, required, tag = "3")]
    links: StoredHashes,
    #[prost(bool, tag = "4")]
    pinned: bool,
}

impl StoredBlob {
    fn of(hash: &BlobHash, size: u64, links: &[BlobHash]) -> Self {
        let hash = hash.as_bytes().to_vec();
        Self { hash, size, links: StoredHashes::of(links), pinned: false }
    }
}

/// Hashes, 32 bytes each, one after the other.
#[derive(Clone, PartialEq, Message)]
struct StoredHashes {
    #[prost(bytes = "vec", tag = "1")]
    hashes: Vec<u8>,
}

impl StoredHashes {
    fn of(hashes: &[BlobHash]) -> Self {
        Self { hashes: hashes.iter().flat_map(BlobHash::as_bytes).copied().collect() }
    }

    fn hashes(&self) -> Option<Vec<BlobHash>> {
        let (hashes, rest) = self.hashes.as_chunks::<32>();
        rest.is_empty().then(|| hashes.iter().copied().map(BlobHash::from_bytes).collect())
    }
}

fn blob_hash(bytes: &[u8]) -> Option<BlobHash> {
    Some(BlobHash::from_bytes(bytes.try_into().ok()?))
}

/// Appends the kind of a record and its message.
pub(super) fn put(kind: u8, message: &impl Message, out: &mut Vec<u8>) {
    out.push(kind);
    message.encode(out).ok();
}
