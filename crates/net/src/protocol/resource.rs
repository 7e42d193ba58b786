//! The resource protocol: what a machine has and uses.
//!
//! Absent on purpose: its links and questions, which [`links`](super::links) has.

pub(crate) mod reports;
pub(crate) mod wire;
