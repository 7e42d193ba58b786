//! Tracks whether a run is being polled at this moment. If it is, abandoning the run leaves its
//! thread blocked.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use crate::{
    context::attempt::Attempt,
    registry::erased::{Outcome, Run},
};

/// Number of threads of one pool that abandoned runs block.
#[derive(Debug, Default)]
pub(super) struct Blocked(AtomicUsize);

impl Blocked {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The supervisor's view of a run.
#[derive(Debug)]
pub(super) struct Watch {
    state: AtomicU8,
    blocked: Arc<Blocked>,
}

/// The run is not on any thread. Next: `POLLED`.
const RESTING: u8 = 0;
/// The run is on a thread. Next: `RESTING` when it returns, `ABANDONED`.
const POLLED: u8 = 1;
/// The run is on a thread, and was abandoned. Next: `RESTING`, when it returns.
const ABANDONED: u8 = 2;

impl Watch {
    pub(super) fn new(blocked: Arc<Blocked>) -> Self {
        Self { state: AtomicU8::new(RESTING), blocked }
    }

    /// Abandons the run. If it is on a thread, that thread counts as blocked until the run returns.
    pub(super) fn abandon(&self) {
        // Count first, so that a run that returns meanwhile never makes the count negative.
        self.blocked.0.fetch_add(1, Ordering::Relaxed);
        let on_thread =
            self.state.compare_exchange(POLLED, ABANDONED, Ordering::AcqRel, Ordering::Relaxed);
        if on_thread.is_err() {
            self.blocked.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn enter(&self) -> OnThread<'_> {
        self.state.store(POLLED, Ordering::Release);
        OnThread(self)
    }
}

/// Guard held while a run is polled; a panic drops it too.
struct OnThread<'a>(&'a Watch);

impl Drop for OnThread<'_> {
    fn drop(&mut self) {
        if self.0.state.swap(RESTING, Ordering::AcqRel) == ABANDONED {
            self.0.blocked.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A run that updates its attempt and its [`Watch`].
pub(super) struct Watched {
    run: Run,
    attempt: Arc<Attempt>,
    watch: Arc<Watch>,
}

impl Watched {
    pub(super) fn new(run: Run, attempt: Arc<Attempt>, watch: Arc<Watch>) -> Self {
        Self { run, attempt, watch }
    }
}

impl Future for Watched {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let _on_thread = this.watch.enter();
        let polled = this.run.poll(cx);
        if polled.is_ready() {
            this.attempt.finish();
        }
        polled
    }
}
