//! The input of a handler that may be larger than memory.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::PathBuf,
    sync::OnceLock,
};

use bytes::Bytes;
use meshwork_blob::Blob;
use meshwork_core::{BlobForm, BlobRef, Payload};

use super::HandlerError;
use crate::{context::TaskContext, files::folder::unpack, limits::HANDLER_INPUT};

/// The input of a [`FileHandler`](super::FileHandler): bytes that came with the task, or a file or a
/// folder in the node's store. Its methods block on the disk.
#[derive(Debug)]
pub struct Input {
    cx: TaskContext,
    payload: Payload,
    /// The input as a file or a folder, once the handler has asked for it.
    path: OnceLock<PathBuf>,
}

impl Input {
    pub(crate) fn new(cx: TaskContext, payload: Payload) -> Self {
        Self { cx, payload, path: OnceLock::new() }
    }

    /// Size in bytes: of the bytes or the file, or of all files of the folder.
    pub fn size(&self) -> u64 {
        self.payload.size()
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.payload.blob().is_some_and(|blob| blob.form == BlobForm::Folder)
    }

    /// All bytes, in memory.
    ///
    /// # Errors
    ///
    /// It is a folder, or larger than [`HANDLER_INPUT`], or the node cannot read it.
    pub fn bytes(&self) -> Result<Bytes, HandlerError> {
        in_memory(&self.cx, &self.payload)
    }

    /// The bytes as a stream, from the first on. Each call gives a new stream.
    ///
    /// # Errors
    ///
    /// It is a folder, or the node cannot open it.
    pub fn reader(&self) -> Result<InputReader, HandlerError> {
        Ok(InputReader(match &self.payload {
            Payload::Inline(bytes) => Source::Bytes(Cursor::new(bytes.clone())),
            Payload::Blob(blob) => Source::File(stored(&self.cx, blob)?.into_file()),
        }))
    }

    /// A file with the input, or the folder, in the attempt's own folder; removed when the attempt
    /// ends. A second call gives the same path.
    ///
    /// A file may be shared with the node's store, so that nothing is copied. It is read-only: an
    /// attempt that writes to it fails. Copy it to [`work_dir`](TaskContext::work_dir) to change it. A
    /// folder is unpacked: its files are the attempt's own.
    ///
    /// # Errors
    ///
    /// The node has no work folders, the folder has names that the disk cannot tell apart, or the disk
    /// is full or failed.
    pub fn path(&self) -> Result<PathBuf, HandlerError> {
        if let Some(path) = self.path.get() {
            return Ok(path.clone());
        }
        let path = self.make_path()?;
        Ok(self.path.get_or_init(|| path).clone())
    }

    fn make_path(&self) -> Result<PathBuf, HandlerError> {
        let (files, work) = (self.cx.files_or_fail()?, self.cx.work());
        match &self.payload {
            Payload::Inline(bytes) => work.put_bytes(files, bytes),
            Payload::Blob(blob) if blob.form == BlobForm::Folder => {
                let path = work.input_path(files)?;
                unpack(&self.cx, files, &blob.hash, &path)?;
                Ok(path)
            }
            Payload::Blob(blob) => {
                let executable = blob.form == (BlobForm::File { executable: true });
                work.put_blob(files, &self.cx, stored(&self.cx, blob)?, executable)
            }
        }
    }
}

/// The bytes of an input, from the first on; made by [`Input::reader`].
#[derive(Debug)]
pub struct InputReader(Source);

#[derive(Debug)]
enum Source {
    Bytes(Cursor<Bytes>),
    File(File),
}

impl Read for InputReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::Bytes(bytes) => bytes.read(buffer),
            Source::File(file) => file.read(buffer),
        }
    }
}

impl Seek for InputReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.0 {
            Source::Bytes(bytes) => bytes.seek(to),
            Source::File(file) => file.seek(to),
        }
    }
}

/// All bytes of a payload.
///
/// # Errors
///
/// It is a folder, or larger than [`HANDLER_INPUT`], or the node cannot read it.
pub(crate) fn in_memory(cx: &TaskContext, payload: &Payload) -> Result<Bytes, HandlerError> {
    let blob = match payload {
        Payload::Inline(bytes) => return Ok(bytes.clone()),
        Payload::Blob(blob) => blob,
    };
    if blob.size > HANDLER_INPUT {
        return Err(HandlerError::InputTooLarge { size: blob.size, limit: HANDLER_INPUT });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(blob.size).unwrap_or_default());
    stored(cx, blob)?.into_file().take(HANDLER_INPUT).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// Opens the stored file of a blob.
fn stored(cx: &TaskContext, blob: &BlobRef) -> Result<Blob, HandlerError> {
    if blob.form == BlobForm::Folder {
        return Err(HandlerError::bad_input("the input is a folder; this handler reads a file"));
    }
    let stored = cx.files_or_fail()?.stored(&blob.hash)?;
    if stored.size() != blob.size {
        let (is, said) = (stored.size(), blob.size);
        return Err(HandlerError::bad_input(format!("the input has {is} bytes instead of {said}")));
    }
    Ok(stored)
}
