//! A node as it shows itself.

use std::{collections::BTreeMap, time::Duration};

use meshwork_core::{
    Accept, AcceptPolicy, Capacity,
    engine::{Accounts, view::EndCounts},
};
use meshwork_node::{HealthStatus, KeyEvidence, NodeStatus};
use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// Whether a node takes tasks.
    NodeState {
        Ready = "ready",
        /// Tasks are accepted, nothing new runs here.
        Draining = "draining",
        /// Tasks are refused until the journal is read.
        Recovering = "recovering",
        /// Tasks are refused.
        ShuttingDown = "shutting_down",
    }
}

words! {
    /// How a node, or a peer, is.
    HealthState {
        Healthy = "healthy",
        Degraded = "degraded",
        Unhealthy = "unhealthy",
    }
}

words! {
    /// Which owners may have tasks of a family of handlers run on a node.
    AcceptRule {
        Nobody = "nobody",
        /// From peers that it trusts.
        Listed = "listed",
        Anyone = "anyone",
    }
}

words! {
    /// How it is known that another machine uses a node's key.
    KeyCopySign {
        /// The key answers at an address.
        Reached = "reached",
        /// The key has dialled from an address.
        Came = "came",
        /// A peer says so, which is no proof.
        Said = "said",
        /// Two machines with the key come by turns. No node sees this of itself.
        Alternates = "alternates",
    }
}

/// A node at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Who it is.
    #[serde(rename = "peer")]
    pub peer_id: String,
    /// Its name, for people.
    pub name: String,
    /// The version of the software.
    pub version: String,
    /// The network's name.
    pub network: String,
    /// How long it has been running.
    pub uptime_ms: u64,
    /// Where it listens, each with `/p2p/…`.
    pub addresses: Vec<String>,
    /// The handlers that it has.
    pub handlers: Vec<String>,
    /// What tasks may require by name.
    pub capabilities: Vec<String>,
    /// What tasks may require by name and value.
    pub labels: BTreeMap<String, String>,
    /// What it offers.
    pub capacity: CapacityView,
    /// Whose tasks the node accepts, for each family of handlers that it has.
    pub accept: BTreeMap<String, AcceptRule>,
    /// Whether it takes tasks.
    #[serde(default)]
    pub state: NodeState,
    /// Whether nothing new runs here for now.
    #[serde(default)]
    pub draining: bool,
    /// How many peers it may have, and what it has refused.
    #[serde(default)]
    pub connections: ConnectionCounts,
    /// That another machine was seen to use this node's key within the last hour.
    #[serde(default)]
    pub key_copied: Option<KeyCopyView>,
    /// What it holds.
    pub tasks: TaskCounts,
}

/// How it is known that another machine uses a node's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCopyView {
    /// How it is known.
    pub how: KeyCopySign,
    /// Where the other machine is.
    pub address: Option<String>,
    /// Who says so.
    pub peer: Option<String>,
}

/// How many peers a node may have, and what its network has refused since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCounts {
    /// Peers that may be admitted at once (`--max-peers`).
    pub max_peers: u64,
    /// Hellos that were refused because there were so many.
    pub peers_refused: u64,
    /// Inbound connections closed before their peers were known: silent, or more than there are
    /// places.
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

/// Rules by family, in words.
pub(crate) fn rules<'a>(
    rules: impl Iterator<Item = (&'a str, Accept)>,
) -> BTreeMap<String, AcceptRule> {
    rules.map(|(family, accept)| (family.to_owned(), accept.as_str().into())).collect()
}

/// Whose tasks the node is to accept from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptPatch {
    /// `nobody`, `listed` or `anyone`, by family of handlers; other families stay as they are.
    pub accept: AcceptPolicy,
}

/// Whose tasks the node accepts now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptAnswer {
    /// The rule of each family of handlers that the node has.
    pub accept: BTreeMap<String, AcceptRule>,
    /// Whether the rules outlive the process, in `config.toml` in the node's home.
    pub kept: bool,
    /// Rules by flag or environment that the node was started with and that differ: given again at
    /// the next start, they go before `config.toml`.
    pub started_with: BTreeMap<String, AcceptRule>,
}

/// Where a copy of the journal is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// A folder on the node's machine, by its whole path. It is made if there is none.
    pub dir: String,
}

/// The machine behind a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityView {
    /// Attempts that run at once.
    pub slots: u32,
    /// CPU cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// GPUs.
    pub gpus: u32,
}

impl From<Capacity> for CapacityView {
    fn from(capacity: Capacity) -> Self {
        let Capacity { slots, cpus, memory_bytes, gpus } = capacity;
        Self { slots, cpus, memory_bytes, gpus }
    }
}

/// What a node holds, in numbers. The first six count its own tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Waiting for a worker.
    pub queued: u64,
    /// Sent to a worker.
    pub running: u64,
    /// Succeeded, and kept; also in earlier starts.
    pub succeeded: u64,
    /// Failed, and kept; also in earlier starts.
    pub failed: u64,
    /// Cancelled, and kept; also in earlier starts.
    pub cancelled: u64,
    /// Expired, and kept; also in earlier starts.
    pub expired: u64,
    /// Own tasks that have ended since the start, whether they are kept or not.
    #[serde(default)]
    pub ended_since_start: u64,
    /// Those of them that did not succeed.
    #[serde(default)]
    pub unsuccessful_since_start: u64,
    /// Results that came too late to count.
    pub late: u64,
    /// Second attempts that were sent out beside a first since the start.
    pub second_attempts: u64,
    /// Attempts that wait or run here, for any owner.
    pub held: u64,
    /// Attempts that ended here since the start, for any owner.
    pub executed: u64,
    /// Finished results that their owners have not acknowledged.
    pub unacked: u64,
    /// Finished results that were dropped because their owners stayed away too long.
    pub dropped_results: u64,
    /// Bytes that the tasks that have ended take on disk, each at least 1 KiB.
    #[serde(default)]
    pub kept_bytes: u64,
    /// Bytes that they may take, by `--keep-results-max`.
    #[serde(default)]
    pub kept_max_bytes: u64,
    /// Tasks that are forgotten next, by age or for want of space, whose results nobody was given.
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

/// Whether a node shall take work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// It shall not.
    pub draining: bool,
}

/// That a node takes work, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainAnswer {
    /// It takes none.
    pub draining: bool,
    /// Attempts that still run there, for any owner.
    pub held: u64,
}

/// How a node shall stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// How long what runs there may go on, at most as configured, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// That a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAnswer {
    /// It does.
    pub stopping: bool,
    /// Attempts that wait or run there, for any owner.
    pub held: u64,
    /// How long they may go on.
    pub grace_ms: u64,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// In a word.
    pub status: HealthState,
    /// Why, if not healthy.
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

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A count as it travels.
pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
