//! The threads on which handlers run, and their replacement when all of them are blocked.

use std::{io, sync::Arc};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

use super::watch::{Blocked, Watch, Watched};
use crate::{
    context::attempt::Attempt,
    limits::{BLOCKED_POOLS, BLOCKING_THREADS, THREADS},
    registry::erased::{Outcome, Run},
};

/// Why the pool did not accept a run.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("all handler threads are blocked by abandoned attempts")]
    Blocked,
    #[error("no handler threads: {0}")]
    Runtime(#[from] io::Error),
}

pub(super) struct Pool {
    threads: usize,
    current: Generation,
    /// Pools whose threads were all blocked when they were replaced, the oldest first; at most
    /// [`BLOCKED_POOLS`].
    retired: Vec<Generation>,
}

impl Pool {
    pub(super) fn new(threads: usize) -> io::Result<Self> {
        let threads = threads.clamp(1, THREADS);
        Ok(Self { threads, current: Generation::new(threads)?, retired: Vec::new() })
    }

    pub(super) fn spawn(
        &mut self,
        run: Run,
        attempt: Arc<Attempt>,
    ) -> Result<SpawnedRun, SpawnError> {
        if self.current.is_lost(self.threads) {
            self.replace()?;
        }
        Ok(self.current.spawn(run, attempt))
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn blocked_threads(&self) -> usize {
        let blocked = |generation: &Generation| generation.blocked.count();
        blocked(&self.current) + self.retired.iter().map(blocked).sum::<usize>()
    }

    /// Whether no thread is left for another attempt: the current pool is blocked, and the maximum
    /// number of pools was replaced already.
    pub(super) fn is_exhausted(&self) -> bool {
        let in_use = self.retired.iter().filter(|pool| pool.in_use()).count();
        self.current.is_lost(self.threads) && in_use >= BLOCKED_POOLS
    }

    fn replace(&mut self) -> Result<(), SpawnError> {
        self.retired.retain(Generation::in_use);
        if self.retired.len() >= BLOCKED_POOLS {
            return Err(SpawnError::Blocked);
        }
        tracing::warn!(
            threads = self.threads,
            replaced = self.retired.len() + 1,
            "all handler threads are blocked by abandoned attempts; starting new ones"
        );
        let fresh = Generation::new(self.threads)?;
        self.retired.push(std::mem::replace(&mut self.current, fresh));
        Ok(())
    }
}

/// The handles of a spawned run.
pub(super) type SpawnedRun = (JoinHandle<Outcome>, Arc<Watch>);

/// One runtime with its threads.
struct Generation {
    /// `None` only while the generation is dropped.
    runtime: Option<Runtime>,
    /// Spawns on `runtime`.
    handle: Handle,
    /// Each run that has not ended holds a clone.
    blocked: Arc<Blocked>,
}

impl Generation {
    fn new(threads: usize) -> io::Result<Self> {
        // Building a runtime panics if no thread can start, so try one thread first.
        std::thread::Builder::new().spawn(|| {})?.join().ok();
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("meshwork-handler")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self { runtime: Some(runtime), handle, blocked: Arc::default() })
    }

    fn spawn(&self, run: Run, attempt: Arc<Attempt>) -> SpawnedRun {
        let watch = Arc::new(Watch::new(Arc::clone(&self.blocked)));
        (self.handle.spawn(Watched::new(run, attempt, Arc::clone(&watch))), watch)
    }

    fn is_lost(&self, threads: usize) -> bool {
        self.blocked.count() >= threads
    }

    fn in_use(&self) -> bool {
        Arc::strong_count(&self.blocked) > 1
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which is forbidden in an async context.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
