//! Files and folders by their BLAKE3 hash: hashing, the list of a folder, and the store that a node
//! keeps on disk.
//!
//! All functions here block on the disk: async callers use a thread for blocking work.
//!
//! Absent on purpose: which blobs are kept, for whom, and how many bytes they may take
//! (`meshwork_core::engine`), and how blobs travel (`meshwork-net`).

pub mod hasher;
pub mod limits;
pub mod store;

pub use store::{Blob, Draft, ReadError, Ready, Store, WriteError};
