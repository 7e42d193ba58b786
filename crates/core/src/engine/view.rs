//! What a caller may see of a task: its story, and why it waits.

use std::time::Duration;

use libp2p_identity::PeerId;
use serde::Serialize;

use crate::{
    reason::Reason,
    task::{Durability, GroupId, HandlerName, TaskEnd, TaskId, TaskState},
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
    /// What outlives the process.
    pub durability: Durability,
    /// Size of its input in bytes.
    pub input_bytes: usize,
    /// When it was submitted.
    pub submitted: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// Its attempts so far, the latest last; the earliest are dropped beyond
    /// [`KEPT_ATTEMPTS`](crate::limits::KEPT_ATTEMPTS).
    pub attempts: Vec<AttemptView>,
    /// How far its attempt has come, while it runs and if its handler says so.
    pub progress: Option<Progress>,
    /// How it ended.
    pub end: Option<TaskEnd>,
    /// While it is queued: why.
    pub waiting: Option<Explanation>,
}

/// How far an attempt has come, as its handler has said last.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// From 0 to 1.
    pub fraction: f32,
    /// In words, at most [`MESSAGE_BYTES`](crate::limits::MESSAGE_BYTES).
    pub message: String,
}

/// How a task has ended, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// With a result.
    Succeeded,
    /// With a failure.
    Failed,
    /// By request.
    Cancelled,
    /// By a time limit.
    Expired,
}

impl Ending {
    /// The state of such a task.
    pub fn state(self) -> TaskState {
        match self {
            Self::Succeeded => TaskState::Succeeded,
            Self::Failed => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
            Self::Expired => TaskState::Expired,
        }
    }
}

/// What the engine knows of a task.
#[derive(Clone, Debug)]
pub enum Known<T> {
    /// This.
    Here(T),
    /// That it has ended; the archive has the rest.
    Archived {
        /// Which task.
        id: TaskId,
        /// Its number in the archive.
        number: u64,
        /// When it was submitted.
        submitted: Time,
    },
}

impl<T> Known<T> {
    /// What is known here; none if the archive has it.
    pub fn here(self) -> Option<T> {
        match self {
            Self::Here(known) => Some(known),
            Self::Archived { .. } => None,
        }
    }
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
    /// Of these, attempts at tasks that have ended, which their workers were not told.
    pub unwanted: usize,
    /// Of these, attempts of which it is known how far they are.
    pub progress: usize,
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
    /// Only those behind this one in the order of the list: when it was submitted, and its id.
    pub after: Option<(Time, TaskId)>,
    /// At most so many; the method that takes the query says what 0 means.
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
    /// What outlives the process of each member.
    pub durability: Durability,
    /// Why no more are accepted, and those that have not ended are cancelled; none: it goes on.
    pub stop: Option<GroupStop>,
    /// Whether the last one has not come, and nothing was handed in for
    /// [`GROUP_IDLE`](crate::limits::GROUP_IDLE): once no member is open, it is over. It goes on when
    /// more members come.
    pub unfinished: bool,
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
    /// When members were handed in last.
    pub handed_in: Time,
}

impl GroupView {
    /// In one word.
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

    /// Whether all is over: no member is open, and no more are expected.
    pub fn is_ended(&self) -> bool {
        self.state().is_ended()
    }

    /// Whether all is over, and every member has succeeded.
    pub fn is_success(&self) -> bool {
        self.state() == GroupState::Succeeded
    }
}

/// Why a group takes no more members, while those that have not ended are cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupStop {
    /// More members failed or expired than may.
    Failures,
    /// Somebody asked for it.
    Cancelled {
        /// Why, in the asker's words.
        reason: String,
    },
}

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// More members may come.
    Open,
    /// All members are there, and some have not ended.
    Running,
    /// No more are accepted, and those that have not ended are being cancelled.
    Stopping,
    /// Every member has succeeded.
    Succeeded,
    /// All is over, and not every member has succeeded.
    Failed,
    /// All is over, as somebody has cancelled it.
    Cancelled,
    /// All that came is over. The last member has not come, and none is expected any more.
    Unfinished,
}

impl GroupState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::Running,
        Self::Stopping,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Unfinished,
    ];

    /// Whether all is over.
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

/// Which groups to list, the newest first.
#[derive(Clone, Debug, Default)]
pub struct GroupQuery {
    /// Only those in one of these states, by [`GroupState::as_str`]; empty: all.
    pub states: Vec<String>,
    /// Only those behind this one, by [`GroupView::submitted`] and [`GroupView::id`].
    pub after: Option<(Time, GroupId)>,
    /// At most so many.
    pub limit: usize,
}

/// How a group is, and why.
#[derive(Clone, Debug)]
pub struct GroupExplanation {
    /// How it is.
    pub view: GroupView,
    /// Members that wait, by what they need: at most [`GROUP_NEEDS`](crate::limits::GROUP_NEEDS)
    /// different needs.
    pub waiting: Vec<WaitingMembers>,
    /// Members that wait with still other needs.
    pub others: u32,
    /// Those of its members that failed or expired first, at most
    /// [`GROUP_FAILURES`](crate::limits::GROUP_FAILURES), as far as they are kept.
    pub failures: Vec<Known<TaskView>>,
}

/// Members of a group that wait and need the same.
#[derive(Clone, Debug)]
pub struct WaitingMembers {
    /// What shall run.
    pub handler: HandlerName,
    /// How many.
    pub members: u32,
    /// Why they wait, but for what one of them has to itself: a rest before its next attempt, a
    /// refusal, a large input.
    pub why: Explanation,
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
    /// The sum of it: `no_eligible_peer` (no connected worker can run it), `busy` (those that can are
    /// at their limits), `draining` (those that can take no new work), `connecting` (sessions with those
    /// that can are being opened), `worker_free` (one takes more), `backing_off` (it rests before its next
    /// attempt) or `shutting_down`.
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

/// Own tasks that wait for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The reason, as in [`Explanation::code`].
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// How many tasks.
    pub tasks: u64,
    /// The one that has waited longest: when it was submitted, and its id.
    pub first: (Time, TaskId),
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
    #[error("not trusted by this node")]
    NotTrusted,
    /// It offers others of the family to this node, and not this one.
    #[error("it has no handler {handler}")]
    NoHandlerThere {
        /// The handler.
        handler: HandlerName,
    },
    /// It offers nothing of the handler's family to this node, or has refused its tasks.
    #[error(
        "it does not offer {handler} to this node: it has no such handler, or does not accept it"
    )]
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
    #[error("at its limit: {assigned} of your tasks are unfinished there")]
    NoCredit {
        /// Our unfinished attempts there.
        assigned: u32,
    },
}

fn humantime(ms: u64) -> String {
    format!("{:?}", Duration::from_millis(ms))
}
