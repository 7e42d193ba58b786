//! What the bytes of a blob are, which decides the blobs that it names.

use meshwork_core::BlobHash;

use crate::{
    folder::{self, FormatError},
    limits::{PART_BYTES, ROOT_BYTES},
    store::{ReadError, Ready},
};

/// What the bytes of a blob are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// A file: it names no other blob.
    #[default]
    File,
    /// A part of a folder's list: it names the larger files among its entries.
    Part,
    /// The root of a folder's list: it names the parts.
    Folder,
}

/// The bytes of a blob are not what was said.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The bytes are not the list of a folder.
    #[error("not the list of a folder: {0}")]
    Format(#[from] FormatError),
    /// The blob cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Content {
    /// The blobs that a complete blob names. Reads it, unless it is a file.
    ///
    /// # Errors
    ///
    /// Its bytes are something else, or cannot be read.
    pub fn links(self, blob: &Ready) -> Result<Vec<BlobHash>, ContentError> {
        match self {
            Self::File => Ok(Vec::new()),
            Self::Part => {
                let files = folder::files(&blob.bytes(PART_BYTES)?)?;
                Ok(files.iter().map(|file| file.hash).collect())
            }
            Self::Folder => {
                let parts = folder::parts(&blob.bytes(ROOT_BYTES)?)?;
                Ok(parts.iter().map(|part| part.hash).collect())
            }
        }
    }
}
