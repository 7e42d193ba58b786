//! The resources of machines.

use meshwork_core::{PeerId, ResourceUsage};

use crate::{
    error::{InternalError, NetworkError},
    limits,
    manager::NetworkManager,
    probes::Probe,
};

/// Measures and reports the resources of machines. From
/// [`NetworkManager::resource_protocol`](crate::NetworkManager::resource_protocol).
#[derive(Clone, Debug)]
pub struct ResourceProtocol {
    manager: NetworkManager,
}

impl ResourceProtocol {
    pub(crate) fn new(manager: NetworkManager) -> Self {
        Self { manager }
    }

    /// Starts to measure this machine, and to report changes to peers: at most once a second, and
    /// at least every 30 s.
    ///
    /// [`NetworkManager::start`](crate::NetworkManager::start) calls this; further calls are
    /// harmless.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn start_monitoring(&self) -> Result<(), NetworkError> {
        self.manager.node().probe(Probe::Monitor).await
    }

    /// Returns the resources of a peer's machine: its last report if that is at most 30 s old, else
    /// its answer to a request. For this node, measures the machine.
    ///
    /// # Errors
    ///
    /// The peer is unknown, is not ready, refuses, or does not answer within the configured
    /// `protocol_timeout`; or this machine cannot be measured.
    pub async fn get_peer_resources(&self, peer_id: PeerId) -> Result<ResourceUsage, NetworkError> {
        let node = self.manager.node();
        if peer_id == node.local_peer {
            let usage = node.running()?.monitor.current_usage().await;
            return usage.map_err(|error| node.noted(InternalError::from(error).into()));
        }
        let is_fresh = |usage: &ResourceUsage| {
            let age = meshwork_net::clock::time_of_day() - usage.measured_at;
            age.to_std().unwrap_or_default() <= limits::FRESH_RESOURCES
        };
        if let Some(usage) = node.peer_status(peer_id)?.resources.filter(is_fresh) {
            return Ok(usage);
        }
        let answer = node.net()?.peer_resources(peer_id).await;
        answer.map_err(|error| node.noted(NetworkError::of_ask(error, peer_id, "asking a peer")))
    }
}
