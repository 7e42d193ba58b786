//! Files and streams to a node, piece by piece. A piece is held until the node has it, so a cut
//! connection costs nothing.

use std::{io::Read as _, path::Path};

use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::Method;
use meshwork_blob::folder::{self, PackError, SteadyFile};
use meshwork_core::BlobRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{Instant, timeout_at},
};

use super::{
    Blobs, ClientError, TransferError,
    connection::Call,
    transfer::{Tries, blocking, explain_older},
};
use crate::{
    limits,
    types::{BlobContent, ErrorCode, StoredBlob, UploadRequest, UploadView},
};

impl Blobs {
    /// Adds a file. It is read once, by one descriptor; if it changes meanwhile, once more.
    /// `progress` is called with the bytes sent since the last call.
    ///
    /// # Errors
    ///
    /// As for [`Self::list`]. The file cannot be read, or keeps changing (`input_changed`), or the
    /// node has no space (`no_space`).
    pub async fn add_file(
        &self,
        path: &Path,
        progress: impl Fn(u64),
    ) -> Result<BlobRef, TransferError> {
        let path = path.to_owned();
        let file = blocking(move || folder::single(&path)).await??;
        let executable = file.is_executable();
        let mut sent = self.send_file(file, &progress).await?;
        if let Sent::Changed(mut file) = sent {
            let file = blocking(move || file.restart().map(|()| file)).await??;
            sent = self.send_file(file, &progress).await?;
        }
        match sent {
            Sent::Stored(_, blob) => Ok(BlobRef::file(blob.hash, blob.size, executable)),
            Sent::Changed(file) => Err(PackError::Changed { path: file.path().to_owned() }.into()),
        }
    }

    /// Sends a file that must not change meanwhile.
    pub(super) async fn send_file(
        &self,
        file: SteadyFile,
        progress: &impl Fn(u64),
    ) -> Result<Sent, TransferError> {
        let mut sending = self.begin(BlobContent::File, Some(file.size())).await?;
        let sent = self.send_pieces(file, &mut sending, progress).await;
        let mut file = sending.or_give_up(sent).await?;
        // Checked before it is stored.
        let checked = blocking(move || {
            let changed = file.check().is_err();
            (file, changed)
        });
        let changed;
        (file, changed) = checked.await?;
        if changed {
            sending.give_up().await;
            return Ok(Sent::Changed(file));
        }
        let blob = sending.finish().await?;
        Ok(Sent::Stored(file, blob))
    }

    async fn send_pieces(
        &self,
        mut file: SteadyFile,
        sending: &mut Sending<'_>,
        progress: &impl Fn(u64),
    ) -> Result<SteadyFile, TransferError> {
        loop {
            let read = blocking(move || {
                let most = usize::try_from(file.size()).unwrap_or(usize::MAX);
                let mut piece = Vec::with_capacity(most.min(limits::PIECE_BYTES));
                let mut some = (&mut file).take(limits::PIECE_BYTES as u64);
                let read = some.read_to_end(&mut piece).map(|_| piece);
                (file, read)
            });
            let read_bytes;
            (file, read_bytes) = read.await?;
            let piece = read_bytes
                .map_err(|source| TransferError::File { path: file.path().to_owned(), source })?;
            if piece.is_empty() {
                return Ok(file);
            }
            let bytes = piece.len() as u64;
            sending.send(piece.into()).await?;
            progress(bytes);
        }
    }

    /// Adds bytes of any number from a stream, such as a pipe. `progress` is called with the bytes
    /// sent since the last call.
    ///
    /// # Errors
    ///
    /// As for [`Self::add_file`].
    pub async fn add_reader(
        &self,
        mut reader: impl AsyncRead + Unpin,
        progress: impl Fn(u64),
    ) -> Result<BlobRef, TransferError> {
        let mut sending = self.begin(BlobContent::File, None).await?;
        let sent = send_all(&mut reader, &mut sending, progress).await;
        sending.or_give_up(sent).await?;
        let StoredBlob { hash, size } = sending.finish().await?;
        Ok(BlobRef::file(hash, size, false))
    }

    /// Adds bytes that are in memory.
    pub(crate) async fn add_bytes(
        &self,
        content: BlobContent,
        bytes: Bytes,
    ) -> Result<StoredBlob, ClientError> {
        let mut sending = self.begin(content, Some(bytes.len() as u64)).await?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = sending.send(rest.split_to(rest.len().min(limits::PIECE_BYTES))).await;
            sending.or_give_up(sent).await?;
        }
        sending.finish().await
    }

    /// Checks that the node has space for so many bytes.
    pub(super) async fn require_space(&self, bytes: u64) -> Result<(), ClientError> {
        let probe = self.begin_upload(BlobContent::File, Some(bytes)).await?;
        probe.give_up().await;
        Ok(())
    }

    /// Begins a blob. A small one is sent by one request, without an upload.
    async fn begin(
        &self,
        content: BlobContent,
        size: Option<u64>,
    ) -> Result<Sending<'_>, ClientError> {
        if size.is_some_and(|size| size <= limits::SMALL_BLOB_BYTES as u64) {
            return Ok(Sending { blobs: self, content, state: State::Small(BytesMut::new()) });
        }
        self.begin_upload(content, size).await
    }

    async fn begin_upload(
        &self,
        content: BlobContent,
        size: Option<u64>,
    ) -> Result<Sending<'_>, ClientError> {
        let request = UploadRequest { content: content.clone(), size, hash: None };
        let call = Call::new(Method::POST, "/v1/uploads").with_body(&request)?;
        let UploadView { id, offset } = self.persist(&call).await.map_err(explain_older)?;
        Ok(Sending { blobs: self, content, state: State::Upload { id, offset } })
    }

    /// Repeats a request that may be repeated.
    async fn persist<T: serde::de::DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        let mut tries = Tries::new(self.busy.as_ref());
        loop {
            match self.client.json(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => tries.rest(error).await?,
            }
        }
    }
}

/// The end of a file that was sent.
pub(super) enum Sent {
    /// The node has stored it.
    Stored(SteadyFile, StoredBlob),
    /// It changed meanwhile, and was not stored.
    Changed(SteadyFile),
}

/// A blob on its way to the node.
struct Sending<'c> {
    blobs: &'c Blobs,
    content: BlobContent,
    state: State,
}

/// How a blob is sent.
enum State {
    /// All at once, at the end.
    Small(BytesMut),
    /// Piece by piece.
    Upload {
        id: String,
        /// Bytes that the node has.
        offset: u64,
    },
}

impl Sending<'_> {
    /// Sends the next bytes, and returns when the node has them.
    async fn send(&mut self, piece: Bytes) -> Result<(), ClientError> {
        let (id, offset) = match &mut self.state {
            State::Small(bytes) => {
                bytes.extend_from_slice(&piece);
                return Ok(());
            }
            State::Upload { id, offset } => (id, offset),
        };
        let (start, end) = (*offset, *offset + piece.len() as u64);
        let mut tries = Tries::new(self.blobs.busy.as_ref());
        loop {
            let sent = usize::try_from(*offset - start).unwrap_or(usize::MAX).min(piece.len());
            let call = Call::new(Method::PATCH, format!("/v1/uploads/{id}?offset={offset}"))
                .with_bytes(piece.slice(sent..));
            let answer = match self.blobs.client.json::<UploadView>(&call).await {
                Ok(answer) => answer,
                Err(error) => {
                    if *error.code() != ErrorCode::Conflict {
                        tries.rest(error).await?;
                    }
                    let call = Call::get(format!("/v1/uploads/{id}"));
                    self.blobs.persist(&call).await?
                }
            };
            if answer.offset < *offset || answer.offset > end {
                let what = format!("an upload of {offset} bytes has {}", answer.offset);
                return Err(ClientError::Protocol { what });
            }
            if answer.offset > *offset {
                tries.progress();
            }
            *offset = answer.offset;
            if *offset == end {
                return Ok(());
            }
        }
    }

    /// Ends the blob, and returns when the node has stored it.
    async fn finish(self) -> Result<StoredBlob, ClientError> {
        let call = match self.state {
            State::Small(bytes) => {
                let path = format!("/v1/blobs?content={}", self.content);
                // Repeated, it stores the same blob.
                Call::new(Method::POST, path).with_bytes(bytes.freeze())
            }
            State::Upload { id, .. } => Call::new(Method::POST, format!("/v1/uploads/{id}/finish")),
        };
        let call = call.repeatable().within(limits::BLOB_TIMEOUT);
        self.blobs.persist(&call).await.map_err(explain_older)
    }

    /// Removes what was sent if something failed, so that its space is free at once.
    async fn or_give_up<T, E>(&self, done: Result<T, E>) -> Result<T, E> {
        if done.is_err() {
            self.give_up().await;
        }
        done
    }

    /// Removes what was sent.
    async fn give_up(&self) {
        if let State::Upload { id, .. } = &self.state {
            let call = Call::new(Method::DELETE, format!("/v1/uploads/{id}"));
            // If the request fails, the node ends the upload a little later.
            self.blobs.client.json::<UploadView>(&call).await.ok();
        }
    }
}

/// Sends all bytes of a stream.
async fn send_all(
    reader: &mut (impl AsyncRead + Unpin),
    sending: &mut Sending<'_>,
    progress: impl Fn(u64),
) -> Result<(), TransferError> {
    loop {
        let (piece, is_last) = collect(reader).await.map_err(TransferError::Source)?;
        let bytes = piece.len() as u64;
        // An empty piece tells the node that the upload goes on.
        sending.send(piece).await?;
        progress(bytes);
        if is_last {
            return Ok(());
        }
    }
}

/// Reads a piece: as much as fits or comes in time. Also returns whether it is the last one.
async fn collect(reader: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(Bytes, bool)> {
    let mut piece = BytesMut::new();
    let end = Instant::now() + limits::PIECE_EVERY;
    while piece.len() < limits::PIECE_BYTES {
        let left = limits::PIECE_BYTES - piece.len();
        let mut room = (&mut piece).limit(left);
        match timeout_at(end, reader.read_buf(&mut room)).await {
            Ok(Ok(0)) => return Ok((piece.freeze(), true)),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => break,
        }
    }
    Ok((piece.freeze(), false))
}
