//! What handles ask of the driver.

use std::{path::PathBuf, time::Duration};

use meshwork_core::{
    AcceptPolicy, CancelledBy, GroupId, PeerId, ResourceUsage, Task, TaskId, Time, engine::Engine,
};
use tokio::sync::oneshot;

use super::answer::{AcceptedSender, EndSender, GroupSender};
use crate::journal::Copied;

/// What a handle asks of the driver.
pub(crate) enum Call {
    /// A task to be submitted.
    Submit {
        task: Box<Task>,
        targets: Vec<PeerId>,
        accepted: AcceptedSender,
        end: EndSender,
    },
    /// Members of a group to be submitted.
    SubmitGroup {
        tasks: Vec<Task>,
        targets: Vec<PeerId>,
        accepted: GroupSender,
    },
    /// A group is to take no more members, and to end.
    CancelGroup {
        id: GroupId,
        reason: String,
        done: GroupSender,
    },
    Watch {
        id: TaskId,
        end: EndSender,
        /// Whether the caller is given the result.
        hands_out: bool,
    },
    /// The results of these tasks were given to somebody.
    Handed {
        ids: Vec<TaskId>,
    },
    Cancel {
        id: TaskId,
        by: CancelledBy,
        reason: String,
        end: EndSender,
    },
    Trust {
        peer: PeerId,
        trusted: bool,
    },
    /// From whom attempts are accepted has changed.
    Accept {
        policy: AcceptPolicy,
    },
    /// This machine has been measured.
    Measured {
        usage: ResourceUsage,
    },
    /// Take no attempts any more, or take them again.
    Drain {
        on: bool,
    },
    Ask(Question),
    /// A copy of the journal is wanted, in this folder.
    Backup {
        dir: PathBuf,
        done: Copied,
    },
    Shutdown {
        grace: Duration,
        done: oneshot::Sender<()>,
    },
}

impl Call {
    /// Whether it may add to what is kept on disk. Such a call waits when the disk is far behind; all
    /// others are answered meanwhile.
    pub(crate) fn is_entry(&self) -> bool {
        match self {
            Self::Submit { .. }
            | Self::SubmitGroup { .. }
            | Self::Cancel { .. }
            | Self::CancelGroup { .. } => true,
            Self::Watch { .. }
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

    /// About how many tasks it is, and the bytes of their inputs.
    pub(super) fn weight(&self) -> (usize, usize) {
        match self {
            Self::SubmitGroup { tasks, .. } => {
                (tasks.len().max(1), tasks.iter().map(|task| task.input.len()).sum())
            }
            Self::Submit { task, .. } => (1, task.input.len()),
            Self::Cancel { .. }
            | Self::CancelGroup { .. }
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

/// What a handle wants to know of the engine; it sends the answer itself.
pub(crate) type Question = Box<dyn FnOnce(&Engine, Time) + Send>;
