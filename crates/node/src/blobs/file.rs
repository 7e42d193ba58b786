//! Files into the store, and out of it.

use std::{io, path::Path, sync::Arc};

use meshwork_blob::{
    Blob, NewFile, ReadError, Ready, Store,
    folder::{self, SteadyFile},
};
use meshwork_core::{
    BlobHash, BlobRef,
    engine::{BlobEvent, BlobRequest},
};

use super::{
    error::BlobError,
    place::Reservation,
    upload::{blocking, keep, request, with_space},
};
use crate::{driver::call::Call, error::InternalError, node::Node};

/// Adds a file.
pub(super) async fn add(node: &Arc<Node>, path: &Path) -> Result<BlobRef, BlobError> {
    let place = Arc::clone(&node.running()?.blobs);
    let permit = Arc::clone(&place.writers).acquire_owned().await;
    let _permit = permit.map_err(|_| InternalError::Stopped)?;
    let path = path.to_owned();
    let file = blocking(move || folder::single(&path)).await??;
    let (bytes, executable) = (file.size(), file.is_executable());
    let mut reservation = Reservation::of(Arc::clone(&place), 0);
    request(node, BlobRequest::Reserve { bytes }).await?;
    reservation.add(bytes);
    let store = place.store().clone();
    let ready = blocking(move || read_steady(file, &store)).await?;
    let ready = with_space(node, bytes, ready).await?;
    let blob = BlobRef::file(ready.hash(), ready.size(), executable);
    let kept = keep(node, &place, vec![ready], reservation.take(bytes)).await;
    with_space(node, bytes, kept.map(|()| blob)).await
}

/// Reads a file that does not change meanwhile; if it does, tries once more.
fn read_steady(mut file: SteadyFile, store: &Store) -> Result<Ready, BlobError> {
    let ready = read_once(&mut file, store)?;
    if file.check().is_ok() {
        return Ok(ready);
    }
    drop(ready);
    file.restart()?;
    let ready = read_once(&mut file, store)?;
    file.check()?;
    Ok(ready)
}

/// Reads a file into the store. Its reader checks whether it has changed meanwhile.
pub(super) fn read_once(file: &mut SteadyFile, store: &Store) -> Result<Ready, BlobError> {
    let mut draft = store.draft()?;
    let copied = draft.copy_from(file)?;
    copied.map_err(|source| BlobError::File { path: file.path().to_owned(), source })?;
    Ok(draft.finish()?)
}

/// Opens a blob. If its file is damaged or gone, the engine learns it.
pub(super) async fn open(node: &Arc<Node>, hash: BlobHash) -> Result<Blob, BlobError> {
    with_blob(node, hash, move |store| store.get_verified(&hash).map_err(BlobError::from)).await
}

/// Reads from the store, after the engine has been asked for the blob. If bytes are damaged or gone,
/// the engine learns it.
pub(super) async fn with_blob<T: Send + 'static>(
    node: &Arc<Node>,
    hash: BlobHash,
    read: impl FnOnce(&Store) -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let place = Arc::clone(&node.running()?.blobs);
    request(node, BlobRequest::Find { hash }).await?;
    let read = blocking(move || read(place.store())).await?;
    if let Err(BlobError::Read(ReadError::Missing { hash } | ReadError::Damaged { hash, .. })) =
        &read
    {
        node.call(Call::BlobEvent(BlobEvent::Lost { hash: *hash })).await?;
    }
    read
}

/// Writes a file's blob to a new file, which gets its name when it is complete.
pub(super) fn save(
    store: &Store,
    hash: &BlobHash,
    path: &Path,
    executable: bool,
) -> Result<(), BlobError> {
    let blob = store.get_verified(hash)?;
    let new = NewFile::create(path, executable)?;
    io::copy(&mut blob.into_file(), &mut new.file())
        .map_err(|source| BlobError::File { path: path.to_owned(), source })?;
    Ok(new.keep()?)
}
