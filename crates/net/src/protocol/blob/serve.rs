//! The providing end of a blob stream.
//!
//! The node decides who may read a blob. Its decision counts for the requests of this stream that
//! follow for the same blob. The next piece is read and verified on a thread for blocking work while
//! one is being sent.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::PeerId;
use meshwork_blob::{
    ReadError, Source,
    piece::{Groups, encoded_len, pieces},
};
use meshwork_core::{BlobHash, Reason};
use prost::encoding::encode_varint;
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
    /// Freed when the stream ends.
    pub(crate) _place: Option<Place>,
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
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) -> bool {
        let (reader, writer) = stream.split();
        // One message waits while another one is written.
        let (answers, outbox) = mpsc::channel(1);
        let end = tokio::select! {
            Err(end) = self.read(reader, &answers) => end,
            end = self.write(writer, outbox) => end,
        };
        tracing::debug!(peer = %self.peer, why = %end, "blob stream ended");
        matches!(end, End::Read(wire::ReadError::Wire(_)))
    }

    /// Reads requests and produces the answers, until the stream ends.
    async fn read<R: AsyncRead + Unpin>(
        &self,
        mut reader: R,
        answers: &mpsc::Sender<Message>,
    ) -> Result<Infallible, End> {
        let mut last: Option<Arc<Source>> = None;
        loop {
            let message = wire::read_next(&mut reader, limits::BLOB_MESSAGE, limits::PIECE_TIMEOUT);
            let message = timeout(limits::BLOB_IDLE, message).await;
            let message = message.map_err(|_| End::Idle(limits::BLOB_IDLE))??;
            self.meter.received.one(Kind::BlobRequest, message.len());
            let request = Request::decode(&message).map_err(wire::ReadError::from)?;
            let known = last.take().filter(|source| source.hash() == request.hash);
            let decided = match known {
                Some(source) => Ok(source),
                None => self.decide(&request).await?,
            };
            match decided {
                Ok(source) if source.size() == request.size => {
                    let is_whole = self.answer(&source, request.ranges, answers).await?;
                    last = is_whole.then_some(source);
                }
                // A blob has one size: the peer speaks of another one.
                Ok(_) => refuse_request(Reason::NotFound, answers).await?,
                Err(reason) => refuse_request(reason, answers).await?,
            }
        }
    }

    /// Asks the node about a request.
    async fn decide(&self, request: &Request) -> Result<Result<Arc<Source>, Reason>, End> {
        // The requests behind this one wait in the stream.
        while let Err(wait) = self.quotas.take(RequestKind::Blob) {
            sleep(wait).await;
        }
        let (answer, decided) = oneshot::channel();
        let asked = BlobRequest { peer: self.peer, hash: request.hash, answer };
        self.events.send(BlobEvent::Requested(asked)).await.map_err(|_| End::NodeStopped)?;
        Ok(match timeout(limits::DECIDE_TIMEOUT, decided).await {
            Ok(Ok(Answer::Send(source))) => Ok(Arc::new(source)),
            Ok(Ok(Answer::Refuse(reason))) => Err(reason),
            Ok(Err(_)) | Err(_) => Err(Reason::Busy { retry_after: limits::BLOB_RETRY }),
        })
    }

    /// Produces the pieces of one answer. Returns false if the blob cannot be read.
    async fn answer(
        &self,
        source: &Arc<Source>,
        ranges: Vec<Groups>,
        answers: &mpsc::Sender<Message>,
    ) -> Result<bool, End> {
        for piece in ranges.into_iter().flat_map(pieces) {
            // First, so that at most two pieces are in memory.
            let place = answers.reserve().await.map_err(|_| End::NodeStopped)?;
            let encoded = match encode(source, piece).await {
                Ok(encoded) => encoded,
                Err(error) => {
                    let path = "a thread of the store".into();
                    Err(ReadError::Io { path, source: io::Error::other(error) })
                }
            };
            match encoded {
                Ok(bytes) => place.send(Message { kind: Kind::BlobPiece, bytes }),
                Err(error) => {
                    drop(place);
                    self.give_up(source.hash(), &error, answers).await?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Ends an answer because the blob cannot be read.
    async fn give_up(
        &self,
        hash: BlobHash,
        error: &ReadError,
        answers: &mpsc::Sender<Message>,
    ) -> Result<(), End> {
        tracing::warn!(%hash, peer = %self.peer, %error, "cannot send a blob");
        if error.is_lost() {
            let event = BlobEvent::Damaged { hash };
            self.events.send(event).await.map_err(|_| End::NodeStopped)?;
            return refuse_request(Reason::NotFound, answers).await;
        }
        refuse_request(Reason::Busy { retry_after: limits::BLOB_RETRY }, answers).await
    }

    /// Writes answers, until the stream ends.
    async fn write<W: AsyncWrite + Unpin>(
        &self,
        mut writer: W,
        mut outbox: mpsc::Receiver<Message>,
    ) -> End {
        while let Some(Message { kind, bytes }) = outbox.recv().await {
            let written = async {
                writer.write_all(&bytes).await?;
                writer.flush().await
            };
            match timeout(limits::PIECE_TIMEOUT, written).await {
                Ok(Ok(())) => self.meter.sent.one(kind, bytes.len()),
                Ok(Err(error)) => return error.into(),
                Err(_) => return End::Stuck(limits::PIECE_TIMEOUT),
            }
        }
        End::NodeStopped
    }
}

/// A framed message to the peer.
struct Message {
    kind: Kind,
    bytes: Vec<u8>,
}

/// Answers a request with a refusal.
async fn refuse_request(reason: Reason, answers: &mpsc::Sender<Message>) -> Result<(), End> {
    let bytes = framed_refusal(reason);
    let message = Message { kind: Kind::BlobRefusal, bytes };
    answers.send(message).await.map_err(|_| End::NodeStopped)
}

fn framed_refusal(reason: Reason) -> Vec<u8> {
    let message = Reply::Refused(reason).encode();
    let mut framed = Vec::with_capacity(message.len() + limits::PIECE_HEAD);
    encode_varint(message.len() as u64, &mut framed);
    framed.extend_from_slice(&message);
    framed
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

/// Answers the first request on a stream with a refusal, and closes the stream. A failure is only
/// logged.
pub(crate) async fn refuse<S>(mut stream: S, reason: Reason)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answered = async {
        stream.write_all(&framed_refusal(reason)).await?;
        stream.close().await?;
        // Some transports discard sent bytes when a stream with unread data is dropped.
        let mut unread = (&mut stream).take(limits::CONTROL_FRAME as u64);
        futures::io::copy(&mut unread, &mut futures::io::sink()).await
    };
    if !matches!(timeout(limits::REFUSE_TIMEOUT, answered).await, Ok(Ok(_))) {
        tracing::debug!("a refused peer did not read its refusal");
    }
}
