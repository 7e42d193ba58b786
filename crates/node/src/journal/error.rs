//! Why a journal cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use meshwork_core::PeerId;

use crate::home::HomeError;

/// Why a journal cannot be used. None of these ever starts an empty one in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There never was one.
    #[error("there is no journal at {}: no node was started there", path.display())]
    None {
        /// Where.
        path: PathBuf,
    },
    /// The file is gone.
    #[error(
        "{} is missing, and it held the tasks of this node: put it back, or restore a copy; to give them \
         up, remove journal.id beside it", path.display()
    )]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// A file of the archive is gone.
    #[error(
        "{} is missing, and it held tasks that have ended: put it back, restore a copy, or salvage the \
         rest", path.display()
    )]
    MissingEnded {
        /// The file.
        path: PathBuf,
    },
    /// The marker beside it is gone.
    #[error(
        "{} is there without {}: put that back; to give up the tasks in it, remove the journal",
        path.display(), marker.display()
    )]
    NoMarker {
        /// The journal.
        path: PathBuf,
        /// What belongs to it.
        marker: PathBuf,
    },
    /// The marker is not one.
    #[error(
        "{} is damaged: put a copy of it back, or salvage the journal, which writes it anew",
        path.display()
    )]
    Marker {
        /// Which.
        path: PathBuf,
    },
    /// It belongs to another marker.
    #[error("{} is the journal of another node: put this node's own one back", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// It is of the node with another key.
    #[error(
        "{} is the journal of node {owner}, and the identity key is that of another: put its own key \
         back", path.display()
    )]
    OtherKey {
        /// The journal.
        path: PathBuf,
        /// Whose it is.
        owner: PeerId,
    },
    /// The key of the node whose journal it is, is gone.
    #[error(
        "{} is missing, and the tasks in {} belong to the node whose key it was: put it back; to begin \
         anew as another node, remove the journal and journal.id beside it",
        key.display(), path.display()
    )]
    NoKey {
        /// The key's file.
        key: PathBuf,
        /// The journal.
        path: PathBuf,
    },
    /// It is an old copy, or the marker is.
    #[error(
        "{} is not the latest: tasks that were accepted since would be lost; put the latest back",
        path.display()
    )]
    Older {
        /// Which.
        path: PathBuf,
    },
    /// It lacks what was committed last, or is a copy from before.
    #[error(
        "{} lacks its latest {missing} commits, and with them what was told since: put the latest back, \
         or salvage the rest", path.display()
    )]
    Behind {
        /// Which.
        path: PathBuf,
        /// Commits that are not in it, at least.
        missing: u64,
    },
    /// A later version has written it.
    #[error("{} has format {format}, which this version cannot read: update it", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What it says.
        format: u64,
    },
    /// Some of it cannot be read.
    #[error(
        "{} is damaged: {damaged} of {total} records cannot be read; restore a copy, or salvage the rest",
        path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Records that cannot be read.
        damaged: u64,
        /// Records that were found.
        total: u64,
    },
    /// There is a journal where another one is to be.
    #[error("{} is there already: choose a folder without one", path.display())]
    Occupied {
        /// Which.
        path: PathBuf,
    },
    /// There is a journal where an earlier one is to be put back.
    #[error(
        "{} is there, and may know of tasks that the copy does not; replacing it has to be confirmed",
        path.display()
    )]
    WouldReplace {
        /// Which.
        path: PathBuf,
    },
    /// The copy is of the journal of another node than the home's.
    #[error(
        "{} is the journal of node {owner}, and this home is that of {own}: restore it into that node's \
         home; to replace this node by that one, put that node's identity.key here and name it",
        path.display()
    )]
    OtherNode {
        /// The copy.
        path: PathBuf,
        /// Whose it is.
        owner: PeerId,
        /// Whose home it is.
        own: Box<PeerId>,
    },
    /// A copy is being made already.
    #[error("a copy of the journal is being made already: wait for its end")]
    Copying,
    /// Its pages are damaged, and the records do not tell what is lost.
    #[error(
        "{} is damaged: {source}; restore a copy, or salvage what can be read", path.display()
    )]
    Pages {
        /// Which.
        path: PathBuf,
        /// What the store said.
        source: Box<redb::Error>,
    },
    /// Not even what is whole in it can be read.
    #[error(
        "{} is damaged so that nothing can be read: restore a copy; to give up the tasks in it, remove it \
         and journal.id beside it", path.display()
    )]
    Unreadable {
        /// Which.
        path: PathBuf,
    },
    /// A file beside it cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The store says no.
    #[error("cannot use {}: {source}", path.display())]
    Store {
        /// Which.
        path: PathBuf,
        /// What it said.
        source: Box<redb::Error>,
    },
    /// There is no thread for it.
    #[error("cannot start the journal's thread: {0}")]
    Thread(#[source] io::Error),
    /// Its thread has ended.
    #[error("the journal has stopped")]
    Stopped,
}

impl JournalError {
    pub(super) fn store(path: &Path, source: redb::Error) -> Self {
        Self::Store { path: path.to_owned(), source: Box::new(source) }
    }

    /// The same of the file of which another one was a copy.
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

    /// What the operating system said, if it refused.
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

    /// The stable code.
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

    /// Whether the same may succeed later, without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Thread(_) | Self::Copying)
    }
}
