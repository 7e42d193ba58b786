//! Finds attempts that run in the pool, by their run id.
//!
//! Ended attempts need not be removed: the table holds weak references, and drops the dead ones
//! whenever it has doubled.

use std::sync::{Arc, Weak};

use meshwork_core::engine::RunId;
use rustc_hash::FxHashMap;

use crate::{
    context::attempt::Attempt,
    limits::{RUNNING, RUNNING_SWEEP},
};

#[derive(Debug)]
pub(super) struct Running {
    attempts: FxHashMap<RunId, Weak<Attempt>>,
    /// Number of entries at which dead references are removed.
    sweep_at: usize,
}

impl Default for Running {
    fn default() -> Self {
        Self { attempts: FxHashMap::default(), sweep_at: RUNNING_SWEEP }
    }
}

impl Running {
    /// Adds an attempt. Returns false, and adds nothing, if [`RUNNING`] attempts run already.
    pub(super) fn insert(&mut self, attempt: &Arc<Attempt>) -> bool {
        if self.attempts.len() >= self.sweep_at {
            self.attempts.retain(|_, attempt| attempt.strong_count() > 0);
            if self.attempts.len() >= RUNNING {
                return false;
            }
            self.sweep_at = (2 * self.attempts.len()).clamp(RUNNING_SWEEP, RUNNING);
        }
        self.attempts.insert(attempt.order().run, Arc::downgrade(attempt));
        true
    }

    pub(super) fn find(&self, run: RunId) -> Option<Arc<Attempt>> {
        self.attempts.get(&run)?.upgrade()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    /// Empties the table and yields the attempts that have not ended.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Arc<Attempt>> {
        self.attempts.drain().filter_map(|(_, attempt)| attempt.upgrade())
    }
}
