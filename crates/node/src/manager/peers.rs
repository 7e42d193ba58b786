//! Peers as callers see them.

use std::collections::HashMap;

use meshwork_core::{PeerId, PeerInfo, PeerState, engine::PeerLoad, peer::Stuck};
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
        peers(&self.node, |status| in_use(status, loads.get(&status.peer)))
    }

    /// The same peers, without waiting for the driver: their work with this node and their reputation
    /// are 0.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn known_peers(&self) -> Result<Vec<PeerInfo>, NetworkError> {
        peers(&self.node, |status| (status.clone(), PeerLoad::default()))
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

/// A peer as tasks are placed on it now. The network learns of a peer or an offer a moment before the
/// engine: a caller that saw it then would be told that there is no such handler.
fn in_use(status: &PeerStatus, load: Option<&PeerLoad>) -> (PeerStatus, PeerLoad) {
    let (mut status, load) = (status.clone(), load.cloned().unwrap_or_default());
    if status.state == PeerState::Ready {
        match &load.advert {
            Some(advert) => status.advert = Some(advert.clone()),
            None => status.state = PeerState::Admitted(Stuck::AwaitingAnswer),
        }
    }
    (status, load)
}

fn peers(
    node: &Node,
    look: impl Fn(&PeerStatus) -> (PeerStatus, PeerLoad),
) -> Result<Vec<PeerInfo>, NetworkError> {
    let statuses = node.net()?.peers();
    let policy = node.policies.now();
    let info = |status: &PeerStatus| {
        let (status, load) = look(status);
        status::peer_info(&status, &policy, load, &node.clock)
    };
    let known_ids = statuses.iter().map(|status| status.peer).collect();
    Ok(statuses.iter().map(info).chain(status::absent(&policy, &known_ids)).collect())
}
