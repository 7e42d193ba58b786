//! The calls of the driver.

use std::{path::PathBuf, time::Duration};

use meshwork_core::{
    AcceptPolicy, CancelledBy, GroupId, PeerId, ResourceUsage, Task, TaskId,
    engine::{BlobEvent, BlobRequest, Input},
};
use meshwork_net::blob::serve::BlobEvent as BlobStreamEvent;
use tokio::sync::oneshot;

use super::{
    answer::{AcceptedSender, BlobSender, DoneSender, EndSender, GroupSender},
    question::Question,
};
use crate::journal::Copied;

/// A call of the driver, with the sender of its own answer.
#[derive(Debug)]
pub(crate) enum Call {
    /// Submit a task.
    Submit { task: Box<Task>, targets: Vec<PeerId>, accepted: AcceptedSender, end: EndSender },
    /// Submit members of a group.
    SubmitGroup { tasks: Vec<Task>, targets: Vec<PeerId>, accepted: GroupSender },
    /// Cancel a group.
    CancelGroup { id: GroupId, reason: String, done: GroupSender },
    /// Wait for the end of a task.
    Watch {
        id: TaskId,
        end: EndSender,
        /// Whether the caller is given the result.
        hands_out: bool,
    },
    /// The results of these tasks were handed out.
    Handed { ids: Vec<TaskId> },
    /// Cancel a task.
    Cancel { id: TaskId, by: CancelledBy, reason: String, end: EndSender },
    /// Trust a peer, or no longer.
    Trust { peer: PeerId, trusted: bool, done: DoneSender },
    /// Accept attempts by these rules from now on.
    Accept { policy: AcceptPolicy, done: DoneSender },
    /// This machine was measured.
    Measured { usage: ResourceUsage },
    /// Accept no more attempts, or accept them again.
    Drain { on: bool, done: DoneSender },
    /// A request about blobs.
    Blobs { request: BlobRequest, answer: BlobSender },
    /// Something happened to blobs.
    BlobEvent(BlobEvent),
    /// A fetch of this number has ended, or has got bytes.
    Fetched { number: u64, event: BlobEvent },
    /// The output of an attempt was published, or could not be.
    Collected(Box<Input>),
    /// A peer asks for a blob, or one that it asked for is damaged.
    BlobStream(BlobStreamEvent),
    /// Answer a question about the engine's state.
    Ask(Question),
    /// Copy the journal to this folder.
    Backup { dir: PathBuf, done: Copied },
    /// Stop the node within the grace. `done` is sent when it has stopped.
    Shutdown { grace: Duration, done: oneshot::Sender<()> },
}

impl Call {
    /// Whether the call may add to what is kept on disk. Such calls wait when the disk is far behind;
    /// all others are answered meanwhile.
    pub(crate) fn is_entry(&self) -> bool {
        match self {
            Self::Submit { .. }
            | Self::SubmitGroup { .. }
            | Self::Cancel { .. }
            | Self::CancelGroup { .. }
            | Self::Blobs { request: BlobRequest::Store { .. }, .. } => true,
            Self::Blobs { .. }
            | Self::BlobEvent(_)
            | Self::Fetched { .. }
            | Self::Collected(_)
            | Self::BlobStream(_)
            | Self::Watch { .. }
            | Self::Handed { .. }
            | Self::Trust { .. }
            | Self::Accept { .. }
            | Self::Measured { .. }
            | Self::Drain { .. }
            | Self::Ask(_)
            | Self::Backup { .. }
            | Self::Shutdown { .. } => false,
        }
    }

    /// The approximate number of tasks in the call, and the bytes of their inputs.
    pub(super) fn weight(&self) -> (usize, usize) {
        match self {
            Self::SubmitGroup { tasks, .. } => {
                (tasks.len().max(1), tasks.iter().map(|task| task.input.weight()).sum())
            }
            Self::Submit { task, .. } => (1, task.input.weight()),
            Self::Cancel { .. }
            | Self::CancelGroup { .. }
            | Self::Blobs { .. }
            | Self::BlobEvent(_)
            | Self::Fetched { .. }
            | Self::Collected(_)
            | Self::BlobStream(_)
            | Self::Watch { .. }
            | Self::Handed { .. }
            | Self::Trust { .. }
            | Self::Accept { .. }
            | Self::Measured { .. }
            | Self::Drain { .. }
            | Self::Ask(_)
            | Self::Backup { .. }
            | Self::Shutdown { .. } => (1, 0),
        }
    }
}
