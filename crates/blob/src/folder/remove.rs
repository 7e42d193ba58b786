//! Removes a directory with all that is in it, by descriptors: a link is removed and never followed.
//!
//! It works on trees of any depth and width with few descriptors and little memory, and opens
//! directories that their owner has locked.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, chmod, fchmod, fstat, openat, unlinkat,
    },
    io::Errno,
};

use super::{
    descent::{Descent, Links, open_directory},
    error::RemoveError,
    name::to_path,
};
use crate::limits::{REMOVE_BATCH, REMOVE_PENDING};

/// Removes the directory at `path` and everything in it. Nothing may add to it meanwhile.
///
/// # Errors
/// `path` is no directory, or something in it cannot be removed; the rest of it stays then.
pub fn remove_dir(path: &Path) -> Result<(), RemoveError> {
    let failed = |source| RemoveError { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| failed(Errno::INVAL.into()))?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = openat(CWD, parent, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    remove_beneath(parent.as_fd(), name).map_err(|error| match error.path.as_os_str().is_empty() {
        true => failed(error.source),
        false => RemoveError { path: path.join(error.path), source: error.source },
    })
}

/// Removes the directory of this name in `parent`. Paths in errors are relative to it.
pub(super) fn remove_beneath(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), RemoveError> {
    let failed = |source| RemoveError { path: PathBuf::new(), source };
    let top = open_unlocked(parent, name.as_bytes()).map_err(failed)?;
    Removal { descent: Descent::new(top), pending: Vec::new() }.run()?;
    unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(|error| failed(error.into()))
}

/// A removal that has not ended.
#[derive(Debug)]
struct Removal {
    descent: Descent,
    /// Directories that are not empty, with the depth of the directory that holds them.
    pending: Vec<(usize, Vec<u8>)>,
}

impl Removal {
    fn run(mut self) -> Result<(), RemoveError> {
        loop {
            let depth = self.descent.depth();
            if self.pending.last().is_none_or(|(above, _)| *above < depth) {
                self.clear().map_err(|source| self.failed(source))?;
            }
            match self.pending.last() {
                Some((above, name)) if *above == depth => {
                    let name = name.clone();
                    self.enter(&name).map_err(|source| self.failed_at(&name, source))?;
                }
                // The directory is empty.
                Some(_) => self.leave()?,
                None => return Ok(()),
            }
        }
    }

    /// Removes what can be removed from the current directory without entering another, and remembers
    /// some of the directories that stay.
    fn clear(&mut self) -> io::Result<()> {
        let depth = self.descent.depth();
        let directory = self.descent.current()?;
        let mut found = 0;
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || remove_one(directory, &entry)? {
                continue;
            }
            self.pending.push((depth, name.to_bytes().to_vec()));
            found += 1;
            if found >= REMOVE_BATCH || self.pending.len() >= REMOVE_PENDING {
                break;
            }
        }
        Ok(())
    }

    fn enter(&mut self, name: &[u8]) -> io::Result<()> {
        drop(open_unlocked(self.descent.current()?, name)?);
        self.descent.enter(name)
    }

    /// Goes up from an empty directory and removes it.
    fn leave(&mut self) -> Result<(), RemoveError> {
        self.descent.leave();
        let Some((_, name)) = self.pending.pop() else { return Ok(()) };
        let removed = self.descent.current().and_then(|directory| {
            Ok(unlinkat(directory, OsStr::from_bytes(&name), AtFlags::REMOVEDIR)?)
        });
        removed.map_err(|source| self.failed_at(&name, source))
    }

    fn failed(&self, source: io::Error) -> RemoveError {
        RemoveError { path: to_path(self.descent.path()), source }
    }

    fn failed_at(&self, name: &[u8], source: io::Error) -> RemoveError {
        RemoveError { path: to_path(&self.descent.join(name)), source }
    }
}

/// Removes a file, a link or an empty directory. Returns whether it is gone.
fn remove_one(directory: BorrowedFd<'_>, entry: &rustix::fs::DirEntry) -> io::Result<bool> {
    if entry.file_type() != FileType::Directory {
        match unlinkat(directory, entry.file_name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(true),
            // A directory, where the file system's list does not tell kinds.
            Err(Errno::ISDIR | Errno::PERM) if entry.file_type() == FileType::Unknown => {}
            Err(error) => return Err(error.into()),
        }
    }
    match unlinkat(directory, entry.file_name(), AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens a directory in a way that lets its owner list and change it afterwards.
fn open_unlocked(above: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let opened = match open_directory(above, name, Links::Keep) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(above, name)?;
            open_directory(above, name, Links::Keep)
        }
        opened => opened,
    }?;
    let mode = fstat(&opened)?.st_mode;
    if RawMode::from(mode) & OWNER_ALL != OWNER_ALL {
        fchmod(&opened, Mode::RWXU)?;
    }
    Ok(opened)
}

/// Gives the owner all rights on a directory that cannot be opened. A descriptor that is open for its
/// place only takes no `fchmod`; its entry in the process file system leads to the same directory, and
/// to nothing else.
fn unlock(above: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(above, OsStr::from_bytes(name), flags, Mode::empty())?;
    Ok(chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), Mode::RWXU)?)
}

const OWNER_ALL: RawMode = 0o700;
