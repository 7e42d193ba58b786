//! The writing half of a session: encodes and writes the frames of the outbox.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::AsyncWrite;
use meshwork_core::{NetworkProtocol, ToOwner};
use tokio::time::Instant;

use super::{
    end::End,
    outbox::{Outbox, Taken},
    role::Role,
};
use crate::{
    limits,
    meter::{Kind, Meter},
    protocol::task::{decode::Answer, encode::Encoder},
    wire::WireError,
};

/// Encodes and writes the frames of the outbox.
pub(super) struct Writer<R: Role> {
    outbox: Arc<Outbox<R::Outgoing>>,
    meter: Arc<Meter>,
    /// Frames taken from the outbox; those before `next` are encoded.
    batch: Vec<R::Outgoing>,
    next: usize,
    encoder: Encoder,
    /// Number of the encoder's bytes that are written.
    written: usize,
    /// Whether bytes were written and not flushed.
    unflushed: bool,
    /// When the stream stopped accepting bytes; `None` while it accepts them.
    stalled_since: Option<Instant>,
}

impl<R: Role> Writer<R> {
    pub(super) fn new(outbox: Arc<Outbox<R::Outgoing>>, meter: Arc<Meter>) -> Self {
        Self {
            outbox,
            meter,
            batch: Vec::new(),
            next: 0,
            encoder: Encoder::default(),
            written: 0,
            unflushed: false,
            stalled_since: None,
        }
    }

    /// The time by which the peer must read some bytes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stalled_since.map(|since| since + limits::WRITE_TIMEOUT)
    }

    /// Writes all waiting frames, the session's own answers first. Ready at the end of the session.
    pub(super) fn poll<S>(
        &mut self,
        stream: &mut S,
        answers: &mut Vec<Answer>,
        cx: &mut Context<'_>,
    ) -> Poll<End>
    where
        S: AsyncWrite + Unpin,
    {
        for _ in 0..limits::TURNS_PER_POLL {
            if let Err(error) = ready!(self.poll_write(stream, cx)) {
                return Poll::Ready(End::Write(error));
            }
            let taken = match self.fill(answers, cx) {
                Ok(taken) => taken,
                Err(error) => return Poll::Ready(End::Unsendable(error)),
            };
            let end = match taken {
                Taken::Some => continue,
                Taken::Overflown => return Poll::Ready(End::Stuck),
                Taken::Empty => ready!(self.poll_flush(stream, cx)).map(|()| None),
                Taken::Finished => ready!(self.poll_close(stream, cx)).map(|()| Some(End::Local)),
            };
            return match end {
                Ok(None) => Poll::Pending,
                Ok(Some(end)) => Poll::Ready(end),
                Err(error) => Poll::Ready(End::Write(error)),
            };
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Encodes waiting answers and frames, up to one chunk of bytes.
    fn fill(
        &mut self,
        answers: &mut Vec<Answer>,
        cx: &mut Context<'_>,
    ) -> Result<Taken, WireError> {
        for answer in answers.drain(..) {
            encode_answer::<R>(answer, &mut self.encoder)?;
        }
        if self.next == self.batch.len() {
            self.batch.clear();
            self.batch.shrink_to(limits::KEPT_FRAMES);
            self.next = 0;
            let taken = self.outbox.take(&mut self.batch, cx.waker());
            if taken != Taken::Some {
                self.encoder.finish();
                self.meter.sent.add(NetworkProtocol::TaskProtocol, &mut self.encoder.tally);
                // Encoded answers must still be written.
                let more = !self.encoder.bytes().is_empty() && taken != Taken::Overflown;
                return Ok(if more { Taken::Some } else { taken });
            }
        }
        for frame in self.batch.get(self.next..).unwrap_or_default() {
            R::encode(frame, &mut self.encoder)?;
            self.encoder.tally.kind(R::outgoing(frame));
            self.next += 1;
            if self.encoder.bytes().len() >= limits::WRITE_CHUNK {
                break;
            }
        }
        self.encoder.finish();
        self.meter.sent.add(NetworkProtocol::TaskProtocol, &mut self.encoder.tally);
        Ok(Taken::Some)
    }

    fn poll_write<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        while let Some(rest) = self.encoder.bytes().get(self.written..).filter(|b| !b.is_empty()) {
            let polled = Pin::new(&mut *stream).poll_write(cx, rest);
            match ready!(self.watch(polled))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
            self.unflushed = true;
        }
        if self.written > 0 {
            self.encoder.clear();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        if self.unflushed {
            let polled = Pin::new(stream).poll_flush(cx);
            ready!(self.watch(polled))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        ready!(self.poll_flush(stream, cx))?;
        let polled = Pin::new(stream).poll_close(cx);
        self.watch(polled)
    }

    /// Records whether the stream accepts bytes.
    fn watch<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            self.stalled_since.get_or_insert_with(Instant::now);
        } else {
            self.stalled_since = None;
        }
        polled
    }
}

fn encode_answer<R: Role>(answer: Answer, encoder: &mut Encoder) -> Result<(), WireError> {
    match answer {
        Answer::Unsupported(kind) => {
            encoder.tally.kind(Kind::Unsupported);
            encoder.unsupported(R::UNSUPPORTED, kind);
            Ok(())
        }
        // Only a worker receives assignments.
        Answer::Refused(epoch, reason) => {
            encoder.tally.kind(Kind::Refused);
            encoder.push_to_owner(&ToOwner::Refused { epoch: Some(epoch), reason })
        }
    }
}
