//! What happens at a node, as it is told while it happens.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{problem::ErrorCode, words::words};

words! {
    /// What an event is about.
    EventType {
        /// Others are missing here. It is told whatever was asked for.
        Gap = "gap",
        /// A peer has sent something.
        Message = "message",
        NodeListening = "node.listening",
        NodeWarning = "node.warning",
        PeerConnected = "peer.connected",
        PeerDisconnected = "peer.disconnected",
        PeerDiscovered = "peer.discovered",
        PeerHealth = "peer.health",
        PeerReady = "peer.ready",
        PeerResources = "peer.resources",
        PeerUpdated = "peer.updated",
        TaskAssigned = "task.assigned",
        TaskCancelled = "task.cancelled",
        TaskExpired = "task.expired",
        TaskFailed = "task.failed",
        TaskProgress = "task.progress",
        TaskQueued = "task.queued",
        TaskRunning = "task.running",
        TaskSucceeded = "task.succeeded",
    }
}

/// Something that happened. Which of the fields are there depends on its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// Its place in the order of events: each is above all before it, also those of earlier runs of
    /// the node as long as its clock was not set back.
    pub id: u64,
    /// When the API heard of it.
    pub at: DateTime<Utc>,
    /// What kind of thing. More may come; a reader ignores an event of a type that it does not know.
    #[serde(rename = "type")]
    pub kind: EventType,
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
    pub code: Option<ErrorCode>,
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
