//! Why a file is not added to a node, or not taken out of it.

use std::{io, path::PathBuf};

use meshwork_blob::{
    ContentError, ReadError, WriteError,
    folder::{FormatError, PackError, PlanError, UnpackError},
};
use meshwork_core::{BlobHash, Reason};

use crate::error::{InternalError, NetworkError};

/// A blob cannot be added, read or changed. Its text is for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The node refuses, for example because there is no space.
    #[error("{0}")]
    Refused(#[from] Reason),
    /// A file outside the store cannot be read or written.
    #[error("cannot access {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// A folder cannot be added: an entry is not supported, or cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file or folder changed while it was read, or cannot be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file or folder cannot be made from its blob.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The bytes are not the list of a folder.
    #[error("not the list of a folder: {0}")]
    Format(#[source] FormatError),
    /// The bytes have another hash than their sender announced.
    #[error("the bytes have the hash {found}, not {expected}")]
    OtherHash {
        /// The announced hash.
        expected: BlobHash,
        /// The hash of the bytes.
        found: BlobHash,
    },
    /// The blob has another size than its sender announced.
    #[error("the blob has {found} bytes, and {announced} bytes were announced")]
    OtherSize {
        /// The announced size in bytes.
        announced: u64,
        /// The bytes that arrived.
        found: u64,
    },
    /// The disk of the store is full, although the budget for blobs has room.
    #[error(
        "no space on the node's disk: {need} bytes needed, {free} bytes free on the disk, and blobs may \
         take {budget} bytes"
    )]
    DiskFull {
        /// Size of the file or folder in bytes; of a stream, what has arrived of it.
        need: u64,
        /// Bytes that are free on the disk after the failure.
        free: u64,
        /// The budget for blobs in bytes.
        budget: u64,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// The disk of the store cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The disk of the store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The node is not running, or failed.
    #[error(transparent)]
    Node(NetworkError),
}

impl BlobError {
    /// The error's code: the same in HTTP and on the command line, and in later versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.code(),
            Self::File { .. } => "file",
            Self::Plan(error) => error.code(),
            Self::Pack(error) => error.code(),
            Self::Unpack(error) => error.code(),
            Self::Format(error) => error.code(),
            Self::OtherHash { .. } => "other_hash",
            Self::OtherSize { .. } => "other_size",
            Self::DiskFull { .. } => "disk_full",
            Self::Write(error) if error.is_full() => "disk_full",
            Self::Read(error) if error.is_lost() => "blob_missing",
            Self::Write(_) | Self::Read(_) => "internal",
            Self::Node(error) => error.code(),
        }
    }

    /// Whether a retry may succeed without any change by the user.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(reason) => reason.is_retryable(),
            Self::DiskFull { .. } => true,
            Self::Write(error) => error.is_retryable(),
            Self::Read(error) => error.is_retryable(),
            Self::Node(error) => error.is_retryable(),
            Self::Plan(error) => error.is_retryable(),
            Self::Pack(error) => error.is_retryable(),
            Self::Unpack(error) => error.is_retryable(),
            Self::File { .. }
            | Self::Format(_)
            | Self::OtherHash { .. }
            | Self::OtherSize { .. } => false,
        }
    }
}

impl From<NetworkError> for BlobError {
    fn from(error: NetworkError) -> Self {
        if let NetworkError::Refused(reason) = error { reason.into() } else { Self::Node(error) }
    }
}

impl From<InternalError> for BlobError {
    fn from(error: InternalError) -> Self {
        Self::Node(error.into())
    }
}

impl From<ContentError> for BlobError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Format(error) => Self::Format(error),
            ContentError::Read(error) => Self::Read(error),
        }
    }
}
