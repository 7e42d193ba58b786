//! The messages between nodes, in the form that library users see. `meshwork-net` converts them to
//! and from its wire messages.

use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize};

use crate::{
    discovery::PeerQuery,
    health::HealthStatus,
    peer::PeerInfo,
    protocol::NetworkProtocol,
    resource::ResourceUsage,
    task::{Task, TaskId, TaskResult},
};

#[cfg(test)]
mod tests;

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NetworkMessage {
    /// An owner hands a task to workers.
    TaskDistribution {
        /// The task's id.
        task_id: TaskId,
        /// The task. A worker receives its handler, input, parameters, attempt limit and priority;
        /// the other fields stay with the owner, and have their defaults on the worker's side.
        task: Box<Task>,
        /// The peers that may run the task; empty: placement chooses among all.
        target_peers: Vec<PeerId>,
    },
    /// A worker hands a result to the task's owner.
    TaskResult {
        /// The task's id.
        task_id: TaskId,
        /// The task's result.
        result: TaskResult,
        /// The worker that ran the task.
        source_peer: PeerId,
    },
    /// A node shares the peers it knows, and may ask for more.
    PeerDiscovery {
        /// Peers that the sender knows. They are leads: the sender does not vouch for them.
        known_peers: Vec<PeerInfo>,
        /// The peers that the sender looks for, if any.
        query: Option<PeerQuery>,
    },
    /// A node reports its machine's resources.
    ResourceUpdate {
        /// The node whose resources these are; always the sender.
        peer_id: PeerId,
        /// The reported resources.
        resources: ResourceUsage,
    },
    /// A node reports its health.
    HealthCheck {
        /// The node whose health this is; always the sender.
        peer_id: PeerId,
        /// The reported status.
        status: HealthStatus,
    },
}

impl NetworkMessage {
    /// The protocol that carries it.
    pub fn protocol(&self) -> NetworkProtocol {
        match self {
            Self::TaskDistribution { .. } | Self::TaskResult { .. } => {
                NetworkProtocol::TaskProtocol
            }
            Self::PeerDiscovery { .. } => NetworkProtocol::DiscoveryProtocol,
            Self::ResourceUpdate { .. } => NetworkProtocol::ResourceProtocol,
            Self::HealthCheck { .. } => NetworkProtocol::HealthProtocol,
        }
    }

    /// The kind's name in JSON, events and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TaskDistribution { .. } => "task_distribution",
            Self::TaskResult { .. } => "task_result",
            Self::PeerDiscovery { .. } => "peer_discovery",
            Self::ResourceUpdate { .. } => "resource_update",
            Self::HealthCheck { .. } => "health_check",
        }
    }
}
