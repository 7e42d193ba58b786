//! The fetching end of a blob stream.
//!
//! One piece is verified and written on a thread for blocking work while the next one arrives: a
//! fetch has at most two pieces of unverified bytes in memory. The length of each piece follows from
//! the request, so a provider cannot make a fetch receive more than the blob and its hashes.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite};
use meshwork_blob::{
    Partial, PieceError, Ready, Store, WriteError,
    piece::{Groups, pieces},
};
use meshwork_core::BlobHash;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle, spawn_blocking},
    time::timeout,
};

use super::{
    error::FetchError,
    places::Place,
    wire::{Reply, Request, reply_len},
};
use crate::{
    limits,
    meter::{Kind, Meter},
    wire::{self, ReadError},
};

#[cfg(test)]
mod tests;

/// A stream to one provider. Fetches blobs one after the other; after an error it has no more use.
pub struct Fetch {
    stream: Box<dyn Io>,
    /// Requests whose answers have not begun, the oldest first; at most [`limits::ASKED_AHEAD`].
    asked: VecDeque<Request>,
    meter: Arc<Meter>,
    _place: Option<Place>,
}

/// A stream of bytes in both directions.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

/// A blob to fetch, with its expected size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The hash of the blob.
    pub hash: BlobHash,
    /// Size in bytes, from a source that is trusted more than the provider.
    pub size: u64,
}

/// Counts verified bytes. Cheap to clone; all clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Verified bytes that have arrived so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A fetch that did not end well. What has arrived is kept.
#[derive(Debug)]
pub struct Unfinished {
    /// The blob, for another provider; `None` if only a new [`Store::partial`] has it.
    pub partial: Option<Partial>,
    /// Why the fetch ended.
    pub error: FetchError,
}

impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetch").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Fetch {
    pub(crate) fn new(stream: Box<dyn Io>, meter: Arc<Meter>, place: Option<Place>) -> Self {
        Self { stream, asked: VecDeque::new(), meter, _place: place }
    }

    /// Fetches what is missing of one blob.
    ///
    /// # Errors
    ///
    /// The provider refuses, stalls, or sends wrong bytes; the stream or the store fails.
    pub async fn fetch(
        &mut self,
        partial: Partial,
        progress: &Progress,
    ) -> Result<Ready, Unfinished> {
        let mut partial = partial;
        loop {
            if let Err(error) = self.ask(&partial).await {
                return Err(Unfinished { partial: Some(partial), error });
            }
            partial = match self.receive(partial, progress).await?.finish() {
                Ok(ready) => return Ok(ready),
                // There were more ranges than fit into a request.
                Err(rest) => *rest,
            };
        }
    }

    /// Fetches many blobs in their order, and sends each to `ready` once it is complete. Requests
    /// are sent ahead, so that small blobs do not cost a round trip each. No blob may be wanted
    /// twice.
    ///
    /// # Errors
    ///
    /// As [`Self::fetch`], for the first blob that cannot be fetched. The store keeps what has
    /// arrived of the others.
    pub async fn fetch_each(
        &mut self,
        store: &Store,
        wants: &[Want],
        ready: &mpsc::Sender<Ready>,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let mut wants = wants.chunks(limits::ASKED_AHEAD / 2);
        let mut begun = VecDeque::new();
        loop {
            // Two halves: one is asked for while the other arrives.
            while begun.len() <= limits::ASKED_AHEAD / 2
                && let Some(next) = wants.next()
            {
                for partial in open(store.clone(), next.to_vec()).await? {
                    self.ask(&partial).await?;
                    begun.push_back(partial);
                }
            }
            let Some(partial) = begun.pop_front() else { return Ok(()) };
            let arrived = self.receive(partial, progress).await.map_err(|end| end.error)?;
            let complete = match arrived.finish() {
                Ok(complete) => complete,
                // Its later ranges are asked for after all that was asked already.
                Err(rest) => {
                    self.ask(&rest).await?;
                    begun.push_back(*rest);
                    continue;
                }
            };
            if ready.send(complete).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Sends a request for what is missing, if anything is.
    async fn ask(&mut self, partial: &Partial) -> Result<(), FetchError> {
        let ranges = partial.missing(limits::BLOB_RANGES);
        if ranges.is_empty() {
            return Ok(());
        }
        let request = Request { hash: partial.hash(), size: partial.size(), ranges };
        let message = request.encode();
        let sent = wire::write_message(&mut self.stream, &message);
        match timeout(limits::PIECE_TIMEOUT, sent).await {
            Ok(Ok(())) => self.meter.sent.one(Kind::BlobRequest, message.len()),
            Ok(Err(error)) => return Err(FetchError::Cut(error.to_string())),
            Err(_) => return Err(FetchError::Stalled(limits::PIECE_TIMEOUT)),
        }
        self.asked.push_back(request);
        Ok(())
    }

    /// Receives the answer to the oldest request, which must be for `partial`. Returns the blob at
    /// once if nothing was asked for it.
    async fn receive(
        &mut self,
        partial: Partial,
        progress: &Progress,
    ) -> Result<Partial, Unfinished> {
        let is_asked = self.asked.front().is_some_and(|request| request.hash == partial.hash());
        let Some(request) = self.asked.pop_front_if(|_| is_asked) else { return Ok(partial) };
        let mut disk = Disk::Idle(partial);
        let mut wait = limits::ANSWER_TIMEOUT;
        for piece in request.ranges.into_iter().flat_map(pieces) {
            let reading = self.next_piece(reply_len(request.size, &piece), wait);
            wait = limits::PIECE_TIMEOUT;
            let settling = disk.settle(progress);
            tokio::pin!(reading, settling);
            // A wrong piece ends the fetch, even if the next one never arrives.
            let (partial, arrived) = tokio::select! {
                settled = &mut settling => (settled?, reading.await),
                arrived = &mut reading => (settling.await?, arrived),
            };
            disk = match arrived {
                Ok(encoded) => Disk::begin(partial, piece, encoded),
                Err(error) => return Err(Unfinished { partial: Some(partial), error }),
            };
        }
        disk.settle(progress).await
    }

    /// Reads the next piece, whose message has `length` bytes.
    async fn next_piece(&mut self, length: usize, wait: Duration) -> Result<Bytes, FetchError> {
        let limit = length.max(limits::BLOB_MESSAGE);
        let times = (wait, limits::PIECE_TIMEOUT);
        let message = wire::read_expected(&mut self.stream, limit, times).await?;
        let bytes = message.len();
        let reply =
            Reply::decode(message.into()).map_err(|error| FetchError::Broken(error.to_string()))?;
        match reply {
            Reply::Piece(_) if bytes != length => {
                Err(FetchError::Broken(format!("a piece of {bytes} bytes instead of {length}")))
            }
            Reply::Piece(encoded) => {
                self.meter.received.one(Kind::BlobPiece, bytes);
                Ok(encoded)
            }
            Reply::Refused(reason) => {
                self.meter.received.one(Kind::BlobRefusal, bytes);
                Err(FetchError::Refused(reason))
            }
        }
    }
}

impl From<ReadError> for FetchError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(_) | ReadError::Closed => Self::Cut(error.to_string()),
            ReadError::Slow(time) => Self::Stalled(time),
            ReadError::Wire(error) => Self::Broken(error.to_string()),
        }
    }
}

/// A blob, or the thread that adds a piece to it.
enum Disk {
    Idle(Partial),
    Adding(JoinHandle<Added>),
}

/// A blob to which a piece was added, as far as it was right.
struct Added {
    partial: Partial,
    bytes: u64,
    end: Result<(), PieceError>,
}

impl Disk {
    fn begin(mut partial: Partial, piece: Groups, encoded: Bytes) -> Self {
        Self::Adding(spawn_blocking(move || {
            let before = partial.present();
            let end = partial.add(&piece, &encoded);
            Added { bytes: partial.present().saturating_sub(before), partial, end }
        }))
    }

    /// Waits until the piece is written.
    async fn settle(self, progress: &Progress) -> Result<Partial, Unfinished> {
        let adding = match self {
            Self::Idle(partial) => return Ok(partial),
            Self::Adding(adding) => adding,
        };
        let Added { partial, bytes, end } = match adding.await {
            Ok(added) => added,
            Err(error) => return Err(Unfinished { partial: None, error: disk_failed(&error) }),
        };
        progress.add(bytes);
        let error = match end {
            Ok(()) => return Ok(partial),
            Err(PieceError::Wrong { hash }) => FetchError::Wrong(hash),
            Err(PieceError::Store(error)) => FetchError::Store(error),
        };
        Err(Unfinished { partial: Some(partial), error })
    }
}

/// Opens the partial blobs for these wants.
async fn open(store: Store, wants: Vec<Want>) -> Result<Vec<Partial>, FetchError> {
    let opened = spawn_blocking(move || {
        let open = |want: Want| store.partial(&want.hash, want.size);
        wants.into_iter().map(open).collect::<Result<_, WriteError>>()
    });
    Ok(opened.await.map_err(|error| disk_failed(&error))??)
}

fn disk_failed(error: &JoinError) -> FetchError {
    FetchError::Cut(format!("a thread of the store failed: {error}"))
}
