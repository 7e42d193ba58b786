//! A node's state, capacity and health, and requests that change the node.

use std::{collections::BTreeMap, time::Duration};

use meshwork_core::{
    Accept, AcceptPolicy, Capacity,
    engine::{Accounts, view::EndCounts},
};
use meshwork_node::{HealthStatus, KeyEvidence, NodeStatus};
use serde::{Deserialize, Serialize};

use super::{blob::BlobSpaceView, words::words};

words! {
    /// Whether a node accepts tasks.
    NodeState {
        Ready = "ready",
        /// The node accepts tasks, and runs no new attempts.
        Draining = "draining",
        /// The node refuses tasks until it has read the journal.
        Recovering = "recovering",
        /// The node refuses tasks because it stops.
        ShuttingDown = "shutting_down",
    }
}

words! {
    /// The health of a node or a peer.
    HealthState {
        Healthy = "healthy",
        Degraded = "degraded",
        Unhealthy = "unhealthy",
    }
}

words! {
    /// The owners whose tasks of a handler family may run on a node.
    AcceptRule {
        Nobody = "nobody",
        /// Peers that the node trusts.
        Listed = "listed",
        Anyone = "anyone",
    }
}

words! {
    /// The evidence that another machine uses a node's key.
    KeyCopySign {
        /// The key answers at an address.
        Reached = "reached",
        /// The key has dialled from an address.
        Came = "came",
        /// A peer reports it, which is no proof.
        Said = "said",
        /// Two machines with the key connect alternately. A node cannot observe this for its own
        /// key.
        Alternates = "alternates",
    }
}

/// A node at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// The node's peer id.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// The node's display name.
    pub name: String,
    /// The version of the software.
    pub version: String,
    /// The network's name.
    pub network: String,
    /// Time since the node started, in milliseconds.
    pub uptime_ms: u64,
    /// Addresses on which the node listens, each with `/p2p/…`.
    pub addresses: Vec<String>,
    /// The node's handlers.
    pub handlers: Vec<String>,
    /// Capabilities that tasks may require.
    pub capabilities: Vec<String>,
    /// Labels that tasks may require, by name and value.
    pub labels: BTreeMap<String, String>,
    /// The capacity that the node advertises.
    pub capacity: CapacityView,
    /// Whose tasks the node accepts, for each family of its handlers.
    pub accept: BTreeMap<String, AcceptRule>,
    /// Whether the node accepts tasks.
    #[serde(default)]
    pub state: NodeState,
    /// Whether the node is draining: no new attempts run here.
    #[serde(default)]
    pub draining: bool,
    /// The limit of peers, and the number of refused connections.
    #[serde(default)]
    pub connections: ConnectionCounts,
    /// The evidence that another machine used this node's key within the last hour.
    #[serde(default)]
    pub key_copied: Option<KeyCopyView>,
    /// The node's tasks and attempts, in numbers.
    pub tasks: TaskCounts,
    /// The space for files and folders; `None` if the node is of a version without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blobs: Option<BlobSpaceView>,
}

/// The evidence that another machine uses a node's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCopyView {
    /// The kind of evidence.
    pub how: KeyCopySign,
    /// The address of the other machine.
    pub address: Option<String>,
    /// The peer that reported it.
    pub peer: Option<String>,
}

/// The limit of a node's peers, and the connections that it has refused since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCounts {
    /// Maximum number of admitted peers (`--max-peers`).
    pub max_peers: u64,
    /// Hellos that were refused because the node had `max_peers` peers.
    pub peers_refused: u64,
    /// Inbound connections that were closed before their peers were known: silent ones, and those
    /// above the limit.
    pub inbound_shed: u64,
}

impl From<NodeStatus> for NodeView {
    fn from(status: NodeStatus) -> Self {
        let tasks = TaskCounts::from(&status);
        let NodeStatus {
            peer_id,
            version,
            network,
            uptime,
            addresses,
            advert,
            accept,
            max_peers,
            refused,
            key_copied,
            draining,
            stopping,
            tasks: _,
            unread_due: _,
        } = status;
        let state = match (stopping, draining) {
            (true, _) => NodeState::ShuttingDown,
            (false, true) => NodeState::Draining,
            (false, false) => NodeState::Ready,
        };
        Self {
            peer_id: peer_id.to_string(),
            name: advert.name,
            version: version.to_owned(),
            network,
            uptime_ms: millis(uptime),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            handlers: advert.handlers.iter().map(ToString::to_string).collect(),
            capabilities: advert.capabilities.into_iter().collect(),
            labels: advert.labels,
            capacity: advert.capacity.into(),
            accept: rules(accept.iter()),
            state,
            draining,
            connections: ConnectionCounts {
                max_peers: wide(max_peers),
                peers_refused: refused.peers_refused,
                inbound_shed: refused
                    .inbound_displaced
                    .saturating_add(refused.inbound_refused)
                    .saturating_add(refused.inbound_silent),
            },
            key_copied: key_copied.map(KeyCopyView::from),
            tasks,
            blobs: None,
        }
    }
}

impl From<KeyEvidence> for KeyCopyView {
    fn from(evidence: KeyEvidence) -> Self {
        let (how, address, peer) = match evidence {
            KeyEvidence::Reached(address) => {
                (KeyCopySign::Reached, Some(address.to_string()), None)
            }
            KeyEvidence::Came(address) => (KeyCopySign::Came, Some(address.to_string()), None),
            KeyEvidence::SaidBy(peer) => (KeyCopySign::Said, None, Some(peer.to_string())),
            KeyEvidence::Alternates => (KeyCopySign::Alternates, None, None),
        };
        Self { how, address, peer }
    }
}

/// Rules by family, in the words of the API.
pub(crate) fn rules<'a>(
    rules: impl Iterator<Item = (&'a str, Accept)>,
) -> BTreeMap<String, AcceptRule> {
    rules.map(|(family, accept)| (family.to_owned(), accept.as_str().into())).collect()
}

/// The families whose rules change, each with its new rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptPatch {
    /// `nobody`, `listed` or `anyone`, by family of handlers; other families stay as they are.
    pub accept: AcceptPolicy,
}

/// Whose tasks the node accepts after the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptAnswer {
    /// The rule of each family of the node's handlers.
    pub accept: BTreeMap<String, AcceptRule>,
    /// Whether the rules are saved in `config.toml` in the node's home, and so outlive the process.
    pub kept: bool,
    /// Rules of the flags or environment at the node's start that differ from the new ones. If they
    /// are given again at the next start, they override `config.toml`.
    pub started_with: BTreeMap<String, AcceptRule>,
}

/// The destination of a copy of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Absolute path of a folder on the node's machine. The node creates a missing folder.
    pub dir: String,
}

/// The capacity of a node and its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityView {
    /// Attempts that run at once.
    pub slots: u32,
    /// Number of CPU cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Number of GPUs.
    pub gpus: u32,
}

impl From<Capacity> for CapacityView {
    fn from(capacity: Capacity) -> Self {
        let Capacity { slots, cpus, memory_bytes, gpus } = capacity;
        Self { slots, cpus, memory_bytes, gpus }
    }
}

/// A node's tasks and attempts, in numbers. The first six fields count its own tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Tasks that wait for a worker.
    pub queued: u64,
    /// Tasks that were sent to a worker.
    pub running: u64,
    /// Tasks that succeeded and are kept, including those of earlier starts.
    pub succeeded: u64,
    /// Tasks that failed and are kept, including those of earlier starts.
    pub failed: u64,
    /// Tasks that were cancelled and are kept, including those of earlier starts.
    pub cancelled: u64,
    /// Tasks that expired and are kept, including those of earlier starts.
    pub expired: u64,
    /// Own tasks that ended since the start, whether they are kept or not.
    #[serde(default)]
    pub ended_since_start: u64,
    /// Own tasks that ended unsuccessfully since the start.
    #[serde(default)]
    pub unsuccessful_since_start: u64,
    /// Results that arrived too late and were ignored.
    pub late: u64,
    /// Second attempts that were sent beside a running first one since the start.
    pub second_attempts: u64,
    /// Attempts that wait or run on this node, for any owner.
    pub held: u64,
    /// Attempts that ended on this node since the start, for any owner.
    pub executed: u64,
    /// Results that their owners have not acknowledged.
    pub unacked: u64,
    /// Results that were dropped because their absent owners did not fetch them in time, or for
    /// lack of space.
    pub dropped_results: u64,
    /// Bytes on disk that ended tasks take, each at least 1 KiB.
    #[serde(default)]
    pub kept_bytes: u64,
    /// Maximum of `kept_bytes` (`--keep-results-max`).
    #[serde(default)]
    pub kept_max_bytes: u64,
    /// Ended tasks that are due to be forgotten, by age or for lack of space, and whose results
    /// nobody has read. A lower bound.
    #[serde(default)]
    pub unread_due: u64,
}

impl TaskCounts {
    /// Own tasks that have not ended.
    pub fn open(&self) -> u64 {
        self.queued.saturating_add(self.running)
    }
}

impl From<&NodeStatus> for TaskCounts {
    fn from(status: &NodeStatus) -> Self {
        let Accounts {
            queued,
            running,
            succeeded: succeeded_now,
            failed: failed_now,
            cancelled: cancelled_now,
            expired: expired_now,
            late,
            second_attempts,
            held,
            executed,
            unacked,
            dropped_results,
            kept,
        } = status.tasks;
        let unsuccessful_since_start = failed_now + cancelled_now + expired_now;
        let EndCounts { succeeded, failed, cancelled, expired } = kept.ended;
        Self {
            queued: wide(queued),
            running: wide(running),
            succeeded: succeeded.into(),
            failed: failed.into(),
            cancelled: cancelled.into(),
            expired: expired.into(),
            kept_bytes: kept.bytes,
            kept_max_bytes: kept.most,
            unread_due: status.unread_due,
            ended_since_start: succeeded_now + unsuccessful_since_start,
            unsuccessful_since_start,
            late,
            second_attempts,
            held: wide(held),
            executed,
            unacked: wide(unacked),
            dropped_results,
        }
    }
}

/// Starts or ends draining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// Whether the node drains: it then takes no new attempts.
    pub draining: bool,
}

/// Whether a node drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainAnswer {
    /// Whether the node takes no new attempts.
    pub draining: bool,
    /// Attempts that still wait or run on the node, for any owner.
    pub held: u64,
}

/// Stops a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// Grace for running attempts in milliseconds, at most the configured grace, which is the
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// Confirms that a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAnswer {
    /// Always true.
    pub stopping: bool,
    /// Attempts that wait or run on the node, for any owner.
    pub held: u64,
    /// Grace for those attempts in milliseconds.
    pub grace_ms: u64,
}

/// The health of a node or a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// The health in one word.
    pub status: HealthState,
    /// The reasons, if the status is not `healthy`.
    pub reasons: Vec<String>,
}

impl From<HealthStatus> for HealthView {
    fn from(status: HealthStatus) -> Self {
        Self {
            status: status.as_str().into(),
            reasons: status.reasons().iter().map(ToString::to_string).collect(),
        }
    }
}

/// Whole milliseconds of a duration, at most `u64::MAX`.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole microseconds of a duration, at most `u64::MAX`.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A count as JSON carries it.
pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
