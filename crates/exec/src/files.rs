//! The files of attempts: the blobs of the node, and a folder for each attempt that asks for one.
//!
//! A folder of an attempt has at most two entries: `input`, made by [`Input::path`], and `work`, made
//! by [`TaskContext::work_dir`]. All functions here block on the disk.
//!
//! Absent on purpose: which blobs are kept, and the budget for work folders (the engine).
//!
//! [`Input::path`]: crate::Input::path
//! [`TaskContext::work_dir`]: crate::TaskContext::work_dir

use std::{
    fs::{self, DirBuilder},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use meshwork_blob::{Blob, ReadError, Store, folder::remove_dir, limits::COPY_BYTES};
use meshwork_core::BlobHash;

use crate::{context::TaskContext, handler::HandlerError};

pub(crate) mod collect;
pub(crate) mod folder;
mod lent;
#[cfg(test)]
mod tests;
pub(crate) mod work;

/// The blobs of a node, and the folder for the work folders of its attempts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Files {
    store: Store,
    work: Arc<WorkRoot>,
}

#[derive(Debug)]
struct WorkRoot {
    path: PathBuf,
    /// The name of the next attempt's folder.
    next: AtomicU64,
}

impl Files {
    /// The blobs in `store`, and work folders beneath `work`, which belongs to this executor alone:
    /// it is created if it is missing, and folders of earlier attempts in it are removed.
    ///
    /// # Errors
    ///
    /// `work` cannot be created, read or emptied.
    pub fn open(store: Store, work: impl Into<PathBuf>) -> io::Result<Self> {
        // Handlers may change the current directory, and paths are shown to programs.
        let work = std::path::absolute(work.into())?;
        DirBuilder::new().recursive(true).mode(PRIVATE).create(&work)?;
        for entry in fs::read_dir(&work)? {
            let entry = entry?;
            let is_ours =
                entry.file_name().to_str().is_some_and(|name| name.parse::<u64>().is_ok());
            if is_ours && entry.file_type()?.is_dir() {
                remove_tree(&entry.path())?;
            }
        }
        let work = Arc::new(WorkRoot { path: work, next: AtomicU64::new(1) });
        Ok(Self { store, work })
    }

    /// As [`open`](Self::open), for a folder that does not exist yet. It is created with the first
    /// work folder, and the owner of `store` removes it.
    pub fn temporary(store: Store, work: impl Into<PathBuf>) -> Self {
        let work = Arc::new(WorkRoot { path: work.into(), next: AtomicU64::new(1) });
        Self { store, work }
    }

    /// The store of the node's blobs.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Opens a blob of an input.
    pub(crate) fn stored(&self, hash: &BlobHash) -> Result<Blob, HandlerError> {
        self.store.get_verified(hash).map_err(not_read)
    }

    /// Creates a folder for an attempt.
    fn create_folder(&self) -> io::Result<PathBuf> {
        let number = self.work.next.fetch_add(1, Ordering::Relaxed);
        let root = &self.work.path;
        DirBuilder::new().recursive(true).mode(PRIVATE).create(root)?;
        let path = self.work.path.join(number.to_string());
        create_private_dir(&path)?;
        Ok(path)
    }
}

/// Copies all of `from`; stops when the attempt is cancelled.
fn copy(cx: &TaskContext, from: &mut impl Read, to: &mut impl Write) -> Result<u64, HandlerError> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut copied = 0;
    loop {
        cx.ensure_running()?;
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        to.write_all(buffer.get(..read).unwrap_or_default())?;
        copied += read as u64;
    }
}

/// The mode of folders that only the node's user may enter.
const PRIVATE: u32 = 0o700;

/// Creates a folder. One that is there already is an error.
fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE).create(path)
}

/// Removes a folder with all that is in it. Follows no link.
fn remove_tree(path: &Path) -> io::Result<()> {
    match remove_dir(path) {
        Err(error) if error.source.kind() != io::ErrorKind::NotFound => Err(error.source),
        _ => Ok(()),
    }
}

/// A fault of this node; an attempt elsewhere may succeed.
fn not_read(error: ReadError) -> HandlerError {
    if error.is_lost() {
        return HandlerError::InputLost(error);
    }
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    HandlerError::failed(format!("cannot read the input: {error}{}", cause.unwrap_or_default()))
}
