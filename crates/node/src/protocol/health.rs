//! How nodes are.

use meshwork_core::{HealthEvent, HealthStatus};

use crate::{error::NetworkError, manager::NetworkManager, probes::Probe};

/// What a node can be asked about its health. From
/// [`NetworkManager::health_protocol`](crate::NetworkManager::health_protocol).
#[derive(Clone, Debug)]
pub struct HealthProtocol {
    manager: NetworkManager,
}

impl HealthProtocol {
    pub(crate) fn new(manager: NetworkManager) -> Self {
        Self { manager }
    }

    /// Looks how this node is each minute from now on, and tells peers when that has changed.
    ///
    /// [`NetworkManager::start`](crate::NetworkManager::start) does this; to do it again does no
    /// harm.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn start_health_checks(&self) -> Result<(), NetworkError> {
        self.manager.node().probe(Probe::Watch).await
    }

    /// Looks how this node is.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn check_health(&self) -> Result<HealthStatus, NetworkError> {
        self.manager.check_health().await
    }

    /// Tells peers that this node is so, until its own checks find otherwise.
    ///
    /// # Errors
    ///
    /// The node is not running.
    pub async fn report_health(&self, status: HealthStatus) -> Result<(), NetworkError> {
        let event = HealthEvent::ReportHealth(status.clamped());
        self.manager.node().probe(Probe::Health { event, reply: None }).await
    }
}
