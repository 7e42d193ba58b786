//! A file of the store that a handler got as a hard link, and the check that it did not change.

use std::{fs, io, os::unix::fs::MetadataExt as _};

use meshwork_core::BlobHash;

/// A blob whose file has a second name in the folder of an attempt.
#[derive(Debug)]
pub(super) struct Lent {
    hash: BlobHash,
    /// The same file, even if the store has removed the blob meanwhile.
    file: fs::File,
    before: Facts,
}

/// What changes when a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    size: u64,
    /// Seconds and nanoseconds of the last change of the contents.
    modified: (i64, i64),
}

impl Lent {
    /// Notes the state of the blob's file, open for reading, before the handler gets it.
    pub(super) fn new(hash: BlobHash, file: fs::File) -> io::Result<Self> {
        let before = facts(&file)?;
        Ok(Self { hash, file, before })
    }

    /// The blob, if its file may have been written since.
    pub(super) fn written(&self) -> Option<BlobHash> {
        let is_same = facts(&self.file).is_ok_and(|facts| facts == self.before);
        (!is_same).then_some(self.hash)
    }
}

fn facts(file: &fs::File) -> io::Result<Facts> {
    let facts = file.metadata()?;
    Ok(Facts { size: facts.len(), modified: (facts.mtime(), facts.mtime_nsec()) })
}
