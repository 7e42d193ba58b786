//! The sizes of the journal's file: decides when to shrink it, and copies it step by step between
//! commits.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use crate::journal::{
    error::JournalError,
    store::{Store, shrink::Shrinking},
    work::FULL_RETRY,
};

/// Sizes of the journal's file, and the state of its shrinking.
pub(in crate::journal) struct Size {
    /// Bytes of the segments in the file.
    held: u64,
    /// Bytes of segments that the last commit wrote.
    last_commit: u64,
    /// The sizes when the file was last shrunk.
    last: Option<Sizes>,
    /// Earliest time of the next check.
    check_at: Instant,
    /// Since this time every check has found the file wasteful.
    wasteful_since: Option<Instant>,
    /// Time of the last copied portion.
    last_portion: Instant,
    /// The smaller file, under way.
    shrinking: Option<Shrinking>,
}

/// Bytes of the file on disk, and bytes of the segments in it.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    file: u64,
    held: u64,
}

impl Sizes {
    /// Whether shrinking is worth the copy. `last` are the sizes after the last shrinking: records
    /// of some lengths take almost twice their size in any file, so another copy would not help.
    fn is_wasteful(self, last: Option<Self>) -> bool {
        let has_changed = |last: Self| {
            self.file >= last.file + last.file / 2 || self.held <= last.held - last.held / 3
        };
        self.file > FLOOR + 2 * self.held && last.is_none_or(has_changed)
    }
}

impl Size {
    pub(in crate::journal) fn new(held: u64) -> Self {
        Self {
            held,
            last_commit: 0,
            last: None,
            check_at: Instant::now(),
            wasteful_since: None,
            last_portion: Instant::now(),
            shrinking: None,
        }
    }

    /// Time that the thread waits for requests.
    pub(super) fn rest(&self) -> Duration {
        if self.shrinking.is_some() { REST } else { FULL_RETRY }
    }

    /// Whether to begin shrinking: the file has been wasteful for [`SETTLE`].
    fn is_due(&mut self, path: &Path) -> bool {
        let now = Instant::now();
        if now < self.check_at {
            return false;
        }
        let sizes = self.sizes(path);
        if !sizes.is_ok_and(|sizes| sizes.is_wasteful(self.last)) {
            self.wasteful_since = None;
            return false;
        }
        now.duration_since(*self.wasteful_since.get_or_insert(now)) >= SETTLE
    }

    /// Counts a commit that added `added` bytes of segments and removed `segments` of `removed`
    /// bytes.
    pub(super) fn committed(&mut self, added: u64, removed: u64, segments: &[u64]) {
        self.held = (self.held + added).saturating_sub(removed);
        self.last_commit = added;
        if let Some(shrinking) = &mut self.shrinking {
            shrinking.note_removed(segments);
        }
    }

    /// Whether a portion is due on a node that is never idle.
    pub(super) fn is_turn(&self) -> bool {
        self.last_portion.elapsed() >= BUSY
    }

    /// Whether a smaller file is under way.
    pub(super) fn is_shrinking(&self) -> bool {
        self.shrinking.is_some()
    }

    /// Copies the next portion to the smaller file, if the file should shrink. Returns the copy when
    /// it is complete and renamed to the journal's file.
    pub(super) fn step(&mut self, store: &Store) -> Result<Option<Shrinking>, JournalError> {
        if self.shrinking.is_none() {
            if !self.is_due(store.path()) {
                return Ok(None);
            }
            self.wasteful_since = None;
            self.shrinking = Some(Shrinking::begin(store)?);
        }
        let Some(shrinking) = &mut self.shrinking else { return Ok(None) };
        // Faster than commits add segments, so that the copy ends on a busy node as well.
        let portion = PORTION.max(usize::try_from(2 * self.last_commit).unwrap_or(usize::MAX));
        let is_whole = !shrinking.step(store, portion)?;
        self.last_portion = Instant::now();
        if !is_whole {
            return Ok(None);
        }
        shrinking.rename(store)?;
        Ok(self.shrinking.take())
    }

    /// Notes the sizes of a file that was shrunk.
    pub(super) fn note_shrunk(&mut self, path: &Path) {
        self.last = self.sizes(path).ok();
        tracing::debug!(sizes = ?self.last, "shrank the journal's file");
    }

    /// Removes the smaller file, and does not try again for [`RETRY`].
    pub(super) fn give_up(&mut self) {
        self.shrinking = None;
        self.check_at = Instant::now() + RETRY;
    }

    fn sizes(&self, path: &Path) -> io::Result<Sizes> {
        let file = fs::metadata(path)?;
        // Bytes at the end that were never written take no disk space.
        Ok(Sizes { file: file.len().min(file.blocks() * BLOCK), held: self.held })
    }
}

/// A file up to this many bytes larger than twice its segments is not shrunk.
pub(in crate::journal) const FLOOR: u64 = 16 << 20;
/// Time that a file must be wasteful before it is copied: avoids copying the segments of a burst
/// that are about to be removed.
const SETTLE: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(10) };
/// Idle time before the next portion: portions rarely delay a caller that submits one task after
/// the other.
const REST: Duration = Duration::from_millis(20);
/// Interval of portions on a node that is never idle.
const BUSY: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(1) };
/// Minimum bytes of one portion. Small, because a commit may have to wait for one.
const PORTION: usize = 1 << 20;
/// Wait after a failed try: the most likely reason is a disk that is nearly full.
const RETRY: Duration = Duration::from_secs(600);
/// Bytes of a block as `stat` counts them.
const BLOCK: u64 = 512;

#[cfg(test)]
mod tests;
