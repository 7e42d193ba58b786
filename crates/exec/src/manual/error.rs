//! Why an attempt was not completed.

use meshwork_core::TaskId;

/// Why [`ManualDesk::complete`](super::ManualDesk::complete) changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompleteError {
    /// No attempt of the task waits: it was completed or stopped, or never started here.
    #[error("no attempt of task {task} waits here")]
    NotFound {
        /// The task.
        task: TaskId,
    },
    /// Attempts of more than one owner's task of this id wait; name the owner.
    #[error("attempts of several owners' tasks {task} wait here; name the owner")]
    Ambiguous {
        /// The tasks' id.
        task: TaskId,
    },
    /// The output is larger than what travels back. The attempt still waits.
    #[error("the output is {size} bytes; at most {limit} travel back")]
    TooLarge {
        /// Bytes of the output.
        size: usize,
        /// The most that it may be.
        limit: usize,
    },
}

impl CompleteError {
    /// Whether the same call may succeed later without the caller changing anything: only when it
    /// was ambiguous, and the other attempts have ended.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Ambiguous { .. })
    }
}
