//! What happens at a node, as it is told while it happens.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Something that happened. Which of the fields are there depends on its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// Its place in the order of events: each is above all before it, also those of earlier runs of
    /// the node as long as its clock was not set back.
    pub id: u64,
    /// When the API heard of it.
    pub at: DateTime<Utc>,
    /// What kind of thing, one of [`EVENT_TYPES`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Of `task.…`, and of a `message` about one: which task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Of `peer.…`: which peer. Of `task.…`: the worker, if there is one. Of `message`: who sent it, where
    /// it says so.
    #[serde(rename = "peer", default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<String>,
    /// Of `task.…`, but for `task.progress`: what runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Of `task.failed`, `task.cancelled` and `task.expired`: why, as in the `error` of a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of `node.listening`, `node.warning` and `peer.connected`: which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of `peer.discovered`: where the peer is, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Of `task.progress`: how far the task is, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f32>,
    /// In words: how far a task is, why it has no result, why a peer is gone, what is wrong with an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of `gap`: how many events are missing here; none if nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
}

/// The types of events. More may come; a reader takes one that it does not know for no news.
pub const EVENT_TYPES: [&str; 19] = [
    GAP,
    "message",
    "node.listening",
    "node.warning",
    "peer.connected",
    "peer.disconnected",
    "peer.discovered",
    "peer.health",
    "peer.ready",
    "peer.resources",
    "peer.updated",
    "task.assigned",
    "task.cancelled",
    "task.expired",
    "task.failed",
    "task.progress",
    "task.queued",
    "task.running",
    "task.succeeded",
];

/// The type of the event that says that others are missing. It is told whatever was asked for.
pub(crate) const GAP: &str = "gap";
