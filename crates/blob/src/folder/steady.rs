//! A file that is read by one descriptor, and the proof that nobody changed it meanwhile.
//!
//! Never mapped: a file that is cut while it is mapped ends the process. Changes through a mapping of
//! another process that the kernel does not time-stamp are not seen; the hash is still that of the
//! bytes that were read.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::error::PackError;
use crate::limits::CLOCK_STEP;

/// A regular file that is open for reading. Reads end at the size that the file had at the start.
///
/// It has a position of its own: another process that shares the descriptor does not move it.
#[derive(Debug)]
pub struct SteadyFile {
    file: File,
    path: PathBuf,
    before: Stamp,
    read: u64,
    was_restarted: bool,
    executable: bool,
}

/// What changes when a file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl SteadyFile {
    /// Begins to read an open regular file. `path` is for people.
    ///
    /// # Errors
    /// The file cannot be asked for its size.
    pub(super) fn new(file: File, path: PathBuf) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let executable = metadata.mode() & 0o100 != 0;
        let before = Stamp::settled(&file)?;
        Ok(Self { file, path, before, read: 0, was_restarted: false, executable })
    }

    /// Size of the file in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.before.size
    }

    /// The file's path, for people.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file's owner may execute it.
    pub fn is_executable(&self) -> bool {
        self.executable
    }

    /// Checks, after the last byte was read, that the file is still what it was at the start.
    ///
    /// # Errors
    /// The file changed: the bytes that were read may be partly old and partly new.
    pub fn check(&self) -> Result<(), PackError> {
        let changed = || PackError::Changed { path: self.path.clone() };
        let unreadable = |source| PackError::Unreadable { path: self.path.clone(), source };
        let after = Stamp::of(&self.file).map_err(unreadable)?;
        if self.read != self.before.size || after != self.before {
            return Err(changed());
        }
        // Some virtual files have more bytes than they say.
        let more = self.file.read_at(&mut [0], self.before.size).map_err(unreadable)?;
        if more > 0 { Err(changed()) } else { Ok(()) }
    }

    /// Begins again at the first byte.
    ///
    /// # Errors
    /// The file cannot be read from the start.
    pub fn restart(&mut self) -> Result<(), PackError> {
        self.before = Stamp::settled(&self.file)
            .map_err(|source| PackError::Unreadable { path: self.path.clone(), source })?;
        self.read = 0;
        self.was_restarted = true;
        Ok(())
    }

    /// Whether the file is read for the second time.
    pub(super) fn was_restarted(&self) -> bool {
        self.was_restarted
    }
}

impl Read for SteadyFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.before.size - self.read).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let count = self.file.read_at(buffer.get_mut(..length).unwrap_or_default(), self.read)?;
        self.read += count as u64;
        Ok(count)
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// The stamp of a file that did not change just now: a further change in the same step of the
    /// clock would leave the same stamp.
    fn settled(file: &File) -> io::Result<Self> {
        let stamp = Self::of(file)?;
        if stamp.age().is_some_and(|age| age < CLOCK_STEP) {
            thread::sleep(CLOCK_STEP);
            return Self::of(file);
        }
        Ok(stamp)
    }

    /// Time since the last change. Nothing if the file system's clock is ahead of this machine's.
    fn age(&self) -> Option<Duration> {
        let (seconds, nanos) = self.changed;
        let since_epoch = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
        SystemTime::now().duration_since(UNIX_EPOCH.checked_add(since_epoch)?).ok()
    }
}
