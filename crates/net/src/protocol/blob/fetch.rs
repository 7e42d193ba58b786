//! The fetching end of a blob stream.
//!
//! Blobs are asked for in small ranges. One is verified and written on a thread for blocking work
//! while the next ones arrive; at most [`limits::FETCH_GROUPS`] are asked for and not verified yet.
//! The length of each piece follows from the request, so a provider cannot make a fetch receive more
//! than the blob and its hashes.

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
    /// Groups that were asked for and are not verified yet.
    unverified: u64,
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
        Self { stream, asked: VecDeque::new(), unverified: 0, meter, _place: place }
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
        let mut jobs = VecDeque::from([Job::new(partial)]);
        loop {
            let asked = self.top_up(&mut jobs).await;
            let Some(job) = jobs.front_mut() else { return Err(Unfinished::lost()) };
            if let Err(error) = asked {
                self.settle(job, progress).await?;
                return Err(job.give_up(error).await);
            }
            if let Some(ready) = self.receive(job, progress).await? {
                return Ok(ready);
            }
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
        let mut jobs = VecDeque::new();
        loop {
            // Two halves: one is asked for while the other arrives.
            while jobs.len() <= limits::ASKED_AHEAD / 2
                && let Some(next) = wants.next()
            {
                let opened = open(store.clone(), next.to_vec()).await?;
                jobs.extend(opened.into_iter().map(Job::new));
            }
            self.top_up(&mut jobs).await?;
            let Some(job) = jobs.front_mut() else { return Ok(()) };
            let is_last = job.unanswered == 0;
            let complete = self.receive(job, progress).await.map_err(|end| end.error)?;
            let Some(complete) = complete else {
                if is_last {
                    // What is missing is asked for after all that was asked already.
                    jobs.rotate_left(1);
                }
                continue;
            };
            jobs.pop_front();
            if ready.send(complete).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Sends requests, as many as may be unanswered.
    async fn top_up(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), FetchError> {
        for job in jobs {
            while self.asked.len() < limits::ASKED_AHEAD {
                let room = limits::FETCH_GROUPS.saturating_sub(self.unverified);
                let Some(request) = job.next_request(room) else { break };
                let message = request.encode();
                let sent = wire::write_message(&mut self.stream, &message);
                match timeout(limits::PIECE_TIMEOUT, sent).await {
                    Ok(Ok(())) => self.meter.sent.one(Kind::BlobRequest, message.len()),
                    Ok(Err(error)) => return Err(FetchError::Cut(error.to_string())),
                    Err(_) => return Err(FetchError::Stalled(limits::PIECE_TIMEOUT)),
                }
                self.unverified += groups(&request);
                self.asked.push_back(request);
                job.unanswered += 1;
            }
            if job.has_more() {
                // The next blobs come after this one.
                break;
            }
        }
        Ok(())
    }

    /// Receives the answer to the oldest request, which is for this job. Returns the blob once it
    /// is complete.
    async fn receive(
        &mut self,
        job: &mut Job,
        progress: &Progress,
    ) -> Result<Option<Ready>, Unfinished> {
        if job.unanswered == 0 {
            self.settle(job, progress).await?;
            return Ok(job.finish());
        }
        let Some(request) = self.asked.pop_front() else { return Err(Unfinished::lost()) };
        job.unanswered -= 1;
        let mut wait = limits::ANSWER_TIMEOUT;
        for piece in request.ranges.into_iter().flat_map(pieces) {
            let length = reply_len(request.size, &piece);
            let arrived = {
                let adding = job.disk.added();
                let reading = next_piece(&mut self.stream, &self.meter, length, wait);
                tokio::pin!(adding, reading);
                // A wrong piece ends the fetch, even if the next one never arrives.
                tokio::select! {
                    is_right = &mut adding => if is_right { Some(reading.await) } else { None },
                    arrived = &mut reading => Some(arrived),
                }
            };
            wait = limits::PIECE_TIMEOUT;
            self.settle(job, progress).await?;
            match arrived {
                Some(Ok(encoded)) => job.begin(piece, encoded),
                Some(Err(error)) => return Err(job.give_up(error).await),
                None => return Err(Unfinished::lost()),
            }
        }
        Ok(None)
    }
    /// Waits until the last piece of a job is on the disk.
    async fn settle(&mut self, job: &mut Job, progress: &Progress) -> Result<(), Unfinished> {
        job.disk.added().await;
        let (added, groups) = match std::mem::replace(&mut job.disk, Disk::Gone) {
            Disk::Added(Ok(added), groups) => (added, groups),
            Disk::Added(Err(error), _) => {
                return Err(Unfinished { partial: None, error: disk_failed(&error) });
            }
            idle @ (Disk::Idle(_) | Disk::Adding(..) | Disk::Gone) => {
                job.disk = idle;
                return Ok(());
            }
        };
        self.unverified = self.unverified.saturating_sub(groups);
        progress.add(added.bytes);
        let error = match added.end {
            Ok(()) => {
                job.disk = Disk::Idle(added.partial);
                return Ok(());
            }
            Err(PieceError::Wrong { hash }) => FetchError::Wrong(hash),
            Err(PieceError::Store(error)) => FetchError::Store(error),
        };
        Err(Unfinished { partial: Some(added.partial), error })
    }
}

/// Reads the next piece, whose message has `length` bytes.
async fn next_piece(
    stream: &mut Box<dyn Io>,
    meter: &Meter,
    length: usize,
    wait: Duration,
) -> Result<Bytes, FetchError> {
    let limit = length.max(limits::BLOB_MESSAGE);
    let message = wire::read_expected(stream, limit, (wait, limits::PIECE_TIMEOUT)).await?;
    let bytes = message.len();
    let reply = Reply::decode(message.into());
    match reply.map_err(|error| FetchError::Broken(error.to_string()))? {
        Reply::Piece(_) if bytes != length => {
            Err(FetchError::Broken(format!("a piece of {bytes} bytes instead of {length}")))
        }
        Reply::Piece(encoded) => {
            meter.received.one(Kind::BlobPiece, bytes);
            Ok(encoded)
        }
        Reply::Refused(reason) => {
            meter.received.one(Kind::BlobRefusal, bytes);
            Err(FetchError::Refused(reason))
        }
    }
}

impl Unfinished {
    fn lost() -> Self {
        Self { partial: None, error: FetchError::Cut("the fetch was used after an error".into()) }
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

/// One blob that is being fetched.
struct Job {
    hash: BlobHash,
    size: u64,
    disk: Disk,
    /// Ranges that are missing and not asked for yet; at most [`limits::BLOB_RANGES`].
    rest: VecDeque<Groups>,
    /// Requests without a complete answer.
    unanswered: usize,
}

/// A blob, or the thread that adds a piece to it.
enum Disk {
    /// Next: `Adding`.
    Idle(Partial),
    /// A piece of so many groups is verified and written. Next: `Added`.
    Adding(JoinHandle<Added>, u64),
    /// The thread has ended. Next: `Idle` or `Gone`.
    Added(Result<Added, JoinError>, u64),
    /// The blob was handed back.
    Gone,
}

/// A blob to which a piece was added, as far as it was right.
struct Added {
    partial: Partial,
    bytes: u64,
    end: Result<(), PieceError>,
}

impl Job {
    fn new(partial: Partial) -> Self {
        let (hash, size) = (partial.hash(), partial.size());
        let rest = partial.missing(limits::BLOB_RANGES).into();
        Self { hash, size, disk: Disk::Idle(partial), rest, unanswered: 0 }
    }

    fn has_more(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The next request, of at most `room` groups. `None` if nothing is missing, or if it is better
    /// to wait until there is room for a larger request.
    fn next_request(&mut self, room: u64) -> Option<Request> {
        let missing: u64 = self.rest.iter().map(|range| range.end - range.start).sum();
        let wanted = missing.min(limits::REQUEST_GROUPS);
        if wanted == 0 || wanted > room {
            return None;
        }
        let (mut ranges, mut taken) = (Vec::new(), 0);
        while taken < wanted
            && let Some(range) = self.rest.pop_front()
        {
            let block_end = (range.start / limits::REQUEST_GROUPS + 1) * limits::REQUEST_GROUPS;
            let end = range.end.min(block_end).min(range.start + (wanted - taken));
            taken += end - range.start;
            ranges.push(range.start..end);
            if end < range.end {
                self.rest.push_front(end..range.end);
                // Two ranges of one request do not touch.
                break;
            }
        }
        Some(Request { hash: self.hash, size: self.size, ranges })
    }

    /// Begins to add a piece.
    fn begin(&mut self, piece: Groups, encoded: Bytes) {
        let count = piece.end - piece.start;
        self.disk = match std::mem::replace(&mut self.disk, Disk::Gone) {
            Disk::Idle(mut partial) => {
                let adding = spawn_blocking(move || {
                    let before = partial.present();
                    let end = partial.add(&piece, &encoded);
                    Added { bytes: partial.present().saturating_sub(before), partial, end }
                });
                Disk::Adding(adding, count)
            }
            busy @ (Disk::Adding(..) | Disk::Added(..) | Disk::Gone) => busy,
        };
    }

    /// The blob, if it is complete. Otherwise notes what is still missing.
    fn finish(&mut self) -> Option<Ready> {
        let Disk::Idle(partial) = std::mem::replace(&mut self.disk, Disk::Gone) else {
            return None;
        };
        match partial.finish() {
            Ok(ready) => Some(ready),
            Err(partial) => {
                if self.rest.is_empty() {
                    // There were more ranges than are kept.
                    self.rest = partial.missing(limits::BLOB_RANGES).into();
                }
                self.disk = Disk::Idle(*partial);
                None
            }
        }
    }

    /// Hands the blob back with an error.
    async fn give_up(&mut self, error: FetchError) -> Unfinished {
        self.disk.added().await;
        let partial = match std::mem::replace(&mut self.disk, Disk::Gone) {
            Disk::Idle(partial) | Disk::Added(Ok(Added { partial, .. }), _) => Some(partial),
            Disk::Added(Err(_), _) | Disk::Adding(..) | Disk::Gone => None,
        };
        Unfinished { partial, error }
    }
}

impl Disk {
    /// Waits until no piece is being added. Returns whether the last one was right.
    async fn added(&mut self) -> bool {
        if let Self::Adding(adding, groups) = self {
            let (ended, groups) = (adding.await, *groups);
            *self = Self::Added(ended, groups);
        }
        match self {
            Self::Added(ended, _) => ended.as_ref().is_ok_and(|added| added.end.is_ok()),
            Self::Idle(_) | Self::Adding(..) | Self::Gone => true,
        }
    }
}

/// Groups that a request asks for.
fn groups(request: &Request) -> u64 {
    request.ranges.iter().map(|range| range.end - range.start).sum()
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
