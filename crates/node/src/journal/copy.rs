//! Copies of a journal, of one state of it: made portion by portion, so that whoever owns the
//! journal can commit in between.
//!
//! Absent on purpose: what a copy is for (`repair` puts it back), and its marker, which is written
//! when all the rest is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    JournalError, archive,
    store::{Marker, Segments, Store, paths},
};

/// A copy that is being made. What is there of one that is given up is removed.
pub(super) struct Copy {
    from: Segments,
    /// The first segment that is not copied.
    next: u64,
    /// None once it is whole.
    to: Option<Store>,
    path: PathBuf,
}

impl Copy {
    /// Begins one of what is on disk now, in a file that is not there yet. It will be the journal of
    /// `marker`.
    ///
    /// # Errors
    ///
    /// The file is there, or cannot be written.
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

    /// Copies one portion, which is on disk then. False when there was nothing left, and the copy is
    /// whole.
    pub(super) fn go_on(&mut self) -> Result<bool, JournalError> {
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

    /// Copies all that is left.
    pub(super) fn finish(mut self) -> Result<(), JournalError> {
        while self.go_on()? {}
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

/// All that a copy puts into its folder, with the archive. Dropped before it is whole, nothing of it is
/// left.
pub(super) struct Unfinished {
    dir: PathBuf,
    is_whole: bool,
}

impl Unfinished {
    /// Refuses a folder in which there is a journal, or what belongs to one: whatever has these names
    /// from now on is of the copy.
    pub(super) fn begin(dir: &Path) -> Result<Self, JournalError> {
        let (journal, marker) = paths(dir);
        match [journal, marker, archive::folder(dir)].into_iter().find(|path| path.exists()) {
            Some(path) => Err(JournalError::Occupied { path }),
            None => Ok(Self { dir: dir.to_owned(), is_whole: false }),
        }
    }

    /// All is there but the marker: writes that, and leaves the copy where it is.
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

/// Removes what there is of a copy that could not be completed; the marker first, so that the rest is
/// never taken for a whole one.
pub(super) fn discard(dir: &Path) {
    let (journal, marker) = paths(dir);
    for file in [marker, journal] {
        // It may not have come to it.
        fs::remove_file(file).ok();
    }
    fs::remove_dir_all(archive::folder(dir)).ok();
}

/// Bytes after which a portion ends: a commit waits for one at most.
const PORTION: usize = 4 << 20;
