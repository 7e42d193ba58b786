//! A session as one future: reader, writer and the one timer that watches both.

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
    /// Made when it is first needed, and then only ever moved: an idle session has no timer, a
    /// busy one none per frame.
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

    /// Runs the session to its end.
    pub(super) async fn run(mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// What has arrived first: a refusal is read before the write error that follows it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(end) = self.reader.poll(&mut self.stream, cx) {
            return Poll::Ready(end);
        }
        let paused = self.reader.is_paused();
        match self.writer.poll(&mut self.stream, self.reader.answers(), cx) {
            Poll::Ready(end @ End::Write(_)) => {
                // The peer may have said why before it stopped reading.
                let last = self.reader.poll(&mut self.stream, cx);
                return if last.is_ready() { last } else { Poll::Ready(end) };
            }
            Poll::Ready(end) => return Poll::Ready(end),
            Poll::Pending => {}
        }
        if paused && !self.reader.is_paused() {
            // The reader has waited for the writer, and has no waker of its own.
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
        // It was set for an earlier deadline as a rule, and is moved only when that comes.
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
        // Also when the session's task is aborted: a handle must not fill a queue without reader.
        self.outbox.close();
    }
}
