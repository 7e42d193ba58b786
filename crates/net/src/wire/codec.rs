//! Framing: an unsigned varint that counts the bytes of the message after it.
//!
//! A length is checked against its limit before anything is allocated for it, and memory grows with
//! what has arrived, not with what was announced (S-08).

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use prost::encoding::encode_varint;

use crate::{limits, wire::error::WireError};

#[cfg(test)]
mod tests;

/// Bytes of the longest varint.
const LONGEST_PREFIX: usize = 10;

/// Cuts what a stream delivers into messages.
///
/// Fill [`Self::space`], say how much with [`Self::advance`], take out [`Self::next`] until there
/// is none.
#[derive(Debug)]
pub(crate) struct Decoder {
    limit: usize,
    /// Where short messages are read and decoded in place.
    block: Box<[u8]>,
    /// The part of the block that holds bytes not yet taken out.
    start: usize,
    end: usize,
    /// The message that does not fit into the block, while it arrives.
    large: Option<Large>,
}

/// A message on its way into a buffer of its own.
#[derive(Debug)]
struct Large {
    bytes: Vec<u8>,
    filled: usize,
    length: usize,
}

/// One complete message.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// In the decoder's block, which the next read overwrites.
    Block(&'a [u8]),
    /// In a buffer of its own.
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

    /// A `part` of this message's bytes, to be kept.
    ///
    /// Without a copy where it makes up most of a buffer of its own; else copied, since a small
    /// part would keep a large buffer alive, which a peer could arrange on purpose.
    pub(crate) fn keep(&self, part: &[u8]) -> Bytes {
        match self {
            Self::Own(bytes) if part.len() > bytes.len() / 2 => bytes.slice_ref(part),
            Self::Own(_) | Self::Block(_) => Bytes::copy_from_slice(part),
        }
    }
}

impl Decoder {
    /// For messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            block: vec![0; limits::READ_BLOCK].into_boxed_slice(),
            start: 0,
            end: 0,
            large: None,
        }
    }

    /// Where to read into; empty when [`Self::next`] has to be asked first.
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

    /// So many bytes were read into [`Self::space`].
    pub(crate) fn advance(&mut self, count: usize) {
        match &mut self.large {
            Some(large) => large.filled = (large.filled + count).min(large.bytes.len()),
            None => self.end = (self.end + count).min(self.block.len()),
        }
    }

    /// Whether part of a message has arrived.
    pub(crate) fn is_partial(&self) -> bool {
        self.large.is_some() || self.start < self.end
    }

    /// The next complete message, if there is one.
    ///
    /// # Errors
    ///
    /// The length is malformed, zero, or above the limit. The stream cannot be read on.
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
            // Messages that long are rare, and then the copy is small beside them.
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

/// What stands before a message.
struct Prefix {
    /// Bytes of the message.
    length: usize,
    /// Bytes of the prefix itself.
    size: usize,
}

/// The prefix at the front of `bytes`; none if it is not complete.
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
        // Further bytes can only make it larger.
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
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
    /// The stream ended before the message.
    #[error("the stream was closed")]
    Closed,
    /// The message took too long from its first byte to its last.
    #[error("a message was not complete within {0:?}")]
    Slow(Duration),
    /// What arrived is not a message.
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

/// Reads one message of at most `limit` bytes, and nothing behind it. The deadline is the caller's.
pub(crate) async fn read_message<R>(stream: &mut R, limit: usize) -> Result<Vec<u8>, ReadError>
where
    R: AsyncRead + Unpin,
{
    let first = read_byte(stream).await?.ok_or(ReadError::Closed)?;
    read_rest(stream, first, limit).await
}

/// As [`read_message`], on a stream that may rest between messages: `time` begins with the first
/// byte of one.
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
    let mut head = Vec::with_capacity(LONGEST_PREFIX);
    head.push(first);
    let Prefix { length, .. } = loop {
        if let Some(prefix) = prefix(&head, limit)? {
            break prefix;
        }
        head.push(read_byte(stream).await?.ok_or_else(unexpected_end)?);
    };
    let mut message = Vec::new();
    // Grows with what arrives.
    stream.take(length as u64).read_to_end(&mut message).await?;
    if message.len() < length { Err(unexpected_end()) } else { Ok(message) }
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
