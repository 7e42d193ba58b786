//! Where a task stands, and how it ended.

use std::{fmt, time::Duration};

use bytes::Bytes;
use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize};

use crate::{failure::TaskFailure, frame::Epoch};

/// Where a task stands. The last four are ends: exactly one of them is reached, and it stays.
///
/// `Queued → Assigned → Running → end`; from `Assigned` and `Running` a task returns to `Queued`
/// when its worker refuses, is lost, or the attempt fails and may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Waits for a worker.
    Queued,
    /// Sent to a worker that has not answered yet.
    Assigned {
        /// The worker.
        peer: PeerId,
        /// The attempt.
        epoch: Epoch,
    },
    /// Accepted by a worker.
    Running {
        /// The worker.
        peer: PeerId,
        /// The attempt.
        epoch: Epoch,
    },
    /// Has a result.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Cancelled before it ended otherwise.
    Cancelled,
    /// Ran into one of its time limits.
    Expired,
}

impl TaskState {
    /// Whether the task has ended.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired)
    }

    /// The state's name in JSON, events and on the command line.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Assigned { .. } => "assigned",
            Self::Running { .. } => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a handler made, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The bytes that the handler returned. Cheap to clone.
    pub output: Bytes,
    /// The worker that ran the attempt. The connection proves who sent the result; nobody checks whether it
    /// is right.
    pub worker: PeerId,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// How long the handler ran, as the worker says.
    pub took: Duration,
}

impl TaskResult {
    /// The output as text.
    ///
    /// # Errors
    ///
    /// The output is not UTF-8.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.output)
    }
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// With a result.
    Succeeded(TaskResult),
    /// With a failure that is final.
    Failed(TaskFailure),
    /// By request.
    Cancelled {
        /// Who asked for it.
        by: CancelledBy,
        /// Why, in the asker's words.
        reason: String,
    },
    /// By one of its time limits.
    Expired {
        /// Which limit.
        limit: ExpiredLimit,
    },
}

impl TaskEnd {
    /// The state that a task with this end is in.
    pub fn state(&self) -> TaskState {
        match self {
            Self::Succeeded(_) => TaskState::Succeeded,
            Self::Failed(_) => TaskState::Failed,
            Self::Cancelled { .. } => TaskState::Cancelled,
            Self::Expired { .. } => TaskState::Expired,
        }
    }
}

/// Who cancelled a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelledBy {
    /// Whoever submitted it, through the library or the local API.
    Submitter,
    /// The node itself, because it stops.
    Shutdown,
    /// The node itself, because more members of the task's group did not succeed than may.
    Group,
}

impl CancelledBy {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitter => "submitter",
            Self::Shutdown => "shutdown",
            Self::Group => "group",
        }
    }
}

/// Which time limit ended a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiredLimit {
    /// No worker took it in time.
    Queue,
    /// Its attempts took too long, and no more were allowed.
    Attempt,
    /// It took too long from submission on.
    Total,
}

impl ExpiredLimit {
    /// The limit of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Queue, Self::Attempt, Self::Total].into_iter().find(|limit| limit.as_str() == name)
    }

    /// The limit's name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Attempt => "attempt",
            Self::Total => "total",
        }
    }
}
