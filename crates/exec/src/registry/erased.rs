//! Type-erased handlers, and the memory in which their futures live.

use std::{future, sync::Arc};

use bytes::Bytes;
use meshwork_core::{Payload, limits::INLINE_BYTES};
use tokio_util::sync::ReusableBoxFuture;

use crate::{
    context::TaskContext,
    files::collect::{Product, collect},
    handler::{Failure, FileHandler, Handler, HandlerError, Input, Output, in_memory},
};

/// The outcome of a handler's run.
pub(crate) type Outcome = Result<Product, HandlerError>;

/// A run of some handler. A new run of the same handler reuses its memory.
pub(crate) type Run = ReusableBoxFuture<'static, Outcome>;

/// A [`Handler`] or a [`FileHandler`] whose type is erased.
pub(crate) trait Erased: Send + Sync {
    /// Whether a run on `input_len` bytes that came with the task ends at its first poll.
    fn is_instant(&self, input_len: usize) -> bool;

    /// Puts a new run into `run`. None of the handler's code executes before the first poll.
    fn prepare(self: Arc<Self>, cx: TaskContext, input: Payload, run: &mut Run);
}

pub(crate) fn erase(handler: impl Handler) -> Arc<dyn Erased> {
    Arc::new(OfBytes(handler))
}

pub(crate) fn erase_file_handler(handler: impl FileHandler) -> Arc<dyn Erased> {
    Arc::new(OfFiles(handler))
}

/// As [`erase_file_handler`], for a handler whose run on bytes that came with the task is a plain call.
pub(crate) fn erase_direct<H: FileHandler>(handler: H, on_bytes: OnBytes<H>) -> Arc<dyn Erased> {
    Arc::new(Direct { handler, on_bytes })
}

/// The run of a handler on bytes that came with the task.
pub(crate) type OnBytes<H> = fn(&H, &TaskContext, &[u8]) -> Result<Output, HandlerError>;

/// A placeholder that is never polled and takes no memory.
pub(crate) fn no_run() -> Run {
    Run::new(future::pending())
}

struct OfBytes<H>(H);

impl<H: Handler> Erased for OfBytes<H> {
    fn is_instant(&self, input_len: usize) -> bool {
        self.0.is_instant(input_len)
    }

    fn prepare(self: Arc<Self>, cx: TaskContext, input: Payload, run: &mut Run) {
        run.set(async move {
            let work = CloseWork(&cx);
            let input = match input {
                Payload::Inline(bytes) => bytes,
                Payload::Blob(_) => in_memory(&cx, &input)?,
            };
            let output = self.0.run(&cx, input).await.map_err(Failure::into_error)?;
            if output.len() > INLINE_BYTES {
                // Boxed, so that the runs of small outputs take no room for it.
                return Box::pin(work.collect(output.into())).await;
            }
            work.inline(output)
        });
    }
}

struct OfFiles<H>(H);

impl<H: FileHandler> Erased for OfFiles<H> {
    fn is_instant(&self, input_len: usize) -> bool {
        self.0.is_instant(input_len)
    }

    fn prepare(self: Arc<Self>, cx: TaskContext, input: Payload, run: &mut Run) {
        run.set(async move {
            let work = CloseWork(&cx);
            let input = Input::new(cx.clone(), input);
            let output = self.0.run(&cx, input).await.map_err(Failure::into_error)?;
            match output.small() {
                Ok(bytes) => work.inline(bytes),
                Err(output) => Box::pin(work.collect(output)).await,
            }
        });
    }
}

/// Runs on small inputs are many, so that they take no room for what files need.
struct Direct<H> {
    handler: H,
    on_bytes: OnBytes<H>,
}

impl<H: FileHandler> Erased for Direct<H> {
    fn is_instant(&self, input_len: usize) -> bool {
        self.handler.is_instant(input_len)
    }

    fn prepare(self: Arc<Self>, cx: TaskContext, input: Payload, run: &mut Run) {
        run.set(async move {
            let work = CloseWork(&cx);
            let output = match input {
                Payload::Inline(bytes) => (self.on_bytes)(&self.handler, &cx, &bytes)?,
                Payload::Blob(_) => {
                    let run = self.handler.run(&cx, Input::new(cx.clone(), input));
                    Box::pin(run).await.map_err(Failure::into_error)?
                }
            };
            match output.small() {
                Ok(bytes) => work.inline(bytes),
                Err(output) => Box::pin(work.collect(output)).await,
            }
        });
    }
}

/// Removes the attempt's folder when the run ends, by itself, by a panic or because it is dropped:
/// always on the thread of the handler.
struct CloseWork<'a>(&'a TaskContext);

impl CloseWork<'_> {
    /// Ends a run with a small output.
    fn inline(self, output: Bytes) -> Outcome {
        self.close()?;
        Ok(Product::Inline(output))
    }

    /// Stores a large output.
    async fn collect(self, output: Output) -> Outcome {
        if self.0.files().is_some() {
            // The first poll may be in place, where nothing may block; the next is not.
            tokio::task::yield_now().await;
            self.0.note_collecting();
        }
        let product = collect(self.0, output)?;
        self.close()?;
        Ok(product)
    }

    /// Removes the folder, and checks that the handler did not write to its input.
    fn close(self) -> Result<(), HandlerError> {
        let work = self.0.work();
        work.close();
        if work.has_written() { Err(HandlerError::wrote_input()) } else { Ok(()) }
    }
}

impl Drop for CloseWork<'_> {
    fn drop(&mut self) {
        self.0.work().close();
    }
}
