//! Typed refusals, with the same codes in the library, on the wire, in HTTP and on the command line
//! (promise R11).

use std::{borrow::Cow, fmt, time::Duration};

use serde::Serialize;

use crate::{
    blob::BlobHash,
    task::{HandlerName, TaskId},
};

/// A typed refusal.
///
/// [`Reason::code`] is the stable name; [`Reason::hint`] says what the user can do.
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
        /// The network of the refusing node.
        ours: String,
        /// The network of the refused peer.
        theirs: String,
    },
    /// The two nodes have no protocol version in common.
    #[error("no protocol version in common: {detail}")]
    IncompatibleVersion {
        /// The versions of both sides.
        detail: String,
    },
    /// The accept policy of the worker excludes this owner for this family of handlers.
    #[error("the worker accepts {family} tasks from {}", accepted_owners(accepts))]
    NotAccepted {
        /// The family of handlers.
        family: String,
        /// Whose tasks of that family are accepted: `nobody` or `listed`.
        accepts: String,
    },
    /// The worker has no such handler.
    #[error("the worker has no handler {handler}")]
    UnknownHandler {
        /// The requested handler name.
        handler: String,
    },
    /// A message or payload is above its limit.
    #[error("too large: at most {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The owner has as many waiting and running tasks as it may.
    #[error("the queue is full")]
    QueueFull {
        /// The caller should wait this long before it tries again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// There is no space for the results of more tasks: the disk of the node's home is full or
    /// fails, or unfinished groups take all the space for results, on disk or in memory.
    #[error(
        "no space for more results: the disk of the node's home is full or failing, or unfinished groups \
         use all the space for results"
    )]
    DiskFull {
        /// The caller should wait this long before it tries again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The budget for blobs has no room, and all blobs are needed.
    #[error("no space for blobs: {need} bytes needed, {free} of {budget} free{}", uses(in_use.as_ref()))]
    NoSpace {
        /// Bytes that are needed on the disk.
        need: u64,
        /// Bytes of the budget that are free.
        free: u64,
        /// The budget in bytes.
        budget: u64,
        /// What takes the rest; `None` if the budget is a share of the node's budget.
        in_use: Option<BlobUse>,
        /// The caller should wait this long before it tries again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The store does not have the blob.
    #[error("the store does not have blob {hash}")]
    BlobMissing {
        /// The blob.
        hash: BlobHash,
    },
    /// The blob cannot be removed: tasks or folders need it.
    #[error("blob {hash} is in use")]
    BlobInUse {
        /// The blob.
        hash: BlobHash,
    },
    /// The worker holds as much of this owner's work as it may.
    #[error("busy")]
    Busy {
        /// The owner should wait this long before it tries again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The node is connected to as many peers as it may be.
    #[error("this node has {max_peers} peers, its maximum")]
    PeersFull {
        /// The node's limit of peers; 0 if it did not say.
        max_peers: u32,
        /// The caller should wait this long before it tries again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The node is starting and still reads its journal.
    #[error("this node is recovering: {percent} % of its journal is read")]
    Recovering {
        /// Progress in percent, 0 to 99.
        percent: u8,
        /// The caller should wait this long before it tries again.
        #[serde(rename = "retry_after_ms", with = "as_millis")]
        retry_after: Duration,
    },
    /// The node is stopping.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// The id or key already belongs to another task.
    #[error("{what} already names another task")]
    Conflict {
        /// The colliding id or key.
        what: String,
    },
    /// A member of the group was submitted before, as another task.
    #[error("task {task} of the group was submitted before, with other {part}")]
    #[serde(rename = "conflict")]
    MemberDiffers {
        /// The member's task id.
        task: TaskId,
        /// What differs, such as `time limits`.
        part: &'static str,
    },
    /// The caller is not allowed to do this.
    #[error("denied: {detail}")]
    Denied {
        /// What the caller is not allowed to do.
        detail: String,
    },
    /// This node does not know the message kind or feature.
    #[error("not supported: {what}")]
    Unsupported {
        /// The unknown kind or feature.
        what: String,
    },
    /// The thing does not exist, or the caller may not know of it.
    #[error("not found")]
    NotFound,
    /// The node knew the task or group, and has forgotten it after its retention.
    #[error(
        "forgotten: this node keeps results for {} and up to {} bytes",
        words(*.keep), .keep_bytes
    )]
    Forgotten {
        /// How long results are kept, in time that the node is up.
        #[serde(rename = "keep_ms", with = "as_millis")]
        keep: Duration,
        /// Bytes of results that are kept.
        keep_bytes: u64,
    },
    /// The record of a task on disk is damaged; its contents are lost.
    #[error("the record of this task is damaged: {detail}")]
    Damaged {
        /// The damaged file.
        detail: String,
    },
    /// The task is malformed.
    #[error("invalid task: {detail}")]
    InvalidTask {
        /// The invalid field and its allowed range.
        detail: String,
    },
    /// The group accepts no more members: too many members have failed or expired.
    #[error("the group has stopped: {failed} members failed or expired, at most {max_fails} may")]
    GroupStopped {
        /// Members that failed or expired.
        failed: u32,
        /// How many members may fail or expire.
        max_fails: u32,
    },
    /// The group accepts no more members: a user cancelled it.
    #[error("the group was cancelled")]
    GroupCancelled,
    /// A query or a report contains impossible values.
    #[error("invalid message: {detail}")]
    InvalidMessage {
        /// The invalid field and its allowed range.
        detail: String,
    },
}

/// What takes the space of blobs, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlobUse {
    /// Blobs that the user pinned.
    pub pinned: u64,
    /// Blobs that are not pinned, and that tasks, results or folders need.
    pub held: u64,
    /// Reserved for blobs that arrive.
    pub arriving: u64,
    /// All others: new ones, which stay for a time, and those that leave when space is needed.
    pub others: u64,
}

/// What takes the space, as the end of a sentence.
fn uses(in_use: Option<&BlobUse>) -> String {
    let Some(BlobUse { pinned, held, arriving, others }) = in_use else {
        return ", and all others are in use".to_owned();
    };
    format!(
        "; {pinned} are pinned, {held} needed by tasks or folders, {arriving} reserved for blobs that \
         arrive, and {others} new or no longer needed"
    )
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
            Self::NoSpace { .. } => "no_space",
            Self::BlobMissing { .. } => "blob_missing",
            Self::BlobInUse { .. } => "blob_in_use",
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

    /// What the user can do about it.
    pub fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NotAdmitted { .. } => "complete the hello protocol of the same network first",
            Self::WrongNetwork { .. } => "start both nodes with the same network name",
            Self::IncompatibleVersion { .. } => "update the older of the two nodes",
            Self::NotAccepted { family, accepts } => {
                return not_accepted_hint(family, accepts, &"PEER_ID of this node").into();
            }
            Self::UnknownHandler { .. } => "list the available handlers: meshwork handlers",
            Self::TooLarge { .. } => "split the input into smaller tasks",
            Self::QueueFull { .. } | Self::Busy { .. } => "try again later",
            Self::DiskFull { .. } => {
                "make space on the disk of the node's home, or see what is wrong with it: meshwork status"
            }
            Self::NoSpace { .. } => {
                "remove blobs that are not needed: meshwork blob gc, meshwork blob unpin HASH; or give the node more: meshwork up --disk SIZE"
            }
            Self::BlobMissing { .. } => "add the file again: meshwork blob add PATH",
            Self::BlobInUse { .. } => {
                "a task, a result or a folder needs it, and keeps it as long as it is kept itself: meshwork task list --all"
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

    /// How long to wait before the same request may succeed; `None` if waiting does not help soon.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after }
            | Self::DiskFull { retry_after }
            | Self::NoSpace { retry_after, .. }
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
            | Self::BlobMissing { .. }
            | Self::BlobInUse { .. }
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

    /// Whether the same request may succeed later without any change.
    pub fn is_retryable(&self) -> bool {
        self.retry_after().is_some()
    }
}

/// A duration in the largest unit of which it is a whole number.
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

/// What the worker's user must do so that the worker accepts tasks of `owner`. The worker sent
/// `family`, so the hint repeats it only if it is a valid family.
pub(crate) fn not_accepted_hint(family: &str, accepts: &str, owner: &dyn fmt::Display) -> String {
    let is_family = HandlerName::new(family, "x").is_ok();
    let family = if is_family { family } else { "FAMILY" };
    let trust = format!("meshwork peers trust {owner}");
    match accepts {
        "listed" => format!("on the worker: {trust}"),
        _ => format!("on the worker: meshwork accept {family}=listed, and {trust}"),
    }
}

/// Whose tasks are accepted, for an error text.
fn accepted_owners(accepts: &str) -> &str {
    match accepts {
        "listed" => "peers that it trusts, and it does not trust this node",
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
