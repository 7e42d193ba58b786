//! What a journal remembers of durable tasks and results, and what an engine starts from again.

use std::time::Duration;

use libp2p_identity::PeerId;

use super::{story::Story, view::EndCounts};
use crate::{
    frame::{AttemptEnd, Epoch},
    task::{GroupId, Task, TaskEnd, TaskId},
    time::Time,
};

/// Numbers the engine's journal batches, rising by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// What a journal must remember, of tasks that are durable. Replayed in their order, records give
/// the [`Restored`] that an engine starts from again.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A task was accepted.
    Submitted {
        /// The task.
        task: Box<Task>,
        /// Run on these only; empty: wherever placement chooses.
        targets: Vec<PeerId>,
    },
    /// Attempts at a task came to nothing, or it starts here after it has come back.
    Tried {
        /// Which.
        id: TaskId,
        /// What has become of it so far.
        story: Story,
    },
    /// A task has ended.
    Ended {
        /// Which.
        id: TaskId,
        /// Its end.
        end: Box<TaskEnd>,
        /// How it came to that; nothing for one that succeeded at once.
        story: Story,
    },
    /// An ended task is not kept any longer.
    Forgotten {
        /// The task.
        id: TaskId,
    },
    /// A volume of ended tasks is on disk: they need not be in the journal.
    Archived {
        /// The number of its first task.
        first: u64,
        /// How many numbers it takes.
        count: u32,
        /// Its tasks.
        ids: Vec<TaskId>,
    },
    /// These archived tasks are not kept any longer.
    Dropped {
        /// Their numbers.
        numbers: Vec<u64>,
        /// The latest time in their ids, in milliseconds since 1970.
        until: u64,
    },
    /// The results of these archived tasks were handed out.
    Read {
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// What is known of a group besides those of its members that are kept. The last one counts.
    Group(Box<GroupTally>),
    /// Nothing of a group is kept any longer.
    GroupForgotten {
        /// Which.
        id: GroupId,
    },
    /// This node has finished an attempt for an owner.
    Finished(Box<KeptResult>),
    /// The owner has the result for good, or it was dropped.
    Released {
        /// The owner.
        owner: PeerId,
        /// The attempt.
        epoch: Epoch,
    },
}

impl Record {
    /// Bytes of the input, the result and the words that it carries: of all that others may make long.
    pub fn weight(&self) -> usize {
        match self {
            Self::Submitted { task, .. } => task.input.len(),
            Self::Ended { end, story, .. } => {
                story.weight()
                    + match &**end {
                        TaskEnd::Succeeded(result) => result.output.len(),
                        TaskEnd::Failed(failure) => failure.message.len(),
                        TaskEnd::Cancelled { reason, .. } => reason.len(),
                        TaskEnd::Expired { .. } => 0,
                    }
            }
            Self::Finished(kept) => match &kept.end {
                AttemptEnd::Output(output) => output.len(),
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
            | Self::Released { .. } => 0,
        }
    }
}

/// What a group is, and how those of its members have ended that are forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTally {
    /// Which group.
    pub id: GroupId,
    /// The places below it were handed in.
    pub received: u32,
    /// Whether these are all.
    pub complete: bool,
    /// As [`GroupMember::max_fails`](crate::GroupMember::max_fails).
    pub max_fails: Option<u32>,
    /// Why it was cancelled, if it was.
    pub cancelled: Option<Box<str>>,
    /// How members ended that an earlier version has forgotten.
    pub forgotten: EndCounts,
    /// Whether it is being forgotten: what is left of it is not kept.
    pub leaving: bool,
}

/// The result of an attempt for another owner, until that owner has it for good.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptResult {
    /// Whose task it is.
    pub owner: PeerId,
    /// The attempt.
    pub epoch: Epoch,
    /// The task.
    pub task: TaskId,
    /// How the attempt ended.
    pub end: AttemptEnd,
    /// How long the handler ran.
    pub took: Duration,
}

/// What a journal knew of one task when the node started.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    /// The task, as it was submitted.
    pub task: Box<Task>,
    /// Run on these only; empty: wherever placement chooses.
    pub targets: Vec<PeerId>,
    /// When it was submitted.
    pub submitted: Time,
    /// What has become of it, and as of when; none if nothing has.
    pub story: Option<Box<(Story, Time)>>,
    /// How it has ended, if it has.
    pub ended: Option<Box<RestoredEnd>>,
}

/// How and when a task has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredEnd {
    /// Its end.
    pub end: TaskEnd,
    /// When, on the clock of this start.
    pub at: Time,
    /// How long the node had been up then, over all its starts.
    pub up: Time,
}
