//! The root of a folder: how many entries and bytes it has, and its parts.
//!
//! Magic and version, number of entries, sum of file bytes, number of parts; then each part's hash,
//! size and number of entries.

use meshwork_core::blob::{BlobForm, BlobHash, BlobRef};

use super::{
    cursor::{Cursor, VERSION, put_number},
    error::FormatError,
};
use crate::limits::{FOLDER_ENTRIES, PART_BYTES, PART_MIN_BYTES, ROOT_BYTES};

/// A part of a folder, as its root names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRef {
    /// The hash of the part's bytes.
    pub hash: BlobHash,
    /// Size of the part in bytes: not that of the files it names.
    pub size: u64,
    /// Number of entries in the part, at least one.
    pub entries: u64,
}

/// The root of a folder, checked: its parts are within the bounds, and their entries add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    hash: BlobHash,
    /// Size of the root itself.
    list: u32,
    entries: u64,
    bytes: u64,
    parts: Vec<PartRef>,
}

impl Root {
    /// Reads a root.
    ///
    /// # Errors
    /// The bytes are not the root of a folder, or break its rules.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > ROOT_BYTES {
            return Err(FormatError::TooLarge { limit: ROOT_BYTES as u64 });
        }
        let mut cursor = Cursor::new(bytes);
        cursor.magic(MAGIC)?;
        let entries = cursor.number()?;
        if entries > FOLDER_ENTRIES {
            return Err(FormatError::TooLarge { limit: FOLDER_ENTRIES });
        }
        let sum = cursor.number()?;
        let parts = decode_parts(&mut cursor)?;
        if cursor.left() > 0 {
            return Err(FormatError::TrailingBytes);
        }
        // No overflow: each part has at most `PART_BYTES` entries, and a root has few parts.
        if parts.iter().map(|part| part.entries).sum::<u64>() != entries {
            return Err(FormatError::Count);
        }
        if entries == 0 && sum > 0 {
            return Err(FormatError::Sum);
        }
        let list = bytes.len() as u32;
        Ok(Self { hash: BlobHash::of(bytes), list, entries, bytes: sum, parts })
    }

    /// The bytes of a root with these parts.
    pub(super) fn encode(
        entries: u64,
        sum: u64,
        parts: &[PartRef],
    ) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::with_capacity(MAGIC.len() + 31 + parts.len() * 38);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        put_number(&mut bytes, entries);
        put_number(&mut bytes, sum);
        put_number(&mut bytes, parts.len() as u64);
        for part in parts {
            bytes.extend_from_slice(part.hash.as_bytes());
            put_number(&mut bytes, part.size);
            put_number(&mut bytes, part.entries);
        }
        if bytes.len() > ROOT_BYTES {
            return Err(FormatError::TooLarge { limit: ROOT_BYTES as u64 });
        }
        Ok(bytes)
    }

    /// The folder as a blob.
    pub fn blob(&self) -> BlobRef {
        BlobRef { hash: self.hash, size: self.bytes, form: BlobForm::Folder, list: self.list }
    }

    /// Number of files, directories and links in the folder.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Sum of the sizes of all files, as the root claims it until every part is read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The parts in order.
    pub fn parts(&self) -> &[PartRef] {
        &self.parts
    }
}

/// The parts that a root names, in order: blobs to keep as long as the root.
///
/// # Errors
/// The bytes are not the root of a folder, or break its rules.
pub fn parts(root: &[u8]) -> Result<Vec<PartRef>, FormatError> {
    Root::decode(root).map(|root| root.parts)
}

fn decode_parts(cursor: &mut Cursor<'_>) -> Result<Vec<PartRef>, FormatError> {
    let count = cursor.number()?;
    // The claim is checked against the bytes that are there before any memory is taken.
    if count > (cursor.left() / PART_REF_MIN_BYTES) as u64 {
        return Err(FormatError::Truncated);
    }
    let mut parts = Vec::with_capacity(count as usize);
    for place in 1..=count {
        let part =
            PartRef { hash: cursor.hash()?, size: cursor.number()?, entries: cursor.number()? };
        let is_small = part.size < PART_MIN_BYTES as u64 && place < count;
        if is_small || part.size > PART_BYTES as u64 {
            return Err(FormatError::PartSize { size: part.size });
        }
        if part.entries == 0 || part.entries > part.size {
            return Err(FormatError::Count);
        }
        parts.push(part);
    }
    Ok(parts)
}

/// The first bytes of a root.
const MAGIC: &[u8] = b"mwroot";

/// Bytes of a part in a root at least: hash, size and number of entries.
const PART_REF_MIN_BYTES: usize = 34;
