//! Why a node says no. The same codes in the library, on the wire, in HTTP and on the command
//! line (promise R11).

use std::{borrow::Cow, fmt, time::Duration};

use serde::Serialize;

use crate::task::{HandlerName, TaskId};

/// A typed refusal.
///
/// [`Reason::code`] is the stable name, [`Reason::hint`] what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The peer has not said hello, or its hello was refused.
    #[error("this peer is not admitted: {detail}")]
    NotAdmitted {
        /// What is missing.
        detail: String,
    },
    /// The peer belongs to another network.
    #[error("this node is in network {ours:?}, the peer in {theirs:?}")]
    WrongNetwork {
        /// The refuser's network.
        ours: String,
        /// The other's.
        theirs: String,
    },
    /// No protocol version in common.
    #[error("no protocol version in common: {detail}")]
    IncompatibleVersion {
        /// Versions of either side.
        detail: String,
    },
    /// The accept policy of the worker excludes this owner for this family of handlers.
    #[error("the worker accepts {family} tasks from {}", whom(accepts))]
    NotAccepted {
        /// The family of handlers.
        family: String,
        /// Whose tasks of that family are accepted: `nobody` or `listed`.
        accepts: String,
    },
    /// The worker has no such handler.
    #[error("the worker has no handler {handler}")]
    UnknownHandler {
        /// The name asked for.
        handler: String,
    },
    /// A message or payload is above its limit.
    #[error("too large: at most {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The owner holds as many tasks as it may.
    #[error("the queue is full")]
    QueueFull {
        /// When to try again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// There is no space for the results of more tasks: the disk of the node's home is full, or groups that
    /// have not ended take all that may be kept, on disk or in memory.
    #[error(
        "no space for more results: the disk of the node's home is full or fails, or groups that have not \
         ended take all that is kept"
    )]
    DiskFull {
        /// When to try again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The worker holds as much of this owner's work as it may.
    #[error("busy")]
    Busy {
        /// When to try again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The node is connected to as many peers as it may be.
    #[error("this node has {max_peers} peers, as many as it may")]
    PeersFull {
        /// How many it may have; 0 if it did not say.
        max_peers: u32,
        /// When to try again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The node is starting: it still reads what it has kept.
    #[error("this node is recovering: {percent} % of what it has kept is read")]
    Recovering {
        /// How far it is, 0 to 99.
        percent: u8,
        /// When to try again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The node is stopping.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// The id or key already names another task.
    #[error("{what} already names another task")]
    Conflict {
        /// What collides.
        what: String,
    },
    /// A member of the group was submitted before, as another task.
    #[error("task {task} of the group was submitted before, with other {part}")]
    #[serde(rename = "conflict")]
    MemberDiffers {
        /// The member.
        task: TaskId,
        /// What differs, such as `time limits`.
        part: &'static str,
    },
    /// The asker may not do this.
    #[error("denied: {detail}")]
    Denied {
        /// What is not allowed.
        detail: String,
    },
    /// The message kind or feature is not known here.
    #[error("not supported: {what}")]
    Unsupported {
        /// What is not known.
        what: String,
    },
    /// There is no such thing, or the asker may not know of it.
    #[error("not found")]
    NotFound,
    /// The node knew such a task or group, and its results are not kept any longer.
    #[error(
        "forgotten: the results of that time are not kept any longer ({} and {} bytes at most)",
        words(*.keep), .keep_bytes
    )]
    Forgotten {
        /// How long results are kept, in time that the node is up.
        #[serde(rename = "keep_ms", with = "as_millis")]
        keep: Duration,
        /// Bytes of results that are kept.
        keep_bytes: u64,
    },
    /// The record of a task on disk is damaged, and what was in it cannot be shown.
    #[error("the record of this task is damaged: {detail}")]
    Damaged {
        /// Which file.
        detail: String,
    },
    /// The task is malformed.
    #[error("invalid task: {detail}")]
    InvalidTask {
        /// Field and range.
        detail: String,
    },
    /// The group takes no more members: too many have not succeeded.
    #[error(
        "the group has stopped: {failed} of its members did not succeed, at most {max_fails} may"
    )]
    GroupStopped {
        /// Members that failed or expired.
        failed: u32,
        /// How many may.
        max_fails: u32,
    },
    /// The group takes no more members: somebody has cancelled it.
    #[error("the group was cancelled")]
    GroupCancelled,
    /// A query or a report says what cannot be.
    #[error("invalid message: {detail}")]
    InvalidMessage {
        /// Field and range.
        detail: String,
    },
}

impl Reason {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAdmitted { .. } => "not_admitted",
            Self::WrongNetwork { .. } => "wrong_network",
            Self::IncompatibleVersion { .. } => "incompatible_version",
            Self::NotAccepted { .. } => "not_accepted",
            Self::UnknownHandler { .. } => "unknown_handler",
            Self::TooLarge { .. } => "too_large",
            Self::QueueFull { .. } => "queue_full",
            Self::DiskFull { .. } => "disk_full",
            Self::Busy { .. } => "busy",
            Self::PeersFull { .. } => "peers_full",
            Self::Recovering { .. } => "recovering",
            Self::ShuttingDown => "shutting_down",
            Self::Conflict { .. } | Self::MemberDiffers { .. } => "conflict",
            Self::Denied { .. } => "denied",
            Self::Unsupported { .. } => "unsupported",
            Self::NotFound => "not_found",
            Self::Forgotten { .. } => "forgotten",
            Self::Damaged { .. } => "damaged",
            Self::InvalidTask { .. } => "invalid_task",
            Self::GroupStopped { .. } => "group_stopped",
            Self::GroupCancelled => "group_cancelled",
            Self::InvalidMessage { .. } => "invalid_message",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NotAdmitted { .. } => "complete the hello protocol of the same network first",
            Self::WrongNetwork { .. } => "start both nodes with the same network name",
            Self::IncompatibleVersion { .. } => "update the older of the two nodes",
            Self::NotAccepted { family, accepts } => {
                return not_accepted_hint(family, accepts, &"PEER_ID of this node").into();
            }
            Self::UnknownHandler { .. } => "see which handlers there are: meshwork handlers",
            Self::TooLarge { .. } => "split the input into smaller tasks",
            Self::QueueFull { .. } | Self::Busy { .. } => "try again later",
            Self::DiskFull { .. } => {
                "make space on the disk of the node's home, or see what is wrong with it: meshwork status"
            }
            Self::PeersFull { .. } => {
                "on the node that is full: meshwork up --max-peers N, or meshwork peers trust PEER_ID"
            }
            Self::Recovering { .. } => "wait until it has read its journal: meshwork status",
            Self::ShuttingDown => "submit to another node, or wait until this one is back",
            Self::Conflict { .. } | Self::MemberDiffers { .. } => "use a new id or key",
            Self::Denied { .. } => "only the owner of a task may ask for this",
            Self::Unsupported { .. } => "update the older of the two nodes",
            Self::NotFound => "see which tasks there are: meshwork task list --all",
            Self::Forgotten { .. } => {
                "submit it again; to keep more: meshwork up --keep-results TIME --keep-results-max SIZE"
            }
            Self::Damaged { .. } => {
                "put a copy back: meshwork store restore DIR; see what else is damaged: meshwork store verify"
            }
            Self::InvalidTask { .. } => "correct the field and submit again",
            Self::GroupStopped { .. } => {
                "see what failed, then try it again: meshwork task retry GROUP"
            }
            Self::GroupCancelled => "submit the rest as another group, with another key",
            Self::InvalidMessage { .. } => "correct the field and send again",
        })
    }

    /// When the same request may be answered otherwise, if it may be soon.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after }
            | Self::DiskFull { retry_after }
            | Self::PeersFull { retry_after, .. }
            | Self::Recovering { retry_after, .. }
            | Self::Busy { retry_after } => Some(*retry_after),
            Self::ShuttingDown => Some(Duration::from_secs(5)),
            Self::NotAdmitted { .. }
            | Self::WrongNetwork { .. }
            | Self::IncompatibleVersion { .. }
            | Self::NotAccepted { .. }
            | Self::UnknownHandler { .. }
            | Self::TooLarge { .. }
            | Self::Conflict { .. }
            | Self::MemberDiffers { .. }
            | Self::Denied { .. }
            | Self::Unsupported { .. }
            | Self::NotFound
            | Self::Forgotten { .. }
            | Self::Damaged { .. }
            | Self::InvalidTask { .. }
            | Self::GroupStopped { .. }
            | Self::GroupCancelled
            | Self::InvalidMessage { .. } => None,
        }
    }

    /// Whether asking again may help without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        self.retry_after().is_some()
    }
}

/// A duration as people write it, by its largest unit that is whole.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// How the worker comes to accept tasks of `owner`. The family is the worker's word, and is repeated only if
/// it is one.
pub(crate) fn not_accepted_hint(family: &str, accepts: &str, owner: &dyn fmt::Display) -> String {
    let is_family = HandlerName::new(family, "x").is_ok();
    let family = if is_family { family } else { "FAMILY" };
    let trust = format!("meshwork peers trust {owner}");
    match accepts {
        "listed" => format!("on the worker: {trust}"),
        _ => format!("on the worker: meshwork accept {family}=listed, and {trust}"),
    }
}

/// Whose tasks are accepted, in words.
fn whom(accepts: &str) -> &str {
    match accepts {
        "listed" => "peers that it trusts, and this node is none of them",
        other => other,
    }
}

mod as_millis {
    use std::time::Duration;

    use serde::Serializer;

    pub(super) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
}
