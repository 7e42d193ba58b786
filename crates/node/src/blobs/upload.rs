//! A blob that a caller writes piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use meshwork_blob::{Content, Ready, WriteError};
use meshwork_core::{
    BlobHash, Reason,
    engine::{BlobReply, BlobRequest},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    error::BlobError,
    place::{Place, Reservation, free_bytes, new_blob},
};
use crate::{driver::call::Call, error::InternalError, limits, node::Node};

/// A blob that a caller writes piece by piece. Dropping it removes what was written.
///
/// A thread for blocking work writes and hashes; the caller waits when the disk is slower than it.
#[must_use = "without `finish` the blob is not kept"]
pub struct Upload {
    node: Arc<Node>,
    pieces: mpsc::Sender<Bytes>,
    writer: JoinHandle<Result<Ready, WriteError>>,
    reservation: Reservation,
    /// The size of the blob, if the caller knew it at the start.
    announced: Option<u64>,
    written: u64,
    /// Its place among the writers.
    _place: OwnedSemaphorePermit,
}

impl Upload {
    /// Begins a blob. `size`, if it is known, is reserved at once, and the blob must have it.
    pub(super) async fn begin(node: &Arc<Node>, size: Option<u64>) -> Result<Self, BlobError> {
        let place = Arc::clone(&node.running()?.blobs);
        let permit = Arc::clone(&place.writers).acquire_owned().await;
        let permit = permit.map_err(|_| InternalError::Stopped)?;
        let mut reservation = Reservation::of(place, 0);
        if let Some(size) = size.filter(|size| *size > 0) {
            request(node, BlobRequest::Reserve { bytes: size }).await?;
            reservation.add(size);
        }
        let store = reservation.place().store().clone();
        let (pieces, mut queue) = mpsc::channel::<Bytes>(limits::UPLOAD_PIECES);
        let writer = tokio::task::spawn_blocking(move || {
            let mut draft = store.draft()?;
            while let Some(piece) = queue.blocking_recv() {
                draft.add(&piece)?;
            }
            draft.finish()
        });
        let node = Arc::clone(node);
        Ok(Self { node, pieces, writer, reservation, announced: size, written: 0, _place: permit })
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds bytes. Waits while the disk is behind.
    ///
    /// # Errors
    ///
    /// There is no space, the disk failed, the node is stopping, or the blob becomes larger than
    /// announced (`other_size`).
    pub async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        let after = self.written + piece.len() as u64;
        if let Some(announced) = self.announced.filter(|announced| after > *announced) {
            return Err(BlobError::OtherSize { announced, found: after });
        }
        if after > self.reservation.bytes() {
            // The size was not known: reserve in steps.
            let bytes = (after - self.reservation.bytes()).max(limits::UPLOAD_STEP);
            request(&self.node, BlobRequest::Reserve { bytes }).await?;
            self.reservation.add(bytes);
        }
        if self.pieces.send(piece).await.is_err() {
            let failed = Err(self.failure().await);
            return with_space(&self.node, self.announced.unwrap_or(after), failed).await;
        }
        self.written = after;
        Ok(())
    }

    /// Why the writer has ended.
    async fn failure(&mut self) -> BlobError {
        match (&mut self.writer).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(_)) | Err(_) => InternalError::Stopped.into(),
        }
    }

    /// Ends the blob, and returns its hash and size once it is stored; on a node with a home, once it
    /// is on disk. It stays for an hour without a task that needs it.
    ///
    /// With `expected`, bytes with another hash are refused. A part or a root of a folder's list is
    /// accepted once all blobs that it names are there.
    ///
    /// # Errors
    ///
    /// As [`Self::write`], or the blob is smaller than announced (`other_size`), or the hash is
    /// another one (`other_hash`), or the bytes are not what `content` says (`bad_folder`), or name a
    /// blob that is not there (`blob_missing`).
    pub async fn finish(
        self,
        content: Content,
        expected: Option<BlobHash>,
    ) -> Result<(BlobHash, u64), BlobError> {
        let (node, need) = (Arc::clone(&self.node), self.announced.unwrap_or(self.written));
        let stored = self.store(content, expected).await;
        with_space(&node, need, stored).await
    }

    async fn store(
        self,
        content: Content,
        expected: Option<BlobHash>,
    ) -> Result<(BlobHash, u64), BlobError> {
        let Self { node, pieces, writer, mut reservation, announced, .. } = self;
        drop(pieces);
        let ready = writer.await.map_err(|_| InternalError::Stopped)??;
        let (hash, size) = (ready.hash(), ready.size());
        if let Some(announced) = announced.filter(|announced| *announced != size) {
            return Err(BlobError::OtherSize { announced, found: size });
        }
        if let Some(expected) = expected.filter(|expected| *expected != hash) {
            return Err(BlobError::OtherHash { expected, found: hash });
        }
        let ready = blocking(move || {
            let mut ready = ready;
            ready.read_links(content)?;
            Ok::<_, BlobError>(ready)
        })
        .await??;
        let reserved = reservation.take(u64::MAX);
        keep(&node, reservation.place(), vec![ready], reserved).await?;
        Ok((hash, size))
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("written", &self.written).finish_non_exhaustive()
    }
}

/// Gives complete blobs their names in the store, and keeps them.
pub(super) async fn keep(
    node: &Arc<Node>,
    place: &Arc<Place>,
    blobs: Vec<Ready>,
    reserved: u64,
) -> Result<(), BlobError> {
    let store = place.store().clone();
    let published = tokio::task::spawn_blocking(move || store.publish(blobs)).await;
    let published = published.map_err(|_| InternalError::Stopped)?;
    let published = published.inspect_err(|_| place.unreserve(reserved))?;
    let blobs = published.into_iter().map(new_blob).collect();
    request(node, BlobRequest::Store { blobs, reserved }).await.map(drop)
}

/// Adds to the failure of a full disk how many bytes were needed, and how many there are.
pub(super) async fn with_space<T>(
    node: &Arc<Node>,
    need: u64,
    result: Result<T, BlobError>,
) -> Result<T, BlobError> {
    let source = match result {
        Err(BlobError::Write(WriteError::Full { source, .. })) => source,
        other => return other,
    };
    let store = node.running()?.blobs.store().clone();
    let free = blocking(move || free_bytes(store.dir())).await?;
    let budget = node.driver.snapshot().blobs.budget;
    Err(BlobError::DiskFull { need, free, budget, source })
}

/// Sends a request about blobs to the engine.
pub(super) async fn request(
    node: &Arc<Node>,
    request: BlobRequest,
) -> Result<BlobReply, BlobError> {
    let (answer, answered) = oneshot::channel();
    node.call(Call::Blobs { request, answer }).await?;
    let reply: Result<BlobReply, Reason> = answered.await.map_err(|_| InternalError::Stopped)?;
    Ok(reply?)
}

/// Runs work that blocks on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| InternalError::Stopped.into())
}
