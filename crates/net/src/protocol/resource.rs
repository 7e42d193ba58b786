//! The resource protocol: reports of a machine's capacity and load.
//!
//! Absent on purpose: the streams and pending questions, see [`links`](super::links).

pub(crate) mod reports;
pub(crate) mod wire;
