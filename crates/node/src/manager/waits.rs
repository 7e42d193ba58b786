//! Why the node's own tasks wait.

use meshwork_core::engine::view::Waits;

use super::NetworkManager;
use crate::error::NetworkError;

impl NetworkManager {
    /// Why own tasks wait: for each reason how many, that of the longest wait first.
    ///
    /// # Errors
    ///
    /// The node has stopped.
    pub async fn waits(&self) -> Result<Vec<Waits>, NetworkError> {
        self.ask(|engine, now| engine.read(now).waits()).await
    }
}
