//! What the user of this node decided about other nodes.

use std::collections::{BTreeMap, HashSet};

use meshwork_core::{AcceptPolicy, PeerId, PeerInfo};

/// What is in force now. The one writer is `manager::trust`, which holds the lock over the home's
/// files as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Peers whose work counts as listed, and where own work may be placed.
    pub(crate) trusted: HashSet<PeerId>,
    /// Peers that are not connected to.
    pub(crate) blocked: HashSet<PeerId>,
    /// What the user calls peers.
    pub(crate) names: BTreeMap<PeerId, String>,
    /// Whose work runs here: the rules of the configuration, and of `config.toml` for other families.
    pub(crate) accept: AcceptPolicy,
}

impl Policy {
    /// The same peer with what the user decided about it.
    pub(crate) fn mark(&self, info: PeerInfo) -> PeerInfo {
        PeerInfo {
            trusted: self.trusted.contains(&info.peer_id),
            blocked: self.blocked.contains(&info.peer_id),
            given_name: self.names.get(&info.peer_id).cloned(),
            ..info
        }
    }

    /// The peers of which the user decided something.
    pub(crate) fn peers(&self) -> HashSet<PeerId> {
        let named = self.names.keys();
        self.trusted.iter().chain(&self.blocked).chain(named).copied().collect()
    }
}
