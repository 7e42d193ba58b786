//! Tasks as the node shows them, and requests about them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use meshwork_core::BlobRef;
use serde::{Deserialize, Serialize};

use super::{problem::ErrorCode, words::words};

words! {
    /// The state of a task.
    TaskState {
        Queued = "queued",
        /// The task was sent to a worker that has not confirmed its start.
        Assigned = "assigned",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
        Expired = "expired",
    }
}

impl TaskState {
    /// The states of a task that has not ended.
    pub const OPEN: [Self; 3] = [Self::Queued, Self::Assigned, Self::Running];

    /// Whether a task in this state has ended.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

words! {
    /// Whether a task outlives the node's process.
    Durability {
        /// The task is lost when the process ends.
        Memory = "memory",
        /// The task, its end and its result are on disk.
        Disk = "disk",
    }
}

impl From<meshwork_core::Durability> for Durability {
    fn from(durability: meshwork_core::Durability) -> Self {
        durability.as_str().into()
    }
}

words! {
    /// The reason why a task waits, in one word.
    WaitCode {
        /// No connected worker can run the task.
        NoEligiblePeer = "no_eligible_peer",
        /// The workers that can run the task are at their limits.
        Busy = "busy",
        /// The workers that can run the task accept no new attempts.
        Draining = "draining",
        /// Sessions with the workers that can run the task are being opened.
        Connecting = "connecting",
        /// A worker has room: the task is about to be sent, or it is a member of a group that waits
        /// before its next attempt.
        WorkerFree = "worker_free",
        /// The task waits before its next attempt.
        BackingOff = "backing_off",
        ShuttingDown = "shutting_down",
    }
}

words! {
    /// The files of a running task that are under way.
    StageName {
        /// The worker fetches the input.
        Staging = "staging",
        /// The owner fetches the output.
        Collecting = "collecting",
    }
}

words! {
    /// The first condition that keeps a task from a peer.
    ObstacleCode {
        /// Every condition holds.
        None = "none",
        /// Every condition holds, and the peer has to fetch the input first.
        InputAway = "input_away",
        NoHandlerHere = "no_handler_here",
        NotReady = "not_ready",
        NotTrusted = "not_trusted",
        NotTarget = "not_target",
        NoHandlerThere = "no_handler_there",
        NotOffered = "not_offered",
        /// The peer speaks an older version of the protocol.
        Version = "version",
        Requirement = "requirement",
        Refused = "refused",
        Busy = "busy",
        NoSession = "no_session",
        Draining = "draining",
        ShuttingDown = "shutting_down",
        NoCredit = "no_credit",
    }
}

words! {
    /// The time limit that a task reached.
    ExpiredLimit {
        Queue = "queue",
        Attempt = "attempt",
        Total = "total",
    }
}

words! {
    /// Who cancelled a task.
    CancelledBy {
        Submitter = "submitter",
        /// The node, because it stopped.
        Shutdown = "shutdown",
        /// The node, because too many members of the group did not succeed.
        Group = "group",
    }
}

/// A task at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// The task's id.
    pub id: String,
    /// The last six digits of the id, which people see and type.
    pub short: String,
    /// The group, if the task is a member of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The task's index in its group, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The handler that the task names.
    pub handler: String,
    /// The state of the task.
    pub state: TaskState,
    /// Tasks of higher priority run first.
    pub priority: i8,
    /// Whether the task outlives the node's process.
    #[serde(default)]
    pub durability: Durability,
    /// Size of the input in bytes.
    pub input_bytes: u64,
    /// When it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The latest attempts, the newest last.
    pub attempts: Vec<AttemptView>,
    /// `staging` while the worker fetches the input, `collecting` while this node fetches the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    /// Progress of the files that are under way, or of the running attempt if its handler reports any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressView>,
    /// The peer that holds the task now, or on which it ended.
    pub worker: Option<String>,
    /// That peer's name, if it is known.
    pub worker_name: Option<String>,
    /// Run time of the handler as the worker reports it, in microseconds; in JSON in milliseconds,
    /// with a fraction.
    #[serde(default, rename = "took_ms", with = "super::millis::optional")]
    pub took_us: Option<u64>,
    /// Size of the result in bytes.
    pub output_bytes: Option<u64>,
    /// The result, if it is a file or a folder in the store of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_blob: Option<BlobRef>,
    /// The last lines of a text result: at most five, each cut to 200 characters. Only set when a
    /// single task is requested.
    #[serde(default)]
    pub output_tail: Option<Vec<String>>,
    /// Why the task waits, while it is queued.
    pub waiting: Option<WaitingView>,
    /// Why the task ended without a result.
    pub error: Option<ErrorView>,
}

impl TaskView {
    /// Whether the task has ended.
    pub fn is_ended(&self) -> bool {
        self.state.is_ended()
    }
}

/// Progress of a running attempt, as its handler last reported it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressView {
    /// The finished part, from 0 to 1.
    pub fraction: f32,
    /// A message for people; may be empty.
    pub message: String,
}

/// One attempt at a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// The attempt's number, from 1.
    pub number: u32,
    /// The worker's peer id.
    pub peer: String,
    /// The worker's name, if it is known.
    pub peer_name: Option<String>,
    /// When the attempt was sent.
    pub started_at: DateTime<Utc>,
    /// When the attempt ended.
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// How the attempt ended, as text; `None` while it runs.
    pub end: Option<String>,
}

/// Why a task waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    /// The reason in one word.
    pub code: WaitCode,
    /// The reason as text.
    pub message: String,
    /// When the next attempt starts, if a timer decides that.
    pub next_try_at: Option<DateTime<Utc>>,
    /// When the task expires if it still waits.
    pub gives_up_at: Option<DateTime<Utc>>,
    /// Peers that were considered, this node first, each with the first condition that does not
    /// hold; empty in lists.
    pub peers: Vec<ObstacleView>,
    /// Number of these peers by condition.
    #[serde(default)]
    pub sums: BTreeMap<ObstacleCode, u64>,
}

/// A node's own tasks that wait for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsView {
    /// The reason in one word.
    pub code: WaitCode,
    /// The reason as text.
    pub message: String,
    /// Number of tasks.
    pub tasks: u64,
    /// The id of the task that has waited longest.
    pub first: String,
    /// The short form of that id.
    pub first_short: String,
    /// When that task was submitted.
    pub since: DateTime<Utc>,
}

/// The condition that keeps a task from a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObstacleView {
    /// The peer's id.
    pub peer: String,
    /// The peer's name, if it is known.
    pub name: Option<String>,
    /// The first condition that does not hold.
    pub code: ObstacleCode,
    /// The condition as text.
    pub message: String,
}

/// Why a task ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// The code of the failure; or `cancelled`, or `expired`.
    pub code: ErrorCode,
    /// The error as text.
    pub message: String,
    /// The task's own exit code, 1 to 123, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// The worker on which the task failed, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// For `expired`: the limit that was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<ExpiredLimit>,
    /// For `cancelled`: who cancelled the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<CancelledBy>,
}

/// Cancels a task or a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// The reason; at most 1,024 bytes. For a group at most 128 bytes, because each task repeats
    /// it.
    #[serde(default)]
    pub reason: String,
}

/// Waits until tasks have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// The tasks, at most 1,000. Each is a task id, the unique end of one, or `last`.
    pub ids: Vec<String>,
    /// Maximum wait in milliseconds; longer waits are cut to one minute.
    pub timeout_ms: u64,
}

/// Which of the tasks have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitAnswer {
    /// The tasks that have ended.
    pub ended: Vec<EndedTask>,
    /// The ids of the tasks that have not ended.
    pub pending: Vec<String>,
}

/// A task that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedTask {
    /// The task's id.
    pub id: String,
    /// The task's final state.
    pub state: TaskState,
}
