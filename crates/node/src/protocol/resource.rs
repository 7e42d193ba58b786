//! What machines have and use.

use meshwork_core::{PeerId, ResourceUsage};

use crate::{NetworkError, NetworkManager};

/// What a node can be asked about machines. From
/// [`NetworkManager::resource_protocol`](crate::NetworkManager::resource_protocol).
#[derive(Clone, Debug)]
pub struct ResourceProtocol {
    manager: NetworkManager,
}

impl ResourceProtocol {
    pub(crate) fn new(manager: NetworkManager) -> Self {
        Self { manager }
    }

    /// Measures this machine from now on, and tells peers: when something has changed, at most once
    /// in a second, and at least each 30 s.
    ///
    /// [`NetworkManager::start`](crate::NetworkManager::start) does this; to do it again does no
    /// harm.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn start_monitoring(&self) -> Result<(), NetworkError> {
        self.manager.start_monitoring().await
    }

    /// What a peer's machine has and uses: what it last said if that is not older than 30 s, else it
    /// is asked. For this node itself what it measures now.
    ///
    /// # Errors
    ///
    /// The peer is not known, not ready, refuses, or does not answer within the configured
    /// `protocol_timeout`; this machine cannot be measured.
    pub async fn get_peer_resources(&self, peer_id: PeerId) -> Result<ResourceUsage, NetworkError> {
        self.manager.peer_resources(peer_id).await
    }
}
