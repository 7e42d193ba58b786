//! Who there is.

use meshwork_core::{DiscoveryEvent, PeerInfo, PeerQuery, engine::PeerLoad};

use crate::{error::NetworkError, manager::NetworkManager, status};

/// What a node can be asked about other nodes. From
/// [`NetworkManager::discovery_protocol`](crate::NetworkManager::discovery_protocol).
#[derive(Clone, Debug)]
pub struct DiscoveryProtocol {
    manager: NetworkManager,
}

impl DiscoveryProtocol {
    pub(crate) fn new(manager: NetworkManager) -> Self {
        Self { manager }
    }

    /// Joins the network's DHT, publishes what this node is capable of, connects to peers
    /// that were met before and to the bootstrap addresses, and asks those that are there for others.
    ///
    /// [`NetworkManager::start`](crate::NetworkManager::start) does this; to do it again does no
    /// harm. mDNS, where it is on, runs by itself.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn start_discovery(&self) -> Result<(), NetworkError> {
        self.discover(DiscoveryEvent::StartDHT).await?;
        self.discover(DiscoveryEvent::Bootstrap).await
    }

    /// The peers that match, the best first: ready ones, then near ones, then those that are only
    /// known by hearsay.
    ///
    /// Answered at once from what is known if that is as many as asked for, or if the network was
    /// asked the same a moment ago. Else other peers are asked, and for a capability the DHT; then
    /// this takes up to the configured `protocol_timeout`.
    ///
    /// # Errors
    ///
    /// The query is out of its bounds, too many are under way, or the node is not running.
    pub async fn find_peers(&self, query: PeerQuery) -> Result<Vec<PeerInfo>, NetworkError> {
        let node = self.manager.node();
        query.check().map_err(|error| node.noted(error.into()))?;
        let found = node.net()?.find_peers(query).await;
        let found = found.map_err(|error| node.noted(error.into()))?;
        let policy = node.policies.now();
        let seen = |found| status::peer_info(found, &policy, PeerLoad::default(), &node.clock);
        Ok(found.iter().map(seen).collect())
    }

    /// Tells others of this node anew, if `peer_info` is about itself; what it says is taken from
    /// the node's own configuration. About another node it is a hint: its addresses are kept, tried
    /// once where that is allowed, and told to nobody.
    ///
    /// # Errors
    ///
    /// None of the other node's addresses can be dialled, or this node is not running.
    pub async fn announce_peer(&self, peer_info: PeerInfo) -> Result<(), NetworkError> {
        self.discover(DiscoveryEvent::AnnouncePeer(Box::new(peer_info))).await
    }

    async fn discover(&self, event: DiscoveryEvent) -> Result<(), NetworkError> {
        let node = self.manager.node();
        let done = node.net()?.discovery(event).await;
        done.map_err(|error| node.noted(error.into()))
    }
}
