//! Peers as callers see them.

use std::collections::HashMap;

use meshwork_core::{PeerId, PeerInfo, PeerQuery, engine::PeerLoad};
use meshwork_net::PeerStatus;

use super::NetworkManager;
use crate::{error::NetworkError, status};

impl NetworkManager {
    /// All peers that are known, or that are trusted, blocked or named.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn get_peers(&self) -> Result<Vec<PeerInfo>, NetworkError> {
        let peers: Vec<PeerId> = self.net()?.peers().iter().map(|status| status.peer).collect();
        let loads: HashMap<PeerId, PeerLoad> = self
            .ask(move |engine, _| peers.iter().map(|peer| (*peer, engine.load(peer))).collect())
            .await?;
        self.peers(|peer| loads.get(peer).copied().unwrap_or_default())
    }

    /// The same peers, at once: without the work that this node has with them and their reputation,
    /// which are 0.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn known_peers(&self) -> Result<Vec<PeerInfo>, NetworkError> {
        self.peers(|_| PeerLoad::default())
    }

    /// What each peer that has a name is called, and this node.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub fn peer_names(&self) -> Result<HashMap<PeerId, String>, NetworkError> {
        let own = (self.local_peer_id(), self.name().to_owned());
        let named = |info: PeerInfo| Some((info.peer_id, info.name()?.to_owned()));
        Ok(self.known_peers()?.into_iter().filter_map(named).chain([own]).collect())
    }

    /// Finds peers; see [`DiscoveryProtocol::find_peers`](crate::DiscoveryProtocol::find_peers).
    pub(crate) async fn find_peers(&self, query: PeerQuery) -> Result<Vec<PeerInfo>, NetworkError> {
        query.check().map_err(|error| self.noted(error.into()))?;
        let found = self.net()?.find_peers(query).await;
        let found = found.map_err(|error| self.noted(error.into()))?;
        let policy = self.inner.policies.now();
        let seen =
            |found| status::peer_info(found, &policy, PeerLoad::default(), &self.inner.clock);
        Ok(found.iter().map(seen).collect())
    }

    fn peers(&self, load: impl Fn(&PeerId) -> PeerLoad) -> Result<Vec<PeerInfo>, NetworkError> {
        let statuses = self.net()?.peers();
        let policy = self.inner.policies.now();
        let seen = |status: &PeerStatus| {
            status::peer_info(status, &policy, load(&status.peer), &self.inner.clock)
        };
        let known = statuses.iter().map(|status| status.peer).collect();
        Ok(statuses.iter().map(seen).chain(status::absent(&policy, &known)).collect())
    }

    /// What is known of a peer.
    pub(super) fn known(&self, peer: PeerId) -> Result<PeerStatus, NetworkError> {
        let peers = self.net()?.peers();
        let known = peers.iter().find(|status| status.peer == peer).cloned();
        known.ok_or_else(|| self.noted(NetworkError::PeerNotFound(peer)))
    }
}
