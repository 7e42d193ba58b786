//! Pieces: parts of a blob, each with the hashes that verify it against the hash of the whole.
//!
//! A blob consists of groups of [`GROUP_BYTES`], numbered from 0; an empty blob has one empty
//! group. A piece is a range of groups inside one block of [`PIECE_GROUPS`]. Its encoding is that of
//! BLAKE3's verified streaming: the pairs of hashes on the way from the root, in pre-order, and
//! between them the groups. The size of the blob and the range determine the length of the encoding.
//!
//! Absent on purpose: who may read a blob, and how pieces travel (`meshwork-net`).

use std::{
    fs::File,
    io::{self, ErrorKind},
    ops::Range,
};

use bao_tree::{
    BaoTree, BlockSize, ChunkNum, ChunkRanges,
    io::{
        EncodeError,
        outboard::PostOrderOutboard,
        sync::{Outboard, ReadAt, encode_ranges_validated},
    },
    iter::BaoChunk,
};
use meshwork_core::BlobHash;

use crate::{
    limits::{GROUP_BYTES, PIECE_GROUPS},
    store::{Blob, ReadError},
};

#[cfg(test)]
mod tests;

/// A range of groups.
pub type Groups = Range<u64>;

/// Number of groups of a blob with this size.
pub fn group_count(size: u64) -> u64 {
    size.div_ceil(GROUP_BYTES as u64).max(1)
}

/// Splits a range of groups into pieces.
pub fn pieces(groups: Groups) -> impl Iterator<Item = Groups> {
    let mut rest = groups;
    std::iter::from_fn(move || {
        let block_end = (rest.start / PIECE_GROUPS).saturating_add(1).saturating_mul(PIECE_GROUPS);
        let piece = rest.start..block_end.min(rest.end);
        rest.start = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Length in bytes of the encoding of a piece of a blob with this size.
pub fn encoded_len(size: u64, piece: &Groups) -> usize {
    let ranges = chunks(size, piece);
    let parts = tree(size).ranges_pre_order_chunks_iter_ref(&ranges, 0).map(|part| match part {
        BaoChunk::Parent { .. } => PAIR_BYTES,
        BaoChunk::Leaf { size, .. } => size,
    });
    parts.sum()
}

/// A blob of the store, open for sending pieces of it.
#[derive(Debug)]
pub struct Source {
    blob: Blob,
    /// `None` for a blob of one group.
    outboard: Option<File>,
}

impl Source {
    pub(crate) fn new(blob: Blob, outboard: Option<File>) -> Self {
        Self { blob, outboard }
    }

    /// The hash of the blob.
    pub fn hash(&self) -> BlobHash {
        self.blob.hash()
    }

    /// Size of the blob in bytes.
    pub fn size(&self) -> u64 {
        self.blob.size()
    }

    /// Appends the encoding of a piece to `out`. Verifies it: bytes that the disk has changed are
    /// never sent.
    ///
    /// # Errors
    ///
    /// The blob is damaged, or the disk failed; `out` may have a part of the encoding.
    pub fn encode(&self, piece: &Groups, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let (hash, size) = (self.hash(), self.size());
        let ranges = chunks(size, piece);
        let data = self.blob.file();
        let encoded = match &self.outboard {
            Some(file) => {
                encode_ranges_validated(data, outboard(&hash, size, file), &ranges, &mut *out)
            }
            None => encode_ranges_validated(data, outboard(&hash, size, NONE), &ranges, &mut *out),
        };
        encoded.map_err(|error| match error {
            EncodeError::Io(source) if source.kind() != ErrorKind::UnexpectedEof => {
                ReadError::at(self.blob.path())(source)
            }
            EncodeError::ParentHashMismatch(_)
            | EncodeError::LeafHashMismatch(_)
            | EncodeError::ParentWrite(_)
            | EncodeError::LeafWrite(_)
            | EncodeError::SizeMismatch
            | EncodeError::Io(_) => {
                ReadError::Damaged { hash, what: "its bytes have changed".to_owned() }
            }
        })
    }
}

/// Bytes of the hashes of two children.
pub(crate) const PAIR_BYTES: usize = 64;
/// Chunks of BLAKE3 in a group, as a power of two.
const GROUP_LOG: u8 = 6;
/// The outboard of a blob of one group.
pub(crate) const NONE: &[u8] = &[];

const _: () = assert!(GROUP_BYTES == 1_024 << GROUP_LOG);

/// The hash tree of a blob of this size.
pub(crate) fn tree(size: u64) -> BaoTree {
    BaoTree::new(size, BlockSize::from_chunk_log(GROUP_LOG))
}

/// The outboard of a blob, stored in `data`.
pub(crate) fn outboard<D: ReadAt>(hash: &BlobHash, size: u64, data: D) -> PostOrderOutboard<D> {
    PostOrderOutboard { root: (*hash.as_bytes()).into(), tree: tree(size), data }
}

/// The chunks of these groups of a blob of this size.
pub(crate) fn chunks(size: u64, groups: &Groups) -> ChunkRanges {
    let end = ChunkNum::chunks(size).0.max(1);
    let chunk = |group: u64| ChunkNum(group.saturating_mul(1 << GROUP_LOG).min(end));
    ChunkRanges::from(chunk(groups.start)..chunk(groups.end))
}

/// The groups of a range of chunks.
pub(crate) fn groups(chunks: Range<ChunkNum>) -> Groups {
    chunks.start.0 >> GROUP_LOG..chunks.end.0.div_ceil(1 << GROUP_LOG)
}

/// Whether `data` has the right bytes of these groups, according to an outboard that is not trusted
/// either.
pub(crate) fn is_right(data: &File, outboard: impl Outboard, size: u64, groups: &Groups) -> bool {
    encode_ranges_validated(data, outboard, &chunks(size, groups), io::sink()).is_ok()
}
