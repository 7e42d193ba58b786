//! Makes a directory from a folder's blobs, one step at a time.
//!
//! Everything is made beneath the open target, in directories that were made here, and never through
//! a link; links are made last. Modes are those of new files, less the process's mask.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write as _},
    mem,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use bytes::Bytes;
use meshwork_core::blob::BlobHash;
use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, fstat, mkdirat, openat, statat, symlinkat},
    io::Errno,
};

use super::{
    cursor::{Cursor, put_string},
    decode::Decoder,
    descent::{Descent, Links, open_directory},
    error::{FormatError, UnpackError},
    name::{split, to_path},
    part::{Entry, Node},
    remove::remove_beneath,
    root::{PartRef, Root},
};
use crate::limits::{LINK_TARGET_BYTES, PATH_BYTES};

/// A folder that is being made. After an error, or dropped before its end, it removes what it has made.
#[derive(Debug)]
pub struct Unpack {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Some entries are missing. Then `Done`, or `Failed`.
    Making(Box<Making>),
    /// The folder is complete.
    Done,
    /// An error has ended it.
    Failed,
}

/// The folder as far as it is made.
#[derive(Debug)]
struct Making {
    decoder: Decoder,
    descent: Descent,
    partial: Partial,
    /// Paths and targets of all links, made at the end. Bounded by the decoder.
    links: Vec<u8>,
    /// The file that the caller fills: its path, its blob's size, and another descriptor of it.
    filling: Option<(PathBuf, u64, OwnedFd)>,
}

/// What the caller of [`Unpack::step`] does.
#[derive(Debug)]
pub enum UnpackStep {
    /// Fetch this part and [`give`](Unpack::give) its bytes.
    Part(PartRef),
    /// Fill the file with the bytes of its blob, before the next step.
    File(WantedFile),
    /// Nothing: the folder is complete.
    Done,
}

/// A new, empty file that waits for the bytes of a blob.
#[derive(Debug)]
pub struct WantedFile {
    /// The file's path in the folder.
    pub path: PathBuf,
    /// The hash of the blob.
    pub hash: BlobHash,
    /// Size of the blob in bytes.
    pub size: u64,
    /// The file, open for writing.
    pub file: File,
}

impl Unpack {
    /// Makes the target, which must not exist, in the existing directory that holds it.
    ///
    /// # Errors
    /// The target exists, or cannot be made.
    pub fn new(target: &Path, root: Root) -> Result<Self, UnpackError> {
        let failed = |source| UnpackError::Failed { path: target.to_owned(), source };
        let name = target.file_name().ok_or_else(|| failed(Errno::INVAL.into()))?;
        let parent = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            Some(_) | None => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent =
            openat(CWD, parent, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        Self::beneath(parent, name, root)
    }

    /// Makes the target of this name in an open directory.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub(super) fn beneath(parent: OwnedFd, name: &OsStr, root: Root) -> Result<Self, UnpackError> {
        let path = PathBuf::from(name);
        match mkdirat(&parent, name, DIRECTORY_MODE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(UnpackError::TargetExists { path }),
            Err(error) => return Err(UnpackError::Failed { path, source: error.into() }),
        }
        let top = open_directory(parent.as_fd(), name.as_bytes(), Links::Keep);
        let partial = Partial { parent, name: name.to_owned(), is_complete: false };
        let top = top.map_err(|source| UnpackError::Failed { path, source })?;
        let making = Making {
            decoder: Decoder::new(root),
            descent: Descent::new(top),
            partial,
            links: Vec::new(),
            filling: None,
        };
        Ok(Self { state: State::Making(Box::new(making)) })
    }

    /// Gives the bytes of the part that was asked for.
    ///
    /// # Errors
    /// They are other bytes: the part can be given again.
    pub fn give(&mut self, part: Bytes) -> Result<(), UnpackError> {
        match &mut self.state {
            State::Making(making) => Ok(making.decoder.open(part)?),
            State::Done => Err(FormatError::TrailingBytes.into()),
            State::Failed => Err(UnpackError::GivenUp),
        }
    }

    /// Goes on to what the caller must bring next. A part that was not given is asked for again.
    ///
    /// # Errors
    /// The folder cannot be made, and what was made of it is removed.
    pub fn step(&mut self) -> Result<UnpackStep, UnpackError> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Making(mut making) => {
                let step = making.step()?;
                self.state = match step {
                    UnpackStep::Part(_) | UnpackStep::File(_) => State::Making(making),
                    UnpackStep::Done => State::Done,
                };
                Ok(step)
            }
            State::Done => {
                self.state = State::Done;
                Ok(UnpackStep::Done)
            }
            State::Failed => Err(UnpackError::GivenUp),
        }
    }
}

impl Making {
    fn step(&mut self) -> Result<UnpackStep, UnpackError> {
        self.require_filled()?;
        while let Some(entry) = self.decoder.entry()? {
            let Entry { path, node } = entry;
            let mut maker = Maker { descent: &mut self.descent, path };
            match node {
                Node::Directory => maker.make_directory()?,
                Node::Inline { executable, bytes } => {
                    let mut file = File::from(maker.make_file(executable)?);
                    file.write_all(bytes).map_err(|source| maker.failed(source))?;
                }
                Node::Blob { executable, hash, size } => {
                    let file = maker.make_file(executable)?;
                    let again = file.try_clone().map_err(|source| maker.failed(source))?;
                    let path = to_path(path);
                    self.filling = Some((path.clone(), size, again));
                    let file = File::from(file);
                    return Ok(UnpackStep::File(WantedFile { path, hash, size, file }));
                }
                Node::Link { target } => {
                    put_string(&mut self.links, path);
                    put_string(&mut self.links, target);
                }
            }
        }
        match self.decoder.wanted() {
            Some(part) => Ok(UnpackStep::Part(part)),
            None => {
                self.make_links()?;
                self.partial.is_complete = true;
                Ok(UnpackStep::Done)
            }
        }
    }

    fn require_filled(&mut self) -> Result<(), UnpackError> {
        let Some((path, expected, file)) = self.filling.take() else { return Ok(()) };
        let stat = fstat(&file)
            .map_err(|error| UnpackError::Failed { path: path.clone(), source: error.into() })?;
        let found = u64::try_from(stat.st_size).unwrap_or(0);
        if found == expected {
            Ok(())
        } else {
            Err(UnpackError::Unfilled { path, expected, found })
        }
    }

    fn make_links(&mut self) -> Result<(), UnpackError> {
        let links = mem::take(&mut self.links);
        let mut cursor = Cursor::new(&links);
        while cursor.left() > 0 {
            let path = cursor.string(PATH_BYTES)?;
            let target = cursor.string(LINK_TARGET_BYTES)?;
            Maker { descent: &mut self.descent, path }.make_link(target)?;
        }
        Ok(())
    }
}

/// The target until it is complete.
#[derive(Debug)]
struct Partial {
    parent: OwnedFd,
    name: OsString,
    is_complete: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        if let Err(error) = remove_beneath(self.parent.as_fd(), &self.name) {
            tracing::warn!(name = ?self.name, %error, "incomplete folder not removed");
        }
    }
}

/// Makes one entry.
#[derive(Debug)]
struct Maker<'a> {
    descent: &'a mut Descent,
    path: &'a [u8],
}

impl Maker<'_> {
    fn make_directory(&mut self) -> Result<(), UnpackError> {
        self.make(|directory, name| mkdirat(directory, name, DIRECTORY_MODE))
    }

    fn make_file(&mut self, executable: bool) -> Result<OwnedFd, UnpackError> {
        let mode = if executable { DIRECTORY_MODE } else { FILE_MODE };
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.make(|directory, name| openat(directory, name, flags, mode))
    }

    fn make_link(&mut self, target: &[u8]) -> Result<(), UnpackError> {
        self.make(|directory, name| symlinkat(OsStr::from_bytes(target), directory, name))
    }

    fn make<T>(
        &mut self,
        make: impl FnOnce(BorrowedFd<'_>, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T, UnpackError> {
        let (parent, name) = split(self.path);
        let name = OsStr::from_bytes(name);
        self.descent.go_to(parent).map_err(|source| self.failed(source))?;
        let made = match self.descent.current() {
            Ok(directory) => make(directory, name),
            Err(source) => return Err(self.failed(source)),
        };
        match made {
            // Paths of a list differ and the target is new: so the file system takes two for one.
            Err(Errno::EXIST) => Err(self.clash(name)),
            Err(error) => Err(self.failed(error.into())),
            Ok(made) => Ok(made),
        }
    }

    fn clash(&mut self, name: &OsStr) -> UnpackError {
        let second = to_path(self.path);
        let twin = self.descent.current().and_then(|directory| twin(directory, name));
        let first = match twin {
            Ok(Some(twin)) => second.with_file_name(twin),
            Ok(None) | Err(_) => second.clone(),
        };
        UnpackError::NameClash { first, second }
    }

    fn failed(&self, source: io::Error) -> UnpackError {
        UnpackError::Failed { path: to_path(self.path), source }
    }
}

/// The name in this directory that the file system takes for `name`: of the same file, or, where
/// every spelling has a number of its own, the same but for its case.
fn twin(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<OsString>> {
    let identity = |name: &OsStr| {
        statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (stat.st_dev, stat.st_ino))
    };
    let lowercase = |name: &OsStr| name.to_string_lossy().to_lowercase();
    let wanted = identity(name)?;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let other = OsStr::from_bytes(entry.file_name().to_bytes());
        let is_twin = lowercase(other) == lowercase(name) || identity(other)? == wanted;
        if other != name && is_twin {
            return Ok(Some(OsString::from_vec(other.as_bytes().to_vec())));
        }
    }
    Ok(None)
}

/// Of directories and executable files, before the process's mask.
const DIRECTORY_MODE: Mode = Mode::from_bits_truncate(0o755);

/// Of other files, before the process's mask.
const FILE_MODE: Mode = Mode::from_bits_truncate(0o644);
