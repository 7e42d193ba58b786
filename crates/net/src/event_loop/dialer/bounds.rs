//! The input of a decision about a dial, besides the peers: bounds that the swarm keeps, and
//! hearsay about addresses.

use crate::{
    behaviour::{budget::Budget, gate, places},
    lan::Lan,
    protocol::discovery::lead::Leads,
};

/// The bounds of dials at one moment.
pub(crate) struct Bounds<'a> {
    /// The bounds of connections.
    pub(crate) places: &'a places::Behaviour,
    /// The peers that are blocked or expelled.
    pub(crate) gate: &'a gate::Behaviour,
    /// The budget of dials on other peers' word (P-12).
    pub(crate) budget: &'a mut Budget,
    /// The private ranges of this node's own networks.
    pub(crate) lan: &'a Lan,
    /// The addresses of peers, by hearsay.
    pub(crate) leads: &'a Leads,
}
