//! Reads a folder's list part after part, and checks it as a whole: order and parents over the ends
//! of parts, counts and sums.

use bytes::Bytes;
use meshwork_core::blob::BlobHash;

use super::{
    encode::Totals,
    error::FormatError,
    part::{Entry, PartReader},
    root::{PartRef, Root},
    trail::Trail,
};

/// The list of a folder that is being read. It holds the root, one part, and one path.
#[derive(Debug)]
pub(super) struct Decoder {
    root: Root,
    trail: Trail,
    totals: Totals,
    parts_read: usize,
    open: Option<OpenPart>,
}

#[derive(Debug)]
struct OpenPart {
    reader: PartReader,
    entries_left: u64,
}

impl Decoder {
    /// Before the first entry.
    pub(super) fn new(root: Root) -> Self {
        let totals = Totals::default();
        Self { root, trail: Trail::at_top(), totals, parts_read: 0, open: None }
    }

    /// The part to [`open`](Self::open) next: nothing after the last one.
    pub(super) fn wanted(&self) -> Option<PartRef> {
        self.root.parts().get(self.parts_read).copied()
    }

    /// Goes on with the bytes of the wanted part.
    ///
    /// # Errors
    /// No part is wanted, the part before it has entries left, or these are not its bytes.
    pub(super) fn open(&mut self, bytes: Bytes) -> Result<(), FormatError> {
        let part = self.wanted().ok_or(FormatError::TrailingBytes)?;
        if self.open.is_some() {
            return Err(FormatError::WrongPart);
        }
        if bytes.len() as u64 != part.size || BlobHash::of(&bytes) != part.hash {
            return Err(FormatError::WrongPart);
        }
        self.open = Some(OpenPart { reader: PartReader::new(bytes)?, entries_left: part.entries });
        self.parts_read += 1;
        Ok(())
    }

    /// The next entry of the open part: nothing at its end.
    ///
    /// # Errors
    /// The list breaks a rule. No entry after it counts.
    pub(super) fn entry(&mut self) -> Result<Option<Entry<'_>>, FormatError> {
        if self.open.as_ref().is_some_and(|open| open.reader.is_at_end()) {
            self.close()?;
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        open.entries_left = open.entries_left.checked_sub(1).ok_or(FormatError::Count)?;
        let entry = open.reader.read(&mut self.trail)?;
        self.totals.add(entry.path, &entry.node)?;
        // Before the file is made: its reader has room for what the root says, and no more.
        if self.totals.bytes > self.root.bytes() {
            return Err(FormatError::Sum);
        }
        Ok(Some(entry))
    }

    fn close(&mut self) -> Result<(), FormatError> {
        if self.open.take().is_some_and(|open| open.entries_left > 0) {
            return Err(FormatError::Count);
        }
        if self.wanted().is_none() && self.totals.bytes != self.root.bytes() {
            return Err(FormatError::Sum);
        }
        Ok(())
    }
}
