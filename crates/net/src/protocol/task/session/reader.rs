//! The reading half of a session: bytes to batches of frames.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::AsyncRead;
use libp2p::PeerId;
use meshwork_core::NetworkProtocol;
use tokio::time::Instant;
use tokio_util::sync::PollSender;

use super::{
    end::End,
    role::Role,
    wiring::{SessionEvent, Wiring},
};
use crate::{
    clock::LastSeen,
    limits,
    meter::{Meter, Tally},
    protocol::task::{
        decode::{Answer, Inbox},
        names::Names,
    },
    wire::{Decoder, WireError},
};

/// Reads and decodes the peer's frames, and passes them on.
pub(super) struct Reader<R: Role> {
    peer: PeerId,
    decoder: Decoder,
    names: Names,
    inbox: Inbox<R::Incoming>,
    events: PollSender<SessionEvent>,
    last_seen: Arc<LastSeen>,
    meter: Arc<Meter>,
    /// Decoded messages that are not added to `meter` yet.
    tally: Tally,
    /// When the incomplete message began; `None` also while the peer waits for this node.
    partial_since: Option<Instant>,
    /// Number of messages of unknown kinds so far.
    unknown: usize,
    /// Set when the stream has ended; returned after all earlier frames are passed on.
    end: Option<End>,
}

impl<R: Role> Reader<R> {
    pub(super) fn new(wiring: Wiring) -> Self {
        let Wiring { peer, events, last_seen, meter, .. } = wiring;
        Self {
            peer,
            decoder: Decoder::new(limits::TASK_FRAME),
            names: Names::default(),
            inbox: Inbox::default(),
            events: PollSender::new(events),
            last_seen,
            meter,
            tally: Tally::default(),
            partial_since: None,
            unknown: 0,
            end: None,
        }
    }

    /// The time by which the peer must complete its started message.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.partial_since.map(|since| since + limits::FRAME_TIMEOUT)
    }

    /// Answers of the session itself, for the writer to take.
    pub(super) fn answers(&mut self) -> &mut Vec<Answer> {
        &mut self.inbox.answers
    }

    /// Whether the reader waits until the writer has taken the answers.
    pub(super) fn is_paused(&self) -> bool {
        self.inbox.answers.len() >= limits::ANSWERS
    }

    /// Reads until no bytes are left, or until the consumer or the writer must catch up. Ready at
    /// the end of the session.
    pub(super) fn poll<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<End>
    where
        S: AsyncRead + Unpin,
    {
        for _ in 0..limits::TURNS_PER_POLL {
            if ready!(self.poll_hand_on(cx)).is_err() {
                return Poll::Ready(End::NodeStopped);
            }
            // Decodes the rest of a turn that ended with a full batch.
            if self.decode() {
                continue;
            }
            if self.is_paused() {
                return Poll::Pending;
            }
            if let Some(end) = self.end.take() {
                return Poll::Ready(end);
            }
            if self.poll_fill(stream, cx).is_pending() {
                if self.decoder.is_partial() {
                    self.partial_since.get_or_insert_with(Instant::now);
                }
                return Poll::Pending;
            }
            self.decode();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Passes the decoded frames to the consumer.
    fn poll_hand_on(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        if self.inbox.frames.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.meter.received.add(NetworkProtocol::TaskProtocol, &mut self.tally);
        if ready!(self.events.poll_reserve(cx)).is_err() {
            return Poll::Ready(Err(()));
        }
        let frames = mem::take(&mut self.inbox.frames);
        let sent = self.events.send_item(R::spoke(self.peer, frames));
        Poll::Ready(sent.map_err(drop))
    }

    /// Reads all available bytes, up to the decoder's space. Pending if nothing was read.
    fn poll_fill<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()>
    where
        S: AsyncRead + Unpin,
    {
        let mut filled = false;
        while self.end.is_none() {
            let space = self.decoder.space();
            if space.is_empty() {
                break;
            }
            match Pin::new(&mut *stream).poll_read(cx, space) {
                Poll::Ready(Ok(0)) => {
                    // `decode` changes this to `Cut` if a message is incomplete.
                    self.end = Some(End::Peer);
                }
                Poll::Ready(Ok(count)) => {
                    self.decoder.advance(count);
                    filled = true;
                }
                Poll::Ready(Err(error)) => self.end = Some(End::Read(error)),
                Poll::Pending => break,
            }
        }
        if filled {
            self.last_seen.touch();
        }
        if filled || self.end.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Decodes complete messages, up to a full batch. True if it decoded at least one.
    fn decode(&mut self) -> bool {
        let mut any = false;
        if matches!(self.end, Some(End::Violation(_))) {
            return false;
        }
        while self.inbox.frames.len() < limits::FRAMES_PER_EVENT && !self.is_paused() {
            match self.decode_one() {
                Ok(true) => any = true,
                Ok(false) => {
                    if matches!(self.end, Some(End::Peer)) && self.decoder.is_partial() {
                        self.end = Some(End::Cut);
                    }
                    break;
                }
                Err(error) => {
                    self.end = Some(End::Violation(error));
                    break;
                }
            }
        }
        if any {
            // `poll` sets it again once the stream is empty: while frames or answers wait, this
            // node is the slow one, and the peer's deadline does not run.
            self.partial_since = None;
        }
        any
    }

    fn decode_one(&mut self) -> Result<bool, WireError> {
        let Some(message) = self.decoder.next()? else { return Ok(false) };
        let (frames, answers) = (self.inbox.frames.len(), self.inbox.answers.len());
        self.tally.size(message.bytes().len());
        if let Err(error) = R::decode(&message, &mut self.names, &mut self.inbox) {
            // A message takes effect as a whole or not at all.
            self.inbox.frames.truncate(frames);
            self.inbox.answers.truncate(answers);
            return Err(error);
        }
        for frame in self.inbox.frames.iter().skip(frames) {
            self.tally.kind(R::incoming(frame));
        }
        let new = self.inbox.answers.iter().skip(answers);
        self.unknown += new.filter(|answer| matches!(answer, Answer::Unsupported(_))).count();
        if self.unknown > limits::UNKNOWN_KINDS {
            return Err(WireError::TooManyUnknown(limits::UNKNOWN_KINDS));
        }
        Ok(true)
    }
}
