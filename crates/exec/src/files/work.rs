//! The folder of one attempt: made when the handler asks for it, removed when the run ends.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    mem,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use meshwork_blob::Blob;
use meshwork_core::BlobHash;

use super::{Files, create_private_dir, lent::Lent, remove_tree};
use crate::{context::TaskContext, handler::HandlerError};

/// The folder of one attempt, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Whether the folder was ever made. Most attempts need none, and end without taking the lock.
    is_used: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    /// Next: `Open`.
    #[default]
    Unused,
    /// Next: `Closed`.
    Open(Folder),
    /// The run has ended. These blobs were written to by the handler.
    Closed(Vec<BlobHash>),
}

/// A folder on disk. Dropping it removes it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    has_work_dir: bool,
    lent: Option<Lent>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            // The next start removes it.
            let path = self.path.display();
            tracing::warn!(%path, %error, "the work folder of an attempt is not removed");
        }
    }
}

impl Work {
    /// Whether the folder was ever made.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Acquire)
    }

    /// The folder in which the handler works.
    pub(crate) fn work_dir(&self, files: &Files) -> Result<PathBuf, HandlerError> {
        let mut state = self.state();
        let folder = self.opened(&mut state, files)?;
        let path = folder.path.join("work");
        if !folder.has_work_dir {
            create_private_dir(&path)?;
            folder.has_work_dir = true;
        }
        Ok(path)
    }

    /// The folder of the attempt, which has the input and the folder in which the handler works;
    /// `None` if the handler asked for neither.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        match &*self.state() {
            State::Open(folder) => Some(folder.path.clone()),
            State::Unused | State::Closed(_) => None,
        }
    }

    /// Makes these bytes a file in the attempt's folder.
    pub(crate) fn put_bytes(&self, files: &Files, bytes: &[u8]) -> Result<PathBuf, HandlerError> {
        let path = self.input_path(files)?;
        create_read_only(&path, READ)?.write_all(bytes)?;
        Ok(path)
    }

    /// Gives a stored blob a name in the attempt's folder: a hard link, or a copy if it is a program
    /// or the folder is on another file system.
    pub(crate) fn put_blob(
        &self,
        files: &Files,
        cx: &TaskContext,
        blob: Blob,
        executable: bool,
    ) -> Result<PathBuf, HandlerError> {
        let path = self.input_path(files)?;
        // A link has the mode of the stored file, and no blob in the store is a program.
        if !executable && fs::hard_link(blob.path(), &path).is_ok() {
            let (hash, file) = (blob.hash(), blob.into_file());
            fs::set_permissions(&path, Permissions::from_mode(READ))?;
            let lent = Lent::new(hash, file)?;
            if let State::Open(folder) = &mut *self.state() {
                folder.lent = Some(lent);
            }
            return Ok(path);
        }
        let mode = if executable { READ | EXECUTE } else { READ };
        let mut copy = create_read_only(&path, mode)?;
        super::copy(cx, &mut blob.file(), &mut copy)?;
        Ok(path)
    }

    /// The path of the input, in the attempt's folder.
    pub(crate) fn input_path(&self, files: &Files) -> Result<PathBuf, HandlerError> {
        Ok(self.opened(&mut self.state(), files)?.path.join("input"))
    }

    fn opened<'s>(
        &self,
        state: &'s mut State,
        files: &Files,
    ) -> Result<&'s mut Folder, HandlerError> {
        if matches!(state, State::Unused) {
            let path = files.create_folder()?;
            self.is_used.store(true, Ordering::Release);
            *state = State::Open(Folder { path, has_work_dir: false, lent: None });
        }
        match state {
            State::Open(folder) => Ok(folder),
            State::Unused | State::Closed(_) => Err(HandlerError::Stopped),
        }
    }

    /// Removes the folder.
    pub(crate) fn close(&self) {
        if self.is_used() {
            let mut state = self.state();
            if let State::Open(folder) = &*state {
                let written: Vec<BlobHash> = folder.lent.iter().filter_map(Lent::written).collect();
                if let Some(hash) = written.first() {
                    tracing::warn!(%hash, "a handler wrote to its input");
                }
                let open = mem::replace(&mut *state, State::Closed(written));
                // Removing takes time, and a late call must not wait for it.
                drop(state);
                drop(open);
            }
        }
    }

    /// Whether the handler wrote to its input; known once the run has ended.
    pub(crate) fn has_written(&self) -> bool {
        self.is_used() && matches!(&*self.state(), State::Closed(written) if !written.is_empty())
    }

    /// The blobs whose files the handler wrote to; known once the run has ended.
    pub(crate) fn written(&self) -> Vec<BlobHash> {
        if !self.is_used() {
            return Vec::new();
        }
        match &*self.state() {
            State::Closed(written) => written.clone(),
            State::Unused | State::Open(_) => Vec::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mode of inputs: handlers must not write to them.
const READ: u32 = 0o444;
const EXECUTE: u32 = 0o111;

fn create_read_only(path: &Path, mode: u32) -> io::Result<fs::File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The mode that was given to `open` is narrowed by the process's mask.
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}
