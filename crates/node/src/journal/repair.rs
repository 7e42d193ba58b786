//! Looking at the journal of a node that does not run, and mending it.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use meshwork_core::{Time, engine::Ledger};
use serde::Serialize;

use super::{JournalError, store::Store};
use crate::home::{Home, HomeError};

/// What is in a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalReport {
    /// Tasks that have not ended.
    pub open: usize,
    /// Tasks that have, and are kept.
    pub ended: usize,
    /// Results for other owners, until these have them for good.
    pub results: usize,
    /// Records of these, and of what is not needed any more.
    pub records: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// Commits that the records are from.
    pub segments: u64,
    /// Size of the file.
    pub file_bytes: u64,
}

/// Reads the whole journal of a home, and every checksum in it. Changes nothing that is in it.
///
/// # Errors
///
/// A node runs there, or the journal cannot be opened.
pub fn verify(home: &Path) -> Result<JournalReport, JournalError> {
    let (_lock, store) = open(home)?;
    report(&store)
}

/// Goes on without the records that are damaged. The commits that they were in are kept beside the
/// journal as they were; which files, is told.
///
/// # Errors
///
/// As [`verify`]; what is damaged cannot be kept.
pub fn salvage(home: &Path) -> Result<(JournalReport, Vec<PathBuf>), JournalError> {
    let (_lock, store) = open(home)?;
    let mut kept = Vec::new();
    store.take_damaged(|number, segment| {
        let path = home.join(format!("journal.damaged-{number}"));
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(segment)?;
            file.sync_all()
        });
        written.map_err(|source| HomeError::Io { path: path.clone(), source })?;
        kept.push(path);
        Ok(())
    })?;
    Ok((report(&store)?, kept))
}

/// Makes the file as small as what is in it.
///
/// # Errors
///
/// As [`verify`]; there is no space to work in.
pub fn compact(home: &Path) -> Result<JournalReport, JournalError> {
    let (_lock, mut store) = open(home)?;
    store.compact()?;
    report(&store)
}

/// The lock of the home comes first: nobody looks at a file that a node writes.
fn open(home: &Path) -> Result<(Home, Store), JournalError> {
    if !home.exists() {
        return Err(JournalError::None { path: home.join("journal.redb") });
    }
    Ok((Home::open(home)?, Store::inspect(home)?))
}

fn report(store: &Store) -> Result<JournalReport, JournalError> {
    let mut ledger = Ledger::default();
    let replayed = store.replay(|_, _, record| ledger.apply(record, Time::ZERO))?;
    let (tasks, results) = ledger.into_parts();
    let ended = tasks.iter().filter(|task| task.ended.is_some()).count();
    Ok(JournalReport {
        open: tasks.len() - ended,
        ended,
        results: results.len(),
        records: replayed.records,
        damaged: replayed.damaged,
        segments: replayed.segments,
        file_bytes: fs::metadata(store.path()).map_or(0, |file| file.len()),
    })
}

#[cfg(test)]
mod tests;
