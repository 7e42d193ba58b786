//! A handler of the executor, with the memory for its next run.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use meshwork_core::Payload;

use super::{end::End, panics::panicked};
use crate::{
    context::TaskContext,
    registry::erased::{Erased, Run, no_run},
};

pub(super) struct Entry {
    handler: Arc<dyn Erased>,
    /// Its memory is reused as long as runs end in place.
    run: Run,
}

/// The result of the single poll in place.
pub(super) enum Polled {
    Ended(End),
    Pending,
}

impl Entry {
    pub(super) fn new(handler: Arc<dyn Erased>) -> Self {
        Self { handler, run: no_run() }
    }

    /// Calls [`Handler::is_instant`](crate::Handler::is_instant) and catches its panics. A run on a
    /// blob is never instant.
    pub(super) fn is_instant(&self, input: &Payload) -> Result<bool, End> {
        let Payload::Inline(bytes) = input else { return Ok(false) };
        catch_unwind(AssertUnwindSafe(|| self.handler.is_instant(bytes.len())))
            .map_err(|payload| panicked(payload.as_ref()).into())
    }

    pub(super) fn prepare(&mut self, cx: TaskContext, input: Payload) {
        Arc::clone(&self.handler).prepare(cx, input, &mut self.run);
    }

    /// Polls the prepared run once, without a waker. If it is pending, the pool must poll it again
    /// with a waker.
    pub(super) fn poll(&mut self) -> Polled {
        let mut context = Context::from_waker(Waker::noop());
        // Unwind safe: a run that panicked is never polled again.
        match catch_unwind(AssertUnwindSafe(|| self.run.poll(&mut context))) {
            Ok(Poll::Ready(outcome)) => Polled::Ended(End::of(outcome)),
            Ok(Poll::Pending) => Polled::Pending,
            Err(payload) => Polled::Ended(panicked(payload.as_ref()).into()),
        }
    }

    /// Takes the prepared run out, to be polled in the pool.
    pub(super) fn take(&mut self) -> Run {
        mem::replace(&mut self.run, no_run())
    }
}
