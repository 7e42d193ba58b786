//! The health protocol: echoes, reports of a node's health, and detection of lost peers.
//!
//! Absent on purpose: the streams and pending echoes, see [`links`](super::links).

pub(crate) mod liveness;
pub(crate) mod reports;
pub(crate) mod wire;
