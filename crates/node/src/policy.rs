//! What the user of this node decided about other nodes.

use std::collections::HashSet;

use meshwork_core::{AcceptPolicy, PeerId};

/// What is in force now. The one writer is `manager::trust`, which holds the lock over the home's
/// files as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Peers whose work counts as listed, and where own work may be placed.
    pub(crate) trusted: HashSet<PeerId>,
    /// Whose work runs here: the rules of the configuration, and of `config.toml` for other families.
    pub(crate) accept: AcceptPolicy,
}
