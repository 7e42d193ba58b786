//! Requests about the blobs of a node, except for their bytes.

use std::sync::Arc;

use hyper::Method;
use meshwork_core::{BlobForm, BlobHash, BlobRef};

use super::{
    Client, ClientError, TransferError,
    connection::Call,
    transfer::{BusyNotice, explain_older},
};
use crate::types::{BlobView, FreedAnswer, List, PinRequest, Problem};

/// The files and folders in the store of a node, as blobs: known by the hashes of their bytes.
/// Cheap to clone.
///
/// A blob stays while a task needs it or it is pinned; a new one stays for an hour at least, so that
/// its task can be submitted.
#[derive(Clone, Debug)]
pub struct Blobs {
    pub(super) client: Client,
    pub(super) busy: Option<BusyNotice>,
}

impl Client {
    /// The node's files and folders.
    pub fn blobs(&self) -> Blobs {
        Blobs { client: self.clone(), busy: None }
    }
}

impl Blobs {
    /// Calls `notice` with the node's answer each time that a transfer waits because the node is
    /// busy with other transfers. Without it the wait is silent.
    #[must_use]
    pub fn on_busy(mut self, notice: impl Fn(&Problem) + Send + Sync + 'static) -> Self {
        self.busy = Some(BusyNotice(Arc::new(notice)));
        self
    }

    /// Lists the blobs whose hashes start with these hex digits, in the order of their hashes.
    ///
    /// # Errors
    ///
    /// As for [`Client::node`]. The prefix has other characters, or the node is of an earlier version
    /// (`unsupported`).
    pub async fn list(&self, prefix: &str) -> Result<List<BlobView>, ClientError> {
        let path = format!("/v1/blobs?prefix={}", super::segment(prefix));
        self.client.pages(&path, None, None).await.map_err(explain_older)
    }

    /// Pins a blob, so that it stays without a task that needs it, or no longer.
    ///
    /// # Errors
    ///
    /// As for [`Self::list`]. The node does not have it (`blob_missing`).
    pub async fn pin(&self, hash: &BlobHash, pinned: bool) -> Result<BlobView, ClientError> {
        let path = format!("/v1/blobs/{hash}/pin");
        self.client.post(&path, &PinRequest { pinned }).await.map_err(explain_older)
    }

    /// Removes a blob, pinned or not.
    ///
    /// # Errors
    ///
    /// As for [`Self::pin`]. A task or a folder needs it (`blob_in_use`).
    pub async fn remove(&self, hash: &BlobHash) -> Result<FreedAnswer, ClientError> {
        let call = Call::new(Method::DELETE, format!("/v1/blobs/{hash}"));
        self.client.json(&call).await.map_err(explain_older)
    }

    /// Removes all blobs that nothing needs and nobody pinned, except for new ones.
    ///
    /// # Errors
    ///
    /// As for [`Self::list`].
    pub async fn collect(&self) -> Result<FreedAnswer, ClientError> {
        let nothing = serde_json::json!({});
        self.client.post("/v1/blobs/gc", &nothing).await.map_err(explain_older)
    }

    /// Adds a file or a folder. `progress` is called with the bytes sent since the last call.
    ///
    /// # Errors
    ///
    /// As for [`Self::add_file`] and [`Self::add_folder`].
    pub async fn add(
        &self,
        path: &std::path::Path,
        progress: impl Fn(u64),
    ) -> Result<BlobRef, TransferError> {
        // A path that cannot be asked is reported as a file.
        if path.is_dir() {
            self.add_folder(path, progress).await
        } else {
            self.add_file(path, progress).await
        }
    }

    /// Makes a new file or folder at `path` from its blob. A file gets its name when it is complete.
    ///
    /// # Errors
    ///
    /// As for [`Self::list`]. The node does not have the blob (`blob_missing`), or `path` exists
    /// (`target_exists`) or cannot be written.
    pub async fn save(
        &self,
        blob: &BlobRef,
        path: &std::path::Path,
        progress: impl Fn(u64),
    ) -> Result<(), TransferError> {
        match blob.form {
            BlobForm::File { .. } => self.save_file(blob, path, progress).await,
            BlobForm::Folder => self.save_folder(blob.hash, path, progress).await,
        }
    }
}
