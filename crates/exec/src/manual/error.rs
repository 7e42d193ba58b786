//! Why an attempt was not completed.

use meshwork_core::TaskId;

/// Why [`ManualDesk::complete`](super::ManualDesk::complete) changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompleteError {
    /// No attempt of the task waits: it was completed or stopped, or never started on this node.
    #[error("no attempt of task {task} waits here")]
    NotFound {
        /// The task's id.
        task: TaskId,
    },
    /// Several owners have a task of this id that waits; name the owner.
    #[error("attempts of several owners' tasks {task} wait here; name the owner")]
    Ambiguous {
        /// The tasks' id.
        task: TaskId,
    },
    /// The output exceeds the limit. The attempt still waits.
    #[error("the output is {size} bytes; the limit is {limit} bytes")]
    TooLarge {
        /// Size of the output, in bytes.
        size: usize,
        /// Maximum size, in bytes.
        limit: usize,
    },
}

impl CompleteError {
    /// Whether the same call may succeed later: only an ambiguous call can, once the attempts of
    /// the other owners have ended.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Ambiguous { .. })
    }
}
