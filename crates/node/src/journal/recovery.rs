//! Progress of a start that reads its journal, for status requests meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Shared by the thread that reads the journal and by status requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recovery(Arc<Steps>);

#[derive(Debug, Default)]
struct Steps {
    /// Completed steps plus one; 0 outside a start.
    done: AtomicU64,
    /// Number of steps: segments and files of the archive.
    all: AtomicU64,
}

/// A start under way. Dropping it ends the report of progress.
#[must_use = "the start is over when it is dropped"]
pub(crate) struct Recovering(Recovery);

impl Recovery {
    /// Begins to report progress.
    pub(crate) fn begin(&self) -> Recovering {
        self.0.all.store(0, Ordering::Relaxed);
        self.0.done.store(1, Ordering::Relaxed);
        Recovering(self.clone())
    }

    /// Sets the number of steps.
    pub(super) fn set_steps(&self, steps: u64) {
        self.0.all.store(steps, Ordering::Relaxed);
    }

    /// Counts one step.
    pub(super) fn step(&self) {
        let done = self.0.done.load(Ordering::Relaxed);
        // Only the reading thread writes, so no step is lost between load and store.
        if done > 0 {
            self.0.done.store(done + 1, Ordering::Relaxed);
        }
        if done == self.0.all.load(Ordering::Relaxed) / 2 {
            super::work::hold("MESHWORK_TEST_HOLD_RECOVERY");
        }
    }

    /// Progress in percent, at most 99; none outside a start.
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

/// After reading, the engine and the network still have to start.
const LAST: u8 = 99;

#[cfg(test)]
mod tests;
