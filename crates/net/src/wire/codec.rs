//! Framing: each message follows its length in bytes, an unsigned varint.
//!
//! The length is compared with its limit before memory is allocated, and memory grows with the
//! bytes that have arrived, not with the announced length (S-08).

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use prost::encoding::encode_varint;

use crate::{limits, wire::error::WireError};

#[cfg(test)]
mod tests;

/// Bytes of the longest varint.
const LONGEST_PREFIX: usize = 10;

/// Cuts the bytes of a stream into messages.
///
/// Read into [`Self::space`], report the number of bytes with [`Self::advance`], and call
/// [`Self::next`] until it returns `None`.
#[derive(Debug)]
pub(crate) struct Decoder {
    limit: usize,
    /// Buffer in which short messages are decoded in place.
    block: Box<[u8]>,
    /// The bytes `start..end` of the block are not decoded yet.
    start: usize,
    end: usize,
    /// The arriving message that does not fit into the block.
    large: Option<Large>,
}

/// A message that arrives in a separate buffer.
#[derive(Debug)]
struct Large {
    bytes: Vec<u8>,
    filled: usize,
    length: usize,
}

/// One complete message.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// A message in the decoder's block, which the next read overwrites.
    Block(&'a [u8]),
    /// A message in a separate buffer.
    Own(Bytes),
}

impl Message<'_> {
    /// The message's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Block(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    /// Keeps a `part` of this message's bytes.
    ///
    /// Shares a separate buffer if `part` is more than half of it. Otherwise copies, because a peer
    /// could make small parts keep large buffers alive.
    pub(crate) fn keep(&self, part: &[u8]) -> Bytes {
        match self {
            Self::Own(bytes) if part.len() > bytes.len() / 2 => bytes.slice_ref(part),
            Self::Own(_) | Self::Block(_) => Bytes::copy_from_slice(part),
        }
    }
}

impl Decoder {
    /// A decoder for messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            block: vec![0; limits::READ_BLOCK].into_boxed_slice(),
            start: 0,
            end: 0,
            large: None,
        }
    }

    /// The buffer to read into; empty if [`Self::next`] must be called first.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if let Some(large) = &mut self.large {
            return large.space();
        }
        if self.start > 0 {
            self.block.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.block.get_mut(self.end..).unwrap_or_default()
    }

    /// Adds `count` bytes that were read into [`Self::space`].
    pub(crate) fn advance(&mut self, count: usize) {
        match &mut self.large {
            Some(large) => large.filled = (large.filled + count).min(large.bytes.len()),
            None => self.end = (self.end + count).min(self.block.len()),
        }
    }

    /// Whether an incomplete message has arrived.
    pub(crate) fn is_partial(&self) -> bool {
        self.large.is_some() || self.start < self.end
    }

    /// The next complete message; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// The length is malformed, zero, or above the limit. The rest of the stream is unusable.
    pub(crate) fn next(&mut self) -> Result<Option<Message<'_>>, WireError> {
        if let Some(large) = self.large.take_if(|large| large.filled == large.length) {
            return Ok(Some(Message::Own(large.bytes.into())));
        }
        if self.large.is_some() {
            return Ok(None);
        }
        let arrived = self.block.get(self.start..self.end).unwrap_or_default();
        let Some(Prefix { length, size }) = prefix(arrived, self.limit)? else { return Ok(None) };
        let arrived = arrived.get(size..).unwrap_or_default();
        if size + length > self.block.len() {
            // Such messages are rare, and the copied part is small.
            self.large = Some(Large::begin(arrived, length));
            (self.start, self.end) = (0, 0);
            return Ok(None);
        }
        Ok(arrived.get(..length).map(|message| {
            self.start += size + length;
            Message::Block(message)
        }))
    }
}

impl Large {
    fn begin(arrived: &[u8], length: usize) -> Self {
        Self { bytes: arrived.to_vec(), filled: arrived.len(), length }
    }

    fn space(&mut self) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            let grown = (2 * self.filled).max(limits::READ_BLOCK).min(self.length);
            self.bytes.resize(grown, 0);
        }
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }
}

/// The length prefix of a message.
struct Prefix {
    /// Bytes of the message.
    length: usize,
    /// Bytes of the prefix itself.
    size: usize,
}

/// The prefix at the front of `bytes`; `None` if it is incomplete.
fn prefix(bytes: &[u8], limit: usize) -> Result<Option<Prefix>, WireError> {
    let mut length = 0u64;
    for (at, &byte) in bytes.iter().take(LONGEST_PREFIX).enumerate() {
        // The tenth byte has room for one bit.
        if at == LONGEST_PREFIX - 1 && byte > 1 {
            return Err(WireError::Length);
        }
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte == 0 && at > 0 {
            return Err(WireError::Length);
        }
        // Further bytes can only increase the length.
        let fits = usize::try_from(length).ok().filter(|length| *length <= limit);
        let Some(fits) = fits else { return Err(WireError::TooLarge { length, limit }) };
        if byte < 0x80 {
            return if fits == 0 {
                Err(WireError::Empty)
            } else {
                Ok(Some(Prefix { length: fits, size: at + 1 }))
            };
        }
    }
    if bytes.len() >= LONGEST_PREFIX { Err(WireError::Length) } else { Ok(None) }
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The stream failed, or ended within the message.
    #[error("the stream failed: {0}")]
    Io(#[from] io::Error),
    /// The stream ended before the message.
    #[error("the peer closed the stream")]
    Closed,
    /// The message took too long from its first byte to its last.
    #[error("a message was not complete within {0:?}")]
    Slow(Duration),
    /// The bytes are not a valid message.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl ReadError {
    /// Whether the same exchange may succeed on another stream.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Io(_) | Self::Closed | Self::Slow(_) => true,
            Self::Wire(error) => error.is_retryable(),
        }
    }
}

/// Reads one message of at most `limit` bytes, and no byte after it. The caller sets the deadline.
pub(crate) async fn read_message<R>(stream: &mut R, limit: usize) -> Result<Vec<u8>, ReadError>
where
    R: AsyncRead + Unpin,
{
    let first = read_byte(stream).await?.ok_or(ReadError::Closed)?;
    read_rest(stream, first, limit).await
}

/// Like [`read_message`], but waits without a deadline for the first byte; the rest must follow
/// within `time`.
pub(crate) async fn read_next<R>(
    stream: &mut R,
    limit: usize,
    time: Duration,
) -> Result<Vec<u8>, ReadError>
where
    R: AsyncRead + Unpin,
{
    let first = read_byte(stream).await?.ok_or(ReadError::Closed)?;
    let rest = read_rest(stream, first, limit);
    tokio::time::timeout(time, rest).await.map_err(|_| ReadError::Slow(time))?
}

/// Like [`read_next`], but the first byte must arrive within `first`, and memory for the whole
/// message is allocated at once: for messages that this node has asked for, with a small `limit`.
pub(crate) async fn read_expected<R>(
    stream: &mut R,
    limit: usize,
    (first, rest): (Duration, Duration),
) -> Result<Vec<u8>, ReadError>
where
    R: AsyncRead + Unpin,
{
    let byte = tokio::time::timeout(first, read_byte(stream));
    let byte = byte.await.map_err(|_| ReadError::Slow(first))??.ok_or(ReadError::Closed)?;
    let message = async {
        let length = read_length(stream, byte, limit).await?;
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    tokio::time::timeout(rest, message).await.map_err(|_| ReadError::Slow(rest))?
}

async fn read_byte<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let count = stream.read(&mut byte).await?;
    let [byte] = byte;
    Ok((count > 0).then_some(byte))
}

async fn read_rest<R>(stream: &mut R, first: u8, limit: usize) -> Result<Vec<u8>, ReadError>
where
    R: AsyncRead + Unpin,
{
    let length = read_length(stream, first, limit).await?;
    let mut message = Vec::new();
    // Grows with the bytes that arrive.
    stream.take(length as u64).read_to_end(&mut message).await?;
    if message.len() < length { Err(unexpected_end()) } else { Ok(message) }
}

/// Reads the rest of a length prefix.
async fn read_length<R>(stream: &mut R, first: u8, limit: usize) -> Result<usize, ReadError>
where
    R: AsyncRead + Unpin,
{
    let mut head = Vec::with_capacity(LONGEST_PREFIX);
    head.push(first);
    loop {
        if let Some(Prefix { length, .. }) = prefix(&head, limit)? {
            return Ok(length);
        }
        head.push(read_byte(stream).await?.ok_or_else(unexpected_end)?);
    }
}

/// Writes one message with its length, and flushes.
pub(crate) async fn write_message<W>(stream: &mut W, message: &[u8]) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let mut framed = Vec::with_capacity(LONGEST_PREFIX + message.len());
    encode_varint(message.len() as u64, &mut framed);
    framed.extend_from_slice(message);
    stream.write_all(&framed).await?;
    stream.flush().await
}

fn unexpected_end() -> ReadError {
    io::Error::from(io::ErrorKind::UnexpectedEof).into()
}
