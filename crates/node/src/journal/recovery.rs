//! How far a start is with reading its journal, for those who ask meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Shared by the thread that reads and by those who ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recovery(Arc<Steps>);

#[derive(Debug, Default)]
struct Steps {
    /// One more than the steps that are done; 0 outside of a start.
    done: AtomicU64,
    /// Segments to be read.
    all: AtomicU64,
}

/// A start that is under way, until this is dropped.
#[must_use = "the start is over when it is dropped"]
pub(crate) struct Recovering(Recovery);

impl Recovery {
    /// A start begins.
    pub(crate) fn begin(&self) -> Recovering {
        self.0.all.store(0, Ordering::Relaxed);
        self.0.done.store(1, Ordering::Relaxed);
        Recovering(self.clone())
    }

    /// There are so many segments.
    pub(super) fn of(&self, segments: u64) {
        self.0.all.store(segments, Ordering::Relaxed);
    }

    /// One more segment is read, or will be in a moment.
    pub(super) fn step(&self) {
        let done = self.0.done.load(Ordering::Relaxed);
        // The one writer is the thread that reads: nothing is lost between the two.
        if done > 0 {
            self.0.done.store(done + 1, Ordering::Relaxed);
        }
        if done == self.0.all.load(Ordering::Relaxed) / 2 {
            super::hold("MESHWORK_TEST_HOLD_RECOVERY");
        }
    }

    /// Percent of the segments that are read, at most 99; none outside of a start.
    pub(crate) fn percent(&self) -> Option<u8> {
        let done = self.0.done.load(Ordering::Relaxed).checked_sub(1)?;
        let percent = (done * 100).checked_div(self.0.all.load(Ordering::Relaxed)).unwrap_or(0);
        Some(u8::try_from(percent).unwrap_or(LAST).min(LAST))
    }
}

impl Drop for Recovering {
    fn drop(&mut self) {
        self.0.0.done.store(0, Ordering::Relaxed);
    }
}

/// What is read has to be taken up, and the network to be opened: the start is not over yet.
const LAST: u8 = 99;

#[cfg(test)]
mod tests;
