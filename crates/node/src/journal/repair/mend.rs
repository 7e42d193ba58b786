//! Puts the whole tasks of damaged files of the archive back into the journal.

use std::path::{Path, PathBuf};

use super::super::{
    archive::{mend::Mended, rescue::Rescued},
    error::JournalError,
    store::Store,
};
use crate::home::{self, HomeError};

/// Mends files of the archive and returns the number of lost tasks. Copies each damaged file to a
/// new name in the home, and adds that path to `copies`.
pub(super) fn mend(
    home: &Path,
    store: &Store,
    mended: Vec<Mended>,
    copies: &mut Vec<PathBuf>,
) -> Result<u64, JournalError> {
    let mut lost = 0;
    for Mended { first, entry, tasks, lost: of_this, file } in mended {
        if let Some(file) = &file {
            copies.push(keep(home, file)?);
        }
        let segments = segments(tasks);
        let next = store.written()?;
        store.write(|tables| {
            tables.set_ended(first, entry.as_ref())?;
            for (number, segment) in (next..).zip(&segments) {
                tables.insert(number, segment)?;
                tables.set_written(number + 1)?;
            }
            Ok(())
        })?;
        lost += of_this;
    }
    Ok(lost)
}

/// The records of these tasks as segments of the journal.
fn segments(tasks: Vec<Rescued>) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    for Rescued { records, .. } in tasks {
        match segments.last_mut() {
            Some(segment) if Vec::len(segment) + records.len() <= PORTION => {
                segment.extend(records);
            }
            Some(_) | None => segments.push(records),
        }
    }
    segments
}

/// Copies a damaged file of the archive out of the folder from which starts remove unknown files.
fn keep(home: &Path, file: &Path) -> Result<PathBuf, JournalError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let to = home.join(format!("ended.damaged-{name}"));
    let copied = home::create_private(&to).and_then(|mut copy| {
        // A folder or device in its place has no contents to copy.
        if file.is_file() {
            std::io::copy(&mut std::fs::File::open(file)?, &mut copy)?;
        }
        copy.sync_all()
    });
    copied.map_err(|source| HomeError::Io { path: to.clone(), source })?;
    Ok(to)
}

/// Maximum bytes of a segment, unless one task has more.
const PORTION: usize = 4 << 20;
