//! Peers as callers see them.

use std::collections::HashMap;

use meshwork_core::{PeerId, PeerInfo, engine::PeerLoad};
use meshwork_net::PeerStatus;

use super::NetworkManager;
use crate::{driver::question::Question, error::NetworkError, node::Node, status};

impl NetworkManager {
    /// All peers that are known, trusted, blocked or named.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn get_peers(&self) -> Result<Vec<PeerInfo>, NetworkError> {
        let statuses = self.node.net()?.peers();
        let ids = statuses.iter().map(|status| status.peer).collect();
        let loads = self.node.ask(|answer| Question::Loads { peers: ids, answer }).await?;
        peers(&self.node, |peer| loads.get(peer).copied().unwrap_or_default())
    }

    /// The same peers, without waiting for the driver: their work with this node and their reputation
    /// are 0.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn known_peers(&self) -> Result<Vec<PeerInfo>, NetworkError> {
        peers(&self.node, |_| PeerLoad::default())
    }

    /// The names of this node and of all peers that have one.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn peer_names(&self) -> Result<HashMap<PeerId, String>, NetworkError> {
        let own = (self.local_peer_id(), self.name().to_owned());
        let named = |info: PeerInfo| Some((info.peer_id, info.name()?.to_owned()));
        Ok(self.known_peers()?.into_iter().filter_map(named).chain([own]).collect())
    }
}

fn peers(node: &Node, load: impl Fn(&PeerId) -> PeerLoad) -> Result<Vec<PeerInfo>, NetworkError> {
    let statuses = node.net()?.peers();
    let policy = node.policies.now();
    let info =
        |status: &PeerStatus| status::peer_info(status, &policy, load(&status.peer), &node.clock);
    let known_ids = statuses.iter().map(|status| status.peer).collect();
    Ok(statuses.iter().map(info).chain(status::absent(&policy, &known_ids)).collect())
}
