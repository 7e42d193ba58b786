//! Links with peers: streams that stay open, for resources, health and echoes.
//!
//! Each side opens a link when it first has something to say, and answers on the link on which it
//! was asked. The files in their order: `link` (one stream), `peer` (the links with one peer), `state`
//! (the [`Links`]), and its methods in `hearing` and `saying`. Absent on purpose: which reports are
//! believed (`resource`, `health`), and when peers are asked for a sign of life (`health`).

mod hearing;
pub(crate) mod link;
mod peer;
mod saying;
mod state;

pub(crate) use self::state::{Links, OnLink};
