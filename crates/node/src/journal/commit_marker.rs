//! The commit marker: `journal.told`, a file beside the journal with the store's name and the
//! number of segments that were committed before the node acted on them.
//!
//! The store treats damage in its last commit as an interrupted commit and continues from the one
//! before; and a copy made since the last start looks like the latest journal. The marker shows
//! that both lack commits.
//!
//! Absent on purpose: a sync. The marker is written after its commit is synced, so it is never
//! ahead of the journal; after a power cut it may be behind, and then detects less.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::home::{self, HomeError};

/// The file's name in a home.
const FILE: &str = "journal.told";

/// The commit marker of one journal, open for writing.
#[derive(Debug)]
pub(super) struct CommitMarker {
    /// None if the marker cannot be written; the next start then detects no missing commits.
    file: Option<File>,
    name: u64,
}

impl CommitMarker {
    /// Opens the commit marker of the store with this name in a home.
    pub(super) fn open(dir: &Path, name: u64) -> Self {
        let path = path(dir);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        // Checked first: opening a pipe would wait for a reader.
        let file = if fs::metadata(&path).is_ok_and(|facts| !facts.is_file()) {
            Err(std::io::Error::other(format!("{} is not a regular file", path.display())))
        } else {
            options.open(path)
        };
        if let Err(error) = &file {
            tracing::warn!(%error, "journal.told not written: the next start cannot detect missing commits");
        }
        Self { file: file.ok(), name }
    }

    /// Writes the number of committed segments, before the node acts on them.
    pub(super) fn note(&mut self, written: u64) {
        let Some(file) = &self.file else { return };
        let text = format!("{:016x} {written:020}\n", self.name);
        if let Err(error) = file.write_all_at(text.as_bytes(), 0) {
            tracing::warn!(%error, "journal.told not written: the next start cannot detect missing commits");
            self.file = None;
        }
    }
}

/// Number of segments that the journal with this name has at least; 0 if the marker does not say.
pub(super) fn least_written(dir: &Path, name: u64) -> Result<u64, HomeError> {
    let text = match home::read(&path(dir)) {
        // The marker is not synced: a power cut may leave anything in it.
        Err(HomeError::Damaged { .. }) => return Ok(0),
        text => text?.unwrap_or_default(),
    };
    let mut words = text.split_whitespace();
    let of = words.next().and_then(|of| u64::from_str_radix(of, 16).ok());
    let written = words.next().and_then(|written| written.parse().ok());
    // A marker that a power cut has torn counts as 0.
    Ok(written.filter(|_| of == Some(name)).unwrap_or(0))
}

/// Removes the marker, because another file replaces the journal.
pub(super) fn remove(dir: &Path) -> Result<(), HomeError> {
    let path = path(dir);
    match fs::remove_file(&path) {
        Err(source) if path.exists() => Err(HomeError::Io { path, source }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The path of the marker in a home.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

#[cfg(test)]
mod tests;
