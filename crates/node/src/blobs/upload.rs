//! A blob that a caller writes piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use meshwork_blob::{Ready, WriteError};
use meshwork_core::{
    BlobHash,
    engine::{BlobRequest, NewBlob, StoredBlob},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinHandle,
};

use super::{BlobError, Content, Place, file::blocking, request};
use crate::{error::InternalError, limits, node::Node};

/// A blob that a caller writes piece by piece. Dropping it removes what was written.
///
/// A thread for blocking work writes and hashes; the caller waits when the disk is slower than it.
#[must_use = "without `finish` the blob is not kept"]
pub struct Upload {
    node: Arc<Node>,
    pieces: mpsc::Sender<Bytes>,
    writer: JoinHandle<Result<Ready, WriteError>>,
    reservation: Reservation,
    written: u64,
    /// Its place among the writers.
    _place: OwnedSemaphorePermit,
}

/// Reserved bytes, given up on drop.
pub(super) struct Reservation {
    place: Arc<Place>,
    bytes: u64,
}

impl Reservation {
    pub(super) fn of(place: Arc<Place>, bytes: u64) -> Self {
        Self { place, bytes }
    }

    /// More bytes were reserved.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Up to so many bytes pass to the caller's next request.
    pub(super) fn take(&mut self, most: u64) -> u64 {
        let taken = self.bytes.min(most);
        self.bytes -= taken;
        taken
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.place.unreserve(self.bytes);
    }
}

impl Upload {
    /// Begins a blob. `size` is reserved at once if it is known; it is not enforced.
    pub(super) async fn begin(node: &Arc<Node>, size: Option<u64>) -> Result<Self, BlobError> {
        let place = Arc::clone(&node.running()?.blobs);
        let permit = Arc::clone(&place.writers).acquire_owned().await;
        let permit = permit.map_err(|_| InternalError::Stopped)?;
        let mut reservation = Reservation::of(place, 0);
        if let Some(size) = size.filter(|size| *size > 0) {
            request(node, BlobRequest::Reserve { bytes: size }).await?;
            reservation.add(size);
        }
        let store = reservation.place.store().clone();
        let (pieces, mut queue) = mpsc::channel::<Bytes>(limits::UPLOAD_PIECES);
        let writer = tokio::task::spawn_blocking(move || {
            let mut draft = store.draft()?;
            while let Some(piece) = queue.blocking_recv() {
                draft.add(&piece)?;
            }
            draft.finish()
        });
        let node = Arc::clone(node);
        Ok(Self { node, pieces, writer, reservation, written: 0, _place: permit })
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds bytes. Waits while the disk is behind.
    ///
    /// # Errors
    ///
    /// There is no space, the disk failed, or the node is stopping.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        let after = self.written + piece.len() as u64;
        if after > self.reservation.bytes {
            // The size was not known: reserve in steps.
            let bytes = (after - self.reservation.bytes).max(limits::UPLOAD_STEP);
            request(&self.node, BlobRequest::Reserve { bytes }).await?;
            self.reservation.add(bytes);
        }
        if self.pieces.send(piece).await.is_err() {
            return Err(self.failure().await);
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
    /// As [`Self::write`], or the hash is another one, or the bytes are not what `content` says
    /// (`bad_folder`), or name a blob that is not there (`blob_missing`).
    pub async fn finish(
        self,
        content: Content,
        expected: Option<BlobHash>,
    ) -> Result<(BlobHash, u64), BlobError> {
        let Self { node, pieces, writer, mut reservation, .. } = self;
        drop(pieces);
        let ready = writer.await.map_err(|_| InternalError::Stopped)??;
        let (hash, size) = (ready.hash(), ready.size());
        if let Some(expected) = expected.filter(|expected| *expected != hash) {
            return Err(BlobError::OtherHash { expected, found: hash });
        }
        let (ready, links) = blocking(move || {
            let links = content.links(&ready)?;
            Ok::<_, BlobError>((ready, links))
        })
        .await??;
        let reserved = reservation.take(u64::MAX);
        keep(&node, &reservation.place, vec![(ready, links)], reserved).await?;
        Ok((hash, size))
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("written", &self.written).finish_non_exhaustive()
    }
}

/// Stores complete blobs with the blobs that each names, and keeps them.
pub(super) async fn keep(
    node: &Arc<Node>,
    place: &Arc<Place>,
    blobs: Vec<(Ready, Vec<BlobHash>)>,
    reserved: u64,
) -> Result<(), BlobError> {
    let store = place.store().clone();
    let (ready, links): (Vec<Ready>, Vec<Vec<BlobHash>>) = blobs.into_iter().unzip();
    let published = tokio::task::spawn_blocking(move || store.publish(ready)).await;
    let published = published.map_err(|_| InternalError::Stopped)?;
    let published = published.inspect_err(|_| place.unreserve(reserved))?;
    let new = published.iter().zip(links);
    let new = new.map(|(blob, links)| NewBlob {
        hash: blob.hash,
        size: blob.size,
        serial: blob.serial.0,
        links,
    });
    let stored = request(node, BlobRequest::Store { blobs: new.collect(), reserved }).await;
    if stored.is_err() {
        let stored = published.iter();
        let stored = stored.map(|blob| StoredBlob { hash: blob.hash, serial: blob.serial.0 });
        place.remove(stored.collect());
    }
    stored.map(drop)
}
