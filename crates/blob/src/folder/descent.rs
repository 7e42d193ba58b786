//! The current directory of a walk, by descriptors that never follow a link.
//!
//! A tree has up to 2,048 levels and a process sometimes 64 descriptors. So only the deepest levels
//! stay open. On the way back a level that was closed is opened as `..`, and taken only if it is the
//! directory that was there on the way in; otherwise the way from the top is gone again, by its names.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::fs::{Mode, OFlags, fstat, openat};

use super::name::{is_within, names};
use crate::limits::OPEN_LEVELS;

/// A directory beneath a top directory, and the way to it.
#[derive(Debug)]
pub(super) struct Descent {
    top: OwnedFd,
    path: Vec<u8>,
    /// The levels below the top.
    levels: Vec<Level>,
    /// Descriptors of the deepest levels, the deepest last.
    open: VecDeque<OwnedFd>,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Length of the path of the directory above.
    above: u32,
    identity: Identity,
}

/// Device and inode of a directory.
type Identity = (u64, u64);

impl Descent {
    pub(super) fn new(top: OwnedFd) -> Self {
        Self { top, path: Vec::new(), levels: Vec::new(), open: VecDeque::new() }
    }

    /// The path of the current directory, relative to the top. Empty at the top.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Levels below the top.
    pub(super) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The path of a name in the current directory.
    pub(super) fn join(&self, name: &[u8]) -> Vec<u8> {
        let separator: &[u8] = if self.path.is_empty() { b"" } else { b"/" };
        [&self.path, separator, name].concat()
    }

    /// The current directory.
    ///
    /// # Errors
    /// A level was closed and cannot be opened again: it was removed, or replaced by a link.
    pub(super) fn current(&mut self) -> io::Result<BorrowedFd<'_>> {
        if self.open.is_empty() && !self.levels.is_empty() {
            self.reopen()?;
        }
        Ok(self.open.back().unwrap_or(&self.top).as_fd())
    }

    /// Goes into a directory of the current directory.
    ///
    /// # Errors
    /// The name is no directory, or a link, or cannot be opened.
    pub(super) fn enter(&mut self, name: &[u8]) -> io::Result<()> {
        let directory = open_directory(self.current()?, name)?;
        let identity = identity(&directory)?;
        self.levels.push(Level { above: self.path.len() as u32, identity });
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        self.keep(directory);
        Ok(())
    }

    /// Goes up one level. Does nothing at the top.
    pub(super) fn leave(&mut self) {
        let Some(level) = self.levels.pop() else { return };
        self.path.truncate(level.above as usize);
        let below = self.open.pop_back();
        if let (Some(below), Some(level)) = (below, self.levels.last())
            && self.open.is_empty()
        {
            self.open.extend(open_above(&below, level.identity));
        }
    }

    /// Goes up until `depth` levels are left.
    pub(super) fn leave_to(&mut self, depth: usize) {
        while self.depth() > depth {
            self.leave();
        }
    }

    /// Goes to the directory at `path` by as few steps as possible.
    ///
    /// # Errors
    /// As of [`enter`](Self::enter).
    pub(super) fn go_to(&mut self, path: &[u8]) -> io::Result<()> {
        while !is_within(path, &self.path) {
            self.leave();
        }
        let rest = path.get(self.path.len()..).unwrap_or_default();
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        if rest.is_empty() { Ok(()) } else { names(rest).try_for_each(|name| self.enter(name)) }
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut open = VecDeque::new();
        for name in names(&self.path) {
            let above = open.back().unwrap_or(&self.top).as_fd();
            let directory = open_directory(above, name)?;
            if open.len() >= OPEN_LEVELS {
                open.pop_front();
            }
            open.push_back(directory);
        }
        self.open = open;
        Ok(())
    }

    fn keep(&mut self, directory: OwnedFd) {
        if self.open.len() >= OPEN_LEVELS {
            self.open.pop_front();
        }
        self.open.push_back(directory);
    }
}

/// The directory above, if it is the expected one: a directory can be moved elsewhere meanwhile.
fn open_above(below: &OwnedFd, expected: Identity) -> Option<OwnedFd> {
    let above = open_directory(below.as_fd(), b"..").ok()?;
    (identity(&above).ok()? == expected).then_some(above)
}

fn identity(directory: &OwnedFd) -> io::Result<Identity> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Opens a directory by its name in another, never through a link.
pub(super) fn open_directory(above: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(above, OsStr::from_bytes(name), flags, Mode::empty())?)
}
