//! The current directory of a walk, by descriptors that never follow a link, unless the caller asked for
//! it.
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

/// What becomes of the symbolic links of a folder that is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// A link that stays inside the folder is kept; others are refused.
    #[default]
    Keep,
    /// A link is replaced by what it leads to.
    Follow,
}

impl Links {
    /// The flag that forbids the system to follow a link at the end of a path.
    pub(super) fn flags(self) -> OFlags {
        match self {
            Self::Keep => OFlags::NOFOLLOW,
            Self::Follow => OFlags::empty(),
        }
    }
}

/// A directory beneath a top directory, and the way to it.
#[derive(Debug)]
pub(super) struct Descent {
    top: OwnedFd,
    links: Links,
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
    /// Never follows a link.
    pub(super) fn new(top: OwnedFd) -> Self {
        Self::with_links(top, Links::Keep)
    }

    pub(super) fn with_links(top: OwnedFd, links: Links) -> Self {
        Self { top, links, path: Vec::new(), levels: Vec::new(), open: VecDeque::new() }
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
    /// The name is no directory, or a link that is not followed, or cannot be opened.
    pub(super) fn enter(&mut self, name: &[u8]) -> io::Result<()> {
        let links = self.links;
        let directory = open_directory(self.current()?, name, links)?;
        let identity = identity(&directory)?;
        self.levels.push(Level { above: self.path.len() as u32, identity });
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        self.keep(directory);
        Ok(())
    }

    /// Whether the current directory is also one above itself: a link leads back.
    ///
    /// # Errors
    /// The top cannot be asked for its identity.
    pub(super) fn is_loop(&self) -> io::Result<bool> {
        let Some((current, above)) = self.levels.split_last() else { return Ok(false) };
        let is_above = above.iter().any(|level| level.identity == current.identity);
        Ok(is_above || identity(&self.top)? == current.identity)
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
            let directory = open_directory(above, name, self.links)?;
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
    let above = open_directory(below.as_fd(), b"..", Links::Keep).ok()?;
    (identity(&above).ok()? == expected).then_some(above)
}

fn identity(directory: &OwnedFd) -> io::Result<Identity> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Opens a directory by its name in another.
pub(super) fn open_directory(
    above: BorrowedFd<'_>,
    name: &[u8],
    links: Links,
) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | links.flags();
    Ok(openat(above, OsStr::from_bytes(name), flags, Mode::empty())?)
}
