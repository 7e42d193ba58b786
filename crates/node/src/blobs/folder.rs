//! Folders into the store, and out of it.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use meshwork_blob::{
    Content, Ready, Store,
    folder::{Pack, PackStep, Plan, Root, SteadyFile, Unpack, UnpackStep},
    limits::{PART_BYTES, ROOT_BYTES},
};
use meshwork_core::{BlobHash, BlobRef, engine::BlobRequest};

use super::{
    error::BlobError,
    file::read_once,
    place::{Place, Reservation},
    upload::{blocking, keep, request, with_space},
};
use crate::{error::InternalError, limits, node::Node};

/// Adds a folder.
pub(super) async fn add(node: &Arc<Node>, path: &Path) -> Result<BlobRef, BlobError> {
    let place = Arc::clone(&node.running()?.blobs);
    let permit = Arc::clone(&place.writers).acquire_owned().await;
    let _permit = permit.map_err(|_| InternalError::Stopped)?;
    let path = path.to_owned();
    // Everything is checked before the first byte is read.
    let plan = blocking(move || Plan::of(&path)).await??;
    let mut reservation = Reservation::none(&place);
    let bytes = plan.bytes().saturating_add(plan.entries().saturating_mul(ENTRY_BYTES));
    request(node, BlobRequest::Reserve { bytes }).await?;
    reservation.add(bytes);
    let mut pack = blocking(move || Pack::new(plan)).await??;
    loop {
        let store = place.store().clone();
        let packed = blocking(move || {
            let batch = Batch::fill(&mut pack, &store)?;
            Ok::<_, BlobError>((pack, batch))
        });
        let (rest, batch) = with_space(node, bytes, packed.await?).await?;
        pack = rest;
        let Batch { blobs, bytes: written, folder } = batch;
        let kept = keep(node, &place, blobs, reservation.take(written)).await;
        with_space(node, bytes, kept).await?;
        if let Some(folder) = folder {
            return Ok(folder);
        }
    }
}

/// Blobs of a folder that are stored together.
#[derive(Default)]
struct Batch {
    blobs: Vec<Ready>,
    bytes: u64,
    /// The folder, if it is complete.
    folder: Option<BlobRef>,
}

impl Batch {
    /// Packs until the batch is full or the folder is complete.
    fn fill(pack: &mut Pack, store: &Store) -> Result<Self, BlobError> {
        let mut batch = Self::default();
        while batch.blobs.len() < limits::FOLDER_BATCH && batch.bytes < limits::FOLDER_BATCH_BYTES {
            match pack.step()? {
                PackStep::File(file) => batch.add_file(pack, file, store)?,
                PackStep::Part(bytes) => batch.add(store, &bytes, Content::Part)?,
                PackStep::Root { bytes, folder } => {
                    batch.add(store, &bytes, Content::Folder)?;
                    batch.folder = Some(folder);
                    break;
                }
                PackStep::Done => break,
            }
        }
        Ok(batch)
    }

    fn add_file(
        &mut self,
        pack: &mut Pack,
        mut file: SteadyFile,
        store: &Store,
    ) -> Result<(), BlobError> {
        let ready = read_once(&mut file, store)?;
        let (hash, size) = (ready.hash(), ready.size());
        // If the file changed meanwhile, the pack yields it once more, and this blob is dropped with
        // its lease.
        pack.give(file, hash)?;
        self.bytes += size;
        self.blobs.push(ready);
        Ok(())
    }

    fn add(&mut self, store: &Store, bytes: &[u8], content: Content) -> Result<(), BlobError> {
        let mut draft = store.draft()?;
        draft.add(bytes)?;
        let mut ready = draft.finish()?;
        ready.read_links(content)?;
        self.bytes += ready.size();
        self.blobs.push(ready);
        Ok(())
    }
}

/// Makes a folder at `path`, which must not exist, from its blob.
pub(super) fn save(store: &Store, hash: &BlobHash, path: &Path) -> Result<(), BlobError> {
    let root = Root::decode(&store.get_verified(hash)?.bytes(ROOT_BYTES)?);
    let mut unpack = Unpack::new(path, root.map_err(BlobError::Format)?)?;
    loop {
        match unpack.step()? {
            UnpackStep::Part(part) => {
                let bytes = store.get_verified(&part.hash)?.bytes(PART_BYTES)?;
                unpack.give(Bytes::from(bytes))?;
            }
            UnpackStep::File(mut wanted) => {
                let mut blob = store.get_verified(&wanted.hash)?.into_file();
                std::io::copy(&mut blob, &mut wanted.file)
                    .map_err(|source| BlobError::File { path: path.join(&wanted.path), source })?;
            }
            UnpackStep::Done => return Ok(()),
        }
    }
}

/// Bytes that an entry takes in a part, beside the bytes of a small file: a rough upper bound that
/// is given up when the folder is stored.
const ENTRY_BYTES: u64 = 256;

impl Reservation {
    fn none(place: &Arc<Place>) -> Self {
        Self::of(Arc::clone(place), 0)
    }
}
