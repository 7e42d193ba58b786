//! Errors of the store.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use meshwork_core::BlobHash;

/// A blob cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk has no space left.
    #[error("no space left on the disk of the store")]
    Full {
        /// The file that was being written.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// The partial blob is already open.
    #[error("blob {hash} is already arriving")]
    InUse {
        /// The blob.
        hash: BlobHash,
    },
    /// The disk failed.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
}

impl WriteError {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            let is_full =
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            if is_full { Self::Full { path, source } } else { Self::Io { path, source } }
        }
    }

    /// Whether the disk has no space left.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the same write may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::InUse { .. })
    }
}

/// A blob cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store does not have the blob.
    #[error("the store does not have blob {hash}")]
    Missing {
        /// The blob.
        hash: BlobHash,
    },
    /// The file of the blob has other bytes than it was given.
    #[error("the file of blob {hash} is damaged: {what}")]
    Damaged {
        /// The blob.
        hash: BlobHash,
        /// What is wrong with it.
        what: String,
    },
    /// The disk failed.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
}

impl ReadError {
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// Whether the bytes are gone: the blob has to come from elsewhere.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Damaged { .. })
    }

    /// Whether the same read may succeed later.
    pub fn is_retryable(&self) -> bool {
        !self.is_lost()
    }
}
