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
//! | `descent` | the current directory of a walk, by descriptors |
//! | `plan`, `pack`, `steady` | from a directory to blobs |
//! | `unpack`, `remove` | from blobs to a directory, and its removal |
//!
//! Nothing here recurses, and nothing holds a whole folder in memory: only its names, while it is
//! packed. Absent on purpose: where blobs are kept and how they travel. [`Pack`] and [`Unpack`] go
//! forward step by step, and their caller stores or fetches each blob.

mod cursor;
mod decode;
mod descent;
mod encode;
mod error;
mod name;
mod pack;
mod part;
mod plan;
mod remove;
mod root;
mod steady;
mod trail;
mod unpack;

#[cfg(test)]
mod tests;

pub use descent::Links;
pub use error::{
    FileKind, FormatError, PackError, PathFault, PlanError, RemoveError, TargetFault, UnpackError,
};
pub use pack::{Pack, PackStep};
pub use part::{FileRef, files};
pub use plan::{Plan, open_regular, single};
pub use remove::remove_dir;
pub use root::{PartRef, Root, parts};
pub use steady::SteadyFile;
pub use unpack::{Unpack, UnpackStep, WantedFile};
