//! Events of a node, as `/v1/events` sends them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{problem::ErrorCode, words::words};

words! {
    /// The type of an event.
    EventType {
        /// Events are missing here. Sent to every reader, whatever types it asks for.
        Gap = "gap",
        /// A peer sent a message.
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

/// An event. Which fields are present depends on its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// The event's position: higher than that of every earlier event, also across restarts unless
    /// the clock was set back.
    pub id: u64,
    /// When the API received the event.
    pub at: DateTime<Utc>,
    /// The type of the event. A reader ignores types that it does not know, because later versions
    /// add some.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// In `task.…`, and in a `message` about a task: the task's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// In `peer.…`: the peer. In `task.…`: the worker, if there is one. In `message`: the sender,
    /// if the message names it.
    #[serde(rename = "peer", default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<String>,
    /// In `task.…` except `task.progress`: the handler of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// In `task.failed`, `task.cancelled` and `task.expired`: the code, as in the `error` of a
    /// task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// In `node.listening`, `node.warning` and `peer.connected`: the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// In `peer.discovered`: known addresses of the peer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// In `task.progress`: the finished part of the task, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f32>,
    /// Text for people: a task's progress or error, why a peer disconnected, what is wrong with an
    /// address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// In `gap`: number of missing events; `None` if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
}
