//! How the node is.

use serde::Serialize;

/// How a node is. A node without peers, or a busy one, is healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "reasons", rename_all = "snake_case")]
pub enum HealthStatus {
    /// All is well.
    Healthy,
    /// It works, but not as it should.
    Degraded(Vec<String>),
    /// It cannot do its work.
    Unhealthy(Vec<String>),
}
