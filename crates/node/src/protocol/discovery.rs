//! Discovery of peers.

use meshwork_core::{DiscoveryEvent, PeerInfo, PeerQuery, engine::PeerLoad};

use crate::{error::NetworkError, manager::NetworkManager, status};

/// Finds and announces peers. From
/// [`NetworkManager::discovery_protocol`](crate::NetworkManager::discovery_protocol).
#[derive(Clone, Debug)]
pub struct DiscoveryProtocol {
    manager: NetworkManager,
}

impl DiscoveryProtocol {
    pub(crate) fn new(manager: NetworkManager) -> Self {
        Self { manager }
    }

    /// Joins the network's DHT, publishes this node's capabilities, dials the peers in the peer
    /// book and the bootstrap addresses, and asks connected peers for others.
    ///
    /// [`NetworkManager::start`](crate::NetworkManager::start) calls this; further calls are
    /// harmless. mDNS, if it is on, runs independently.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn start_discovery(&self) -> Result<(), NetworkError> {
        self.discover(DiscoveryEvent::StartDHT).await?;
        self.discover(DiscoveryEvent::Bootstrap).await
    }

    /// Returns the matching peers, the best first: ready ones, then near ones, then leads.
    ///
    /// Answers at once if the node knows as many peers as the query asks for, or if it sent the
    /// same query to the network a moment ago. Otherwise it asks other peers, and for a capability
    /// the DHT, which takes up to the configured `protocol_timeout`.
    ///
    /// # Errors
    ///
    /// A field of the query is out of range, too many queries are under way, or the node is not
    /// running.
    pub async fn find_peers(&self, query: PeerQuery) -> Result<Vec<PeerInfo>, NetworkError> {
        let node = self.manager.node();
        query.check().map_err(|error| node.noted(error.into()))?;
        let found = node.net()?.find_peers(query).await;
        let found = found.map_err(|error| node.noted(error.into()))?;
        let policy = node.policies.now();
        let info = |peer| status::peer_info(peer, &policy, PeerLoad::default(), &node.clock);
        Ok(found.iter().map(info).collect())
    }

    /// Announces a peer. If `peer_info` is about this node, sends the node's advert to peers again,
    /// from its own configuration. If it is about another node, keeps that node's addresses, dials
    /// them once where that is allowed, and passes them on to no peer.
    ///
    /// # Errors
    ///
    /// No address of the other node can be dialled, or this node is not running.
    pub async fn announce_peer(&self, peer_info: PeerInfo) -> Result<(), NetworkError> {
        self.discover(DiscoveryEvent::AnnouncePeer(Box::new(peer_info))).await
    }

    async fn discover(&self, event: DiscoveryEvent) -> Result<(), NetworkError> {
        let node = self.manager.node();
        let done = node.net()?.discovery(event).await;
        done.map_err(|error| node.noted(error.into()))
    }
}
