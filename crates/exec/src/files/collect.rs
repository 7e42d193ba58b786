//! From the output of a handler to the payload of a result, and the blobs that go with it.

use std::{
    fs::{self, File, Metadata},
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use meshwork_blob::{Draft, Ready};
use meshwork_core::{BlobRef, limits::INLINE_BYTES};

use super::{Files, copy, folder};
use crate::{
    context::TaskContext,
    handler::{HandlerError, Output, OutputKind},
};

#[cfg(test)]
mod tests;

/// The output of a successful attempt.
#[derive(Debug)]
pub(crate) enum Product {
    Inline(Bytes),
    /// Boxed, because small outputs are many and large ones are few.
    Stored(Box<Collected>),
}

/// An output in the store.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) output: BlobRef,
    /// All blobs of it: complete, but not published.
    pub(crate) blobs: Vec<Ready>,
}

impl Product {
    fn file(blob: Ready, executable: bool) -> Self {
        let (hash, size) = (blob.hash(), blob.size());
        let output = BlobRef::file(hash, size, executable);
        Self::Stored(Box::new(Collected { output, blobs: vec![blob] }))
    }
}

/// Stores what is too large for a result. Blocks on the disk.
///
/// # Errors
///
/// The node has no store for it, the output is not in the attempt's folder, or the disk failed.
pub(crate) fn collect(cx: &TaskContext, output: Output) -> Result<Product, HandlerError> {
    match output.0 {
        OutputKind::Bytes(bytes) if bytes.len() <= INLINE_BYTES => Ok(Product::Inline(bytes)),
        OutputKind::Bytes(bytes) => {
            let mut draft = draft(cx.files().ok_or(HandlerError::OutputTooLarge)?)?;
            copy(cx, &mut &*bytes, &mut draft)?;
            Ok(Product::file(finished(draft)?, false))
        }
        OutputKind::Stored(blob) => Ok(Product::file(*blob, false)),
        OutputKind::File(path) => {
            let (file, facts) = opened(cx, &path)?;
            collect_file(cx, file, &facts)
        }
        OutputKind::Folder(path) => {
            let (path, facts) = inside(cx, &path)?;
            if !facts.is_dir() {
                let why = format!("output {}: not a folder", path.display());
                return Err(HandlerError::permanent(why));
            }
            Ok(Product::Stored(Box::new(folder::pack(cx, cx.files_or_fail()?, &path)?)))
        }
    }
}

pub(crate) fn draft(files: &Files) -> Result<Draft, HandlerError> {
    files.store().draft().map_err(HandlerError::not_stored)
}

pub(crate) fn finished(draft: Draft) -> Result<Ready, HandlerError> {
    draft.finish().map_err(HandlerError::not_stored)
}

fn collect_file(
    cx: &TaskContext,
    mut file: File,
    facts: &Metadata,
) -> Result<Product, HandlerError> {
    let executable = facts.permissions().mode() & 0o100 != 0;
    if !executable && facts.len() <= INLINE_BYTES as u64 {
        let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or_default());
        // It may grow while it is read.
        (&mut file).take(INLINE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        require_unchanged(&file, facts, bytes.len() as u64)?;
        return Ok(Product::Inline(bytes.into()));
    }
    let mut draft = draft(cx.files().ok_or(HandlerError::OutputTooLarge)?)?;
    // A byte more than it should have tells that it grows, and then it may grow for ever.
    let mut most = (&mut file).take(facts.len().saturating_add(1));
    let copied = copy(cx, &mut most, &mut draft)?;
    require_unchanged(&file, facts, copied)?;
    Ok(Product::file(finished(draft)?, executable))
}

/// Refuses a file that something still writes to: its bytes may be partly old and partly new.
fn require_unchanged(file: &File, before: &Metadata, read: u64) -> Result<(), HandlerError> {
    let after = file.metadata()?;
    let stamp = |facts: &Metadata| {
        (facts.dev(), facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec())
    };
    if read == before.len() && stamp(&after) == stamp(before) {
        return Ok(());
    }
    let why = "the output file changed while it was stored: something still writes to it; end that \
               before the handler returns";
    Err(HandlerError::failed(why))
}

/// Opens an output file, which must lie in the attempt's folder.
fn opened(cx: &TaskContext, path: &Path) -> Result<(File, Metadata), HandlerError> {
    let (path, facts) = inside(cx, path)?;
    if !facts.is_file() {
        return Err(HandlerError::permanent(format!("output {}: not a file", path.display())));
    }
    let file = File::open(&path)
        .map_err(|error| HandlerError::failed(format!("output {}: {error}", path.display())))?;
    Ok((file, facts))
}

/// The path with its parents resolved, and what is there, if it lies in the attempt's folder. A link
/// at its end is not followed.
fn inside(cx: &TaskContext, path: &Path) -> Result<(PathBuf, Metadata), HandlerError> {
    let shown = path.display();
    let outside =
        || HandlerError::permanent(format!("output {shown}: not in the attempt's work folder"));
    let folder = cx.work().folder().ok_or_else(outside)?;
    let full = folder.join("work").join(path);
    let (Some(parent), Some(name)) = (full.parent(), full.file_name()) else {
        return Err(outside());
    };
    let missing = |error| HandlerError::failed(format!("output {shown}: {error}"));
    let parent = fs::canonicalize(parent).map_err(missing)?;
    if !parent.starts_with(fs::canonicalize(&folder)?) {
        return Err(outside());
    }
    let path = parent.join(name);
    let facts = fs::symlink_metadata(&path).map_err(missing)?;
    Ok((path, facts))
}
