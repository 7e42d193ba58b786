//! What owner and worker say to each other about attempts. `net` carries these as protobuf.
//!
//! After the assignment an attempt is named by its [`Epoch`] alone; an epoch means something only
//! together with the authenticated peer on whose session it came, so nobody can speak of another
//! owner's attempts (P-18, P-19).

use std::{collections::BTreeMap, fmt, time::Duration};

use bytes::Bytes;

mod credit;

pub use self::credit::{Credit, Load};
use crate::{
    failure::TaskFailure,
    reason::Reason,
    task::{HandlerName, TaskId},
};

/// An attempt's fencing token. Unique per owner, rising, also over restarts of the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// How often the owner had started when it made the attempt.
    pub boot: u32,
    /// Counts the attempts that the owner made since that start.
    pub number: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.boot, self.number)
    }
}

/// The order to run one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Names the attempt from here on.
    pub epoch: Epoch,
    /// The task that it is an attempt of.
    pub task: TaskId,
    /// Which attempt of that task, from 1.
    pub attempt: u32,
    /// What shall run.
    pub handler: HandlerName,
    /// What it shall work on.
    pub input: Bytes,
    /// The handler's parameters.
    pub params: BTreeMap<String, String>,
    /// Longest run, from the start of the handler.
    pub limit: Option<Duration>,
    /// Higher runs first among this owner's attempts.
    pub priority: i8,
    /// Whether the worker keeps the result on disk, as far as it keeps anything there, until it is
    /// acknowledged.
    pub durable: bool,
}

/// From the owner of a session to its worker.
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// Run this. Always answered: `Accepted`, `Busy`, `Refused` or `Result`.
    Assign(Box<Assignment>),
    /// Stop this attempt. Answered with its `Result`, whatever that has become; an attempt that
    /// the worker does not hold is answered `Refused(NotFound)`.
    Cancel(Epoch),
    /// The result of this attempt has arrived for good; the worker may forget it.
    Ack(Epoch),
    /// What has become of these? Each is answered `Accepted` (it waits or runs), `Result`, or
    /// `Refused(NotFound)`.
    Resume(Vec<Epoch>),
    /// Give this attempt back if it has not started: another worker is free for it. Answered `Busy`
    /// (it is given back, and forgotten here), `Accepted` (it runs), `Result`, or
    /// `Refused(NotFound)`. A worker of an earlier version answers `Unsupported`.
    HandBack(Epoch),
}

impl ToWorker {
    /// The number of [`ToWorker::HandBack`] in an `Unsupported` answer.
    pub const HAND_BACK: u32 = 6;
}

/// How a worker's attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// With these bytes.
    Output(Bytes),
    /// With a failure.
    Failed(TaskFailure),
    /// Because its owner cancelled it.
    Cancelled,
}

/// From the worker of a session to its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum ToOwner {
    /// How much unfinished work the owner may have here. Absolute: replaces the one before.
    Credit(Credit),
    /// The attempt waits or runs here.
    Accepted(Epoch),
    /// Not now.
    Busy {
        /// The attempt.
        epoch: Epoch,
        /// When to try again.
        retry_after: Duration,
    },
    /// No.
    Refused {
        /// The attempt; none if the session as a whole is refused.
        epoch: Option<Epoch>,
        /// Why.
        reason: Reason,
    },
    /// The message kind with this number is not known here.
    Unsupported {
        /// Field number of the kind in the frame.
        kind: u32,
    },
    /// The handler reports how far it is.
    Progress {
        /// The attempt.
        epoch: Epoch,
        /// From 0 to 1.
        fraction: f32,
        /// In the handler's words.
        message: String,
    },
    /// The attempt has ended.
    Result {
        /// The attempt.
        epoch: Epoch,
        /// Its end.
        end: AttemptEnd,
        /// How long the handler ran.
        took: Duration,
    },
    /// What waits or runs here for the owner of this session.
    Heartbeat {
        /// Highest epoch that has arrived here.
        seen: Epoch,
        /// How many attempts wait or run.
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
