//! What a caller may see of a task: its story, and why it waits.

use std::time::Duration;

use libp2p_identity::PeerId;
use serde::Serialize;

use crate::{
    reason::Reason,
    task::{HandlerName, TaskEnd, TaskId, TaskState},
    time::Time,
};

/// One task of this owner, at one moment.
#[derive(Clone, Debug)]
pub struct TaskView {
    /// Which.
    pub id: TaskId,
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
    /// At most so many.
    pub limit: usize,
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
