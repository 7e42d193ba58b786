//! The inputs, replies and records of the engine that are about blobs.

use std::time::Duration;

use super::view::BlobView;
use crate::blob::BlobHash;

/// A caller's request about blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobRequest {
    /// Reserve space, before bytes are written. Answered with [`BlobReply::Reserved`].
    Reserve {
        /// Bytes to be written.
        bytes: u64,
    },
    /// Keep blobs whose bytes are on disk. A blob that names others comes after them. Answered with
    /// [`BlobReply::Stored`] once the records are on disk as well; if it is refused,
    /// [`Effect::RemoveBlobs`](super::Effect::RemoveBlobs) names the files that are not needed.
    Store {
        /// The blobs.
        blobs: Vec<NewBlob>,
        /// Bytes that were reserved for them.
        reserved: u64,
    },
    /// Look for a blob, to use it soon. Answered with [`BlobReply::Blob`].
    Find {
        /// The blob.
        hash: BlobHash,
    },
    /// Pin a blob, or no longer. Answered with [`BlobReply::Blob`].
    Pin {
        /// The blob.
        hash: BlobHash,
        /// Whether it is pinned.
        pinned: bool,
    },
    /// Remove a blob. Answered with [`BlobReply::Removed`].
    Remove {
        /// The blob.
        hash: BlobHash,
    },
    /// Remove all blobs that nothing needs. Answered with [`BlobReply::Removed`].
    Collect,
}

/// Why a blob could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFault {
    /// The provider does not have the blob, or this node may not have it.
    Refused,
    /// The provider sent other bytes, or broke the protocol.
    Wrong,
    /// The disk of this node is full.
    NoSpace,
    /// The provider is not connected, did not answer, or asked for patience.
    Unreachable {
        /// The wait that the provider asks for; zero if none.
        retry_after: Duration,
    },
}

/// What happened to blobs outside the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobEvent {
    /// Bytes that were reserved will not be written.
    Unreserved {
        /// Bytes of the reservation.
        bytes: u64,
    },
    /// A blob that [`Effect::Fetch`](super::Effect::Fetch) asked for, and all blobs that it names, are
    /// on disk.
    Fetched {
        /// The blob.
        hash: BlobHash,
        /// All of them, in any order.
        blobs: Vec<NewBlob>,
    },
    /// A fetch failed; what has arrived is kept for the next one.
    FetchFailed {
        /// The blob.
        hash: BlobHash,
        /// Why it failed.
        fault: FetchFault,
    },
    /// Bytes of a blob have arrived.
    FetchProgress {
        /// The blob.
        hash: BlobHash,
        /// Bytes of it that are there.
        bytes: u64,
    },
    /// The bytes of a blob are damaged or gone.
    Lost {
        /// The blob.
        hash: BlobHash,
    },
}

/// An answer about blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobReply {
    /// Space is reserved.
    Reserved,
    /// The blobs are stored; each stays for the time of a lease.
    Stored,
    /// The blob that the caller asked about.
    Blob(BlobView),
    /// Blobs were removed.
    Removed {
        /// Bytes that this frees.
        bytes: u64,
    },
}

/// A journal entry about blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobRecord {
    /// The bytes of a blob are on disk.
    Stored {
        /// The blob.
        hash: BlobHash,
        /// Size in bytes.
        size: u64,
        /// The blobs that it names: the parts of a folder, or the files of a part.
        links: Vec<BlobHash>,
    },
    /// The user pinned a blob, or no longer.
    Pinned {
        /// The blob.
        hash: BlobHash,
        /// Whether it is pinned.
        pinned: bool,
    },
    /// Blobs are being removed from the disk.
    Removed {
        /// The blobs.
        hashes: Vec<BlobHash>,
    },
}

/// A blob whose bytes are on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBlob {
    /// The hash of its bytes.
    pub hash: BlobHash,
    /// Size in bytes, at most [`BLOB_BYTES`](crate::limits::BLOB_BYTES).
    pub size: u64,
    /// Distinguishes its file from an earlier one of the same blob.
    pub serial: u64,
    /// The blobs that it names, at most [`BLOB_LINKS`](crate::limits::BLOB_LINKS).
    pub links: Vec<BlobHash>,
}

/// A blob with the file that has its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// The hash of its bytes.
    pub hash: BlobHash,
    /// As [`NewBlob::serial`]; 0 for a file of an earlier start.
    pub serial: u64,
}
