//! Messages of the blob protocol.

use bytes::Bytes;
use meshwork_blob::piece::{Groups, encoded_len, group_count};
use meshwork_core::{BlobHash, Reason};
use prost::{
    Message as _,
    encoding::{encode_varint, encoded_len_varint},
};

use crate::{
    limits,
    wire::{
        error::WireError,
        fields::unknown_kind,
        generated::{self as proto, blob_reply::Kind},
    },
};

#[cfg(test)]
mod tests;

/// A request for groups of one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) hash: BlobHash,
    /// Bytes of the whole blob.
    pub(crate) size: u64,
    /// Ascending and apart, inside the blob; 1 to [`limits::BLOB_RANGES`].
    pub(crate) ranges: Vec<Groups>,
}

/// A part of the answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// The encoding of the next piece.
    Piece(Bytes),
    /// The end of the answer.
    Refused(Reason),
}

impl Request {
    /// The message's bytes, without the length prefix.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let range =
            |groups: &Groups| proto::GroupRange { first: groups.start, count: count(groups) };
        let message = proto::BlobRequest {
            hash: Bytes::copy_from_slice(self.hash.as_bytes()),
            size: self.size,
            ranges: self.ranges.iter().map(range).collect(),
        };
        message.encode_to_vec()
    }

    /// Decodes a request.
    ///
    /// # Errors
    ///
    /// The bytes are not a valid request.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, WireError> {
        let message = proto::BlobRequest::decode(message)?;
        let hash = <[u8; 32]>::try_from(&*message.hash);
        let hash = hash.map_err(|_| WireError::Malformed("a hash has 32 bytes"))?;
        if message.ranges.len() > limits::BLOB_RANGES {
            return Err(WireError::TooMany { what: "ranges", limit: limits::BLOB_RANGES });
        }
        let (mut ranges, mut last) = (Vec::with_capacity(message.ranges.len()), None);
        for proto::GroupRange { first, count } in message.ranges {
            let end = first.checked_add(count).filter(|end| *end <= group_count(message.size));
            let Some(end) = end.filter(|end| *end > first) else {
                return Err(WireError::Malformed("a range outside the blob"));
            };
            if last.is_some_and(|last| first <= last) {
                return Err(WireError::Malformed("ranges are ascending and apart"));
            }
            last = Some(end);
            ranges.push(first..end);
        }
        if ranges.is_empty() {
            return Err(WireError::Malformed("a request without a range"));
        }
        Ok(Self { hash: BlobHash::from_bytes(hash), size: message.size, ranges })
    }
}

fn count(groups: &Groups) -> u64 {
    groups.end.saturating_sub(groups.start)
}

impl Reply {
    /// The message's bytes, without the length prefix.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Piece(piece) => Kind::Piece(piece.clone()),
            Self::Refused(reason) => Kind::Refused(reason.into()),
        };
        proto::BlobReply { kind: Some(kind) }.encode_to_vec()
    }

    /// Decodes a reply. A piece shares the message's memory.
    ///
    /// # Errors
    ///
    /// The bytes are not a valid reply.
    pub(crate) fn decode(message: Bytes) -> Result<Self, WireError> {
        Ok(match proto::BlobReply::decode(message.clone())?.kind {
            Some(Kind::Piece(piece)) => Self::Piece(piece),
            Some(Kind::Refused(reason)) => Self::Refused(reason.into()),
            None => {
                let what =
                    format!("the answer to a blob request, kind {}", unknown_kind(&message)?);
                Self::Refused(Reason::Unsupported { what })
            }
        })
    }
}

/// Begins the framed message of a piece, whose encoding of `length` bytes follows.
pub(crate) fn begin_piece(out: &mut Vec<u8>, length: usize) {
    encode_varint(piece_message_len(length) as u64, out);
    out.push(PIECE_KEY);
    encode_varint(length as u64, out);
}

/// Bytes of the message with a piece of a blob of this size.
pub(crate) fn reply_len(size: u64, piece: &Groups) -> usize {
    piece_message_len(encoded_len(size, piece))
}

fn piece_message_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// Field 1, bytes.
const PIECE_KEY: u8 = 1 << 3 | 2;
