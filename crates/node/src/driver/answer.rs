//! The answers of the driver to its callers. Each kind of call has its own type.

use meshwork_core::{Reason, TaskEnd, TaskId, engine::BlobReply};
use tokio::sync::oneshot;

/// The end of a task, or its place in the archive.
#[derive(Debug)]
pub(crate) enum EndOfTask {
    Here(TaskEnd),
    Archived { id: TaskId, number: u64 },
}

/// Sends the id under which a task was accepted, or why it was not.
pub(crate) type AcceptedSender = oneshot::Sender<Result<TaskId, Reason>>;

/// Sends the end of a task, or why the task is unknown.
pub(crate) type EndSender = oneshot::Sender<Result<EndOfTask, Reason>>;

/// Sends that a call about a group was carried out, or why it was refused.
pub(crate) type GroupSender = oneshot::Sender<Result<(), Reason>>;

/// Sends the answer to a request about blobs, or why it was refused.
pub(crate) type BlobSender = oneshot::Sender<Result<BlobReply, Reason>>;

/// Sends that a change is in force.
pub(crate) type DoneSender = oneshot::Sender<()>;

/// A caller that waits for the driver's answer.
#[derive(Debug)]
pub(crate) enum Waiter {
    Task(TaskWaiter),
    Group(GroupSender),
    Blobs(BlobSender),
}

/// A caller that waits for a task.
#[derive(Debug)]
pub(crate) struct TaskWaiter {
    /// The task. If it is accepted with a known idempotency key, that of the earlier task.
    pub(crate) id: TaskId,
    /// `None` if the task was accepted before.
    pub(crate) accepted: Option<AcceptedSender>,
    pub(crate) end: EndSender,
    /// Whether the caller is given the result.
    pub(crate) hands_out: bool,
}

impl Waiter {
    /// Whether the caller has stopped waiting and the engine can be asked not to answer. It always
    /// answers a call about a group or blobs, so such a waiter keeps its token.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Task(task) => task.accepted.is_none() && task.end.is_closed(),
            Self::Group(_) | Self::Blobs(_) => false,
        }
    }

    /// The task, unless the caller waits for something else.
    pub(super) fn task(&self) -> Option<TaskId> {
        match self {
            Self::Task(task) => Some(task.id),
            Self::Group(_) | Self::Blobs(_) => None,
        }
    }

    /// Sends a refusal. The caller may have stopped waiting.
    pub(super) fn refuse(self, reason: Reason) {
        match self {
            Self::Task(TaskWaiter { accepted: Some(accepted), .. }) => {
                accepted.send(Err(reason)).ok();
            }
            Self::Task(TaskWaiter { end, .. }) => {
                end.send(Err(reason)).ok();
            }
            Self::Group(done) => {
                done.send(Err(reason)).ok();
            }
            Self::Blobs(answer) => {
                answer.send(Err(reason)).ok();
            }
        }
    }
}
