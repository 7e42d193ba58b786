//! The messages between owner and worker about attempts. `net` carries them as protobuf.
//!
//! After the assignment, frames name an attempt by its [`Epoch`] alone. An epoch is valid only
//! together with the authenticated peer of its session, so no peer can name another owner's
//! attempts (P-18, P-19).

use std::{collections::BTreeMap, fmt, time::Duration};

mod credit;

pub use self::credit::{Credit, Load};
use crate::{
    blob::Payload,
    failure::TaskFailure,
    reason::Reason,
    task::{HandlerName, TaskId},
};

/// An attempt's fencing token. Unique per owner; rises, also across restarts of the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// The owner's boot count when it made the attempt.
    pub boot: u32,
    /// Counts the owner's attempts since that start.
    pub number: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.boot, self.number)
    }
}

/// An owner's request to run one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Names the attempt in all later frames.
    pub epoch: Epoch,
    /// The task that the attempt belongs to.
    pub task: TaskId,
    /// The attempt's number within its task, from 1.
    pub attempt: u32,
    /// The handler to run.
    pub handler: HandlerName,
    /// The handler's input.
    pub input: Payload,
    /// The handler's parameters.
    pub params: BTreeMap<String, String>,
    /// Longest run time, from the start of the handler.
    pub limit: Option<Duration>,
    /// Higher runs first among this owner's attempts.
    pub priority: i8,
    /// Whether the worker keeps the result on disk until it is acknowledged, if the worker keeps
    /// results on disk at all.
    pub durable: bool,
}

/// From the owner of a session to its worker.
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// Run this attempt. Always answered: `Accepted`, `Busy`, `Refused` or `Result`.
    Assign(Box<Assignment>),
    /// Stop this attempt. Answered with its `Result`, whether cancelled or not; with
    /// `Refused(NotFound)` if the worker does not hold it.
    Cancel(Epoch),
    /// The owner has stored the result of this attempt; the worker may forget it.
    Ack(Epoch),
    /// Ask for the state of these attempts. Each is answered `Accepted` (it waits or runs),
    /// `Result`, or `Refused(NotFound)`.
    Resume(Vec<Epoch>),
    /// Give this attempt back if it has not started: another worker is free for it. Answered `Busy`
    /// (given back, and forgotten by the worker), `Accepted` (it runs), `Result`, or
    /// `Refused(NotFound)`. A worker of an earlier version answers `Unsupported`.
    HandBack(Epoch),
}

impl ToWorker {
    /// The field number of [`ToWorker::HandBack`], which an `Unsupported` answer names.
    pub const HAND_BACK: u32 = 6;
}

/// How an attempt ended at its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The handler succeeded with this output.
    Output(Payload),
    /// The attempt failed.
    Failed(TaskFailure),
    /// The owner cancelled it.
    Cancelled,
}

/// From the worker of a session to its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum ToOwner {
    /// How much unfinished work the owner may have here. Replaces the previous credit.
    Credit(Credit),
    /// The attempt waits or runs at this worker.
    Accepted(Epoch),
    /// The worker has no room for the attempt now.
    Busy {
        /// The attempt that was not accepted.
        epoch: Epoch,
        /// The owner should wait this long before it tries again.
        retry_after: Duration,
    },
    /// The worker refuses the attempt or the session.
    Refused {
        /// The attempt; `None` if the worker refuses the session as a whole.
        epoch: Option<Epoch>,
        /// The reason for the refusal.
        reason: Reason,
    },
    /// This worker does not know the message kind with this number.
    Unsupported {
        /// The kind's field number in the frame.
        kind: u32,
    },
    /// The handler reports its progress.
    Progress {
        /// The attempt that makes progress.
        epoch: Epoch,
        /// The finished fraction, from 0 to 1.
        fraction: f32,
        /// The handler's message.
        message: String,
    },
    /// The input of the attempt has arrived, and its handler starts. Sent for attempts whose input is
    /// a blob: their time limit runs from here.
    Started(Epoch),
    /// The attempt has ended.
    Result {
        /// The attempt that has ended.
        epoch: Epoch,
        /// How it ended.
        end: AttemptEnd,
        /// How long the handler ran.
        took: Duration,
    },
    /// A summary of the attempts that wait or run here for the owner of this session.
    Heartbeat {
        /// Highest epoch that this worker has received.
        seen: Epoch,
        /// Number of attempts that wait or run.
        count: u32,
        /// Their epochs, combined by [`epoch_hash`] and XOR.
        hash: u64,
    },
}

/// Spreads an epoch over 64 bits, so that XOR over a set tells sets apart. The finalizer of
/// splitmix64 (Steele, Lea, Flood, 2014).
pub fn epoch_hash(epoch: Epoch) -> u64 {
    let mut z = epoch.number ^ (u64::from(epoch.boot) << 40);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
