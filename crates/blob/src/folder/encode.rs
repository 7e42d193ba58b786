//! Writes a folder's list: entries in order go in, parts and at last the root come out.

use bytes::Bytes;
use meshwork_core::blob::{BlobForm, BlobHash, BlobRef};

use super::{
    error::FormatError,
    part::{Entry, Node, header, put_entry},
    root::{PartRef, Root},
    trail::Trail,
};
use crate::limits::{FOLDER_ENTRIES, LINKS_BYTES, PART_FULL_BYTES, PART_MIN_BYTES};

/// The list of a folder that is being written. It holds one part and the hashes of the others.
#[derive(Debug)]
pub(super) struct Encoder {
    trail: Trail,
    part: Vec<u8>,
    part_entries: u64,
    parts: Vec<PartRef>,
    totals: Totals,
}

/// What a folder has so far. The same sums bound a folder that is written and one that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    links: u64,
}

impl Totals {
    /// Counts an entry.
    pub(super) fn add(&mut self, path: &[u8], node: &Node<'_>) -> Result<(), FormatError> {
        self.entries += 1;
        if self.entries > FOLDER_ENTRIES {
            return Err(FormatError::TooLarge { limit: FOLDER_ENTRIES });
        }
        self.add_bytes(node.size())?;
        if let Node::Link { target } = node {
            self.add_link(path.len(), target.len())?;
        }
        Ok(())
    }

    pub(super) fn add_bytes(&mut self, size: u64) -> Result<(), FormatError> {
        self.bytes = self.bytes.checked_add(size).ok_or(FormatError::Sum)?;
        Ok(())
    }

    pub(super) fn add_link(&mut self, path: usize, target: usize) -> Result<(), FormatError> {
        self.links = self.links.saturating_add((path + target) as u64);
        if self.links > LINKS_BYTES {
            return Err(FormatError::TooLarge { limit: LINKS_BYTES });
        }
        Ok(())
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            trail: Trail::at_top(),
            part: header(),
            part_entries: 0,
            parts: Vec::new(),
            totals: Totals::default(),
        }
    }
}

impl Encoder {
    /// Adds the next entry. Returns a part when this entry completes it.
    ///
    /// # Errors
    /// The entry may not be in a folder, or not at this place.
    pub(super) fn add(&mut self, entry: Entry<'_>) -> Result<Option<Bytes>, FormatError> {
        entry.node.check(entry.path)?;
        self.totals.add(entry.path, &entry.node)?;
        let before = self.part.len();
        put_entry(&mut self.part, &self.trail, &entry);
        if let Err(error) = self.trail.follow(entry.path, entry.node.is_directory()) {
            self.part.truncate(before);
            return Err(error);
        }
        self.part_entries += 1;
        Ok(self.is_part_complete(entry.path).then(|| self.end_part()))
    }

    /// Ends the last part. Returns nothing if it has no entries.
    pub(super) fn last_part(&mut self) -> Option<Bytes> {
        (self.part_entries > 0).then(|| self.end_part())
    }

    /// The root, after [`last_part`](Self::last_part): its bytes, and the folder as a blob.
    ///
    /// # Errors
    /// The root is too large.
    pub(super) fn root(&self) -> Result<(Bytes, BlobRef), FormatError> {
        let Totals { entries, bytes, .. } = self.totals;
        let root = Root::encode(entries, bytes, &self.parts)?;
        let blob = BlobRef {
            hash: BlobHash::of(&root),
            size: bytes,
            form: BlobForm::Folder,
            list: root.len() as u32,
        };
        Ok((root.into(), blob))
    }

    /// Whether the part ends after this entry. The path decides, so that lists that differ in one
    /// place end their parts at the same entries elsewhere.
    fn is_part_complete(&self, path: &[u8]) -> bool {
        self.part.len() >= PART_FULL_BYTES
            || self.part.len() >= PART_MIN_BYTES
                && BlobHash::of(path).as_bytes().first().is_some_and(|byte| byte & 0x3f == 0)
    }

    fn end_part(&mut self) -> Bytes {
        let part = Bytes::from(std::mem::replace(&mut self.part, header()));
        self.parts.push(PartRef {
            hash: BlobHash::of(&part),
            size: part.len() as u64,
            entries: self.part_entries,
        });
        self.part_entries = 0;
        part
    }
}
