//! What handles ask of the driver.

use std::{path::PathBuf, time::Duration};

use meshwork_core::{
    AcceptPolicy, CancelledBy, GroupId, NetworkMessage, PeerId, ResourceUsage, Task, TaskId,
    TaskProtocolEvent, Time,
    engine::{Engine, Reply},
};
use tokio::sync::oneshot;

use crate::journal::Copied;

/// What a handle asks of the driver.
pub(crate) enum Call {
    /// A task to be distributed; any other message is refused.
    Send {
        event: TaskProtocolEvent,
        accepted: oneshot::Sender<Reply>,
        end: oneshot::Sender<Reply>,
    },
    /// Members of a group to be distributed.
    SendGroup {
        tasks: Vec<Task>,
        targets: Vec<PeerId>,
        accepted: oneshot::Sender<Reply>,
    },
    /// A group is to take no more members, and to end.
    CancelGroup {
        id: GroupId,
        reason: String,
        done: oneshot::Sender<Reply>,
    },
    Watch {
        id: TaskId,
        end: oneshot::Sender<Reply>,
        /// Whether whoever waits is given the result.
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
        end: oneshot::Sender<Reply>,
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
            Self::Send { .. }
            | Self::SendGroup { .. }
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
            Self::SendGroup { tasks, .. } => {
                (tasks.len().max(1), tasks.iter().map(|task| task.input.len()).sum())
            }
            Self::Send { event: TaskProtocolEvent::SendMessage(message), .. } => {
                let NetworkMessage::TaskDistribution { task, .. } = &**message else {
                    return (1, 0);
                };
                (1, task.input.len())
            }
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
