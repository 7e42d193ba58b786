//! A part of a folder: magic and version, then its entries in order.
//!
//! An entry: how many bytes its path has in common with the entry before it in the same part, the
//! rest of the path, the kind, and what the kind has. A part can be read alone.

use bytes::Bytes;
use meshwork_core::blob::BlobHash;

use super::{
    cursor::{Cursor, VERSION, put_number, put_string},
    error::FormatError,
    name::{check_target, to_path},
    trail::Trail,
};
use crate::limits::{INLINE_FILE_BYTES, LINK_TARGET_BYTES, PART_BYTES, PATH_BYTES};

/// An entry of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The path, relative to the folder: names joined by `/`.
    pub(super) path: &'a [u8],
    /// What is there.
    pub(super) node: Node<'a>,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node<'a> {
    /// A directory. Its contents are entries of their own.
    Directory,
    /// A file of at most [`INLINE_FILE_BYTES`].
    Inline {
        /// Whether its owner may execute it.
        executable: bool,
        /// The bytes of the file.
        bytes: &'a [u8],
    },
    /// A larger file.
    Blob {
        /// Whether its owner may execute it.
        executable: bool,
        /// The hash of the file's bytes.
        hash: BlobHash,
        /// Size of the file in bytes.
        size: u64,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, relative to the directory that holds it; inside the folder.
        target: &'a [u8],
    },
}

impl Node<'_> {
    /// Size of the file in bytes, 0 for what is no file.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Directory | Self::Link { .. } => 0,
            Self::Inline { bytes, .. } => bytes.len() as u64,
            Self::Blob { size, .. } => *size,
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self, Self::Directory)
    }

    /// Checks what the decoder of this node would refuse.
    pub(super) fn check(&self, path: &[u8]) -> Result<(), FormatError> {
        match self {
            Self::Directory => Ok(()),
            Self::Inline { bytes, .. } if bytes.len() > INLINE_FILE_BYTES => {
                Err(FormatError::FileSize { path: to_path(path) })
            }
            Self::Blob { size, .. } if *size <= INLINE_FILE_BYTES as u64 => {
                Err(FormatError::FileSize { path: to_path(path) })
            }
            Self::Inline { .. } | Self::Blob { .. } => Ok(()),
            Self::Link { target } => check_target(path, target)
                .map_err(|fault| FormatError::Target { path: to_path(path), fault }),
        }
    }
}

/// A file that is a blob of its own, as a part names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// The hash of the file's bytes.
    pub hash: BlobHash,
    /// Size of the file in bytes.
    pub size: u64,
}

/// The files that a part names as blobs of their own: blobs to keep as long as the part.
///
/// # Errors
/// The bytes are not a part of a folder, or break its rules.
pub fn files(part: &[u8]) -> Result<Vec<FileRef>, FormatError> {
    let mut reader = PartReader::new(Bytes::copy_from_slice(part))?;
    let mut trail = Trail::at_unknown_place();
    let mut files = Vec::new();
    while !reader.is_at_end() {
        if let Node::Blob { hash, size, .. } = reader.read(&mut trail)?.node {
            files.push(FileRef { hash, size });
        }
    }
    Ok(files)
}

/// Reads a part entry by entry.
///
/// It never lists all entries: a few bytes of a hostile part can stand for a path of 4,096.
#[derive(Debug)]
pub(super) struct PartReader {
    bytes: Bytes,
    at: usize,
}

impl PartReader {
    pub(super) fn new(bytes: Bytes) -> Result<Self, FormatError> {
        if bytes.len() > PART_BYTES {
            return Err(FormatError::TooLarge { limit: PART_BYTES as u64 });
        }
        Cursor::new(&bytes).magic(MAGIC)?;
        Ok(Self { bytes, at: HEADER_BYTES })
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Reads the next entry, after the one that `trail` knows.
    pub(super) fn read<'a>(&'a mut self, trail: &'a mut Trail) -> Result<Entry<'a>, FormatError> {
        let is_first = self.at == HEADER_BYTES;
        let mut cursor = Cursor::new(self.bytes.get(self.at..).unwrap_or_default());
        let shared = usize::try_from(cursor.number()?).map_err(|_| FormatError::Number)?;
        let rest = cursor.string(PATH_BYTES)?;
        let node = read_node(&mut cursor)?;
        // The first entry has its whole path: a part does not depend on the part before it.
        if is_first && shared > 0 {
            return Err(FormatError::Prefix);
        } else if is_first {
            trail.follow(rest, node.is_directory())?;
        } else {
            trail.follow_shared(shared, rest, node.is_directory())?;
        }
        node.check(trail.path())?;
        self.at = self.bytes.len() - cursor.left();
        Ok(Entry { path: trail.path(), node })
    }
}

/// The first bytes of a part.
pub(super) fn header() -> Vec<u8> {
    [MAGIC, &[VERSION]].concat()
}

/// Adds an entry to a part that has a header.
pub(super) fn put_entry(part: &mut Vec<u8>, trail: &Trail, entry: &Entry<'_>) {
    let shared = if part.len() == HEADER_BYTES { 0 } else { trail.shared(entry.path) };
    put_number(part, shared as u64);
    put_string(part, entry.path.get(shared..).unwrap_or_default());
    match entry.node {
        Node::Directory => part.push(DIRECTORY),
        Node::Inline { executable, bytes } => {
            part.push(INLINE | u8::from(executable));
            put_string(part, bytes);
        }
        Node::Blob { executable, hash, size } => {
            part.push(BLOB | u8::from(executable));
            part.extend_from_slice(hash.as_bytes());
            put_number(part, size);
        }
        Node::Link { target } => {
            part.push(LINK);
            put_string(part, target);
        }
    }
}

fn read_node<'a>(cursor: &mut Cursor<'a>) -> Result<Node<'a>, FormatError> {
    let kind = cursor.byte()?;
    let executable = kind & 1 == 1;
    match kind {
        DIRECTORY => Ok(Node::Directory),
        INLINE | INLINE_EXECUTABLE => {
            Ok(Node::Inline { executable, bytes: cursor.string(INLINE_FILE_BYTES)? })
        }
        BLOB | BLOB_EXECUTABLE => {
            Ok(Node::Blob { executable, hash: cursor.hash()?, size: cursor.number()? })
        }
        LINK => Ok(Node::Link { target: cursor.string(LINK_TARGET_BYTES)? }),
        kind => Err(FormatError::Kind { kind }),
    }
}

/// The first bytes of a part, before the version.
const MAGIC: &[u8] = b"mwpart";

/// Bytes before the first entry of a part.
const HEADER_BYTES: usize = MAGIC.len() + 1;

const DIRECTORY: u8 = 0;
const LINK: u8 = 1;
/// The lowest bit of a file's kind is its executable bit.
const INLINE: u8 = 2;
const INLINE_EXECUTABLE: u8 = 3;
const BLOB: u8 = 4;
const BLOB_EXECUTABLE: u8 = 5;
