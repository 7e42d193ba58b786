//! Errors of folders, one enum per operation.

use std::{fmt, io, path::PathBuf};

use super::name::Shown;

/// Why bytes are not the list of a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The first bytes are others.
    #[error("not a folder: the bytes begin differently")]
    Magic,
    /// A version of the format that this program does not know.
    #[error("a folder of version {version}, which this program does not know: update it")]
    Version {
        /// The version in the bytes.
        version: u8,
    },
    /// The bytes end too early.
    #[error("a damaged folder: its list is cut off")]
    Truncated,
    /// Bytes follow the end.
    #[error("a damaged folder: bytes follow the end of its list")]
    TrailingBytes,
    /// A number is too large, or longer than needed.
    #[error("a damaged folder: a number is not written as it should be")]
    Number,
    /// A path, a file or a target is longer than allowed.
    #[error("a damaged folder: {length} bytes where at most {limit} are allowed")]
    Length {
        /// The length that the bytes claim.
        length: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// A path does not continue the one before it as it should.
    #[error("a damaged folder: a path does not continue the one before it")]
    Prefix,
    /// An entry of unknown kind.
    #[error("a damaged folder: no entry has the kind {kind}")]
    Kind {
        /// The kind in the bytes.
        kind: u8,
    },
    /// A path that no folder may have.
    #[error("the path {} is not allowed in a folder: {fault}", Shown(path))]
    Path {
        /// The path in the folder.
        path: PathBuf,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A link that may lead out of the folder.
    #[error("the link {} is not allowed in a folder: {fault}", Shown(path))]
    Target {
        /// The path of the link in the folder.
        path: PathBuf,
        /// What is wrong with its target.
        fault: TargetFault,
    },
    /// An entry at the wrong place, or twice.
    #[error("a damaged folder: {} is not in order", Shown(path))]
    Order {
        /// The path in the folder.
        path: PathBuf,
    },
    /// An entry without its directory.
    #[error("a damaged folder: {} is in no directory of it", Shown(path))]
    Parent {
        /// The path in the folder.
        path: PathBuf,
    },
    /// A small file as a blob, or a large one in its entry.
    #[error("a damaged folder: the file {} is not stored by its size", Shown(path))]
    FileSize {
        /// The path in the folder.
        path: PathBuf,
    },
    /// A part is smaller or larger than parts are.
    #[error("a damaged folder: a part has {size} bytes")]
    PartSize {
        /// The size in the root, in bytes.
        size: u64,
    },
    /// A part has other bytes than the root says.
    #[error("a damaged folder: a part is not the one that the root names")]
    WrongPart,
    /// The number of entries differs from the number in the list.
    #[error("a damaged folder: it does not have as many entries as it says")]
    Count,
    /// The sizes of the files are not what the list says.
    #[error("a damaged folder: its files do not have as many bytes as it says")]
    Sum,
    /// More than a bound allows.
    #[error("too large a folder: a bound is {limit}; split the folder")]
    TooLarge {
        /// The bound: bytes or entries.
        limit: u64,
    },
}

impl FormatError {
    /// Whether the same call may succeed later: never.
    pub fn is_retryable(&self) -> bool {
        false
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => TOO_LARGE,
            Self::Magic
            | Self::Version { .. }
            | Self::Truncated
            | Self::TrailingBytes
            | Self::Number
            | Self::Length { .. }
            | Self::Prefix
            | Self::Kind { .. }
            | Self::Path { .. }
            | Self::Target { .. }
            | Self::Order { .. }
            | Self::Parent { .. }
            | Self::FileSize { .. }
            | Self::PartSize { .. }
            | Self::WrongPart
            | Self::Count
            | Self::Sum => "bad_folder",
        }
    }
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// No name between two `/`, or at an end.
    #[error("a name is empty")]
    Empty,
    /// A name is `.` or `..`.
    #[error("a name is . or ..")]
    Dots,
    /// A name holds a NUL.
    #[error("a name holds a NUL")]
    Nul,
    /// A name is longer than a file system takes.
    #[error("a name has more than 255 bytes")]
    NameTooLong,
    /// The path is longer than the system takes.
    #[error("it has more than 4,096 bytes")]
    TooLong,
}

/// What is wrong with the target of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// It is empty or holds a NUL.
    #[error("no link can have such a target")]
    Invalid,
    /// It is longer than the system takes.
    #[error("its target has more than 4,095 bytes")]
    TooLong,
    /// It begins at the root of the file system.
    #[error("its target is absolute; make it relative, or replace it by what it leads to")]
    Absolute,
    /// It leads out of the folder.
    #[error("it leads out of the folder; replace it by what it leads to")]
    Outside,
    /// A `..` comes after a name.
    #[error("its target goes up again after a name; write it with .. at the beginning only")]
    UpAfterName,
    /// It was followed, and leads to a directory above it.
    #[error("it leads back to a folder that it is in; leave it out")]
    Loop,
}

/// What a file is that cannot travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory where a file is expected.
    Directory,
    /// A symbolic link where a file is expected.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A device, or something else.
    Device,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a folder",
            Self::Link => "a link",
            Self::Pipe => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}

/// Why a file or a folder is refused before anything of it is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A file or a directory cannot be opened.
    #[error("cannot read {}: {source}; make it readable, or leave it out", Shown(path))]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Neither a file, nor a directory, nor a link.
    #[error("{} is {kind}: only files, folders and links can be sent; leave it out", Shown(path))]
    Unsupported {
        /// Its path.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// Not a file: it may have no end, and reading it may take bytes from others.
    #[error("{} is {kind}, not a file", Shown(path))]
    NotFile {
        /// Its path.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// A link that may lead out of the folder.
    #[error("the link {} cannot be sent: {fault}", Shown(path))]
    Link {
        /// The path of the link.
        path: PathBuf,
        /// What is wrong with its target.
        fault: TargetFault,
    },
    /// A name or a path is too long.
    #[error("{} cannot be sent: {fault}", Shown(path))]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// The folder is larger than a bound allows.
    #[error("cannot send {}: {source}", Shown(path))]
    TooLarge {
        /// The path at which the bound was reached.
        path: PathBuf,
        /// The bound.
        source: FormatError,
    },
}

impl PlanError {
    /// Whether the same call may succeed later without a change to the folder.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => is_passing(source),
            Self::Unsupported { .. }
            | Self::NotFile { .. }
            | Self::Link { .. }
            | Self::Path { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => UNREADABLE,
            Self::Unsupported { .. } | Self::NotFile { .. } => "unsupported_file",
            Self::Link { .. } => "unsupported_link",
            Self::Path { .. } => "unsupported_name",
            Self::TooLarge { .. } => TOO_LARGE,
        }
    }
}

/// Why a planned file or folder cannot be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file changed while it was read, or since the folder was checked.
    #[error("{} changed while it was read; retry when nothing writes to it", Shown(path))]
    Changed {
        /// Its path.
        path: PathBuf,
    },
    /// A file or a directory cannot be read.
    #[error("cannot read {}: {source}", Shown(path))]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// An earlier step of the same pack failed.
    #[error("the folder was given up after an error; begin again")]
    GivenUp,
    /// The folder's list is too large.
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl PackError {
    /// Whether the same call may succeed later without a change to the folder.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Changed { .. } => true,
            Self::GivenUp => false,
            Self::Unreadable { source, .. } => is_passing(source),
            Self::Format(error) => error.is_retryable(),
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "input_changed",
            Self::GivenUp => GIVEN_UP,
            Self::Unreadable { .. } => UNREADABLE,
            Self::Format(error) => error.code(),
        }
    }
}

/// Why a file or a folder cannot be made from its blobs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The target exists already.
    #[error("{} exists already: choose another name, or remove it", Shown(path))]
    TargetExists {
        /// The target.
        path: PathBuf,
    },
    /// The file system takes two names for one.
    #[error(
        "{} and {} are one name on the file system of the target: rename one of them, or choose a \
         target that tells them apart",
        Shown(first),
        Shown(second)
    )]
    NameClash {
        /// The path in the folder that was made first.
        first: PathBuf,
        /// The path in the folder that found the name taken.
        second: PathBuf,
    },
    /// A file was not filled with as many bytes as its blob has.
    #[error("{} has {found} bytes and not {expected}", Shown(path))]
    Unfilled {
        /// The path in the folder.
        path: PathBuf,
        /// Size of its blob in bytes.
        expected: u64,
        /// Size of the file in bytes.
        found: u64,
    },
    /// An earlier step of the same unpacking failed.
    #[error("the folder was given up after an error; begin again")]
    GivenUp,
    /// A file, a directory or a link cannot be made.
    #[error("cannot make {}: {source}", Shown(path))]
    Failed {
        /// The path in the folder, or the target itself.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The bytes are not the list of a folder.
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl UnpackError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TargetExists { .. } | Self::NameClash { .. } | Self::GivenUp => false,
            Self::Unfilled { .. } => true,
            Self::Failed { source, .. } => is_passing(source),
            Self::Format(error) => error.is_retryable(),
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TargetExists { .. } => "target_exists",
            Self::NameClash { .. } => "name_clash",
            Self::Unfilled { .. } => "folder_incomplete",
            Self::GivenUp => GIVEN_UP,
            Self::Failed { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "disk_full"
            }
            Self::Failed { .. } => "unwritable",
            Self::Format(error) => error.code(),
        }
    }
}

/// Why a directory cannot be removed. What was removed before the error stays removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove {}: {source}", Shown(path))]
pub struct RemoveError {
    /// The path that stays.
    pub path: PathBuf,
    /// The error of the system.
    pub source: io::Error,
}

/// Whether an error of the system ends by itself: descriptors, memory or space are short, or something
/// is in use.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing =
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOSPC, Errno::DQUOT, Errno::BUSY];
    error.raw_os_error().is_some_and(|code| passing.iter().any(|one| one.raw_os_error() == code))
        || error.kind() == io::ErrorKind::Interrupted
}

const GIVEN_UP: &str = "given_up";
const TOO_LARGE: &str = "folder_too_large";
const UNREADABLE: &str = "input_unreadable";
