//! Bounds of this crate, with their reasons (I4).

/// Bytes that one hash of an outboard covers: sixty-four chunks of BLAKE3. Outboards take a
/// thousandth of the blob, and a reader has at most this much unverified data.
pub const GROUP_BYTES: usize = 64 * 1024;
/// Groups of the largest piece, which travels and is written as one: 512 KiB. A receiver that
/// verifies one piece while the next one arrives has at most 1 MiB of unverified bytes. The hashes
/// on the way from the root are a thousandth of a piece.
pub const PIECE_GROUPS: u64 = 8;
/// Bytes that a copy moves at a time: large enough that system calls cost nothing.
pub const COPY_BYTES: usize = 256 * 1024;
/// Bytes of an outboard that are collected before they are written: those of 64 MiB.
pub const OUTBOARD_BUFFER: usize = 64 * 1024;
/// Blobs that are synced one by one when they are published together. For more, one barrier for the
/// whole file system is faster.
pub const SYNC_EACH: usize = 4;
