//! The health protocol: echoes, how a node is, and which peers are alive.
//!
//! Absent on purpose: its links and echoes under way, which [`links`](super::links) has.

pub(crate) mod liveness;
pub(crate) mod reports;
pub(crate) mod wire;
