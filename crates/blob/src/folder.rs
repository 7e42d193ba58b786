//! Folders as trees of blobs: the list of a folder, and the ways from a directory to it and back.
//!
//! A *root* lists *parts*; a part lists entries in order and holds the bytes of small files. A larger
//! file is a blob of its own, which its entry names. The same folder gives the same hash, in whatever
//! order the disk lists it, and a change in one place changes few parts.
//!
//! | module | owns |
//! |---|---|
//! | `name` | which paths and link targets are allowed, and the order of paths |
//! | `root`, `part`, `cursor` | the bytes of roots and parts |
//! | `trail` | order and parents of entries that follow each other |
//! | `encode`, `decode` | a whole folder, part after part |
//!
//! Absent on purpose: where blobs are kept and how they travel.

mod cursor;
mod decode;
mod encode;
mod error;
mod name;
mod part;
mod root;
mod trail;

#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use encode::Encoder;
pub use error::{
    FileKind, FormatError, PackError, PathFault, PlanError, RemoveError, TargetFault, UnpackError,
};
pub use part::{Entry, FileRef, Node, files};
pub use root::{PartRef, Root, parts};
