//! Tasks as the node tells of them, and what can be asked of it about them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

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
    /// `queued`, `assigned`, `running`; or its end: `succeeded`, `failed`, `cancelled`, `expired`.
    pub state: String,
    /// Higher runs first.
    pub priority: i8,
    /// What outlives the node's process: `disk` (the task, its end and its result) or `memory`
    /// (nothing).
    #[serde(default)]
    pub durability: String,
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
        matches!(self.state.as_str(), "succeeded" | "failed" | "cancelled" | "expired")
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
    /// The sum of it, as a stable code: `no_eligible_peer` (no connected worker can run it), `busy` (those
    /// that can are at their limits), `draining` (those that can take no new work), `connecting` (sessions
    /// with those that can are being opened), `worker_free` (one takes more: a task is about to be sent,
    /// members of a group may also rest before their next attempt), `backing_off` (it rests before its next
    /// attempt) or `shutting_down`.
    pub code: String,
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
    pub sums: BTreeMap<String, u64>,
}

/// Own tasks of a node that wait for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsView {
    /// The reason, as in [`WaitingView::code`].
    pub code: String,
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
    /// The stable code; `none` if nothing does.
    pub code: String,
    /// In words.
    pub message: String,
}

/// Why a task ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// The stable code: that of the failure, or `cancelled`, or `expired`.
    pub code: String,
    /// In words.
    pub message: String,
    /// The task's own exit code, 1 to 123, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// The worker on which it happened, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Of `expired`: which limit, `queue`, `attempt` or `total`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Of `cancelled`: who did it, `submitter`, `shutdown`, or `group` if too many of its group failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
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
    /// How: `succeeded`, `failed`, `cancelled` or `expired`.
    pub state: String,
}
