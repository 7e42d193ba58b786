//! Journal records about durable tasks and results, and the state restored from them.

use std::time::Duration;

use libp2p_identity::PeerId;

use super::{blob_input::BlobRecord, story::Story, view::EndCounts};
use crate::{
    frame::{AttemptEnd, Epoch},
    task::{GroupId, Task, TaskEnd, TaskId},
    time::Time,
};

/// A journal batch's sequence number, rising by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// One journal entry, about durable tasks and results. Replayed in order, records give the
/// [`Restored`] tasks that an engine starts from.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A task was accepted.
    Submitted {
        /// The task.
        task: Box<Task>,
        /// Its targets; empty: placement chooses among all peers.
        targets: Vec<PeerId>,
    },
    /// Attempts at a task failed, or a restored task starts on this node.
    Tried {
        /// The task that was tried.
        id: TaskId,
        /// Its attempts so far.
        story: Story,
    },
    /// A task has ended.
    Ended {
        /// The task that ended.
        id: TaskId,
        /// How it ended.
        end: Box<TaskEnd>,
        /// Its attempts; empty for a task that succeeded at the first one.
        story: Story,
    },
    /// An ended task was forgotten.
    Forgotten {
        /// The forgotten task.
        id: TaskId,
    },
    /// A volume of ended tasks is on disk: its tasks need not stay in the journal.
    Archived {
        /// The number of its first task.
        first: u64,
        /// How many numbers the volume takes.
        count: u32,
        /// The ids of its tasks.
        ids: Vec<TaskId>,
    },
    /// Archived tasks were forgotten.
    Dropped {
        /// Their numbers in the archive.
        numbers: Vec<u64>,
        /// The latest time in their ids, in milliseconds since 1970.
        until: u64,
    },
    /// The results of archived tasks were handed out.
    Read {
        /// Their numbers in the archive.
        numbers: Vec<u64>,
    },
    /// The state of a group besides its members. The latest record counts.
    Group(Box<GroupTally>),
    /// A group and its members were forgotten.
    GroupForgotten {
        /// The forgotten group.
        id: GroupId,
    },
    /// A change of the stored blobs.
    Blob(BlobRecord),
    /// This node has finished an attempt for an owner.
    Finished(Box<KeptResult>),
    /// The owner has stored the result, or the result was dropped.
    Released {
        /// The owner.
        owner: PeerId,
        /// The attempt's epoch.
        epoch: Epoch,
    },
}

impl Record {
    /// Bytes of its input, result and messages: of every part that others may make long.
    pub fn weight(&self) -> usize {
        match self {
            Self::Submitted { task, .. } => task.input.weight(),
            Self::Ended { end, story, .. } => {
                story.weight()
                    + match &**end {
                        TaskEnd::Succeeded(result) => result.output.weight(),
                        TaskEnd::Failed(failure) => failure.message.len(),
                        TaskEnd::Cancelled { reason, .. } => reason.len(),
                        TaskEnd::Expired { .. } => 0,
                    }
            }
            Self::Finished(kept) => match &kept.end {
                AttemptEnd::Output(output) => output.weight(),
                AttemptEnd::Failed(failure) => failure.message.len(),
                AttemptEnd::Cancelled => 0,
            },
            Self::Tried { story, .. } => story.weight(),
            Self::Group(tally) => tally.cancelled.as_ref().map_or(0, |reason| reason.len()),
            Self::Forgotten { .. }
            | Self::Archived { .. }
            | Self::Dropped { .. }
            | Self::Read { .. }
            | Self::GroupForgotten { .. }
            | Self::Blob(_)
            | Self::Released { .. } => 0,
        }
    }
}

/// The state of a group, with the ends of forgotten members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTally {
    /// The group's id.
    pub id: GroupId,
    /// The number of submitted members: all places below it.
    pub received: u32,
    /// Whether the last member was submitted.
    pub complete: bool,
    /// As [`GroupMember::max_fails`](crate::GroupMember::max_fails).
    pub max_fails: Option<u32>,
    /// The reason of its cancellation, if it was cancelled.
    pub cancelled: Option<Box<str>>,
    /// Ends of members that an earlier version has forgotten.
    pub forgotten: EndCounts,
    /// Whether the group is being forgotten: its remaining members are not kept.
    pub leaving: bool,
}

/// A result for another owner, kept until that owner has stored it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptResult {
    /// The owner of the task.
    pub owner: PeerId,
    /// The attempt's epoch.
    pub epoch: Epoch,
    /// The task.
    pub task: TaskId,
    /// How the attempt ended.
    pub end: AttemptEnd,
    /// How long the handler ran.
    pub took: Duration,
}

/// A task as the journal knew it when the node started.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    /// The task, as it was submitted.
    pub task: Box<Task>,
    /// Its targets; empty: placement chooses among all peers.
    pub targets: Vec<PeerId>,
    /// When it was submitted.
    pub submitted: Time,
    /// Its attempts and the time of that record; `None` if nothing was recorded.
    pub story: Option<Box<(Story, Time)>>,
    /// How it ended, if it has.
    pub ended: Option<Box<RestoredEnd>>,
}

/// How and when a task ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredEnd {
    /// How it ended.
    pub end: TaskEnd,
    /// When it ended, on the clock of this start.
    pub at: Time,
    /// The node's uptime at that moment, over all its starts.
    pub up: Time,
}
