//! The providing end of a blob stream.
//!
//! The node decides about each request, because it knows who may read a blob. The next piece is read
//! and verified on a thread for blocking work while one is being sent.

use std::{io, sync::Arc, time::Duration};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::PeerId;
use meshwork_blob::{
    ReadError, Source,
    piece::{Groups, encoded_len, pieces},
};
use meshwork_core::{BlobHash, Reason};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};

use super::{
    places::Place,
    wire::{Reply, Request, begin_piece},
};
use crate::{
    limits,
    meter::{Kind, Meter},
    quota::{Quotas, RequestKind},
    wire,
};

#[cfg(test)]
mod tests;

/// An event of the blob protocol, for the node.
#[derive(Debug)]
pub enum BlobEvent {
    /// A peer asks for a blob.
    Requested(BlobRequest),
    /// The bytes of a stored blob have changed: it is not sent.
    Damaged {
        /// The blob.
        hash: BlobHash,
    },
}

/// A peer's request for a blob. Dropping it tells the peer to try again later.
#[derive(Debug)]
pub struct BlobRequest {
    /// The peer.
    pub peer: PeerId,
    /// The hash of the blob.
    pub hash: BlobHash,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
enum Answer {
    Send(Source),
    Refuse(Reason),
}

impl BlobRequest {
    /// Sends the blob.
    pub fn send(self, source: Source) {
        self.reply(Answer::Send(source));
    }

    /// Refuses. The peer cannot tell a blob that it may not have from one that is not here: a node
    /// answers both the same way, without looking at the disk.
    pub fn refuse(self) {
        self.reply(Answer::Refuse(Reason::NotFound));
    }

    /// Tells the peer to try again after this time.
    pub fn busy(self, retry_after: Duration) {
        self.reply(Answer::Refuse(Reason::Busy { retry_after }));
    }

    fn reply(self, answer: Answer) {
        // The stream may have ended.
        self.answer.send(answer).ok();
    }
}

/// The providing end of one stream.
pub(crate) struct Serve {
    pub(crate) peer: PeerId,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) events: mpsc::Sender<BlobEvent>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) place: Option<Place>,
}

/// Why a stream ends.
#[derive(Debug, thiserror::Error)]
enum End {
    /// The peer has closed the stream, failed, or broken the protocol.
    #[error(transparent)]
    Read(#[from] wire::ReadError),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    #[error("the peer asked for nothing in {0:?}")]
    Idle(Duration),
    #[error("the peer has not read a piece in {0:?}")]
    Stuck(Duration),
    #[error("the node has stopped")]
    NodeStopped,
}

impl Serve {
    /// Answers the requests on a stream until it ends. Returns whether the peer broke the protocol.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) -> bool {
        let end = loop {
            if let Err(end) = self.answer_next(&mut stream).await {
                break end;
            }
        };
        tracing::debug!(peer = %self.peer, why = %end, "blob stream ended");
        drop(self.place);
        matches!(end, End::Read(wire::ReadError::Wire(_)))
    }

    /// Reads and answers one request.
    async fn answer_next<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
    ) -> Result<(), End> {
        let message = wire::read_next(stream, limits::BLOB_MESSAGE, limits::PIECE_TIMEOUT);
        let message = timeout(limits::BLOB_IDLE, message).await;
        let message = message.map_err(|_| End::Idle(limits::BLOB_IDLE))??;
        self.meter.received.one(Kind::BlobRequest, message.len());
        let request = Request::decode(&message).map_err(wire::ReadError::from)?;
        match self.decide(&request).await? {
            Answer::Send(source) if source.size() == request.size => {
                self.send(stream, source, request.ranges).await
            }
            // A blob has one size: the peer speaks of another one.
            Answer::Send(_) => self.refuse(stream, Reason::NotFound).await,
            Answer::Refuse(reason) => self.refuse(stream, reason).await,
        }
    }

    /// Asks the node about a request.
    async fn decide(&self, request: &Request) -> Result<Answer, End> {
        // The requests behind this one wait in the stream.
        while let Err(wait) = self.quotas.take(RequestKind::Blob) {
            sleep(wait).await;
        }
        let (answer, decided) = oneshot::channel();
        let asked = BlobRequest { peer: self.peer, hash: request.hash, answer };
        self.events.send(BlobEvent::Requested(asked)).await.map_err(|_| End::NodeStopped)?;
        let busy = Answer::Refuse(Reason::Busy { retry_after: limits::BLOB_RETRY });
        Ok(match timeout(limits::DECIDE_TIMEOUT, decided).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => busy,
        })
    }

    async fn send<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        source: Source,
        ranges: Vec<Groups>,
    ) -> Result<(), End> {
        let hash = source.hash();
        let source = Arc::new(source);
        let mut pieces = ranges.into_iter().flat_map(pieces);
        let mut next = pieces.next().map(|piece| encode(&source, piece));
        while let Some(encoding) = next {
            let encoded = match encoding.await {
                Ok(encoded) => encoded,
                Err(error) => Err(ReadError::Io {
                    path: "a thread of the store".into(),
                    source: io::Error::other(error),
                }),
            };
            next = pieces.next().map(|piece| encode(&source, piece));
            let message = match encoded {
                Ok(message) => message,
                Err(error) => return self.give_up(stream, hash, &error).await,
            };
            write(stream, &message).await?;
            self.meter.sent.one(Kind::BlobPiece, message.len());
        }
        Ok(())
    }

    /// Ends an answer because the blob cannot be read.
    async fn give_up<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        hash: BlobHash,
        error: &ReadError,
    ) -> Result<(), End> {
        tracing::warn!(%hash, peer = %self.peer, %error, "cannot send a blob");
        if error.is_lost() {
            let event = BlobEvent::Damaged { hash };
            self.events.send(event).await.map_err(|_| End::NodeStopped)?;
            return self.refuse(stream, Reason::NotFound).await;
        }
        self.refuse(stream, Reason::Busy { retry_after: limits::BLOB_RETRY }).await
    }

    async fn refuse<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        reason: Reason,
    ) -> Result<(), End> {
        let message = Reply::Refused(reason).encode();
        let written = wire::write_message(stream, &message);
        let time = limits::PIECE_TIMEOUT;
        timeout(time, written).await.map_err(|_| End::Stuck(time))??;
        self.meter.sent.one(Kind::BlobRefusal, message.len());
        Ok(())
    }
}

/// Reads and encodes a piece: the framed message.
fn encode(source: &Arc<Source>, piece: Groups) -> JoinHandle<Result<Vec<u8>, ReadError>> {
    let source = Arc::clone(source);
    spawn_blocking(move || {
        let length = encoded_len(source.size(), &piece);
        let mut message = Vec::with_capacity(length + limits::PIECE_HEAD);
        begin_piece(&mut message, length);
        source.encode(&piece, &mut message)?;
        Ok(message)
    })
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, message: &[u8]) -> Result<(), End> {
    let written = async {
        stream.write_all(message).await?;
        stream.flush().await
    };
    let time = limits::PIECE_TIMEOUT;
    Ok(timeout(time, written).await.map_err(|_| End::Stuck(time))??)
}

/// Answers the first request on a stream with a refusal, and closes the stream. A failure is only
/// logged.
pub(crate) async fn refuse<S>(mut stream: S, reason: Reason)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answered = async {
        wire::write_message(&mut stream, &Reply::Refused(reason).encode()).await?;
        stream.close().await?;
        // Some transports discard sent bytes when a stream with unread data is dropped.
        let mut unread = (&mut stream).take(limits::CONTROL_FRAME as u64);
        futures::io::copy(&mut unread, &mut futures::io::sink()).await
    };
    if !matches!(timeout(limits::REFUSE_TIMEOUT, answered).await, Ok(Ok(_))) {
        tracing::debug!("a refused peer did not read its refusal");
    }
}
