//! What a caller can see of tasks and groups: states, attempts, and reasons to wait.

use std::time::Duration;

use libp2p_identity::PeerId;
use serde::Serialize;

use crate::{
    blob::BlobHash,
    reason::Reason,
    task::{Durability, GroupId, HandlerName, TaskEnd, TaskId, TaskState},
    time::Time,
};

/// A snapshot of one task of this owner.
#[derive(Clone, Debug)]
pub struct TaskView {
    /// The task's id.
    pub id: TaskId,
    /// Its group and its place there, if it is a member.
    pub group: Option<(GroupId, u32)>,
    /// Its handler.
    pub handler: HandlerName,
    /// Its state.
    pub state: TaskState,
    /// Tasks with a higher value start first.
    pub priority: i8,
    /// Whether the task outlives the process.
    pub durability: Durability,
    /// Size of its input in bytes.
    pub input_bytes: u64,
    /// When it was submitted.
    pub submitted: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// Its attempts so far, the latest last; only the last
    /// [`KEPT_ATTEMPTS`](crate::limits::KEPT_ATTEMPTS).
    pub attempts: Vec<AttemptView>,
    /// Which of its files are under way; `None` while none are.
    pub stage: Option<Stage>,
    /// How far the files under way are; else the latest progress report of the running attempt, if the
    /// handler sends any.
    pub progress: Option<Progress>,
    /// How it ended.
    pub end: Option<TaskEnd>,
    /// Why it waits, while it is queued.
    pub waiting: Option<Explanation>,
}

/// The files of a running attempt that are under way. It takes no slot meanwhile, and its time limit
/// does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The worker fetches the input.
    Staging,
    /// The handler has ended, and the owner fetches the output.
    Collecting,
}

impl Stage {
    /// The stage's name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Collecting => "collecting",
        }
    }
}

/// The latest progress report of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The finished fraction, from 0 to 1.
    pub fraction: f32,
    /// The handler's message, at most [`MESSAGE_BYTES`](crate::limits::MESSAGE_BYTES).
    pub message: String,
}

impl Progress {
    /// How much of `what` has arrived.
    pub(crate) fn of_bytes(what: &str, bytes: u64, size: u64) -> Self {
        let fraction = bytes as f32 / size.max(1) as f32;
        Self { fraction, message: format!("{what}: {bytes} of {size} bytes") }
    }
}

/// How a task ended, without details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// The task has a result.
    Succeeded,
    /// The task failed for good.
    Failed,
    /// The task was cancelled.
    Cancelled,
    /// The task exceeded a time limit.
    Expired,
}

impl Ending {
    /// The state of a task with this end.
    pub fn state(self) -> TaskState {
        match self {
            Self::Succeeded => TaskState::Succeeded,
            Self::Failed => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
            Self::Expired => TaskState::Expired,
        }
    }
}

/// What the engine knows about a task.
#[derive(Clone, Debug)]
pub enum Known<T> {
    /// The task is in memory.
    Here(T),
    /// The task has ended, and the rest is in the archive.
    Archived {
        /// The task's id.
        id: TaskId,
        /// Its number in the archive.
        number: u64,
        /// When it was submitted.
        submitted: Time,
    },
}

impl<T> Known<T> {
    /// The value in memory; `None` if the task is in the archive.
    pub fn here(self) -> Option<T> {
        match self {
            Self::Here(known) => Some(known),
            Self::Archived { .. } => None,
        }
    }
}

/// Sizes of the engine's tables, for checks that nothing leaks: with all tasks ended, no peer at
/// work and no timer due, all of them are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Timers, stale ones included.
    pub timers: usize,
    /// Classes: sets of tasks with equal needs.
    pub groups: usize,
    /// Journal batches that are not on disk yet.
    pub batches: usize,
    /// Attempts held here: waiting, running or not yet acknowledged.
    pub held: usize,
    /// Own attempts at workers, including this node.
    pub open: usize,
    /// Open attempts of ended tasks, which their workers have not been asked to stop.
    pub unwanted: usize,
    /// Open attempts with a progress report.
    pub progress: usize,
    /// Bytes of open attempts at workers, by this node's count.
    pub open_bytes: u64,
    /// Bytes held here for other owners, by this node's count.
    pub held_bytes: u64,
    /// Acknowledgements and frames that were not sent yet.
    pub unsent: usize,
}

/// A query for tasks; the newest come first.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    /// Only tasks in one of these states, by [`TaskState::as_str`]; empty: all.
    pub states: Vec<String>,
    /// Only tasks of this handler.
    pub handler: Option<String>,
    /// Only members of this group.
    pub group: Option<GroupId>,
    /// Only tasks after this one in the order of the list: its submission time and its id.
    pub after: Option<(Time, TaskId)>,
    /// Largest number of tasks; the method that takes the query says what 0 means.
    pub limit: usize,
}

/// Numbers of ended tasks, by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EndCounts {
    /// Tasks with a result.
    pub succeeded: u32,
    /// Tasks that failed for good.
    pub failed: u32,
    /// Tasks that were cancelled.
    pub cancelled: u32,
    /// Tasks that exceeded a time limit.
    pub expired: u32,
}

impl EndCounts {
    /// The sum of all four.
    pub fn all(&self) -> u32 {
        self.succeeded
            .saturating_add(self.failed)
            .saturating_add(self.cancelled)
            .saturating_add(self.expired)
    }

    /// The tasks that `max_fails` counts: failed and expired ones.
    pub fn fails(&self) -> u32 {
        self.failed.saturating_add(self.expired)
    }

    /// Adds `others`.
    pub(super) fn join(&mut self, others: &Self) {
        self.succeeded = self.succeeded.saturating_add(others.succeeded);
        self.failed = self.failed.saturating_add(others.failed);
        self.cancelled = self.cancelled.saturating_add(others.cancelled);
        self.expired = self.expired.saturating_add(others.expired);
    }

    /// Subtracts `others`, a part of these.
    pub(super) fn take(&mut self, others: &Self) {
        self.succeeded = self.succeeded.saturating_sub(others.succeeded);
        self.failed = self.failed.saturating_sub(others.failed);
        self.cancelled = self.cancelled.saturating_sub(others.cancelled);
        self.expired = self.expired.saturating_sub(others.expired);
    }

    /// Counts a task in this state, if the state is an end.
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

/// A snapshot of one group of this owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// The group's id.
    pub id: GroupId,
    /// Number of accepted members: all places below it.
    pub received: u32,
    /// Whether the last member was accepted.
    pub complete: bool,
    /// How many members may fail or expire; `None`: any number.
    pub max_fails: Option<u32>,
    /// Whether the members outlive the process.
    pub durability: Durability,
    /// Why the group accepts no more members and cancels the unfinished ones; `None` while it goes
    /// on.
    pub stop: Option<GroupStop>,
    /// Whether the last member is missing and no member was submitted for
    /// [`GROUP_IDLE`](crate::limits::GROUP_IDLE): the group is over once no member is open, but
    /// goes on if more members come.
    pub unfinished: bool,
    /// Members that wait for a worker.
    pub queued: u32,
    /// Members that were sent to a worker, or whose end is not on disk yet.
    pub running: u32,
    /// Members that have ended, forgotten ones included.
    pub ended: EndCounts,
    /// Number of workers with unfinished members.
    pub workers: u32,
    /// When the first known member was submitted.
    pub submitted: Time,
    /// When a member was last submitted.
    pub handed_in: Time,
}

impl GroupView {
    /// The group's state.
    pub fn state(&self) -> GroupState {
        let is_open = self.queued > 0 || self.running > 0;
        match &self.stop {
            Some(_) if is_open => GroupState::Stopping,
            Some(GroupStop::Cancelled { .. }) => GroupState::Cancelled,
            Some(GroupStop::Failures) => GroupState::Failed,
            None if !self.complete && self.unfinished && !is_open => GroupState::Unfinished,
            None if !self.complete => GroupState::Open,
            None if is_open => GroupState::Running,
            None if self.ended.succeeded == self.received => GroupState::Succeeded,
            None if self.ended.fails() == 0 => GroupState::Cancelled,
            None => GroupState::Failed,
        }
    }

    /// Whether no member is open and no more are expected.
    pub fn is_ended(&self) -> bool {
        self.state().is_ended()
    }

    /// Whether the group has ended and every member has succeeded.
    pub fn is_success(&self) -> bool {
        self.state() == GroupState::Succeeded
    }
}

/// Why a group accepts no more members while the unfinished ones are cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupStop {
    /// More members failed or expired than `max_fails` allows.
    Failures,
    /// A user cancelled it.
    Cancelled {
        /// The user's reason.
        reason: String,
    },
}

/// The state of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// More members may be submitted.
    Open,
    /// All members were submitted, and some have not ended.
    Running,
    /// No more members are accepted, and the unfinished ones are being cancelled.
    Stopping,
    /// Every member has succeeded.
    Succeeded,
    /// The group has ended, and not every member has succeeded.
    Failed,
    /// The group has ended because a user cancelled it.
    Cancelled,
    /// All submitted members have ended. The last one is missing, and no more are expected.
    Unfinished,
}

impl GroupState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::Running,
        Self::Stopping,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Unfinished,
    ];

    /// Whether a group in this state has ended.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Unfinished)
    }

    /// The state's name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unfinished => "unfinished",
        }
    }
}

/// A query for groups; the newest come first.
#[derive(Clone, Debug, Default)]
pub struct GroupQuery {
    /// Only groups in one of these states, by [`GroupState::as_str`]; empty: all.
    pub states: Vec<String>,
    /// Only groups after this one, by [`GroupView::submitted`] and [`GroupView::id`].
    pub after: Option<(Time, GroupId)>,
    /// Largest number of groups.
    pub limit: usize,
}

/// A group's state, with the reasons for it.
#[derive(Clone, Debug)]
pub struct GroupExplanation {
    /// The group.
    pub view: GroupView,
    /// Waiting members, by their needs: at most [`GROUP_NEEDS`](crate::limits::GROUP_NEEDS)
    /// different needs.
    pub waiting: Vec<WaitingMembers>,
    /// Number of waiting members with further needs.
    pub others: u32,
    /// The members that failed or expired first, at most
    /// [`GROUP_FAILURES`](crate::limits::GROUP_FAILURES); forgotten ones are left out.
    pub failures: Vec<Known<TaskView>>,
}

/// Waiting members with the same needs.
#[derive(Clone, Debug)]
pub struct WaitingMembers {
    /// Their handler.
    pub handler: HandlerName,
    /// Number of members.
    pub members: u32,
    /// Why they wait. Leaves out reasons of a single member: its rest before the next attempt, a
    /// refusal, a large input.
    pub why: Explanation,
}

/// The task or group that a word such as `last`, or the end of an id, refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A task.
    Task(TaskId),
    /// A group.
    Group(GroupId),
}

/// A snapshot of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptView {
    /// The attempt's number, from 1.
    pub number: u32,
    /// The worker.
    pub peer: PeerId,
    /// When it was sent.
    pub started: Time,
    /// When it ended; `None` while it is open.
    pub ended: Option<Time>,
    /// How it ended, in words; `None` while it is open.
    pub end: Option<String>,
}

/// Why a queued task waits: every peer, each with the first condition that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The summary: `no_eligible_peer` (no connected worker can run it), `busy` (the eligible ones
    /// are at their limits), `draining` (the eligible ones accept no new work), `connecting`
    /// (sessions to the eligible ones are being opened), `worker_free` (one accepts more),
    /// `backing_off` (the task rests before its next attempt) or `shutting_down`.
    pub code: &'static str,
    /// The same for people.
    pub message: String,
    /// The peers considered, the node itself first.
    pub peers: Vec<(PeerId, Obstacle)>,
    /// When the next try is due, if a timer decides it.
    pub next_try: Option<Time>,
    /// When the task expires if no worker takes it.
    pub gives_up: Option<Time>,
}

/// The number of own tasks that wait for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The reason, as in [`Explanation::code`].
    pub code: &'static str,
    /// The reason for people.
    pub message: String,
    /// Number of tasks.
    pub tasks: u64,
    /// The submission time and the id of the task that has waited longest.
    pub first: (Time, TaskId),
}

/// The first condition that keeps a task from a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// No obstacle: the task will be sent in the next pass.
    #[error("free")]
    None,
    /// No obstacle either, but the peer has to fetch the input first.
    #[error("free, and fetches {bytes} bytes of input first, about {takes:.0?}")]
    InputAway {
        /// Bytes that it does not have, as far as this node knows.
        bytes: u64,
        /// How long that takes at the throughput last seen.
        takes: Duration,
    },
    /// The node itself does not have the handler.
    #[error("this node has no handler {handler}")]
    NoHandlerHere {
        /// The handler.
        handler: HandlerName,
    },
    /// The task names other targets.
    #[error("not a target of this task")]
    NotTarget,
    /// The peer is not connected, or not ready.
    #[error("not ready")]
    NotReady,
    /// This node does not trust the peer.
    #[error("not trusted by this node")]
    NotTrusted,
    /// The peer offers other handlers of the family to this node, but not this one.
    #[error("it has no handler {handler}")]
    NoHandlerThere {
        /// The missing handler.
        handler: HandlerName,
    },
    /// The peer offers no handler of the family to this node, or has refused its tasks.
    #[error(
        "it does not offer {handler} to this node: it has no such handler, or does not accept it"
    )]
    NotOffered {
        /// The handler that the task needs.
        handler: HandlerName,
    },
    /// The peer does not meet a requirement of the task.
    #[error("{what}: {detail}")]
    Requirement {
        /// The kind of requirement.
        what: &'static str,
        /// What the peer has instead.
        detail: String,
    },
    /// The peer speaks a version of the protocol without what the task needs.
    #[error("speaks version {speaks}: files and folders need version {needs}")]
    Version {
        /// The highest version that the peer speaks.
        speaks: u32,
        /// The version that the task needs.
        needs: u32,
    },
    /// The peer refused this task.
    #[error("refused: {0}")]
    Refused(Reason),
    /// The peer answered `busy`.
    #[error("busy for another {}", humantime(*.retry_after_ms))]
    Busy {
        /// The remaining time in milliseconds.
        retry_after_ms: u64,
    },
    /// The session to the peer is not open yet.
    #[error("a session is being opened")]
    NoSession,
    /// The peer accepts no work for now.
    #[error("draining: it accepts no work for now")]
    Draining,
    /// This node is stopping and places no more tasks.
    #[error("this node is stopping and sends out no tasks")]
    Stopping,
    /// The peer holds as much of this node's work as its credit allows.
    #[error("at its limit: {assigned} of your tasks are unfinished there")]
    NoCredit {
        /// This node's unfinished attempts there.
        assigned: u32,
    },
}

impl Obstacle {
    /// Whether the peer would get the task now.
    pub fn is_free(&self) -> bool {
        matches!(self, Self::None | Self::InputAway { .. })
    }
}

fn humantime(ms: u64) -> String {
    format!("{:?}", Duration::from_millis(ms))
}

/// A stored blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BlobView {
    /// The hash of its bytes.
    pub hash: BlobHash,
    /// Size in bytes.
    pub size: u64,
    /// How many blobs it names; 0 for a file.
    pub links: usize,
    /// How many tasks, results and folders need it.
    pub holds: u32,
    /// Whether the user pinned it.
    pub pinned: bool,
}

/// The space for blobs on the disk of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlobSpace {
    /// Bytes that blobs may take.
    pub budget: u64,
    /// Bytes that stored blobs take, in whole blocks.
    pub used: u64,
    /// Bytes that are reserved for blobs being stored.
    pub reserved: u64,
    /// Stored blobs.
    pub blobs: usize,
    /// Blobs that tasks need and the store does not have.
    pub lost: usize,
}
