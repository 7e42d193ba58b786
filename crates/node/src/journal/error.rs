//! Errors of the journal.

use std::{
    io,
    path::{Path, PathBuf},
};

use meshwork_core::PeerId;

use crate::home::HomeError;

/// Why a journal cannot be used. None of these errors makes the node start with an empty journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// No node was ever started with this home.
    #[error("no journal at {}: no node was ever started with this home", path.display())]
    None {
        /// Path where the journal would be.
        path: PathBuf,
    },
    /// The journal's file is missing, but its marker exists.
    #[error(
        "{} is missing; it held the tasks of this node: put it back, or restore a copy; to give up the \
         tasks, remove journal.id beside it", path.display()
    )]
    Missing {
        /// Path of the missing journal.
        path: PathBuf,
    },
    /// A file of the archive is missing.
    #[error(
        "{} is missing; it held ended tasks: put it back, restore a copy, or salvage the rest",
        path.display()
    )]
    MissingEnded {
        /// Path of the missing file.
        path: PathBuf,
    },
    /// The journal exists, but its marker is missing.
    #[error(
        "{} exists, but {} is missing: put that file back; to give up the tasks, remove the journal",
        path.display(), marker.display()
    )]
    NoMarker {
        /// Path of the journal.
        path: PathBuf,
        /// Path of the missing marker.
        marker: PathBuf,
    },
    /// The marker is damaged.
    #[error(
        "{} is damaged: put a copy of it back, or salvage the journal, which rewrites it",
        path.display()
    )]
    Marker {
        /// Path of the marker.
        path: PathBuf,
    },
    /// The journal's name is not the one in the marker.
    #[error("{} is the journal of another node: put this node's journal back", path.display())]
    Foreign {
        /// Path of the journal.
        path: PathBuf,
    },
    /// The journal belongs to a node with another identity key.
    #[error(
        "{} is the journal of node {owner}, but the identity key is another node's: put the key of \
         {owner} back", path.display()
    )]
    OtherKey {
        /// Path of the journal.
        path: PathBuf,
        /// The node that the journal belongs to.
        owner: PeerId,
    },
    /// The identity key is missing, but a journal exists.
    #[error(
        "{} is missing, and the tasks in {} belong to the node with that key: put it back; to start as \
         a new node, remove the journal and journal.id beside it",
        key.display(), path.display()
    )]
    NoKey {
        /// Path of the missing key.
        key: PathBuf,
        /// Path of the journal.
        path: PathBuf,
    },
    /// The journal or its marker is an old copy.
    #[error(
        "{} and the journal.id beside it do not match: one of them is an old copy, and tasks accepted \
         since would be lost; put the latest of both back", path.display()
    )]
    Older {
        /// Path of the journal.
        path: PathBuf,
    },
    /// The journal lacks its latest commits: they are damaged, or it is an old copy.
    #[error(
        "{} lacks its latest {missing} commits and the tasks in them: put the latest journal back, or \
         salvage the rest", path.display()
    )]
    Behind {
        /// Path of the journal.
        path: PathBuf,
        /// Minimum number of missing commits.
        missing: u64,
    },
    /// A later version has written the journal.
    #[error(
        "{} has format {format}, which this version of meshwork cannot read: update meshwork",
        path.display()
    )]
    Format {
        /// Path of the journal.
        path: PathBuf,
        /// The journal's format.
        format: u64,
    },
    /// Some records cannot be read.
    #[error(
        "{} is damaged: {damaged} of {total} records cannot be read; restore a copy, or salvage the rest",
        path.display()
    )]
    Damaged {
        /// Path of the journal, or of the damaged file or folder of the archive.
        path: PathBuf,
        /// Number of records that cannot be read.
        damaged: u64,
        /// Number of all records.
        total: u64,
    },
    /// The folder for a copy holds a journal.
    #[error("{} exists already: choose a folder without a journal", path.display())]
    Occupied {
        /// Path of the file or folder that exists.
        path: PathBuf,
    },
    /// A restore would replace a journal.
    #[error(
        "{} exists, and may hold tasks that the copy does not; confirm that it may be replaced",
        path.display()
    )]
    WouldReplace {
        /// Path of the journal that exists.
        path: PathBuf,
    },
    /// The copy is the journal of another node.
    #[error(
        "{} is the journal of node {owner}, but this home belongs to node {own}: restore it into the \
         home of {owner}; to replace this node, put the identity.key of {owner} here and name {owner}",
        path.display()
    )]
    OtherNode {
        /// Path of the copy.
        path: PathBuf,
        /// The node that the copy belongs to.
        owner: PeerId,
        /// The node that the home belongs to.
        own: Box<PeerId>,
    },
    /// A copy is under way; there is at most one at a time.
    #[error("a copy of the journal is under way: retry when it has ended")]
    Copying,
    /// Pages of the store are damaged, and the number of lost records is unknown.
    #[error(
        "{} is damaged: {source}; restore a copy, or salvage the readable records", path.display()
    )]
    Pages {
        /// Path of the journal.
        path: PathBuf,
        /// The store's error.
        source: Box<redb::Error>,
    },
    /// The store cannot open the file, or no record in it is whole.
    #[error(
        "{} is damaged, and nothing in it can be read: restore a copy; to give up the tasks, remove it \
         and journal.id beside it", path.display()
    )]
    Unreadable {
        /// Path of the journal.
        path: PathBuf,
    },
    /// A file beside the journal cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The store returned an error.
    #[error("cannot use {}: {source}", path.display())]
    Store {
        /// Path of the journal.
        path: PathBuf,
        /// The store's error.
        source: Box<redb::Error>,
    },
    /// The operating system did not start the journal's thread.
    #[error("cannot start the journal's thread: {0}")]
    Thread(#[source] io::Error),
    /// The journal's thread has ended.
    #[error("the journal has stopped")]
    Stopped,
}

impl JournalError {
    pub(super) fn store(path: &Path, source: redb::Error) -> Self {
        Self::Store { path: path.to_owned(), source: Box::new(source) }
    }

    /// The same error with the path of the original instead of its copy.
    pub(super) fn at(self, file: &Path) -> Self {
        let path = file.to_owned();
        match self {
            Self::Store { source, .. } => Self::Store { path, source },
            Self::Pages { source, .. } => Self::Pages { path, source },
            Self::Damaged { damaged, total, .. } => Self::Damaged { path, damaged, total },
            Self::Foreign { .. } => Self::Foreign { path },
            Self::Older { .. } => Self::Older { path },
            Self::Behind { missing, .. } => Self::Behind { path, missing },
            Self::Unreadable { .. } => Self::Unreadable { path },
            Self::Format { format, .. } => Self::Format { path, format },
            other @ (Self::None { .. }
            | Self::Missing { .. }
            | Self::MissingEnded { .. }
            | Self::NoMarker { .. }
            | Self::Marker { .. }
            | Self::OtherKey { .. }
            | Self::NoKey { .. }
            | Self::Occupied { .. }
            | Self::WouldReplace { .. }
            | Self::OtherNode { .. }
            | Self::Copying
            | Self::Home(_)
            | Self::Thread(_)
            | Self::Stopped) => other,
        }
    }

    /// Whether the disk is full.
    pub(super) fn is_full(&self) -> bool {
        self.io().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
    }

    /// Whether this process may not write the journal or its folder.
    pub(super) fn is_read_only(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let denied =
            |error: &io::Error| matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem);
        matches!(self, Self::Home(error) if error.is_read_only()) || self.io().is_some_and(denied)
    }

    /// The operating system's error, if this is one.
    fn io(&self) -> Option<&io::Error> {
        if let Self::Store { source, .. } = self
            && let redb::Error::Io(source) = &**source
        {
            Some(source)
        } else if let Self::Home(HomeError::Io { source, .. }) = self {
            Some(source)
        } else {
            None
        }
    }

    /// The error's code, which does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            _ if self.is_full() => "disk_full",
            Self::Copying => "busy",
            Self::Occupied { .. } | Self::WouldReplace { .. } | Self::OtherNode { .. } => {
                "conflict"
            }
            Self::None { .. }
            | Self::Missing { .. }
            | Self::MissingEnded { .. }
            | Self::NoMarker { .. }
            | Self::Marker { .. }
            | Self::Foreign { .. }
            | Self::OtherKey { .. }
            | Self::NoKey { .. }
            | Self::Older { .. }
            | Self::Behind { .. }
            | Self::Format { .. }
            | Self::Damaged { .. }
            | Self::Pages { .. }
            | Self::Unreadable { .. }
            | Self::Home(_)
            | Self::Store { .. }
            | Self::Thread(_)
            | Self::Stopped => "internal",
        }
    }

    /// Whether a retry may succeed without any change by the user.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Thread(_) | Self::Copying)
    }
}
