//! The checks of the invariants. They read the world and never change it.

use std::collections::BTreeSet;

use meshwork_core::Time;

use crate::{
    blobs::Blobs, callers::Callers, history::History, nodes::Nodes, scenario::Scenario,
    wires::Wires,
};

mod blobs;
mod ends;
mod groups;
mod outcome;
mod placement;
pub(crate) mod probes;
mod refusals;
mod storage;
mod tables;

/// What the checks read.
#[derive(Clone, Copy)]
pub(crate) struct Checks<'w> {
    pub(crate) now: Time,
    pub(crate) scenario: &'w Scenario,
    pub(crate) nodes: &'w Nodes,
    pub(crate) wires: &'w Wires,
    pub(crate) callers: &'w Callers,
    pub(crate) history: &'w History,
    pub(crate) blobs: &'w Blobs,
    /// Pairs of nodes of which the first has ever distrusted the second.
    pub(crate) distrusted: &'w BTreeSet<(usize, usize)>,
    /// The user's policies may change nodes and tasks.
    pub(crate) has_own_policies: bool,
}
