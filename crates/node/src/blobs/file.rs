//! Files into the store, and out of it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};

use meshwork_blob::{Blob, Ready};
use meshwork_core::{
    BlobForm, BlobHash, BlobRef,
    engine::{BlobEvent, BlobRequest},
};

use super::{BlobError, Place, request, upload::keep};
use crate::{driver::call::Call, error::InternalError, node::Node};

/// Adds a file.
pub(super) async fn add(node: &Arc<Node>, path: &Path) -> Result<BlobRef, BlobError> {
    let place = Arc::clone(&node.running()?.blobs);
    let permit = Arc::clone(&place.writers).acquire_owned().await;
    let _permit = permit.map_err(|_| InternalError::Stopped)?;
    let path = path.to_owned();
    let (file, bytes) = {
        let path = path.clone();
        blocking(move || open_regular(&path)).await??
    };
    request(node, BlobRequest::Reserve { bytes }).await?;
    let read = {
        let place = Arc::clone(&place);
        blocking(move || read_steady(&place, &path, file)).await
    };
    let (ready, executable) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(error)) | Err(error) => {
            place.unreserve(bytes);
            return Err(error);
        }
    };
    let blob =
        BlobRef { hash: ready.hash(), size: ready.size(), form: BlobForm::File { executable } };
    keep(node, &place, vec![(ready, Vec::new())], bytes).await?;
    Ok(blob)
}

/// Opens a file for reading. Neither waits for the writer of a pipe nor opens a device.
fn open_regular(path: &Path) -> Result<(File, u64), BlobError> {
    let at = |source| BlobError::File { path: path.to_owned(), source };
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(at)?;
    let facts = file.metadata().map_err(at)?;
    if !facts.is_file() {
        let what = if facts.is_dir() { "it is a folder" } else { "it is not a regular file" };
        return Err(at(io::Error::new(io::ErrorKind::InvalidInput, what)));
    }
    Ok((file, facts.len()))
}

/// Reads a file that does not change meanwhile; if it does, tries once more.
fn read_steady(place: &Place, path: &Path, file: File) -> Result<(Ready, bool), BlobError> {
    let mut file = file;
    for _ in 0..2 {
        let at = |source| BlobError::File { path: path.to_owned(), source };
        let before = file.metadata().map_err(at)?;
        let mut draft = place.store().draft()?;
        let copied = draft.copy_from(&mut file)?.map_err(at)?;
        let after = file.metadata().map_err(at)?;
        let stamp = |facts: &fs::Metadata| (facts.len(), facts.mtime(), facts.mtime_nsec());
        if copied == before.len() && stamp(&before) == stamp(&after) {
            let executable = after.permissions().mode() & 0o111 != 0;
            return Ok((draft.finish()?, executable));
        }
        drop(draft);
        io::Seek::rewind(&mut file).map_err(at)?;
    }
    Err(BlobError::Changed { path: path.to_owned() })
}

/// Opens a blob. If its file is damaged or gone, the engine learns it.
pub(super) async fn open(node: &Arc<Node>, hash: BlobHash) -> Result<Blob, BlobError> {
    let place = Arc::clone(&node.running()?.blobs);
    request(node, BlobRequest::Find { hash }).await?;
    let opened = blocking(move || place.store().get_verified(&hash)).await?;
    if opened.as_ref().is_err_and(meshwork_blob::ReadError::is_lost) {
        node.call(Call::BlobEvent(BlobEvent::Lost { hash })).await?;
    }
    Ok(opened?)
}

/// Writes a blob to a new file.
pub(super) async fn save(
    node: &Arc<Node>,
    hash: BlobHash,
    path: &Path,
    executable: bool,
) -> Result<(), BlobError> {
    let blob = open(node, hash).await?;
    let path = path.to_owned();
    blocking(move || {
        let mode = if executable { 0o777 } else { 0o666 };
        let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let at = |source| BlobError::File { path: path.clone(), source };
        let mut file = created.map_err(at)?;
        let copied = io::copy(&mut blob.into_file(), &mut file);
        if let Err(source) = copied {
            // A part of the blob under its name would be taken for the whole.
            fs::remove_file(&path).ok();
            return Err(at(source));
        }
        Ok(())
    })
    .await?
}

/// Runs work that blocks on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| InternalError::Stopped.into())
}
