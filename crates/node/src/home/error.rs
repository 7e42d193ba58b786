//! Why a home cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// A running node uses the home.
    #[error(
        "{} is in use by a running node (process {pid}); stop that node, or choose another directory",
        home.display()
    )]
    InUse {
        /// Path of the home.
        home: PathBuf,
        /// Process id of the other node, or `?`.
        pid: String,
    },
    /// Other users can write to the home.
    #[error("other users can write to {}: chmod 700 {}", home.display(), quoted(home))]
    TooOpen {
        /// Path of the home.
        home: PathBuf,
    },
    /// The process runs as root, and would leave files that the home's owner cannot read.
    #[error(
        "{} belongs to user {owner}, and this process runs as root: run it as that user, or choose \
         another directory", home.display()
    )]
    OtherUser {
        /// Path of the home.
        home: PathBuf,
        /// User id of the home's owner.
        owner: u32,
    },
    /// A file in the home is damaged.
    #[error("{} is damaged: {what}; restore it, or remove it to start without it", path.display())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// `config.toml` is not valid TOML, or has an invalid key or value.
    #[error("{}{}: {why}", path.display(), line.map(|line| format!(" line {line}")).unwrap_or_default())]
    Config {
        /// Path of the file.
        path: PathBuf,
        /// The line of the mistake, from 1, if it is known.
        line: Option<usize>,
        /// The mistake, and its correction.
        why: String,
    },
    /// The operating system returned an error.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Path of the file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl HomeError {
    /// Whether this process may not write to the home.
    pub(crate) fn is_read_only(&self) -> bool {
        let Self::Io { source, .. } = self else { return matches!(self, Self::OtherUser { .. }) };
        matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
    }
}

/// The path as one quoted word for a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
