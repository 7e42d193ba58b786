//! Copies one state of a journal, portion by portion, so that commits can continue in between.
//!
//! Absent on purpose: the use of a copy (`repair` restores it), and its marker, which is written
//! when the rest of the copy is complete.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    archive,
    error::JournalError,
    store::{Marker, Segments, Store, paths},
};

/// A copy under way. Dropped before it is complete, its file is removed.
pub(super) struct Copy {
    from: Segments,
    /// The first segment that is not copied.
    next: u64,
    /// None once the copy is complete.
    to: Option<Store>,
    path: PathBuf,
}

impl Copy {
    /// Begins to copy the present state to a new file, which will be the journal of `marker`.
    ///
    /// # Errors
    ///
    /// The file exists or cannot be written.
    pub(super) fn begin(from: &Store, to: &Path, marker: Marker) -> Result<Self, JournalError> {
        if to.exists() {
            return Err(JournalError::Occupied { path: to.to_owned() });
        }
        let (aside, from) = (from.aside()?, from.snapshot()?);
        let store = Store::make(to.to_owned(), marker);
        if store.is_err() {
            fs::remove_file(to).ok();
        }
        let store = store?;
        Store::copy_aside(&aside, &store)?;
        Ok(Self { from, next: 0, to: Some(store), path: to.to_owned() })
    }

    /// Copies one portion to disk. False: nothing was left, and the copy is complete.
    pub(super) fn step(&mut self) -> Result<bool, JournalError> {
        let Some(to) = &self.to else { return Ok(false) };
        let portion = self.from.portion(self.next, PORTION)?;
        let Some((last, _)) = portion.last() else {
            self.to = None;
            return Ok(false);
        };
        self.next = last + 1;
        to.write(|tables| {
            portion.iter().try_for_each(|(number, segment)| tables.insert(*number, segment))
        })?;
        Ok(true)
    }

    /// Copies the rest.
    pub(super) fn finish(mut self) -> Result<(), JournalError> {
        while self.step()? {}
        Ok(())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if self.to.take().is_some() {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// All files of a copy, including the archive. Dropped before the copy is complete, they are
/// removed.
pub(super) struct Unfinished {
    dir: PathBuf,
    is_whole: bool,
}

impl Unfinished {
    /// Refuses a folder with files of a journal: from now on, files of these names belong to the
    /// copy.
    pub(super) fn begin(dir: &Path) -> Result<Self, JournalError> {
        let (journal, marker) = paths(dir);
        match [journal, marker, archive::folder(dir)].into_iter().find(|path| path.exists()) {
            Some(path) => Err(JournalError::Occupied { path }),
            None => Ok(Self { dir: dir.to_owned(), is_whole: false }),
        }
    }

    /// Writes the marker, which completes the copy.
    pub(super) fn complete(mut self, marker: Marker) -> Result<(), JournalError> {
        marker.put(&self.dir)?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_whole {
            discard(&self.dir);
        }
    }
}

/// Removes an incomplete copy, the marker first, so that the rest is never mistaken for a journal.
pub(super) fn discard(dir: &Path) {
    let (journal, marker) = paths(dir);
    for file in [marker, journal] {
        // The file may not exist yet.
        fs::remove_file(file).ok();
    }
    fs::remove_dir_all(archive::folder(dir)).ok();
}

/// Bytes after which a portion ends. A commit waits for at most one portion.
const PORTION: usize = 4 << 20;
