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
/// Entries of one folder. With the bounds on names, a plan of a folder takes at most 1.2 GiB, and
/// about 40 MiB for a million usual names.
pub const FOLDER_ENTRIES: u64 = 4 * 1024 * 1024;

/// Bytes of an entry's path, relative to its folder: Linux resolves no longer path in one call, and
/// a folder has at most 2,048 levels.
pub const PATH_BYTES: usize = 4096;

/// Bytes of one name: the bound of the usual file systems.
pub const NAME_BYTES: usize = 255;

/// Bytes of a link's target: Linux makes no longer link.
pub const LINK_TARGET_BYTES: usize = 4095;

/// Bytes of the paths and targets of all links of a folder. Unpacking keeps them until the files are
/// made; a million links of 64 bytes fit.
pub const LINKS_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of a file that is held by its entry. Below it, a blob of its own costs more than the bytes.
pub const INLINE_FILE_BYTES: usize = 16 * 1024;

/// A part has at least so many bytes, except for the last one: bounds the number of parts.
pub const PART_MIN_BYTES: usize = 64 * 1024;

/// A part ends when it has so many bytes.
pub const PART_FULL_BYTES: usize = 1024 * 1024;

/// Bytes of one part at most: a full part and its last entry, with room. Bounds what a reader of
/// foreign parts holds in memory.
pub const PART_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of a root: 400,000 parts. A folder of four million files that are all held by their entries
/// takes about 4 MiB.
pub const ROOT_BYTES: usize = 16 * 1024 * 1024;

/// Directory descriptors that one walk keeps for the levels below the top. A deeper tree costs two
/// calls more for each level on its way back.
pub const OPEN_LEVELS: usize = 16;

/// Names of subdirectories that removal remembers at a time for one directory.
pub const REMOVE_BATCH: usize = 256;

/// Names of subdirectories that removal remembers in all: about 2 MiB of usual names, 16 MiB at most.
/// When they are full, it remembers one for each further directory.
pub const REMOVE_PENDING: usize = 64 * 1024;

/// Longest step of a file system's clock. Two changes within one step have the same time, so a file
/// that changed just now is not read before the step is over.
pub const CLOCK_STEP: std::time::Duration = std::time::Duration::from_millis(20);
