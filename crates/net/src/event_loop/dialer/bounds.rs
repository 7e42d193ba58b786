//! The bounds within which a dial may begin, as the swarm and the listeners keep them.

use crate::{
    behaviour::{budget::Budget, gate, places},
    lan::Lan,
};

/// What a decision about a dial has to look at.
pub(crate) struct Bounds<'a> {
    /// Free connections.
    pub(crate) places: &'a places::Behaviour,
    /// Peers that are blocked or expelled.
    pub(crate) gate: &'a gate::Behaviour,
    /// What may be dialled on the word of others (P-12).
    pub(crate) budget: &'a mut Budget,
    /// The private ranges that are this node's own.
    pub(crate) lan: &'a Lan,
}
