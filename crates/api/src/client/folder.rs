//! Folders to a node and back: packed and unpacked here, one blob after the other.

use std::path::Path;

use bytes::Bytes;
use meshwork_blob::folder::{
    Pack, PackError, PackStep, Plan, Root, Unpack, UnpackError, UnpackStep, WantedFile,
};
use meshwork_core::{BlobHash, BlobRef};

use super::{Blobs, TransferError, download::Target, transfer::blocking, upload::Sent};
use crate::types::BlobContent;

impl Blobs {
    /// Adds a folder with all that is in it: names, bytes, executable bits, and links that stay
    /// inside. Everything is checked before the first byte is sent. `progress` is called with the
    /// bytes sent since the last call.
    ///
    /// # Errors
    ///
    /// As for [`Self::add_file`]. An entry is a device, a pipe, a socket, or a link that leads
    /// outside.
    pub async fn add_folder(
        &self,
        path: &Path,
        progress: impl Fn(u64),
    ) -> Result<BlobRef, TransferError> {
        let path = path.to_owned();
        let plan = blocking(move || Plan::of(&path)).await??;
        self.add_planned(plan, progress).await
    }

    /// Adds a folder whose entries are known already.
    ///
    /// # Errors
    ///
    /// As for [`Self::add_folder`].
    pub async fn add_planned(
        &self,
        plan: Plan,
        progress: impl Fn(u64),
    ) -> Result<BlobRef, TransferError> {
        self.require_space(plan.bytes()).await?;
        let mut pack = blocking(move || Pack::new(plan)).await??;
        loop {
            let stepped = blocking(move || {
                let step = pack.step();
                (pack, step)
            });
            let step;
            (pack, step) = stepped.await?;
            match step? {
                PackStep::File(file) => {
                    let sent = self.send_file(file, &progress).await?;
                    let given = blocking(move || {
                        let given = match sent {
                            Sent::Stored(file, blob) => pack.give(file, blob.hash),
                            Sent::Changed(file) => pack.give_changed(file),
                        };
                        (pack, given)
                    });
                    let fits;
                    (pack, fits) = given.await?;
                    fits?;
                }
                PackStep::Part(bytes) => {
                    let length = bytes.len() as u64;
                    self.add_bytes(BlobContent::Part, bytes).await?;
                    progress(length);
                }
                PackStep::Root { bytes, folder } => {
                    self.add_bytes(BlobContent::Folder, bytes).await?;
                    return Ok(folder);
                }
                PackStep::Done => {
                    return Err(PackError::GivenUp.into());
                }
            }
        }
    }

    pub(super) async fn save_folder(
        &self,
        hash: BlobHash,
        path: &Path,
        progress: impl Fn(u64),
    ) -> Result<(), TransferError> {
        // Before the first byte travels.
        if path.symlink_metadata().is_ok() {
            return Err(UnpackError::TargetExists { path: path.to_owned() }.into());
        }
        let root = Root::decode(&self.blob_bytes(hash).await?).map_err(UnpackError::from)?;
        let target = path.to_owned();
        let mut unpack = blocking(move || Unpack::new(&target, root)).await??;
        loop {
            let stepped = blocking(move || {
                let step = unpack.step();
                (unpack, step)
            });
            let step;
            (unpack, step) = stepped.await?;
            match step? {
                UnpackStep::Part(part) => {
                    let bytes = self.blob_bytes(part.hash).await?;
                    progress(bytes.len() as u64);
                    unpack.give(bytes)?;
                }
                UnpackStep::File(wanted) => {
                    let WantedFile { path: inside, hash, size, file } = wanted;
                    let target = Target { file, path: path.join(inside) };
                    self.fetch(hash, size, target, &progress).await?;
                }
                UnpackStep::Done => return Ok(()),
            }
        }
    }

    /// The entries of a folder's list: the root, without its parts.
    ///
    /// # Errors
    ///
    /// As for [`Self::save`]. The blob is not a folder (`bad_folder`).
    pub async fn folder(&self, hash: BlobHash) -> Result<BlobRef, TransferError> {
        let bytes: Bytes = self.blob_bytes(hash).await?;
        let root = Root::decode(&bytes).map_err(UnpackError::from)?;
        Ok(root.blob())
    }
}
