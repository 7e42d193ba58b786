//! A session as one future: the reader, the writer, and one timer for the deadlines of both.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{end::End, outbox::Outbox, reader::Reader, role::Role, wiring::Wiring, writer::Writer};

/// Owns the stream of one session.
pub(super) struct Driver<R: Role, S> {
    stream: S,
    reader: Reader<R>,
    writer: Writer<R>,
    outbox: Arc<Outbox<R::Outgoing>>,
    /// Created for the first deadline and then reused: an idle session has no timer, and a busy one
    /// does not create one per frame.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<R: Role, S: AsyncRead + AsyncWrite + Unpin> Driver<R, S> {
    pub(super) fn new(stream: S, outbox: Arc<Outbox<R::Outgoing>>, wiring: Wiring) -> Self {
        let meter = Arc::clone(&wiring.meter);
        Self {
            stream,
            reader: Reader::new(wiring),
            writer: Writer::new(Arc::clone(&outbox), meter),
            outbox,
            timer: None,
        }
    }

    /// Runs the session until it ends.
    pub(super) async fn run(mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Reads before it writes, so that a refusal is read before the write error that follows it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(end) = self.reader.poll(&mut self.stream, cx) {
            return Poll::Ready(end);
        }
        let paused = self.reader.is_paused();
        match self.writer.poll(&mut self.stream, self.reader.answers(), cx) {
            Poll::Ready(end @ End::Write(_)) => {
                // The peer may have sent a reason before it stopped reading.
                let last = self.reader.poll(&mut self.stream, cx);
                return if last.is_ready() { last } else { Poll::Ready(end) };
            }
            Poll::Ready(end) => return Poll::Ready(end),
            Poll::Pending => {}
        }
        if paused && !self.reader.is_paused() {
            // The reader waited for the writer and has registered no waker.
            cx.waker().wake_by_ref();
        }
        self.poll_deadlines(cx)
    }

    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let (reader, writer) = (self.reader.deadline(), self.writer.deadline());
        let Some(next) = reader.into_iter().chain(writer).min() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(next)));
        if timer.deadline() > next {
            timer.as_mut().reset(next);
        }
        // The timer usually has an older deadline; it moves only when that deadline passes.
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if reader.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(End::FrameTimeout);
            }
            if writer.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(End::WriteTimeout);
            }
            timer.as_mut().reset(next);
        }
        Poll::Pending
    }
}

impl<R: Role, S> Drop for Driver<R, S> {
    fn drop(&mut self) {
        // Runs also if the session's task is aborted: nothing else would empty the queue.
        self.outbox.close();
    }
}
