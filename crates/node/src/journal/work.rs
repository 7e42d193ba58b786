//! Requests to the journal's thread.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use meshwork_core::engine::{Record, Seq};
use tokio::sync::oneshot;

use super::error::JournalError;

/// A request to the journal's thread.
pub(super) enum Work {
    Commit(Batch),
    /// Copies the journal's present state, with its marker, to this folder.
    Copy {
        dir: PathBuf,
        done: Copied,
    },
}

/// Records of one commit.
pub(super) struct Batch {
    pub(super) last: Seq,
    pub(super) records: Vec<Record>,
}

/// Sends that a copy is complete, or why it failed.
pub(crate) type Copied = oneshot::Sender<Result<(), JournalError>>;

/// Wait before another try on a full disk. Refused callers are asked to retry after the same time.
pub(super) const FULL_RETRY: Duration = meshwork_core::limits::DISK_FULL_RETRY;

/// In debug builds: blocks as long as the file exists that this environment variable names.
pub(super) fn hold(variable: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(file) = std::env::var_os(variable) else { return };
    while Path::new(&file).exists() {
        thread::sleep(Duration::from_millis(5));
    }
}
