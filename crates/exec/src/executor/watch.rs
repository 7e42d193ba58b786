//! Knows whether a run is being polled at this moment: that is whether its thread is lost if the
//! run is given up now.

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

/// Threads of one pool that runs have kept after they were given up.
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

/// Not on any thread. Next: `POLLED`.
const RESTING: u8 = 0;
/// On a thread. Next: `RESTING` when it returns, `GIVEN_UP`.
const POLLED: u8 = 1;
/// On a thread, and given up. Next: `RESTING`, when it returns after all.
const GIVEN_UP: u8 = 2;

impl Watch {
    pub(super) fn new(blocked: Arc<Blocked>) -> Self {
        Self { state: AtomicU8::new(RESTING), blocked }
    }

    /// Counts the thread as blocked if the run is on one, until the run returns.
    pub(super) fn give_up(&self) {
        // Counted first, so that the run, returning meanwhile, never counts below zero.
        self.blocked.0.fetch_add(1, Ordering::Relaxed);
        let on_thread =
            self.state.compare_exchange(POLLED, GIVEN_UP, Ordering::AcqRel, Ordering::Relaxed);
        if on_thread.is_err() {
            self.blocked.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn enter(&self) -> OnThread<'_> {
        self.state.store(POLLED, Ordering::Release);
        OnThread(self)
    }
}

/// While a run is polled; also left by a panic.
struct OnThread<'a>(&'a Watch);

impl Drop for OnThread<'_> {
    fn drop(&mut self) {
        if self.0.state.swap(RESTING, Ordering::AcqRel) == GIVEN_UP {
            self.0.blocked.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A run that keeps its attempt and its [`Watch`] up to date.
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
