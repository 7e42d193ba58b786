//! The blobs of a node: files that are inputs and results of tasks.
//!
//! Absent on purpose: which blobs are kept (the engine), and their files (`meshwork-blob`).

use std::{path::Path, sync::Arc};

use crate::{
    driver::question::Question,
    error::{InternalError, NetworkError},
    node::Node,
};
use meshwork_core::{
    BlobForm, BlobHash, BlobRef, Task,
    engine::{
        BlobReply, BlobRequest,
        view::{BlobSpace, BlobView},
    },
};

mod error;
mod fetch;
pub(crate) mod fetcher;
mod file;
mod folder;
pub(crate) mod place;
#[cfg(test)]
mod tests;
mod upload;

pub use meshwork_blob::Content;

pub use self::{error::BlobError, upload::Upload};

/// The blobs of a node. Cheap to clone.
///
/// A blob is known by the hash of its bytes. It stays while a task needs it or it is pinned; a new
/// one stays for an hour at least, so that its task can be submitted.
#[derive(Clone)]
pub struct Blobs {
    node: Arc<Node>,
}

impl Blobs {
    pub(crate) fn of(node: &Arc<Node>) -> Self {
        Self { node: Arc::clone(node) }
    }

    /// Begins a blob whose bytes the caller writes. `size`, if it is known, is reserved at once, and
    /// the blob must have it.
    ///
    /// # Errors
    ///
    /// There is no space (`no_space`), or the node is not running.
    pub async fn begin(&self, size: Option<u64>) -> Result<Upload, BlobError> {
        Upload::begin(&self.node, size).await
    }

    /// Checks whether a task would be accepted now, before its input is added. Submits nothing.
    ///
    /// # Errors
    ///
    /// As of [`distribute_task`](crate::NetworkManager::distribute_task).
    pub async fn check_task(&self, task: Task) -> Result<(), NetworkError> {
        task.check()?;
        let task = Box::new(task);
        Ok(self.node.ask(|answer| Question::CheckSubmit { task, answer }).await??)
    }

    /// Adds a file or a folder.
    ///
    /// # Errors
    ///
    /// As of [`add_file`](Self::add_file) and [`add_folder`](Self::add_folder).
    pub async fn add(&self, path: impl AsRef<Path>) -> Result<BlobRef, BlobError> {
        let path = path.as_ref();
        // A path that cannot be asked is reported as a file.
        if path.is_dir() { self.add_folder(path).await } else { self.add_file(path).await }
    }

    /// Adds a file. It is read once, by one descriptor; if it changes meanwhile, once more.
    ///
    /// # Errors
    ///
    /// The file cannot be read or keeps changing (`input_changed`), or there is no space
    /// (`no_space`).
    pub async fn add_file(&self, path: impl AsRef<Path>) -> Result<BlobRef, BlobError> {
        file::add(&self.node, path.as_ref()).await
    }

    /// Adds a folder with all that is in it: names, bytes, executable bits, and links that stay
    /// inside. Everything is checked before the first byte is read.
    ///
    /// # Errors
    ///
    /// As of [`add_file`](Self::add_file), or an entry is a device, a pipe, a socket, or a link that
    /// leads outside.
    pub async fn add_folder(&self, path: impl AsRef<Path>) -> Result<BlobRef, BlobError> {
        folder::add(&self.node, path.as_ref()).await
    }

    /// Makes a new file or folder at `path` from its blob.
    ///
    /// # Errors
    ///
    /// The node does not have the blob, `path` exists or cannot be written, or a blob's file is
    /// damaged.
    pub async fn save(&self, blob: &BlobRef, path: impl AsRef<Path>) -> Result<(), BlobError> {
        let BlobRef { hash, form, .. } = *blob;
        let path = path.as_ref().to_owned();
        file::with_blob(&self.node, hash, move |store| match form {
            BlobForm::File { executable } => file::save(store, &hash, &path, executable),
            BlobForm::Folder => folder::save(store, &hash, &path),
        })
        .await
    }

    /// Opens a blob's file for reading.
    ///
    /// # Errors
    ///
    /// The node does not have the blob, or its file is damaged.
    pub async fn open(&self, hash: BlobHash) -> Result<meshwork_blob::Blob, BlobError> {
        file::open(&self.node, hash).await
    }

    /// A blob of this node. It stays for an hour more.
    ///
    /// # Errors
    ///
    /// The node does not have it (`blob_missing`).
    pub async fn find(&self, hash: BlobHash) -> Result<BlobView, BlobError> {
        self.view(BlobRequest::Find { hash }).await
    }

    /// Pins a blob, so that it stays without a task that needs it, or no longer.
    ///
    /// # Errors
    ///
    /// The node does not have it (`blob_missing`).
    pub async fn pin(&self, hash: BlobHash, pinned: bool) -> Result<BlobView, BlobError> {
        self.view(BlobRequest::Pin { hash, pinned }).await
    }

    async fn view(&self, request: BlobRequest) -> Result<BlobView, BlobError> {
        match upload::request(&self.node, request).await? {
            BlobReply::Blob(blob) => Ok(blob),
            BlobReply::Reserved | BlobReply::Stored | BlobReply::Removed { .. } => {
                Err(InternalError::Stopped.into())
            }
        }
    }

    /// Removes a blob, pinned or not. Returns the freed bytes.
    ///
    /// # Errors
    ///
    /// The node does not have it (`blob_missing`), or a task or a folder needs it (`blob_in_use`).
    pub async fn remove(&self, hash: BlobHash) -> Result<u64, BlobError> {
        self.freed(BlobRequest::Remove { hash }).await
    }

    /// Removes all blobs that nothing needs and nobody pinned, except new ones. Returns the freed
    /// bytes.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn collect(&self) -> Result<u64, BlobError> {
        self.freed(BlobRequest::Collect).await
    }

    async fn freed(&self, request: BlobRequest) -> Result<u64, BlobError> {
        match upload::request(&self.node, request).await? {
            BlobReply::Removed { bytes } => Ok(bytes),
            BlobReply::Reserved | BlobReply::Stored | BlobReply::Blob(_) => {
                Err(InternalError::Stopped.into())
            }
        }
    }

    /// The blobs of this node in the order of their hashes, at most `limit` of those after `after`.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<BlobView>, BlobError> {
        let ask = |answer| Question::Blobs { after, limit, answer };
        Ok(self.node.ask(ask).await?)
    }

    /// The space of blobs. Answered at once.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn space(&self) -> Result<BlobSpace, BlobError> {
        self.node.running()?;
        Ok(self.node.driver.snapshot().blobs)
    }
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blobs").field("node", &self.node.local_peer).finish()
    }
}
