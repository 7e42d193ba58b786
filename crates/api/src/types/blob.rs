//! Files and folders in a node's store, and their uploads.

use meshwork_core::{
    BlobHash,
    engine::view::{self, BlobSpace},
};
use serde::{Deserialize, Serialize};

use super::{node::wide, words::words};

words! {
    /// What the bytes of a blob are, which decides the blobs that it names.
    BlobContent {
        /// A file.
        File = "file",
        /// A part of a folder's list: it names the larger files of its entries.
        Part = "part",
        /// The root of a folder's list: it names the parts.
        Folder = "folder",
    }
}

/// A blob in the store of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobView {
    /// The BLAKE3 hash of its bytes, 64 hex digits.
    pub hash: BlobHash,
    /// Size in bytes.
    pub size: u64,
    /// Number of blobs that it names: 0 for a file, parts or files for a folder's list.
    pub links: u64,
    /// Number of tasks, results and folders that need it.
    pub holds: u32,
    /// Whether it stays without a task that needs it.
    pub pinned: bool,
}

impl From<view::BlobView> for BlobView {
    fn from(blob: view::BlobView) -> Self {
        let view::BlobView { hash, size, links, holds, pinned } = blob;
        Self { hash, size, links: wide(links), holds, pinned }
    }
}

/// The space for blobs on the disk of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobSpaceView {
    /// Bytes that blobs may take (`--disk`).
    pub budget_bytes: u64,
    /// Bytes that stored blobs take, in whole blocks.
    pub used_bytes: u64,
    /// Bytes that are reserved for blobs being stored.
    pub reserved_bytes: u64,
    /// Number of stored blobs.
    pub blobs: u64,
    /// Number of blobs that tasks need and the store does not have.
    pub lost: u64,
}

impl From<BlobSpace> for BlobSpaceView {
    fn from(space: BlobSpace) -> Self {
        let BlobSpace { budget, used, reserved, blobs, lost } = space;
        Self {
            budget_bytes: budget,
            used_bytes: used,
            reserved_bytes: reserved,
            blobs: wide(blobs),
            lost: wide(lost),
        }
    }
}

/// Selects blobs, in the order of their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobQuery {
    /// Blobs whose hashes start with these hex digits.
    pub prefix: Option<String>,
    /// Maximum number of blobs, at least 1; `None` for all.
    pub limit: Option<usize>,
    /// The `next_cursor` of an earlier list: this one continues there.
    pub cursor: Option<String>,
}

/// A blob that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBlob {
    /// The BLAKE3 hash of its bytes.
    pub hash: BlobHash,
    /// Size in bytes.
    pub size: u64,
}

/// Begins an upload: a blob that arrives in several requests, and survives a cut connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadRequest {
    /// What the bytes are. Default: a file.
    #[serde(default = "file")]
    pub content: BlobContent,
    /// Size in bytes, if it is known: reserved at once, so that an upload without space is refused
    /// before its first byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The expected hash; other bytes are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<BlobHash>,
}

fn file() -> BlobContent {
    BlobContent::File
}

/// An upload that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadView {
    /// The upload's id.
    pub id: String,
    /// Bytes that the node has: the next piece starts here.
    pub offset: u64,
}

/// Pins a blob, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// Whether the blob stays without a task that needs it.
    pub pinned: bool,
}

/// The space that removed blobs have given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreedAnswer {
    /// Bytes on the disk.
    pub freed_bytes: u64,
}
