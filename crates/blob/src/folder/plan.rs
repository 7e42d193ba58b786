//! What a directory holds, checked before the first byte is read: names in order, kinds, readable
//! files, links that stay inside, and the sum of sizes.
//!
//! Owners, times and set-id bits are not looked at: an entry has one bit, whether its owner may
//! execute the file.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, RawMode, Stat, fstat, openat, readlinkat, statat},
    io::Errno,
};

use super::{
    descent::{Descent, Links},
    encode::Totals,
    error::{FileKind, PlanError, TargetFault},
    name::{check_path, check_target, to_path},
    steady::SteadyFile,
};
use crate::limits::FOLDER_ENTRIES;

/// The entries of a directory in the order of a folder's list. It takes 24 bytes and the name for
/// each entry.
#[derive(Debug)]
pub struct Plan {
    pub(super) top: OwnedFd,
    pub(super) source: PathBuf,
    pub(super) links: Links,
    names: Vec<u8>,
    items: Vec<Item>,
    bytes: u64,
}

/// A planned entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    name: Name,
    pub(super) kind: ItemKind,
    /// Size in bytes of a file, 0 for the others.
    pub(super) size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    Directory,
    File { executable: bool },
    Link,
}

impl Item {
    /// Number of directories above the entry.
    pub(super) fn depth(&self) -> usize {
        usize::from(self.name.depth)
    }

    pub(super) fn is_executable(&self) -> bool {
        matches!(self.kind, ItemKind::File { executable: true })
    }
}

/// A name in the plan's buffer, and the number of directories above it.
#[derive(Clone, Copy, Debug)]
struct Name {
    start: u32,
    depth: u16,
    length: u8,
}

impl Plan {
    /// Plans the directory at `path`, which may be a link to one. Links in it are kept.
    ///
    /// # Errors
    /// Something in it cannot be sent; the error names its path.
    pub fn of(path: &Path) -> Result<Self, PlanError> {
        Self::with_links(path, Links::Keep)
    }

    /// Plans the directory at `path`, which may be a link to one.
    ///
    /// # Errors
    /// As of [`of`](Self::of). A link that is followed leads nowhere, or back to a directory above it.
    pub fn with_links(path: &Path, links: Links) -> Result<Self, PlanError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
            PlanError::Unreadable { path: path.to_owned(), source: error.into() }
        })?;
        let again = top
            .try_clone()
            .map_err(|source| PlanError::Unreadable { path: path.to_owned(), source })?;
        Walk::new(again, path, links).run(top)
    }

    /// Number of files, directories and links.
    pub fn entries(&self) -> u64 {
        self.items.len() as u64
    }

    /// Sum of the sizes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn item(&self, place: usize) -> Option<Item> {
        self.items.get(place).copied()
    }

    pub(super) fn name(&self, item: Item) -> &[u8] {
        slice(&self.names, item.name)
    }
}

/// Opens a single file to read it to its end, following links.
///
/// # Errors
/// As of [`open_regular`].
pub fn single(path: &Path) -> Result<SteadyFile, PlanError> {
    let unreadable = |source| PlanError::Unreadable { path: path.to_owned(), source };
    SteadyFile::new(open_regular(path)?, path.to_owned()).map_err(unreadable)
}

/// Opens a file, following links, and never waits for the other end of a pipe.
///
/// # Errors
/// It is no regular file, or cannot be read.
pub fn open_regular(path: &Path) -> Result<File, PlanError> {
    let unreadable = |error: Errno| {
        let source = error.into();
        PlanError::Unreadable { path: path.to_owned(), source }
    };
    let require_regular = |stat: Stat| {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let other = || PlanError::NotFile { path: path.to_owned(), kind: file_kind(kind) };
        (kind == FileType::RegularFile).then_some(()).ok_or_else(other)
    };
    // Asked before it is opened: to open a device can change its state.
    require_regular(rustix::fs::stat(path).map_err(unreadable)?)?;
    let opened = rustix::fs::open(path, file_flags(), Mode::empty());
    let file = opened.map_err(unreadable)?;
    // The path may name something else since it was asked.
    require_regular(fstat(&file).map_err(unreadable)?)?;
    Ok(file.into())
}

/// A file that somebody else opened. `path` is for people.
///
/// # Errors
/// It is no regular file, or cannot be asked for its size.
pub(super) fn single_open(file: OwnedFd, path: &Path) -> Result<SteadyFile, PlanError> {
    let unreadable = |source| PlanError::Unreadable { path: path.to_owned(), source };
    let stat = fstat(&file).map_err(|error| unreadable(error.into()))?;
    require_file(FileType::from_raw_mode(stat.st_mode), path)?;
    SteadyFile::new(File::from(file), path.to_owned()).map_err(unreadable)
}

/// A walk over a directory that has not ended. Directories are listed one at a time, when the walk
/// comes to them, so it needs no recursion.
#[derive(Debug)]
struct Walk<'a> {
    descent: Descent,
    source: &'a Path,
    links: Links,
    names: Vec<u8>,
    items: Vec<Item>,
    /// Names that were listed and not looked at, the next one last.
    pending: Vec<(Name, FileType)>,
    totals: Totals,
}

impl<'a> Walk<'a> {
    fn new(top: OwnedFd, source: &'a Path, links: Links) -> Self {
        Self {
            descent: Descent::with_links(top, links),
            source,
            links,
            names: Vec::new(),
            items: Vec::new(),
            pending: Vec::new(),
            totals: Totals::default(),
        }
    }

    fn run(mut self, top: OwnedFd) -> Result<Plan, PlanError> {
        self.list()?;
        while let Some((name, kind)) = self.pending.pop() {
            self.descent.leave_to(usize::from(name.depth));
            self.look_at(name, kind)?;
        }
        self.names.shrink_to_fit();
        self.items.shrink_to_fit();
        let Self { source, links, names, items, totals, .. } = self;
        Ok(Plan { top, source: source.to_owned(), links, names, items, bytes: totals.bytes })
    }

    /// Lists the current directory.
    fn list(&mut self) -> Result<(), PlanError> {
        let first = self.pending.len();
        let listed = self.descent.current().and_then(|directory| Ok(Dir::read_from(directory)?));
        let listed = listed.map_err(|source| self.unreadable(b"", source))?;
        for entry in listed {
            let entry = entry.map_err(|error| self.unreadable(b"", error.into()))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                self.add_pending(name, entry.file_type())?;
            }
        }
        let names = &self.names;
        let new = self.pending.get_mut(first..).unwrap_or_default();
        new.sort_unstable_by(|(left, _), (right, _)| slice(names, *right).cmp(slice(names, *left)));
        Ok(())
    }

    fn add_pending(&mut self, name: &[u8], kind: FileType) -> Result<(), PlanError> {
        let path = self.descent.join(name);
        check_path(&path).map_err(|fault| PlanError::Path { path: self.shown(&path), fault })?;
        if (self.items.len() + self.pending.len()) as u64 >= FOLDER_ENTRIES {
            let source = super::FormatError::TooLarge { limit: FOLDER_ENTRIES };
            return Err(PlanError::TooLarge { path: self.shown(&path), source });
        }
        // The bounds on names and entries keep the three numbers in their types.
        let name_in_buffer = Name {
            start: self.names.len() as u32,
            depth: self.descent.depth() as u16,
            length: name.len() as u8,
        };
        self.names.extend_from_slice(name);
        self.pending.push((name_in_buffer, kind));
        Ok(())
    }

    fn look_at(&mut self, name: Name, kind: FileType) -> Result<(), PlanError> {
        let text = slice(&self.names, name).to_vec();
        let is_asked =
            kind == FileType::Unknown || (kind == FileType::Symlink && self.links == Links::Follow);
        let kind = if is_asked { self.kind_of(&text)? } else { kind };
        let (kind, size) = match kind {
            FileType::Directory => (ItemKind::Directory, 0),
            FileType::RegularFile => self.look_at_file(&text)?,
            FileType::Symlink => (ItemKind::Link, self.look_at_link(&text)?),
            other @ (FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown) => {
                let path = self.shown(&self.descent.join(&text));
                return Err(PlanError::Unsupported { path, kind: file_kind(other) });
            }
        };
        self.count(&text, kind, size)?;
        let size = if kind == ItemKind::Link { 0 } else { size };
        self.items.push(Item { name, kind, size });
        if kind == ItemKind::Directory {
            self.descent.enter(&text).map_err(|source| self.unreadable(&text, source))?;
            self.check_loop()?;
            self.list()?;
        }
        Ok(())
    }

    /// Refuses a link that was followed back to a directory above it.
    fn check_loop(&self) -> Result<(), PlanError> {
        if self.links == Links::Follow
            && self.descent.is_loop().map_err(|source| self.unreadable(b"", source))?
        {
            let (path, fault) = (self.shown(self.descent.path()), TargetFault::Loop);
            return Err(PlanError::Link { path, fault });
        }
        Ok(())
    }

    /// The kind of a name where the file system's list does not tell it, or of what a link leads to.
    fn kind_of(&mut self, name: &[u8]) -> Result<FileType, PlanError> {
        let flags = match self.links {
            Links::Keep => AtFlags::SYMLINK_NOFOLLOW,
            Links::Follow => AtFlags::empty(),
        };
        let stat = self
            .descent
            .current()
            .and_then(|directory| Ok(statat(directory, OsStr::from_bytes(name), flags)?));
        stat.map(|stat| FileType::from_raw_mode(stat.st_mode))
            .map_err(|source| self.unreadable(name, source))
    }

    /// Opens the file, the only proof that it can be read.
    fn look_at_file(&mut self, name: &[u8]) -> Result<(ItemKind, u64), PlanError> {
        let links = self.links;
        let opened = self.descent.current().and_then(|directory| open_file(directory, name, links));
        let stat = opened.and_then(|file| Ok(fstat(&file)?));
        let stat = stat.map_err(|source| self.unreadable(name, source))?;
        let path = self.shown(&self.descent.join(name));
        require_file(FileType::from_raw_mode(stat.st_mode), &path)?;
        let executable = RawMode::from(stat.st_mode) & 0o100 != 0;
        Ok((ItemKind::File { executable }, u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// Length of the link's target.
    fn look_at_link(&mut self, name: &[u8]) -> Result<u64, PlanError> {
        let target = self.descent.current().and_then(|directory| read_link(directory, name));
        let target = target.map_err(|source| self.unreadable(name, source))?;
        let path = self.descent.join(name);
        check_target(&path, &target)
            .map_err(|fault| PlanError::Link { path: self.shown(&path), fault })?;
        Ok(target.len() as u64)
    }

    fn count(&mut self, name: &[u8], kind: ItemKind, size: u64) -> Result<(), PlanError> {
        let path = self.descent.join(name);
        let counted = match kind {
            ItemKind::Directory => Ok(()),
            ItemKind::File { .. } => self.totals.add_bytes(size),
            ItemKind::Link => self.totals.add_link(path.len(), size as usize),
        };
        counted.map_err(|source| PlanError::TooLarge { path: self.shown(&path), source })
    }

    fn unreadable(&self, name: &[u8], source: io::Error) -> PlanError {
        let path = if name.is_empty() {
            self.shown(self.descent.path())
        } else {
            self.shown(&self.descent.join(name))
        };
        PlanError::Unreadable { path, source }
    }

    fn shown(&self, path: &[u8]) -> PathBuf {
        self.source.join(to_path(path))
    }
}

/// Opens a file by its name in a directory, never waiting for a pipe's other end.
pub(super) fn open_file(
    directory: BorrowedFd<'_>,
    name: &[u8],
    links: Links,
) -> io::Result<OwnedFd> {
    let flags = file_flags() | links.flags();
    Ok(openat(directory, OsStr::from_bytes(name), flags, Mode::empty())?)
}

pub(super) fn read_link(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<u8>> {
    let target = readlinkat(directory.as_fd(), OsStr::from_bytes(name), Vec::new())?;
    Ok(target.into_bytes())
}

fn require_file(kind: FileType, path: &Path) -> Result<(), PlanError> {
    if kind == FileType::RegularFile {
        return Ok(());
    }
    Err(PlanError::Unsupported { path: path.to_owned(), kind: file_kind(kind) })
}

fn file_kind(kind: FileType) -> FileKind {
    match kind {
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Link,
        FileType::Fifo => FileKind::Pipe,
        FileType::Socket => FileKind::Socket,
        FileType::RegularFile
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => FileKind::Device,
    }
}

fn file_flags() -> OFlags {
    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

fn slice(names: &[u8], name: Name) -> &[u8] {
    let start = name.start as usize;
    names.get(start..start + usize::from(name.length)).unwrap_or_default()
}
