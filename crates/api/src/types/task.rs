//! Tasks as the node tells of them, and what can be asked of it about them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{problem::ErrorCode, words::words};

words! {
    /// Where a task stands.
    TaskState {
        Queued = "queued",
        /// Sent to a worker, which has not said that it runs.
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
    /// What of a task outlives the node's process.
    Durability {
        /// Nothing.
        Memory = "memory",
        /// The task, its end and its result.
        Disk = "disk",
    }
}

impl From<meshwork_core::Durability> for Durability {
    fn from(durability: meshwork_core::Durability) -> Self {
        durability.as_str().into()
    }
}

words! {
    /// Why a task waits, in sum.
    WaitCode {
        /// No connected worker can run it.
        NoEligiblePeer = "no_eligible_peer",
        /// The workers that can run it are at their limits.
        Busy = "busy",
        /// The workers that can run it take no new work.
        Draining = "draining",
        /// Sessions with the workers that can run it are being opened.
        Connecting = "connecting",
        /// A worker takes more: the task is about to be sent, or it is a member of a group that rests
        /// before its next attempt.
        WorkerFree = "worker_free",
        /// It rests before its next attempt.
        BackingOff = "backing_off",
        ShuttingDown = "shutting_down",
    }
}

words! {
    /// The condition that keeps a task from a peer.
    ObstacleCode {
        /// No condition does.
        None = "none",
        NoHandlerHere = "no_handler_here",
        NotReady = "not_ready",
        NotTrusted = "not_trusted",
        NotTarget = "not_target",
        NoHandlerThere = "no_handler_there",
        NotOffered = "not_offered",
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
    /// The time limit that a task has reached.
    ExpiredLimit {
        Queue = "queue",
        Attempt = "attempt",
        Total = "total",
    }
}

words! {
    /// Who has cancelled a task.
    CancelledBy {
        Submitter = "submitter",
        /// The node, because it stops.
        Shutdown = "shutdown",
        /// The node, because too many tasks of the group did not succeed.
        Group = "group",
    }
}

/// One task of the node, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Which.
    pub id: String,
    /// The last six digits of the id, which is what people see and type.
    pub short: String,
    /// The group that it is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its place there, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// What runs.
    pub handler: String,
    /// Where it stands.
    pub state: TaskState,
    /// Higher runs first.
    pub priority: i8,
    /// What of it outlives the node's process.
    #[serde(default)]
    pub durability: Durability,
    /// Size of its input.
    pub input_bytes: u64,
    /// When it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its attempts, the latest last; of many only the latest.
    pub attempts: Vec<AttemptView>,
    /// How far its attempt has come: only while it runs, and if its handler says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressView>,
    /// The peer that has it now, or that ended it.
    pub worker: Option<String>,
    /// That peer's name, if it is known.
    pub worker_name: Option<String>,
    /// How long the handler ran, as the worker says, in microseconds; in JSON in milliseconds, with a
    /// fraction.
    #[serde(default, rename = "took_ms", with = "super::millis::optional")]
    pub took_us: Option<u64>,
    /// Size of its result.
    pub output_bytes: Option<u64>,
    /// The last lines of its result if that is text: at most five, each cut to 200 characters. Only of
    /// a task that is asked for by itself.
    #[serde(default)]
    pub output_tail: Option<Vec<String>>,
    /// While it is queued: why.
    pub waiting: Option<WaitingView>,
    /// Why it ended without a result.
    pub error: Option<ErrorView>,
}

impl TaskView {
    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        self.state.is_ended()
    }
}

/// How far a running attempt has come, as its handler has said last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressView {
    /// From 0 to 1.
    pub fraction: f32,
    /// In words; may be empty.
    pub message: String,
}

/// One attempt at a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Which one, from 1.
    pub number: u32,
    /// Where.
    pub peer: String,
    /// That peer's name, if it is known.
    pub peer_name: Option<String>,
    /// When it was sent.
    pub started_at: DateTime<Utc>,
    /// When it was over.
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended, in words; none while it runs.
    pub end: Option<String>,
}

/// Why a task waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    /// The sum of it.
    pub code: WaitCode,
    /// In words.
    pub message: String,
    /// When it is tried again, if by a timer.
    pub next_try_at: Option<DateTime<Utc>>,
    /// When it is given up.
    pub gives_up_at: Option<DateTime<Utc>>,
    /// Peers considered, the node itself first, each with the first condition that failed; empty in a
    /// list.
    pub peers: Vec<ObstacleView>,
    /// How many of them each condition keeps away, by its code.
    #[serde(default)]
    pub sums: BTreeMap<ObstacleCode, u64>,
}

/// Own tasks of a node that wait for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsView {
    /// The reason, in sum.
    pub code: WaitCode,
    /// In words.
    pub message: String,
    /// How many tasks.
    pub tasks: u64,
    /// The id of the one that has waited longest.
    pub first: String,
    /// The short form of that id.
    pub first_short: String,
    /// When it was submitted.
    pub since: DateTime<Utc>,
}

/// What keeps a task from a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObstacleView {
    /// Which peer.
    pub peer: String,
    /// Its name, if it is known.
    pub name: Option<String>,
    /// The first condition that does not hold.
    pub code: ObstacleCode,
    /// In words.
    pub message: String,
}

/// Why a task ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// The code of the failure, or `cancelled`, or `expired`.
    pub code: ErrorCode,
    /// In words.
    pub message: String,
    /// The task's own exit code, 1 to 123, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// The worker on which it happened, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Of `expired`: the limit that was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<ExpiredLimit>,
    /// Of `cancelled`: who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<CancelledBy>,
}

/// Cancels a task, or a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Why; at most 1,024 bytes, and 128 for a group: each of its tasks repeats them.
    #[serde(default)]
    pub reason: String,
}

/// Waits for the end of tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// Which; at most 1,000. Each a task id, the unique end of one, or `last`.
    pub ids: Vec<String>,
    /// How long; at most a minute is waited, whatever is asked for.
    pub timeout_ms: u64,
}

/// Which of them have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitAnswer {
    /// Those that have ended.
    pub ended: Vec<EndedTask>,
    /// Ids of those that have not.
    pub pending: Vec<String>,
}

/// A task that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedTask {
    /// Which.
    pub id: String,
    /// How it has ended.
    pub state: TaskState,
}
