//! Links with peers: streams that stay open, for resources, health and echoes.
//!
//! Each side opens a link for its first frame, and answers a frame on the link on which it arrived.
//! The files in reading order: `link` (one stream), `peer` (the links with one peer), `state` (the
//! [`Links`]), and its methods in `hearing` and `saying`. Absent on purpose: which reports are
//! accepted (`resource`, `health`), and when a peer gets an echo (`health`).

mod hearing;
pub(crate) mod link;
mod peer;
mod saying;
mod state;

pub(crate) use self::state::{Links, OnLink};
