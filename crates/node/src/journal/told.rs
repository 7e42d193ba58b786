//! How far the journal has come, beside it: `journal.told` names the store and how much was committed
//! to it before it was told. The store takes what is damaged in its last commit for a commit that was
//! cut short, and goes on from the one before; and a copy that was made since the last start looks
//! like the latest. With this both are known to lack something.
//!
//! Absent on purpose: a sync. It is written after that of its commit, so that it is never ahead of the
//! journal; after a power cut it may be behind, and then says less.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::store::FILE;
use crate::home::{self, HomeError};

/// What is noted of one journal.
#[derive(Debug)]
pub(super) struct Told {
    /// None if it cannot be written: then nothing is known at the next start.
    file: Option<File>,
    name: u64,
}

impl Told {
    /// Of the store of this name in a home.
    pub(super) fn beside(dir: &Path, name: u64) -> Self {
        let path = path(dir);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        // Opening a pipe waits for a reader.
        let file = if fs::metadata(&path).is_ok_and(|facts| !facts.is_file()) {
            Err(std::io::Error::other(format!("{} is not a regular file", path.display())))
        } else {
            options.open(path)
        };
        if let Err(error) = &file {
            tracing::warn!(%error, "how far the journal has come is not noted");
        }
        Self { file: file.ok(), name }
    }

    /// So many segments were committed, and are about to be told.
    pub(super) fn note(&mut self, written: u64) {
        let Some(file) = &self.file else { return };
        let text = format!("{:016x} {written:020}\n", self.name);
        if let Err(error) = file.write_all_at(text.as_bytes(), 0) {
            tracing::warn!(%error, "how far the journal has come is not noted");
            self.file = None;
        }
    }
}

/// How many segments the journal of this name must have come to, as far as is known.
pub(super) fn least(dir: &Path, name: u64) -> Result<u64, HomeError> {
    let text = match home::read(&path(dir)) {
        // It is not synced: a power cut may leave anything.
        Err(HomeError::Damaged { .. }) => return Ok(0),
        text => text?.unwrap_or_default(),
    };
    let mut words = text.split_whitespace();
    let of = words.next().and_then(|of| u64::from_str_radix(of, 16).ok());
    let written = words.next().and_then(|written| written.parse().ok());
    // What a power cut has left of it says nothing.
    Ok(written.filter(|_| of == Some(name)).unwrap_or(0))
}

/// Another file takes the place of the journal: whatever was told of this one does not count.
pub(super) fn forget(dir: &Path) -> Result<(), HomeError> {
    let path = path(dir);
    match fs::remove_file(&path) {
        Err(source) if path.exists() => Err(HomeError::Io { path, source }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Where it is.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE).with_extension("told")
}

#[cfg(test)]
mod tests;
