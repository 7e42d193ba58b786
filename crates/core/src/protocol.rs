//! The names of the four protocols, used as labels in metrics, events and errors.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the protocols between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkProtocol {
    /// Tasks and their results, on sessions.
    #[serde(rename = "task")]
    TaskProtocol,
    /// Peers and their adverts: hellos, adverts, queries.
    #[serde(rename = "discovery")]
    DiscoveryProtocol,
    /// The resources of machines.
    #[serde(rename = "resource")]
    ResourceProtocol,
    /// The health of nodes, and whether they respond.
    #[serde(rename = "health")]
    HealthProtocol,
}

impl NetworkProtocol {
    /// All protocols, in the order of their [`Self::index`].
    pub const ALL: [Self; 4] =
        [Self::TaskProtocol, Self::DiscoveryProtocol, Self::ResourceProtocol, Self::HealthProtocol];

    /// The name, as in `/meshwork/<name>/1.0.0` and in the label `protocol` of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TaskProtocol => "task",
            Self::DiscoveryProtocol => "discovery",
            Self::ResourceProtocol => "resource",
            Self::HealthProtocol => "health",
        }
    }

    /// The position in [`Self::ALL`], for tables with an entry per protocol.
    pub const fn index(self) -> usize {
        match self {
            Self::TaskProtocol => 0,
            Self::DiscoveryProtocol => 1,
            Self::ResourceProtocol => 2,
            Self::HealthProtocol => 3,
        }
    }
}

impl fmt::Display for NetworkProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
