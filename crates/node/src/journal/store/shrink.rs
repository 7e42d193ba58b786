//! Shrinks a file that is mostly free space: copies the store's contents to a second file, portion
//! by portion, and renames that file to the first.
//!
//! Segments are inserted once and never changed, so each portion is read from the present state: no
//! long read transaction keeps the old file from reusing its pages.
//!
//! Absent on purpose: the decision to shrink, which the writer makes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use redb::{Database, ReadableDatabase, ReadableTable};

use super::{ENDED, FORGOTTEN, META, Numbered, Store, remove_smaller, smaller};
use crate::{home::HomeError, journal::error::JournalError};

/// The smaller file, under way. Dropped before it replaces the journal, the file is removed.
pub(in crate::journal) struct Shrinking {
    /// None once the file is the journal's.
    to: Option<Store>,
    path: PathBuf,
    /// The first segment that is not copied.
    next: u64,
    /// The first row of [`FORGOTTEN`] that is not copied.
    next_forgotten: u64,
    /// Copied segments that the journal removed afterwards.
    removed: Vec<u64>,
}

/// The journal's earlier file, already unlinked. Closing it frees its space, which may take long.
pub(in crate::journal) struct Replaced {
    _file: Option<Database>,
}

impl Shrinking {
    /// Begins a smaller file for this store.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(in crate::journal) fn begin(from: &Store) -> Result<Self, JournalError> {
        let path = smaller(&from.path);
        remove_smaller(&from.path)?;
        let to = Store::make(path.clone(), from.marker()?);
        if to.is_err() {
            fs::remove_file(&path).ok();
        }
        Ok(Self { to: Some(to?), path, next: 0, next_forgotten: 0, removed: Vec::new() })
    }

    /// Notes that the journal removed these segments.
    pub(in crate::journal) fn note_removed(&mut self, segments: &[u64]) {
        self.removed.extend(segments.iter().filter(|number| **number < self.next));
    }

    /// Copies one portion of about `bytes` bytes to disk, at least one segment. False: the copy is
    /// complete.
    ///
    /// # Errors
    ///
    /// The store cannot be read, or the copy cannot be written.
    pub(in crate::journal) fn step(
        &mut self,
        from: &Store,
        bytes: usize,
    ) -> Result<bool, JournalError> {
        let Some(to) = &self.to else { return Ok(false) };
        let segments = from.snapshot()?.portion(self.next, bytes)?;
        let forgotten = from.forgotten(self.next_forgotten)?;
        let copied: usize = segments.iter().map(|(_, segment)| segment.len()).sum();
        let is_last = copied < bytes && forgotten.len() < FORGOTTEN_PORTION;
        let rest = if is_last { Some(from.rest()?) } else { None };
        to.write(|tables| {
            self.removed.iter().try_for_each(|number| tables.remove(*number).map(drop))?;
            for (number, segment) in &segments {
                tables.insert(*number, segment)?;
            }
            for (number, start) in &forgotten {
                tables.forgotten.insert(number, start.as_slice())?;
            }
            rest.iter().try_for_each(|rest| rest.write(tables))
        })?;
        self.removed.clear();
        self.next = segments.last().map_or(self.next, |(number, _)| number + 1);
        self.next_forgotten =
            forgotten.last().map_or(self.next_forgotten, |(number, _)| number + 1);
        Ok(!is_last)
    }

    /// Renames the complete copy to the store's file. On an error nothing has changed.
    ///
    /// # Errors
    ///
    /// The file cannot be renamed.
    pub(in crate::journal) fn rename(&self, store: &Store) -> Result<(), JournalError> {
        let renamed = fs::rename(&self.path, &store.path);
        renamed.map_err(|source| HomeError::Io { path: store.path.clone(), source }.into())
    }

    /// Makes the store write to the renamed file.
    ///
    /// # Errors
    ///
    /// The folder cannot be synced: a power cut may bring back the earlier file.
    pub(in crate::journal) fn replace(
        mut self,
        store: &mut Store,
    ) -> Result<Replaced, JournalError> {
        let to = self.to.take();
        let dir = store.path.parent().unwrap_or_else(|| Path::new("."));
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|source| HomeError::Io { path: dir.to_owned(), source })?;
        let file = to.and_then(|mut to| to.db.take());
        Ok(Replaced { _file: std::mem::replace(&mut store.db, file) })
    }
}

impl Drop for Shrinking {
    fn drop(&mut self) {
        if self.to.take().is_some() {
            // If this fails, the next start removes the file.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Contents beside the segments that are copied at once, with the last portion.
struct Rest {
    meta: Vec<(String, u64)>,
    ended: Vec<Numbered>,
    /// The first row of [`FORGOTTEN`] that is kept.
    forgotten: u64,
}

impl Rest {
    fn write(&self, tables: &mut super::Tables<'_>) -> Result<(), redb::Error> {
        for (key, value) in &self.meta {
            tables.set(key, *value)?;
        }
        for (first, entry) in &self.ended {
            tables.ended.insert(first, entry.as_slice())?;
        }
        while tables.forgotten.first()?.is_some_and(|(row, _)| row.value() < self.forgotten) {
            tables.forgotten.pop_first()?;
        }
        Ok(())
    }
}

impl Store {
    /// Rows of [`FORGOTTEN`] from this number on, at most [`FORGOTTEN_PORTION`].
    fn forgotten(&self, from: u64) -> Result<Vec<Numbered>, JournalError> {
        let read = || {
            let table = self.db()?.begin_read()?.open_table(FORGOTTEN)?;
            let mut rows = Vec::new();
            for row in table.range(from..)?.take(FORGOTTEN_PORTION) {
                let (number, start) = row?;
                rows.push((number.value(), start.value().to_vec()));
            }
            Ok(rows)
        };
        read().map_err(|error| JournalError::store(&self.path, error))
    }

    fn rest(&self) -> Result<Rest, JournalError> {
        let read = || {
            let transaction = self.db()?.begin_read()?;
            let (mut meta, mut ended) = (Vec::new(), Vec::new());
            for row in transaction.open_table(META)?.iter()? {
                let (key, value) = row?;
                meta.push((key.value().to_owned(), value.value()));
            }
            for row in transaction.open_table(ENDED)?.iter()? {
                let (first, entry) = row?;
                ended.push((first.value(), entry.value().to_vec()));
            }
            let forgotten = transaction.open_table(FORGOTTEN)?;
            let forgotten = forgotten.first()?.map_or(0, |(number, _)| number.value());
            Ok(Rest { meta, ended, forgotten })
        };
        read().map_err(|error| JournalError::store(&self.path, error))
    }
}

/// Rows of [`FORGOTTEN`] in one portion: they take a few milliseconds.
const FORGOTTEN_PORTION: usize = 4_096;

#[cfg(test)]
mod tests;
