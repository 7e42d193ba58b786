//! What an error looks like: RFC 9457, with a code and a hint.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// The stable code of an error: of a request (a [`Problem`] or a [`ClientError`]), or of a task
    /// that has no result.
    ///
    /// [`ClientError`]: crate::ClientError
    ErrorCode {
        Ambiguous = "ambiguous",
        BadConfig = "bad_config",
        BadInput = "bad_input",
        BadParameter = "bad_parameter",
        BadRequest = "bad_request",
        /// The connection with the node broke, or no answer came in time.
        Broken = "broken",
        Busy = "busy",
        Cancelled = "cancelled",
        Conflict = "conflict",
        Connection = "connection",
        Damaged = "damaged",
        Denied = "denied",
        DiskFull = "disk_full",
        Expired = "expired",
        Forgotten = "forgotten",
        GroupCancelled = "group_cancelled",
        GroupStopped = "group_stopped",
        /// The handler says that the task failed.
        Handler = "handler",
        IncompatibleVersion = "incompatible_version",
        Internal = "internal",
        InvalidMessage = "invalid_message",
        InvalidTask = "invalid_task",
        /// It is a group, where a task is asked for.
        IsGroup = "is_group",
        /// It is a task, where a group is asked for.
        IsTask = "is_task",
        /// The worker was lost.
        Lost = "lost",
        MethodNotAllowed = "method_not_allowed",
        NoResult = "no_result",
        NoRetry = "no_retry",
        NoSuchRoute = "no_such_route",
        NotAccepted = "not_accepted",
        NotAdmitted = "not_admitted",
        NotEnded = "not_ended",
        NotFound = "not_found",
        OutputTooLarge = "output_too_large",
        Panicked = "panicked",
        PeerNotFound = "peer_not_found",
        PeersFull = "peers_full",
        /// The handler says that the task failed, and that it would fail again.
        Permanent = "permanent",
        Protocol = "protocol",
        QueueFull = "queue_full",
        Recovering = "recovering",
        Refused = "refused",
        ShuttingDown = "shutting_down",
        /// The node sent nothing for too long.
        Silent = "silent",
        TimedOut = "timed_out",
        Timeout = "timeout",
        TooLarge = "too_large",
        Transport = "transport",
        UnknownFamily = "unknown_family",
        UnknownHandler = "unknown_handler",
        /// No node serves the socket.
        Unreachable = "unreachable",
        Unsupported = "unsupported",
        WrongNetwork = "wrong_network",
    }
}

/// An error of the API, sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:meshwork:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the HTTP status means.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// The stable code, the same in the library, on the wire and on the command line.
    pub code: ErrorCode,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The task that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// When the same request may be answered otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// How far a node that recovers is, 0 to 99.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

impl Problem {
    /// Whether asking again may help without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        self.retry_after_ms.is_some()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}
