//! Bytes of blobs from a node into files. After a cut connection the rest is asked for.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use meshwork_blob::NewFile;
use meshwork_core::{BlobForm, BlobHash, BlobRef};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Blobs, ClientError, TransferError,
    connection::{Answer, Call},
    refusal,
    transfer::{Tries, blocking, explain_older},
};
use crate::limits;

/// A file that gets the bytes of a blob.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) file: File,
    /// Its path, for people.
    pub(super) path: PathBuf,
}

impl Blobs {
    pub(super) async fn save_file(
        &self,
        blob: &BlobRef,
        path: &Path,
        progress: impl Fn(u64),
    ) -> Result<(), TransferError> {
        let executable = blob.form == (BlobForm::File { executable: true });
        let target = path.to_owned();
        let new = blocking(move || NewFile::create(&target, executable)).await??;
        let path = path.to_owned();
        let target = match new.file().try_clone() {
            Ok(file) => Target { file, path },
            Err(source) => return Err(TransferError::File { path, source }),
        };
        self.fetch(blob.hash, blob.size, target, &progress).await?;
        Ok(blocking(move || new.keep()).await??)
    }

    /// Writes the bytes of a file's blob to an open file, such as standard output. `progress` is
    /// called with the bytes written since the last call.
    ///
    /// # Errors
    ///
    /// As for [`Self::save`].
    pub async fn copy(
        &self,
        blob: &BlobRef,
        file: File,
        progress: impl Fn(u64),
    ) -> Result<(), TransferError> {
        let target = Target { file, path: PathBuf::from("the output") };
        self.fetch(blob.hash, blob.size, target, &progress).await
    }

    /// Writes all bytes of a blob to a file.
    pub(super) async fn fetch(
        &self,
        hash: BlobHash,
        size: u64,
        target: Target,
        progress: &impl Fn(u64),
    ) -> Result<(), TransferError> {
        let writer = Writer::start(target);
        let mut fetching = Fetching { blobs: self, hash, size, offset: 0, writer, progress };
        let mut tries = Tries::new(self.busy.as_ref());
        while fetching.offset < size {
            let before = fetching.offset;
            let part = fetching.go_on().await;
            if fetching.offset > before {
                tries.progress();
            }
            match part {
                Ok(()) => {}
                Err(TransferError::Request(error)) => tries.rest(error).await?,
                Err(error) => return Err(error),
            }
        }
        fetching.writer.end().await
    }

    async fn ask_for(&self, hash: BlobHash, offset: u64) -> Result<Answer, ClientError> {
        let call = Call::get(format!("/v1/blobs/{hash}")).starting_at(offset);
        let after = limits::BLOB_TIMEOUT;
        let answer = tokio::time::timeout(after, self.client.connection.send(&call)).await;
        let path = || self.client.path().to_path_buf();
        let answer = answer.map_err(|_| ClientError::Silent { path: path(), after })??;
        let status = answer.status();
        if !status.is_success() {
            return Err(explain_older(refusal(&self.client.connection.whole(answer).await?)));
        }
        // The whole blob in place of its rest would be written twice.
        if (offset > 0) != (status == hyper::StatusCode::PARTIAL_CONTENT) {
            return Err(ClientError::Protocol { what: format!("status {status} for a range") });
        }
        Ok(answer)
    }

    /// The bytes of a blob that is known to be small.
    pub(super) async fn blob_bytes(&self, hash: BlobHash) -> Result<Bytes, ClientError> {
        let mut tries = Tries::new(self.busy.as_ref());
        loop {
            let call = Call::get(format!("/v1/blobs/{hash}")).within(limits::BLOB_TIMEOUT);
            match self.client.bytes(&call).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => tries.rest(explain_older(error)).await?,
            }
        }
    }
}

/// A blob on its way into a file.
struct Fetching<'a, P> {
    blobs: &'a Blobs,
    hash: BlobHash,
    size: u64,
    /// Bytes that are there.
    offset: u64,
    writer: Writer,
    progress: &'a P,
}

impl<P: Fn(u64)> Fetching<'_, P> {
    /// Fetches up to the blob's end or a cut.
    async fn go_on(&mut self) -> Result<(), TransferError> {
        let (size, mut answer) = (self.size, self.blobs.ask_for(self.hash, self.offset).await?);
        loop {
            let silent = || ClientError::Silent {
                path: self.blobs.client.path().to_path_buf(),
                after: limits::BLOB_SILENCE,
            };
            let chunk = tokio::time::timeout(limits::BLOB_SILENCE, answer.chunk()).await;
            let Some(chunk) = chunk.map_err(|_| silent())?? else { break };
            let bytes = chunk.len() as u64;
            if bytes > size - self.offset {
                let what = format!("a blob of {size} bytes has more");
                return Err(ClientError::Protocol { what }.into());
            }
            self.writer.write(chunk).await?;
            self.offset += bytes;
            (self.progress)(bytes);
        }
        if self.offset < size {
            let what = format!("a blob of {size} bytes ends after {}", self.offset);
            return Err(ClientError::Protocol { what }.into());
        }
        Ok(())
    }
}

/// A thread that writes to a file while the next bytes travel.
struct Writer {
    pieces: mpsc::Sender<Bytes>,
    thread: JoinHandle<io::Result<()>>,
    path: PathBuf,
}

impl Writer {
    fn start(target: Target) -> Self {
        let Target { mut file, path } = target;
        let (pieces, mut queue) = mpsc::channel::<Bytes>(limits::READ_PIECES);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(piece) = queue.blocking_recv() {
                file.write_all(&piece)?;
            }
            Ok(())
        });
        Self { pieces, thread, path }
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), TransferError> {
        if self.pieces.send(piece).await.is_ok() {
            return Ok(());
        }
        // It ends only by a failure.
        let source = match (&mut self.thread).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => io::ErrorKind::BrokenPipe.into(),
            Err(error) => return Err(TransferError::Thread(error)),
        };
        Err(TransferError::File { path: self.path.clone(), source })
    }

    async fn end(self) -> Result<(), TransferError> {
        let Self { pieces, thread, path } = self;
        drop(pieces);
        let written = thread.await.map_err(TransferError::Thread)?;
        written.map_err(|source| TransferError::File { path, source })
    }
}
