//! The state of the journal's thread.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    time::{Duration, Instant},
};

use super::{
    moves::{Moves, Unneeded},
    shrink::Size,
};
use crate::journal::{
    archive::{Archive, copy::FilesCopy, thread::Job},
    commit_marker::CommitMarker,
    copy::{Copy, Unfinished},
    error::JournalError,
    index::Index,
    store::{self, Store},
    work::Copied,
};

/// The state of the journal's thread.
pub(in crate::journal) struct Writer {
    pub(in crate::journal) store: Store,
    pub(in crate::journal) index: Index,
    /// The number of the next segment.
    pub(in crate::journal) next: u64,
    /// None before the thread runs, and if commits are not synced.
    pub(in crate::journal) commit_marker: Option<CommitMarker>,
    /// Whether the disk is full; shared with the driver.
    pub(in crate::journal) full: Arc<AtomicBool>,
    /// Set by the driver: the thread must end even if the disk is full.
    pub(in crate::journal) closing: Arc<AtomicBool>,
    /// Whether a copy is requested or under way; shared with the driver.
    pub(in crate::journal) copying: Arc<AtomicBool>,
    /// The copy under way.
    pub(in crate::journal) copy: Option<Copying>,
    pub(in crate::journal) archive: Arc<Archive>,
    /// To the archive's thread.
    pub(in crate::journal) jobs: blocking::SyncSender<Job>,
    /// Ids with a time up to this one count as forgotten, in milliseconds since 1970.
    pub(in crate::journal) forgotten_until: u64,
    pub(in crate::journal) uptime: Uptime,
    /// Files of the archive to remove when no copy is under way.
    pub(in crate::journal) unneeded: Vec<Unneeded>,
    pub(in crate::journal) moves: Moves,
    pub(in crate::journal) size: Size,
}

/// The node's uptime over all its starts.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Uptime {
    before: Duration,
    start: Instant,
    /// The uptime on disk.
    pub(super) noted: Duration,
}

impl Uptime {
    /// Begins a start; `before` is the uptime of all earlier starts.
    pub(in crate::journal) fn begin(before: Duration) -> Self {
        Self { before, start: Instant::now(), noted: before }
    }

    pub(super) fn get(&self) -> Duration {
        self.before + self.start.elapsed()
    }

    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.get().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A copy under way: its files, and the caller that waits for it.
pub(in crate::journal) struct Copying {
    pub(super) archive: FilesCopy,
    pub(super) copy: Copy,
    pub(super) marker: store::Marker,
    pub(super) files: Unfinished,
    pub(super) done: Copied,
}

impl Writer {
    pub(super) fn end_copy(&self, done: Copied, how: Result<(), JournalError>) {
        self.copying.store(false, Ordering::Relaxed);
        // The caller may have dropped its receiver.
        done.send(how).ok();
    }

    /// Reopens the store after a failed write, in the state of the last commit. Gives up a copy
    /// under way, because it reads the closed file.
    pub(super) fn open_again(&mut self, failed: &JournalError) -> Result<(), JournalError> {
        if let Some(Copying { copy, files, done, .. }) = self.copy.take() {
            drop(copy);
            drop(files);
            let kind =
                if failed.is_full() { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
            let error = redb::Error::Io(kind.into());
            self.end_copy(done, Err(JournalError::store(self.store.path(), error)));
        }
        self.store.open_again()
    }
}
