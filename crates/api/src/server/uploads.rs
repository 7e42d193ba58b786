//! The uploads that go on: blobs that arrive in several requests, so that a cut connection costs
//! only what was under way.
//!
//! A request takes an upload out of the table and puts it back. An upload without a request ends
//! after [`limits::UPLOAD_REST`], which removes its bytes and gives back its space. Absent on
//! purpose: uploads that outlive the process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::StatusCode;
use meshwork_core::BlobHash;
use meshwork_node::{BlobError, Blobs, Content, Upload};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    limits,
    types::{ErrorCode, Problem, StoredBlob, UploadView},
};

/// The uploads of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Uploads {
    table: Arc<Mutex<HashMap<Uuid, Slot>>>,
    /// One permit per blob that arrives.
    places: Arc<Semaphore>,
}

/// The state of an upload.
#[derive(Debug)]
enum Slot {
    /// It waits for its next piece. Then `Taken`.
    Waiting { upload: Box<Incoming>, since: Instant },
    /// A request has it. Then `Waiting` or `Stored`, or it is removed.
    Taken,
    /// Its blob is stored: a client that missed the answer asks again.
    Stored { blob: StoredBlob, since: Instant },
}

impl Slot {
    /// When it came to rest; nothing while a request has it.
    fn since(&self) -> Option<Instant> {
        match self {
            Self::Waiting { since, .. } | Self::Stored { since, .. } => Some(*since),
            Self::Taken => None,
        }
    }
}

/// A blob that arrives. Dropping it removes what has arrived.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) upload: Upload,
    content: Content,
    expected: Option<BlobHash>,
    _place: OwnedSemaphorePermit,
}

impl Incoming {
    /// Stores the blob.
    pub(super) async fn finish(self) -> Result<StoredBlob, BlobError> {
        let (hash, size) = self.upload.finish(self.content, self.expected).await?;
        Ok(StoredBlob { hash, size })
    }
}

impl Uploads {
    pub(super) fn new() -> Self {
        Self { table: Arc::default(), places: Arc::new(Semaphore::new(limits::UPLOADS)) }
    }

    /// Begins a blob, and reserves its space if the size is known.
    ///
    /// # Errors
    ///
    /// Too many blobs arrive (`busy`), or there is no space.
    pub(super) async fn begin(
        &self,
        blobs: &Blobs,
        content: Content,
        size: Option<u64>,
        expected: Option<BlobHash>,
    ) -> Result<Incoming, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            super::routes::busy(format!("{} blobs already arrive", limits::UPLOADS))
        })?;
        let upload = blobs.begin(size).await?;
        Ok(Incoming { upload, content, expected, _place: place })
    }

    /// Adds an upload, which waits for its first piece.
    #[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
    pub(super) fn add(&self, upload: Incoming) -> Result<UploadView, Problem> {
        let mut table = self.table();
        if table.len() >= limits::UPLOADS_KNOWN {
            // Those that go on have a place each, so most have ended.
            let ended = table.iter().filter_map(|(id, slot)| match slot {
                Slot::Stored { since, .. } => Some((*since, *id)),
                Slot::Waiting { .. } | Slot::Taken => None,
            });
            let Some((_, oldest)) = ended.min() else {
                return Err(super::routes::busy("too many uploads".to_owned()));
            };
            table.remove(&oldest);
        }
        let (id, offset) = (Uuid::now_v7(), upload.upload.written());
        table.insert(id, Slot::Waiting { upload: Box::new(upload), since: Instant::now() });
        Ok(UploadView { id: id.to_string(), offset })
    }

    /// Takes an upload for one request. Dropping it puts it back.
    ///
    /// # Errors
    ///
    /// The upload does not exist or has ended, or another request has it (`busy`).
    #[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
    pub(super) fn take(&self, id: &str) -> Result<Taken, Problem> {
        let id = parse(id)?;
        let mut table = self.table();
        let slot = table.get_mut(&id).ok_or_else(|| gone(id))?;
        match std::mem::replace(slot, Slot::Taken) {
            Slot::Waiting { upload, .. } => {
                Ok(Taken { uploads: self.clone(), id, upload: Some(upload) })
            }
            Slot::Taken => Err(super::routes::busy(format!("another request has upload {id}"))),
            stored @ Slot::Stored { .. } => {
                *slot = stored;
                Err(ended(id))
            }
        }
    }

    /// The blob of an upload that has ended.
    #[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
    pub(super) fn stored(&self, id: &str) -> Result<Option<StoredBlob>, Problem> {
        let id = parse(id)?;
        match self.table().get(&id) {
            Some(Slot::Stored { blob, .. }) => Ok(Some(*blob)),
            Some(Slot::Waiting { .. } | Slot::Taken) => Ok(None),
            None => Err(gone(id)),
        }
    }

    /// Ends uploads that wait for too long, until the server stops; then all.
    pub(super) async fn sweep(self, stop: CancellationToken) {
        while tokio::time::timeout(limits::UPLOAD_SWEEP, stop.cancelled()).await.is_err() {
            let now = Instant::now();
            let rests = |since| now.duration_since(since) >= limits::UPLOAD_REST;
            self.table().retain(|_, slot| !slot.since().is_some_and(rests));
        }
        self.table().clear();
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Uuid, Slot>> {
        // Each change is one call of the map.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload that a request has. Dropping it puts it back.
#[derive(Debug)]
pub(super) struct Taken {
    uploads: Uploads,
    id: Uuid,
    /// Empty once it has ended.
    upload: Option<Box<Incoming>>,
}

impl Taken {
    /// The upload, unless it has ended.
    pub(super) fn upload(&mut self) -> Option<&mut Upload> {
        self.upload.as_deref_mut().map(|incoming| &mut incoming.upload)
    }

    pub(super) fn view(&self) -> UploadView {
        let offset = self.upload.as_deref().map_or(0, |incoming| incoming.upload.written());
        UploadView { id: self.id.to_string(), offset }
    }

    /// Removes the upload: it cannot go on.
    pub(super) fn remove(mut self) {
        self.upload = None;
    }

    /// Stores the blob, and remembers it for a client that misses the answer.
    pub(super) async fn finish(mut self) -> Result<StoredBlob, Problem> {
        let Some(incoming) = self.upload.take() else { return Err(gone(self.id)) };
        let blob = incoming.finish().await?;
        let stored = Slot::Stored { blob, since: Instant::now() };
        self.uploads.table().insert(self.id, stored);
        Ok(blob)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut table = self.uploads.table();
        // Not there: the server has stopped, or the blob is stored.
        let Some(slot @ Slot::Taken) = table.get_mut(&self.id) else { return };
        match self.upload.take() {
            Some(upload) => *slot = Slot::Waiting { upload, since: Instant::now() },
            None => drop(table.remove(&self.id)),
        }
    }
}

#[expect(clippy::result_large_err, reason = "one per refused request, sent at once")]
fn parse(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| Problem::bad_request(format!("upload: {id:?} is no id of an upload")))
}

/// The upload does not exist, or no longer.
fn gone(id: Uuid) -> Problem {
    let detail = format!("upload {id} not found: it waited for too long, or the node restarted");
    Problem::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, detail).with_hint("begin again")
}

fn ended(id: Uuid) -> Problem {
    Problem::new(StatusCode::CONFLICT, ErrorCode::Conflict, format!("upload {id} has ended"))
        .with_hint("begin another one")
}
