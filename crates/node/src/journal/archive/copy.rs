//! Copies the files of an archive to another folder, step by step, so that a commit waits for at
//! most one file.

use std::{
    fs, io,
    path::{Path, PathBuf},
    vec,
};

use super::{super::error::JournalError, file};
use crate::home::{self, HomeError};

/// Files that are linked in one step: takes some milliseconds.
const LINKS: usize = 64;

/// A copy under way. None of its files may be removed meanwhile.
pub(in crate::journal) struct FilesCopy {
    from: PathBuf,
    to: PathBuf,
    /// Files that are not copied yet.
    names: vec::IntoIter<String>,
}

impl FilesCopy {
    pub(super) fn begin(
        from: PathBuf,
        to: PathBuf,
        names: Vec<String>,
    ) -> Result<Self, JournalError> {
        // The parent folder must exist.
        let around = to.parent().unwrap_or_else(|| Path::new("."));
        fs::metadata(around).map_err(|source| HomeError::Io { path: around.to_owned(), source })?;
        home::make_private(&to)?;
        Ok(Self { from, to, names: names.into_iter() })
    }

    /// Links some files, or copies one if it cannot be linked. False: nothing was left, and the
    /// copy is on disk.
    pub(in crate::journal) fn step(&mut self) -> Result<bool, JournalError> {
        for _ in 0..LINKS {
            let Some(name) = self.names.next() else { return self.sync().map(|()| false) };
            let (from, to) = (self.from.join(&name), self.to.join(&name));
            if fs::hard_link(&from, &to).is_ok() {
                continue;
            }
            copy(&from, &to).map_err(|source| HomeError::Io { path: to, source })?;
            break;
        }
        Ok(true)
    }

    /// Copies the rest.
    pub(in crate::journal) fn finish(mut self) -> Result<(), JournalError> {
        while self.step()? {}
        Ok(())
    }

    fn sync(&self) -> Result<(), JournalError> {
        let synced = fs::File::open(&self.to).and_then(|dir| dir.sync_all());
        Ok(synced.map_err(|source| HomeError::Io { path: self.to.clone(), source })?)
    }
}

/// Copies a file without the permissions of the original, which may be read-only.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = file::open(from)?.ok_or(io::ErrorKind::InvalidInput)?;
    let mut copy = home::create_private(to)?;
    io::copy(&mut from, &mut copy)?;
    copy.sync_all()
}
