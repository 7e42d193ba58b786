//! The task protocol: frames between an owner and a worker, in one session per direction of work.
//!
//! The files in reading order: `kind`, `names`, `encode`, `decode` (messages), `session` (one
//! session), `sessions` (all sessions).

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod kind;
pub(crate) mod names;
pub mod session;
pub(crate) mod sessions;
