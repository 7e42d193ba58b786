//! What a caller may see of a task: its story, and why it waits.

use std::time::Duration;

use libp2p_identity::PeerId;
use serde::Serialize;

use crate::{
    reason::Reason,
    task::{GroupId, HandlerName, TaskEnd, TaskId, TaskState},
    time::Time,
};

/// One task of this owner, at one moment.
#[derive(Clone, Debug)]
pub struct TaskView {
    /// Which.
    pub id: TaskId,
    /// The group that it is a member of, and its place there.
    pub group: Option<(GroupId, u32)>,
    /// What runs.
    pub handler: HandlerName,
    /// Where it stands.
    pub state: TaskState,
    /// Higher runs first.
    pub priority: i8,
    /// Size of its input in bytes.
    pub input_bytes: usize,
    /// When it was submitted.
    pub submitted: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// Its attempts so far, the latest last; the earliest are dropped beyond
    /// [`KEPT_ATTEMPTS`](crate::limits::KEPT_ATTEMPTS).
    pub attempts: Vec<AttemptView>,
    /// How it ended.
    pub end: Option<TaskEnd>,
    /// While it is queued: why.
    pub waiting: Option<Explanation>,
}

/// How much is in the engine's tables, for those who check that nothing is left behind: with no task
/// that has not ended, no peer at work and no timer that is due, all of it is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Timers, also those that mean nothing any more.
    pub timers: usize,
    /// Groups of tasks that have the same needs.
    pub groups: usize,
    /// Journal batches that are not known to be safe.
    pub batches: usize,
    /// Attempts that are held here, whether they wait, run or are to be acknowledged.
    pub held: usize,
    /// Own attempts at workers, the node itself among them.
    pub open: usize,
    /// Bytes that the node thinks lie at its workers.
    pub open_bytes: u64,
    /// Bytes that it thinks it holds for others.
    pub held_bytes: u64,
    /// Acknowledgements and frames that have not been sent.
    pub unsent: usize,
}

/// Which tasks to list, the newest first.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    /// Only those in one of these states, by [`TaskState::as_str`]; empty: all.
    pub states: Vec<String>,
    /// Only those of this handler.
    pub handler: Option<String>,
    /// Only members of this group.
    pub group: Option<GroupId>,
    /// At most so many.
    pub limit: usize,
}

/// Tasks that have ended, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EndCounts {
    /// With a result.
    pub succeeded: u32,
    /// With a failure.
    pub failed: u32,
    /// By request.
    pub cancelled: u32,
    /// By a time limit.
    pub expired: u32,
}

impl EndCounts {
    /// All of them.
    pub fn all(&self) -> u32 {
        self.succeeded
            .saturating_add(self.failed)
            .saturating_add(self.cancelled)
            .saturating_add(self.expired)
    }

    /// Those that `max_fails` counts: what failed or expired.
    pub fn fails(&self) -> u32 {
        self.failed.saturating_add(self.expired)
    }

    /// Without these, which are among them.
    pub(super) fn take(&mut self, others: &Self) {
        self.succeeded = self.succeeded.saturating_sub(others.succeeded);
        self.failed = self.failed.saturating_sub(others.failed);
        self.cancelled = self.cancelled.saturating_sub(others.cancelled);
        self.expired = self.expired.saturating_sub(others.expired);
    }

    /// One more in this state, if it is an end.
    pub(super) fn add(&mut self, state: &TaskState) {
        match state {
            TaskState::Succeeded => self.succeeded += 1,
            TaskState::Failed => self.failed += 1,
            TaskState::Cancelled => self.cancelled += 1,
            TaskState::Expired => self.expired += 1,
            TaskState::Queued | TaskState::Assigned { .. } | TaskState::Running { .. } => {}
        }
    }
}

/// One group of this owner, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Which.
    pub id: GroupId,
    /// Members that were accepted so far: those of the places below it.
    pub received: u32,
    /// Whether the last one was, so that there are no more.
    pub complete: bool,
    /// How many members may fail or expire; none: any number.
    pub max_fails: Option<u32>,
    /// Whether more of them did: the others are cancelled, and no more are accepted.
    pub stopped: bool,
    /// Members that wait for a worker.
    pub queued: u32,
    /// Members that were sent to one, or whose end is not on disk yet.
    pub running: u32,
    /// Members that have ended, forgotten or not.
    pub ended: EndCounts,
    /// Workers that have members now.
    pub workers: u32,
    /// When the first of its members that are known was submitted.
    pub submitted: Time,
}

impl GroupView {
    /// Whether all is over: no member is open, and no more come.
    pub fn is_ended(&self) -> bool {
        self.queued == 0 && self.running == 0 && (self.complete || self.stopped)
    }

    /// Whether all is over, and every member has succeeded.
    pub fn is_success(&self) -> bool {
        self.is_ended() && self.complete && self.ended.succeeded == self.received
    }
}

/// What a word such as `last` or the end of an id may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A task.
    Task(TaskId),
    /// A group.
    Group(GroupId),
}

/// One attempt at a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptView {
    /// Which one, from 1.
    pub number: u32,
    /// Where.
    pub peer: PeerId,
    /// When it was sent.
    pub started: Time,
    /// When it was over.
    pub ended: Option<Time>,
    /// How it ended, in words; none while it runs.
    pub end: Option<String>,
}

/// Why a queued task waits: every peer considered, each with the first condition that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The sum of it.
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// Peers considered, the node itself first.
    pub peers: Vec<(PeerId, Obstacle)>,
    /// When it is tried again, if by a timer.
    pub next_try: Option<Time>,
    /// When it is given up.
    pub gives_up: Option<Time>,
}

/// The first condition that keeps a task from a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// None: it will be sent on the next pass.
    #[error("free")]
    None,
    /// The node itself runs no such handler.
    #[error("this node has no handler {handler}")]
    NoHandlerHere {
        /// The handler.
        handler: HandlerName,
    },
    /// The task names others.
    #[error("not a target of this task")]
    NotTarget,
    /// Not connected, or not ready.
    #[error("not ready")]
    NotReady,
    /// This node does not trust it.
    #[error("not trusted by this node: meshwork peers trust PEER")]
    NotTrusted,
    /// It does not offer the handler to this node.
    #[error("{handler} is not offered to this node")]
    NotOffered {
        /// The handler.
        handler: HandlerName,
    },
    /// It lacks something that the task requires.
    #[error("{what}: {detail}")]
    Requirement {
        /// The kind of requirement.
        what: &'static str,
        /// What there is instead.
        detail: String,
    },
    /// It refused this task.
    #[error("refused: {0}")]
    Refused(Reason),
    /// It said it was busy.
    #[error("busy for another {}", humantime(*.retry_after_ms))]
    Busy {
        /// For how long, in milliseconds.
        retry_after_ms: u64,
    },
    /// The session is not open yet.
    #[error("a session is being opened")]
    NoSession,
    /// It takes no work for now.
    #[error("draining: it takes no work for now")]
    Draining,
    /// Nothing: this node stops, and places nothing any more.
    #[error("this node stops, and sends nothing out")]
    Stopping,
    /// As much as it takes is already there.
    #[error("no credit: {assigned} of our tasks are unfinished there")]
    NoCredit {
        /// Our unfinished attempts there.
        assigned: u32,
    },
}

fn humantime(ms: u64) -> String {
    format!("{:?}", Duration::from_millis(ms))
}
