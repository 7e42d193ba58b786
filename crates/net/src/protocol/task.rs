//! The task protocol: frames between an owner and a worker, in a session of their own.
//!
//! The files in their order: `kind`, `names`, `encode`, `decode` (messages), `session` (one session),
//! `sessions` (all of them).

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod kind;
pub(crate) mod names;
pub mod session;
pub(crate) mod sessions;
