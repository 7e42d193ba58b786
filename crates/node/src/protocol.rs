//! The node's four protocols as handles: the questions that a program can ask of each. All are views
//! of the same node, as cheap to clone as [`NetworkManager`] itself.

mod discovery;
mod health;
mod resource;
mod task;

pub use self::{
    discovery::DiscoveryProtocol, health::HealthProtocol, resource::ResourceProtocol,
    task::TaskProtocol,
};
use crate::manager::NetworkManager;

impl NetworkManager {
    /// Sends tasks to workers, and results to owners.
    pub fn task_protocol(&self) -> TaskProtocol {
        TaskProtocol::new(self.clone())
    }

    /// Finds peers.
    pub fn discovery_protocol(&self) -> DiscoveryProtocol {
        DiscoveryProtocol::new(self.clone())
    }

    /// Measures this machine, and asks for the measurements of others.
    pub fn resource_protocol(&self) -> ResourceProtocol {
        ResourceProtocol::new(self.clone())
    }

    /// Measures and reports the health of this node.
    pub fn health_protocol(&self) -> HealthProtocol {
        HealthProtocol::new(self.clone())
    }
}
