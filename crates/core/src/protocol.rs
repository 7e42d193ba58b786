//! The four protocols by name: the label of metrics, events and errors.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the protocols that nodes speak with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkProtocol {
    /// Tasks and their results, on sessions.
    #[serde(rename = "task")]
    TaskProtocol,
    /// Who there is: hellos, adverts, queries.
    #[serde(rename = "discovery")]
    DiscoveryProtocol,
    /// What machines have and use.
    #[serde(rename = "resource")]
    ResourceProtocol,
    /// How nodes are, and whether they are there.
    #[serde(rename = "health")]
    HealthProtocol,
}

impl NetworkProtocol {
    /// All of them, in the order of their [`Self::index`].
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

    /// The place in [`Self::ALL`], for tables with an entry per protocol.
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
