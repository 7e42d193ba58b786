//! The state that all parts of the loop share: this node, and the table of its peers.
//!
//! Absent on purpose: state that one part alone uses. That part owns it.

use super::{local::Local, peers::Peers};

/// This node and its peers. The loop owns both and lends them to the part that reacts.
pub(crate) struct Shared {
    pub(crate) local: Local,
    pub(crate) peers: Peers,
}
