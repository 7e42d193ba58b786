//! Files and folders by their BLAKE3 hash: hashing, the list of a folder, and the store that a node
//! keeps on disk.
//!
//! All functions here block on the disk: async callers use a thread for blocking work.
//!
//! Absent on purpose: which blobs are kept, for which owner, and how many bytes they may take
//! (`meshwork_core::engine`), and how blobs travel (`meshwork-net`).

mod content;
pub mod folder;
pub mod hasher;
pub mod limits;
mod new_file;
pub mod piece;
pub mod store;

pub use content::{Content, ContentError};
pub use new_file::NewFile;
pub use piece::Source;
pub use store::{Blob, Draft, Partial, PieceError, ReadError, Ready, Store, WriteError};
