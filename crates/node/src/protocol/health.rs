//! How nodes are.

use meshwork_core::HealthStatus;

use crate::{NetworkError, NetworkManager};

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
        self.manager.start_health_checks().await
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
        self.manager.report_health(status).await
    }
}
