//! The output of a handler that may be larger than a result carries.

use std::{io, mem, path::PathBuf};

use bytes::Bytes;
use meshwork_blob::{Draft, Ready};
use meshwork_core::limits::INLINE_BYTES;

use super::HandlerError;
use crate::{context::TaskContext, files::collect};

/// The output of a [`FileHandler`](super::FileHandler).
///
/// An output of at most [`INLINE_BYTES`] travels in the result; a larger one, a program and a folder
/// become blobs in the node's store.
#[derive(Debug)]
pub struct Output(pub(crate) OutputKind);

#[derive(Debug)]
pub(crate) enum OutputKind {
    Bytes(Bytes),
    /// Boxed, because most outputs are small.
    Stored(Box<Ready>),
    File(PathBuf),
    Folder(PathBuf),
}

impl Output {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(OutputKind::Bytes(bytes.into()))
    }

    /// Takes an output piece by piece. It is never in memory as a whole.
    ///
    /// ```
    /// use std::io::{BufRead, BufReader, Write};
    ///
    /// use meshwork_exec::{Output, file_handler};
    ///
    /// file_handler("demo/number-lines", |cx, input| async move {
    ///     let mut output = Output::writer(&cx);
    ///     for (number, line) in (1..).zip(BufReader::new(input.reader()?).lines()) {
    ///         writeln!(output, "{number}: {}", line?)?;
    ///     }
    ///     Ok(output.finish()?)
    /// });
    /// ```
    pub fn writer(cx: &TaskContext) -> OutputWriter<'_> {
        OutputWriter { cx, head: Vec::new(), draft: None }
    }

    /// The bytes, if they travel in the result.
    pub(crate) fn small(self) -> Result<Bytes, Self> {
        match self.0 {
            OutputKind::Bytes(bytes) if bytes.len() <= INLINE_BYTES => Ok(bytes),
            other @ (OutputKind::Bytes(_)
            | OutputKind::Stored(_)
            | OutputKind::File(_)
            | OutputKind::Folder(_)) => Err(Self(other)),
        }
    }

    /// A file in the attempt's [work folder](TaskContext::work_dir), to which a relative path refers.
    /// Links are not followed. The executable bit of its owner is kept.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(OutputKind::File(path.into()))
    }

    /// A directory in the attempt's [work folder](TaskContext::work_dir), to which a relative path
    /// refers, with all that is in it. Links inside it are kept; one that leads out of it, a socket or
    /// a device fails the attempt.
    ///
    /// ```
    /// use std::fs;
    ///
    /// use meshwork_exec::{Output, file_handler};
    ///
    /// file_handler("demo/two-files", |cx, input| async move {
    ///     let dir = cx.work_dir()?.join("result");
    ///     fs::create_dir(&dir)?;
    ///     fs::copy(input.path()?, dir.join("copy"))?;
    ///     fs::write(dir.join("size.txt"), input.size().to_string())?;
    ///     Ok(Output::folder(dir))
    /// });
    /// ```
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self(OutputKind::Folder(path.into()))
    }
}

impl<T: Into<Bytes>> From<T> for Output {
    fn from(bytes: T) -> Self {
        Self::bytes(bytes)
    }
}

/// An output that is written piece by piece; made by [`Output::writer`].
///
/// The first [`INLINE_BYTES`] are kept in memory. If there are more, all go to the node's store while
/// they are written; without a store, writing fails with
/// [`OutputTooLarge`](HandlerError::OutputTooLarge). Dropping the writer drops the output.
#[derive(Debug)]
pub struct OutputWriter<'c> {
    cx: &'c TaskContext,
    /// The whole output so far, or the part that is not yet in the draft.
    head: Vec<u8>,
    /// Boxed, because most outputs have none.
    draft: Option<Box<Draft>>,
}

impl OutputWriter<'_> {
    /// Ends the output.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    pub fn finish(mut self) -> Result<Output, HandlerError> {
        let Some(mut draft) = self.draft.take() else {
            return Ok(Output::bytes(self.head));
        };
        draft.add(&self.head).map_err(HandlerError::not_stored)?;
        Ok(Output(OutputKind::Stored(Box::new(collect::finished(*draft)?))))
    }

    /// Appends a text.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), HandlerError> {
        self.add(text.as_bytes())
    }

    /// Appends bytes; without a copy if they are the first and not too many.
    pub(crate) fn push_owned(&mut self, bytes: impl Into<Vec<u8>>) -> Result<(), HandlerError> {
        let bytes = bytes.into();
        if self.head.is_empty() && self.draft.is_none() && bytes.len() <= INLINE_BYTES {
            self.head = bytes;
            return Ok(());
        }
        self.add(&bytes)
    }

    /// Appends bytes.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), HandlerError> {
        self.add(bytes)
    }

    /// Appends a value as JSON.
    pub(crate) fn push_json(&mut self, value: &impl serde::Serialize) -> Result<(), HandlerError> {
        // Plain structs of texts and numbers do not fail; if one did, a retry would fail too.
        let json = serde_json::to_vec(value);
        self.push_owned(json.map_err(|error| HandlerError::permanent(error.to_string()))?)
    }

    /// Whether more than [`INLINE_BYTES`] can be written.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.cx.files().is_some()
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), HandlerError> {
        if bytes.len() > INLINE_BYTES.saturating_sub(self.head.len()) {
            self.spill()?;
            if bytes.len() > INLINE_BYTES
                && let Some(draft) = &mut self.draft
            {
                return draft.add(bytes).map_err(HandlerError::not_stored);
            }
        }
        self.head.extend_from_slice(bytes);
        Ok(())
    }

    /// Moves what is in memory to the draft.
    fn spill(&mut self) -> Result<(), HandlerError> {
        self.cx.ensure_running()?;
        let draft = match &mut self.draft {
            Some(draft) => draft,
            None => {
                let files = self.cx.files().ok_or(HandlerError::OutputTooLarge)?;
                self.draft.insert(Box::new(collect::draft(files)?))
            }
        };
        let head = mem::take(&mut self.head);
        draft.add(&head).map_err(HandlerError::not_stored)?;
        // Reuses its memory.
        self.head = head;
        self.head.clear();
        Ok(())
    }
}

impl io::Write for OutputWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
