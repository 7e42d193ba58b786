//! Folders: from the store into the folder of an attempt, and from there to the store.

use std::{
    fmt::Display,
    io::{self, Read as _},
    path::Path,
};

use bytes::Bytes;
use meshwork_blob::{
    Content, Ready,
    folder::{Pack, PackError, PackStep, Plan, PlanError, Root, Unpack, UnpackError, UnpackStep},
    limits::{PART_BYTES, ROOT_BYTES},
};
use meshwork_core::{BlobHash, BlobRef};

use super::{
    Files,
    collect::{Collected, draft, finished},
    copy,
};
use crate::{context::TaskContext, handler::HandlerError};

/// Unpacks the folder `root` of the store to `target`, which must not exist. Its files are copies, so
/// that a handler may change them.
///
/// # Errors
///
/// The store lacks a blob of it, or has one that is malformed; `target` cannot be written.
pub(crate) fn unpack(
    cx: &TaskContext,
    files: &Files,
    root: &BlobHash,
    target: &Path,
) -> Result<(), HandlerError> {
    let root = Root::decode(&list(files, root, ROOT_BYTES)?).map_err(|error| bad_folder(&error))?;
    let mut unpack = Unpack::new(target, root).map_err(not_unpacked)?;
    loop {
        cx.ensure_running()?;
        match unpack.step().map_err(not_unpacked)? {
            UnpackStep::Part(part) => {
                let bytes = list(files, &part.hash, PART_BYTES)?;
                unpack.give(bytes).map_err(not_unpacked)?;
            }
            UnpackStep::File(mut wanted) => {
                let stored = files.stored(&wanted.hash)?;
                if stored.size() != wanted.size {
                    return Err(bad_folder(&"a file has another size than its entry says"));
                }
                copy(cx, &mut stored.file(), &mut wanted.file)?;
            }
            UnpackStep::Done => return Ok(()),
        }
    }
}

/// Stores the directory at `path` as a folder.
///
/// # Errors
///
/// It has something that a folder cannot hold, it changes meanwhile, or the disk failed.
pub(super) fn pack(
    cx: &TaskContext,
    files: &Files,
    path: &Path,
) -> Result<Collected, HandlerError> {
    let mut pack = Pack::new(Plan::of(path).map_err(not_planned)?).map_err(not_packed)?;
    let mut blobs = Vec::new();
    loop {
        cx.ensure_running()?;
        match pack.step().map_err(not_packed)? {
            PackStep::File(mut file) => {
                let mut draft = draft(files)?;
                copy(cx, &mut file, &mut draft)?;
                let blob = finished(draft)?;
                let hash = blob.hash();
                // A file that has changed is yielded once more; its first bytes are dropped.
                if file.check().is_ok() {
                    blobs.push(blob);
                }
                pack.give(file, hash).map_err(not_packed)?;
            }
            PackStep::Part(bytes) => blobs.push(store(files, &bytes, Content::Part)?),
            PackStep::Root { bytes, folder } => {
                blobs.push(store(files, &bytes, Content::Folder)?);
                return Ok(collected(folder, blobs));
            }
            // The root comes before.
            PackStep::Done => return Err(HandlerError::failed("the output folder has no list")),
        }
    }
}

/// Of files with the same bytes, one is enough.
fn collected(output: BlobRef, mut blobs: Vec<Ready>) -> Collected {
    blobs.sort_unstable_by_key(Ready::hash);
    blobs.dedup_by_key(|blob| blob.hash());
    Collected { output, blobs }
}

fn store(files: &Files, bytes: &[u8], content: Content) -> Result<Ready, HandlerError> {
    let mut draft = draft(files)?;
    draft.add(bytes).map_err(HandlerError::not_stored)?;
    let mut blob = finished(draft)?;
    blob.read_links(content).map_err(|error| not_collected(&error, true))?;
    Ok(blob)
}

/// Reads a root or a part.
fn list(files: &Files, hash: &BlobHash, limit: usize) -> Result<Bytes, HandlerError> {
    let stored = files.stored(hash)?;
    let size = usize::try_from(stored.size()).unwrap_or(usize::MAX);
    if size > limit {
        return Err(bad_folder(&format!("a list has {size} bytes; the limit is {limit} bytes")));
    }
    let mut bytes = Vec::with_capacity(size);
    stored.file().take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn bad_folder(why: &impl Display) -> HandlerError {
    HandlerError::bad_input(format!("the input folder: {why}"))
}

fn not_unpacked(error: UnpackError) -> HandlerError {
    let why = format!("cannot unpack the input folder: {error}");
    if let UnpackError::Failed { source, .. } = &error {
        return HandlerError::Io(io::Error::new(source.kind(), why));
    }
    if error.is_retryable() { HandlerError::failed(why) } else { HandlerError::bad_input(why) }
}

fn not_planned(error: PlanError) -> HandlerError {
    not_collected(&error, error.is_retryable())
}

fn not_packed(error: PackError) -> HandlerError {
    not_collected(&error, error.is_retryable())
}

fn not_collected(error: &impl Display, is_retryable: bool) -> HandlerError {
    let why = format!("cannot store the output folder: {error}");
    if is_retryable { HandlerError::failed(why) } else { HandlerError::permanent(why) }
}
