//! Fetches one file or folder from one peer: its bytes, and for a folder its list first.
//!
//! Absent on purpose: when it is tried again, and from which peer (the engine).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use meshwork_blob::{
    Content, ContentError, Ready, Store, WriteError,
    folder::{self, FileRef, FormatError, Root},
    limits::{PART_BYTES, ROOT_BYTES},
};
use meshwork_core::{
    BlobForm, BlobHash, BlobRef, PeerId, Reason,
    engine::{BlobRequest, FetchFault, NewBlob},
    limits as core_limits,
};
use meshwork_net::blob::{
    error::FetchError,
    fetch::{Fetch, Progress, Want},
};
use tokio::sync::{mpsc, oneshot};

use super::place::{Place, Reservation, new_blob};
use crate::{
    driver::{call::Call, question::Question},
    error::InternalError,
    limits,
};

#[cfg(test)]
mod tests;

/// A file or folder that is being fetched from a peer.
pub(super) struct Job {
    /// Distinguishes it from other fetches of the same blob.
    pub(super) number: u64,
    pub(super) place: Arc<Place>,
    /// Weak, so that the node ends when its last handle is gone.
    pub(super) calls: mpsc::WeakSender<Call>,
    pub(super) from: PeerId,
    pub(super) blob: BlobRef,
    pub(super) progress: Progress,
    pub(super) begun: Begun,
}

/// The blobs of which something may have arrived, with their senders, over all tries.
pub(super) type Begun = Arc<Mutex<Vec<(PeerId, BlobHash)>>>;

/// Why it is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The list of a folder is not what its hash, its root or the task says.
    #[error("the list of the folder: {0}")]
    List(#[from] ContentError),
    #[error("the folder has another size than its task says")]
    Size,
    #[error("the folder names over {} files", core_limits::BLOBS)]
    TooMany,
    #[error("no room for the list of the folder: {0}")]
    NoRoom(Reason),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] InternalError),
}

impl From<FormatError> for JobError {
    fn from(error: FormatError) -> Self {
        Self::List(error.into())
    }
}

impl JobError {
    /// What the engine learns.
    pub(super) fn fault(&self) -> FetchFault {
        match self {
            Self::Fetch(FetchError::Store(error)) | Self::Write(error) => write_fault(error),
            Self::Fetch(FetchError::Refused(reason)) if reason.is_retryable() => {
                let retry_after = reason.retry_after().unwrap_or_default();
                FetchFault::Unreachable { retry_after }
            }
            Self::Fetch(FetchError::Refused(_) | FetchError::NotSpoken) => FetchFault::Refused,
            Self::Fetch(error) if error.blames_peer() => FetchFault::Wrong,
            Self::Fetch(error) => {
                let retry_after = error.retry_after().unwrap_or_default();
                FetchFault::Unreachable { retry_after }
            }
            Self::List(ContentError::Format(_)) | Self::Size | Self::TooMany => FetchFault::Wrong,
            Self::NoRoom(_) | Self::List(ContentError::Read(_)) => FetchFault::NoSpace,
            Self::Stopped(_) => FetchFault::Unreachable { retry_after: Duration::ZERO },
        }
    }
}

/// A disk that fails is as bad as one that is full: the task can run elsewhere.
fn write_fault(error: &WriteError) -> FetchFault {
    match error {
        // The same blob is still being put away.
        WriteError::InUse { .. } => FetchFault::Unreachable { retry_after: Duration::ZERO },
        WriteError::Full { .. } | WriteError::Io { .. } => FetchFault::NoSpace,
    }
}

impl Job {
    /// Fetches what is missing, and publishes it. What has arrived before a failure is kept.
    pub(super) async fn run(&self, stream: &mut Fetch) -> Result<Vec<NewBlob>, JobError> {
        let top = self.fetch_top(stream).await?;
        match self.blob.form {
            BlobForm::File { .. } => self.publish(vec![top]).await,
            BlobForm::Folder => self.fetch_folder(stream, top).await,
        }
    }

    /// Fetches the blob itself: the file, or the root of the folder.
    async fn fetch_top(&self, stream: &mut Fetch) -> Result<Ready, JobError> {
        let (store, hash) = (self.store(), self.blob.hash);
        self.note_begun([hash]);
        let bytes = self.blob.blob_bytes();
        let partial = blocking(move || store.partial(&hash, bytes)).await??;
        let fetched = stream.fetch(partial, &self.progress).await;
        Ok(fetched.map_err(|unfinished| unfinished.error)?)
    }

    /// Fetches the parts and files of a folder, except for those that the peer has sent before.
    async fn fetch_folder(&self, stream: &mut Fetch, top: Ready) -> Result<Vec<NewBlob>, JobError> {
        let (top, root) = blocking(move || read_root(top)).await??;
        if root.blob() != self.blob {
            return Err(JobError::Size);
        }
        // The engine has reserved the bytes of the files; the list comes on top.
        let list = root.parts().iter().map(|part| part.size).sum();
        let _reservation = self.reserve(list).await?;
        let parts = self.fetch_parts(stream, &root).await?;
        let wants = Self::wants(&parts, root.bytes())?;
        let files = self.fetch_all(stream, &self.unknown(wants, false).await?).await?;
        let mut blobs = files;
        blobs.extend(parts.into_iter().filter_map(|part| part.ready));
        blobs.push(top);
        self.publish(blobs).await
    }

    /// Fetches the parts, and reads all of them.
    async fn fetch_parts(&self, stream: &mut Fetch, root: &Root) -> Result<Vec<Part>, JobError> {
        let parts: HashMap<BlobHash, u64> =
            root.parts().iter().map(|part| (part.hash, part.size)).collect();
        let all: Vec<Want> = parts.into_iter().map(|(hash, size)| Want { hash, size }).collect();
        let wants = self.unknown(all.clone(), true).await?;
        let fetched = self.fetch_all(stream, &wants).await?;
        let (store, entries) = (self.store(), root.entries());
        blocking(move || {
            let new: HashSet<BlobHash> = wants.iter().map(|want| want.hash).collect();
            let known = all.iter().filter(|want| !new.contains(&want.hash));
            let known = known.map(|want| Part::known(&store, &want.hash));
            read_all(fetched.into_iter().map(Part::fetched).chain(known), entries)
        })
        .await?
    }

    /// The files that the parts name, each once.
    fn wants(parts: &[Part], folder_bytes: u64) -> Result<Vec<Want>, JobError> {
        let (mut sizes, mut bytes) = (HashMap::new(), 0u64);
        for FileRef { hash, size } in parts.iter().flat_map(|part| &part.files).copied() {
            match sizes.insert(hash, size) {
                None => bytes = bytes.saturating_add(size),
                Some(other) if other != size => return Err(JobError::Size),
                Some(_) => {}
            }
        }
        if bytes > folder_bytes {
            return Err(JobError::Size);
        }
        if sizes.len() > core_limits::BLOBS {
            return Err(JobError::TooMany);
        }
        Ok(sizes.into_iter().map(|(hash, size)| Want { hash, size }).collect())
    }

    /// Those of the blobs whose bytes the peer has not sent before. The others are here, and the
    /// peer's tasks may use them.
    async fn unknown(&self, wants: Vec<Want>, as_list: bool) -> Result<Vec<Want>, JobError> {
        let (answer, answered) = oneshot::channel();
        let hashes = wants.iter().map(|want| want.hash).collect();
        self.call(Call::Ask(Question::Shown { peer: self.from, hashes, as_list, answer })).await?;
        let known = answered.await.map_err(|_| InternalError::Stopped)?;
        Ok(wants.into_iter().filter(|want| !known.contains(&want.hash)).collect())
    }

    async fn fetch_all(&self, stream: &mut Fetch, wants: &[Want]) -> Result<Vec<Ready>, JobError> {
        self.note_begun(wants.iter().map(|want| want.hash));
        let (ready, mut arrived) = mpsc::channel(limits::FETCHED);
        let fetch = async {
            // Dropped at the end, which ends the other half.
            let ready = ready;
            stream.fetch_each(&self.store(), wants, &ready, &self.progress).await
        };
        let collect = async {
            let mut blobs = Vec::new();
            while let Some(blob) = arrived.recv().await {
                blobs.push(blob);
            }
            blobs
        };
        let (fetched, blobs) = tokio::join!(fetch, collect);
        fetched?;
        Ok(blobs)
    }

    fn note_begun(&self, hashes: impl IntoIterator<Item = BlobHash>) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.extend(hashes.into_iter().map(|hash| (self.from, hash)));
        begun.sort_unstable();
        begun.dedup();
    }

    async fn publish(&self, blobs: Vec<Ready>) -> Result<Vec<NewBlob>, JobError> {
        let store = self.store();
        let published = blocking(move || store.publish(blobs)).await??;
        Ok(published.into_iter().map(new_blob).collect())
    }

    async fn reserve(&self, bytes: u64) -> Result<Reservation, JobError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Blobs { request: BlobRequest::Reserve { bytes }, answer }).await?;
        answered.await.map_err(|_| InternalError::Stopped)?.map_err(JobError::NoRoom)?;
        Ok(Reservation::of(Arc::clone(&self.place), bytes))
    }

    async fn call(&self, call: Call) -> Result<(), InternalError> {
        let calls = self.calls.upgrade().ok_or(InternalError::Stopped)?;
        calls.send(call).await.map_err(|_| InternalError::Stopped)
    }

    /// The store, with what this peer has sent before: what another one has sent shows nothing of what
    /// this one has.
    fn store(&self) -> Store {
        self.place.store().of_sender(&self.from.to_bytes())
    }
}

/// A part of a folder's list.
struct Part {
    files: Vec<FileRef>,
    /// `None` if it was here before.
    ready: Option<Ready>,
}

impl Part {
    fn fetched(mut ready: Ready) -> Result<Self, JobError> {
        let files = folder::files(&ready.bytes(PART_BYTES).map_err(ContentError::Read)?)?;
        ready.read_links(Content::Part)?;
        Ok(Self { files, ready: Some(ready) })
    }

    fn known(store: &Store, hash: &BlobHash) -> Result<Self, JobError> {
        let part = store.get_verified(hash).and_then(|part| part.bytes(PART_BYTES));
        let files = folder::files(&part.map_err(ContentError::Read)?)?;
        Ok(Self { files, ready: None })
    }
}

/// Reads parts one by one: together they may name no more files than the folder has entries, so that a
/// hostile list does not fill the memory.
fn read_all(
    parts: impl Iterator<Item = Result<Part, JobError>>,
    entries: u64,
) -> Result<Vec<Part>, JobError> {
    let (mut read, mut files) = (Vec::new(), 0);
    for part in parts {
        let part = part?;
        files += part.files.len() as u64;
        if files > entries {
            return Err(JobError::Size);
        }
        read.push(part);
    }
    Ok(read)
}

fn read_root(mut top: Ready) -> Result<(Ready, Root), JobError> {
    let root = Root::decode(&top.bytes(ROOT_BYTES).map_err(ContentError::Read)?)?;
    top.read_links(Content::Folder)?;
    Ok((top, root))
}

/// Runs work that blocks on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, InternalError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| InternalError::Stopped)
}
