//! When the journal's file is made smaller, and how that goes on between commits.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{Job, Writer};
use crate::journal::{FULL_RETRY, JournalError, store::Shrinking};

/// How large the journal's file is, and how large it has to be.
pub(in crate::journal) struct Size {
    /// Bytes of the segments in the file.
    held: u64,
    /// Bytes of segments that the last commit wrote.
    last_commit: u64,
    /// The sizes when the file was last made smaller.
    last: Option<Sizes>,
    /// When the file is looked at next, at the earliest.
    look_at: Instant,
    /// Since when each look has found it wasteful.
    wasteful_since: Option<Instant>,
    /// When the last portion was copied.
    last_portion: Instant,
    /// The smaller file that is being written.
    pub(super) shrinking: Option<Shrinking>,
}

/// Bytes that the file takes on disk, and bytes of the segments in it.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    file: u64,
    held: u64,
}

impl Sizes {
    /// Whether a smaller file is worth the copy. `last` are the sizes after the last time: records of
    /// some lengths take almost twice their place in any file, and copying them again changes nothing.
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
            look_at: Instant::now(),
            wasteful_since: None,
            last_portion: Instant::now(),
            shrinking: None,
        }
    }

    /// How long the thread waits for something to do.
    pub(super) fn rest(&self) -> Duration {
        if self.shrinking.is_some() { REST } else { FULL_RETRY }
    }

    /// Whether a copy is to begin: the file has been wasteful for a while.
    fn is_due(&mut self, path: &Path) -> bool {
        let now = Instant::now();
        if now < self.look_at {
            return false;
        }
        let sizes = self.sizes(path);
        if !sizes.is_ok_and(|sizes| sizes.is_wasteful(self.last)) {
            self.wasteful_since = None;
            return false;
        }
        now.duration_since(*self.wasteful_since.get_or_insert(now)) >= SETTLE
    }

    /// A commit has added so many bytes of segments, and removed these segments of so many bytes.
    pub(super) fn committed(&mut self, added: u64, removed: u64, segments: &[u64]) {
        self.held = (self.held + added).saturating_sub(removed);
        self.last_commit = added;
        if let Some(shrinking) = &mut self.shrinking {
            shrinking.note_removed(segments);
        }
    }

    fn sizes(&self, path: &Path) -> io::Result<Sizes> {
        let file = fs::metadata(path)?;
        // Space at the end that was never written takes no place on disk.
        Ok(Sizes { file: file.len().min(file.blocks() * BLOCK), held: self.held })
    }
}

impl Writer {
    /// Copies the next portion to a smaller file, if the file is to become smaller: when there was nothing
    /// to commit for a while, and on a busy node from time to time. Does nothing while a copy is made or
    /// the disk is full.
    ///
    /// # Errors
    ///
    /// Which file is the journal after a power cut is unknown.
    pub(super) fn go_on_shrinking(&mut self, is_idle: bool) -> Result<(), JournalError> {
        let is_turn = is_idle || self.size.last_portion.elapsed() >= BUSY;
        if !is_turn || self.copy.is_some() || self.full.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.shrink_step() {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                tracing::debug!(%error, "the journal's file is not made smaller for now");
                self.give_up_shrinking();
                return Ok(());
            }
        }
        let Some(shrinking) = self.size.shrinking.take() else { return Ok(()) };
        let replaced = shrinking.replace(&mut self.store)?;
        self.store.may_skip_fsync();
        // The driver waits for commits, and none for the end of the earlier file: it is closed here
        // only if the archive's thread has too much to do.
        self.jobs.try_send(Job::Close(replaced)).ok();
        self.size.last = self.size.sizes(self.store.path()).ok();
        tracing::debug!(sizes = ?self.size.last, "the journal's file is smaller");
        Ok(())
    }

    /// True when the smaller file has the name of the journal's.
    fn shrink_step(&mut self) -> Result<bool, JournalError> {
        if self.size.shrinking.is_none() {
            if !self.size.is_due(self.store.path()) {
                return Ok(false);
            }
            self.size.wasteful_since = None;
            self.size.shrinking = Some(Shrinking::begin(&self.store)?);
        }
        let Some(shrinking) = &mut self.size.shrinking else { return Ok(false) };
        // Faster than commits add to it, so that it comes to its end on a busy node as well.
        let portion = PORTION.max(usize::try_from(2 * self.size.last_commit).unwrap_or(usize::MAX));
        let is_whole = !shrinking.go_on(&self.store, portion)?;
        self.size.last_portion = Instant::now();
        if !is_whole {
            return Ok(false);
        }
        shrinking.rename(&self.store)?;
        Ok(true)
    }

    /// Removes the smaller file that is being written, and leaves the journal's as it is for a while.
    pub(super) fn give_up_shrinking(&mut self) {
        self.size.shrinking = None;
        self.size.look_at = Instant::now() + RETRY;
    }
}

/// A file that takes no more than this beyond twice of what it holds is left as it is.
pub(in crate::journal) const FLOOR: u64 = 16 << 20;
/// How long a file has to be wasteful before it is copied: what ends after a burst is not copied first
/// and removed then.
const SETTLE: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(10) };
/// How long there is nothing to commit before the next portion: whoever submits one task after the other
/// meets few of them.
const REST: Duration = Duration::from_millis(20);
/// How long after the last portion one is copied though there is always something to commit.
const BUSY: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(1) };
/// Bytes of one portion, at least: a commit waits for one at most, so few of them take little time.
const PORTION: usize = 1 << 20;
/// How long a file is left as it is after a try that failed: the reason is most likely a disk that is
/// nearly full.
const RETRY: Duration = Duration::from_secs(600);
/// The unit in which systems count the place of a file.
const BLOCK: u64 = 512;

#[cfg(test)]
mod tests;
