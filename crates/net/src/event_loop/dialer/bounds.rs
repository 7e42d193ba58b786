//! What a decision about a dial looks at, beside the peers: bounds that the swarm keeps, and where
//! peers may be.

use crate::{
    behaviour::{budget::Budget, gate, places},
    lan::Lan,
    protocol::discovery::lead::Leads,
};

/// The bounds of dials at one moment.
pub(crate) struct Bounds<'a> {
    /// Free connections.
    pub(crate) places: &'a places::Behaviour,
    /// Peers that are blocked or expelled.
    pub(crate) gate: &'a gate::Behaviour,
    /// What may be dialled on the word of others (P-12).
    pub(crate) budget: &'a mut Budget,
    /// The private ranges that are this node's own.
    pub(crate) lan: &'a Lan,
    /// What others say about where peers are.
    pub(crate) leads: &'a Leads,
}
