//! Type-erased handlers, and the memory in which their futures live.

use std::{future, sync::Arc};

use bytes::Bytes;
use tokio_util::sync::ReusableBoxFuture;

use crate::{
    context::TaskContext,
    handler::{Failure, Handler, HandlerError},
};

/// The outcome of a handler's run.
pub(crate) type Outcome = Result<Bytes, HandlerError>;

/// A run of some handler. A new run of the same handler reuses its memory.
pub(crate) type Run = ReusableBoxFuture<'static, Outcome>;

/// A [`Handler`] whose type is erased.
pub(crate) trait Erased: Send + Sync {
    fn is_instant(&self, input_len: usize) -> bool;

    /// Puts a new run into `run`. None of the handler's code executes before the first poll.
    fn prepare(self: Arc<Self>, cx: TaskContext, input: Bytes, run: &mut Run);
}

pub(crate) fn erase(handler: impl Handler) -> Arc<dyn Erased> {
    Arc::new(Typed(handler))
}

/// A placeholder that is never polled and takes no memory.
pub(crate) fn no_run() -> Run {
    Run::new(future::pending())
}

struct Typed<H>(H);

impl<H: Handler> Erased for Typed<H> {
    fn is_instant(&self, input_len: usize) -> bool {
        self.0.is_instant(input_len)
    }

    fn prepare(self: Arc<Self>, cx: TaskContext, input: Bytes, run: &mut Run) {
        run.set(async move { self.0.run(&cx, input).await.map_err(Failure::into_error) });
    }
}
