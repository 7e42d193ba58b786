//! What all parts of the loop share: this node, and the table of its peers.
//!
//! Absent on purpose: what one part alone uses, which that part owns.

use super::{local::Local, peers::Peers};

/// This node and its peers. The loop owns both and lends them to the part that reacts.
pub(crate) struct Shared {
    pub(crate) local: Local,
    pub(crate) peers: Peers,
}
