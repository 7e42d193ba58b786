//! What nodes tell each other, as their users see it. `meshwork-net` converts each of these to and
//! from its own messages.

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
        /// Which task.
        task_id: TaskId,
        /// The task. What a worker is told of it: handler, input, parameters, its limit and its
        /// priority; the rest is the owner's own business, and at its default here.
        task: Box<Task>,
        /// Run on these only; empty: wherever placement chooses.
        target_peers: Vec<PeerId>,
    },
    /// A worker hands a result to the task's owner.
    TaskResult {
        /// Which task.
        task_id: TaskId,
        /// What came of it.
        result: TaskResult,
        /// The worker.
        source_peer: PeerId,
    },
    /// A node tells whom it knows, and may ask for more.
    PeerDiscovery {
        /// Peers that the sender knows; what it says of others is hearsay.
        known_peers: Vec<PeerInfo>,
        /// Whom it looks for.
        query: Option<PeerQuery>,
    },
    /// A node tells what its machine has and uses.
    ResourceUpdate {
        /// Whose resources these are; always the sender's own.
        peer_id: PeerId,
        /// What it says.
        resources: ResourceUsage,
    },
    /// A node tells how it is.
    HealthCheck {
        /// Whose health this is; always the sender's own.
        peer_id: PeerId,
        /// What it says.
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
