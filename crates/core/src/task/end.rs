//! The states of a task, and its end.

use std::{fmt, time::Duration};

use bytes::Bytes;
use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize};

use crate::{
    blob::{BlobRef, Payload},
    failure::TaskFailure,
    frame::Epoch,
};

/// The state of a task. The last four are ends: a task reaches exactly one of them and keeps it.
///
/// `Queued → Assigned → Running → end`; from `Assigned` and `Running` a task returns to `Queued`
/// when its worker refuses or is lost, or when the attempt fails and may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// The task waits for a worker.
    Queued,
    /// The task was sent to a worker that has not answered yet.
    Assigned {
        /// The worker.
        peer: PeerId,
        /// The epoch of the attempt.
        epoch: Epoch,
    },
    /// A worker has accepted the task.
    Running {
        /// The worker.
        peer: PeerId,
        /// The epoch of the attempt.
        epoch: Epoch,
    },
    /// The task has a result.
    Succeeded,
    /// The task failed for good.
    Failed,
    /// The task was cancelled before it ended otherwise.
    Cancelled,
    /// The task exceeded one of its time limits.
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

/// The output of a successful task, with its worker and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskResult {
    /// What the handler returned. Cheap to clone.
    pub output: Payload,
    /// The worker that ran the attempt. The connection authenticates the sender; nothing verifies
    /// that the result is correct.
    pub worker: PeerId,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// How long the handler ran, as the worker reports it.
    pub took: Duration,
}

impl TaskResult {
    /// The output as text.
    ///
    /// # Errors
    ///
    /// The output is not UTF-8, or it is a blob.
    pub fn text(&self) -> Result<&str, OutputError> {
        Ok(std::str::from_utf8(self.bytes()?)?)
    }

    /// The output's bytes.
    ///
    /// # Errors
    ///
    /// The output is a blob: its bytes are in the store of the task's owner.
    pub fn bytes(&self) -> Result<&Bytes, OutputError> {
        match &self.output {
            Payload::Inline(bytes) => Ok(bytes),
            Payload::Blob(blob) => Err(OutputError::Blob(**blob)),
        }
    }
}

/// An output cannot be read as requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// The output is a file or a folder.
    #[error("the output is a {} of {} bytes; save it to a path", .0.form.as_str(), .0.size)]
    Blob(BlobRef),
    /// The output is not UTF-8.
    #[error("the output is not a text")]
    Text(#[from] std::str::Utf8Error),
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// The task succeeded with this result.
    Succeeded(TaskResult),
    /// The task failed for good.
    Failed(TaskFailure),
    /// The task was cancelled.
    Cancelled {
        /// Who cancelled it.
        by: CancelledBy,
        /// The reason given by the user or the node.
        reason: String,
    },
    /// The task exceeded a time limit.
    Expired {
        /// The limit that it exceeded.
        limit: ExpiredLimit,
    },
}

impl TaskEnd {
    /// The state of a task with this end.
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
    /// The user or program that submitted the task, through the library or the local API.
    Submitter,
    /// The node itself, because it stopped.
    Shutdown,
    /// The node itself, because too many members of the task's group failed or expired.
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

/// The time limit that ended a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiredLimit {
    /// No worker took the task in time.
    Queue,
    /// An attempt took too long, and no retry was left.
    Attempt,
    /// The task took too long since its submission.
    Total,
}

impl ExpiredLimit {
    /// The limit with this name, if there is one.
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
