//! Decides about dials: which peers to connect to, when to dial each, and on whose word.
//!
//! The loop itself dials, with the swarm. The files in their order: `seeker`, `bounds`, `ranks`,
//! `errors`, `state` (the [`Dialer`]), and its methods in `lookups`, `requests`, `events`,
//! `targets`, `named`, `for_blobs`.

mod bounds;
mod errors;
mod events;
mod for_blobs;
mod lookups;
mod named;
mod ranks;
mod requests;
mod seeker;
mod state;
mod targets;

pub(crate) use self::{bounds::Bounds, named::Named, ranks::Ranks, state::Dialer};
#[cfg(test)]
pub(crate) use self::{ranks::Rank, targets::Attempt};
