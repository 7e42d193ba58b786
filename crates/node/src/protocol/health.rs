//! The health of nodes.

use meshwork_core::{HealthEvent, HealthStatus};

use crate::{error::NetworkError, manager::NetworkManager, probes::Probe};

/// Checks and reports this node's health. From
/// [`NetworkManager::health_protocol`](crate::NetworkManager::health_protocol).
#[derive(Clone, Debug)]
pub struct HealthProtocol {
    manager: NetworkManager,
}

impl HealthProtocol {
    pub(crate) fn new(manager: NetworkManager) -> Self {
        Self { manager }
    }

    /// Starts to check this node's health every 15 s, and to report changes to peers.
    ///
    /// [`NetworkManager::start`](crate::NetworkManager::start) calls this; further calls are
    /// harmless.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn start_health_checks(&self) -> Result<(), NetworkError> {
        self.manager.node().probe(Probe::Watch).await
    }

    /// Checks this node's health now.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn check_health(&self) -> Result<HealthStatus, NetworkError> {
        self.manager.check_health().await
    }

    /// Reports a status of this node to peers, until the node's own checks find another one.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn report_health(&self, status: HealthStatus) -> Result<(), NetworkError> {
        let event = HealthEvent::ReportHealth(status.clamped());
        self.manager.node().probe(Probe::Health { event, reply: None }).await
    }
}
