//! The four protocols as handles: what a program can ask of each. All are views of the same node, as
//! cheap to clone as [`NetworkManager`](crate::NetworkManager) itself.

mod discovery;
mod health;
mod resource;
pub(crate) mod task;

pub use self::{
    discovery::DiscoveryProtocol, health::HealthProtocol, resource::ResourceProtocol,
    task::TaskProtocol,
};
