//! Errors of the API: RFC 9457 problems with a code and a hint.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// The stable code of an error: of a request (a [`Problem`] or a [`ClientError`]), or of a task
    /// without a result.
    ///
    /// [`ClientError`]: crate::ClientError
    ErrorCode {
        Ambiguous = "ambiguous",
        BadConfig = "bad_config",
        BadFolder = "bad_folder",
        BadInput = "bad_input",
        BadParameter = "bad_parameter",
        BadRange = "bad_range",
        BadRequest = "bad_request",
        BlobInUse = "blob_in_use",
        BlobMissing = "blob_missing",
        /// The connection to the node broke, or no answer came in time.
        Broken = "broken",
        Busy = "busy",
        Cancelled = "cancelled",
        Conflict = "conflict",
        Connection = "connection",
        Damaged = "damaged",
        Denied = "denied",
        DiskFull = "disk_full",
        Expired = "expired",
        /// A file outside the store cannot be read or written.
        File = "file",
        FolderIncomplete = "folder_incomplete",
        FolderTooLarge = "folder_too_large",
        Forgotten = "forgotten",
        GivenUp = "given_up",
        GroupCancelled = "group_cancelled",
        GroupStopped = "group_stopped",
        /// The handler reports that the task failed.
        Handler = "handler",
        IncompatibleVersion = "incompatible_version",
        InputChanged = "input_changed",
        InputUnavailable = "input_unavailable",
        InputLost = "input_lost",
        InputTooLarge = "input_too_large",
        InputUnreadable = "input_unreadable",
        Internal = "internal",
        InvalidMessage = "invalid_message",
        InvalidTask = "invalid_task",
        /// The request asks for the bytes of a file, and the blob is a folder.
        IsFolder = "is_folder",
        /// The request asks for a task, and the id belongs to a group.
        IsGroup = "is_group",
        /// The request asks for a group, and the id belongs to a task.
        IsTask = "is_task",
        /// The worker was lost.
        Lost = "lost",
        MethodNotAllowed = "method_not_allowed",
        NameClash = "name_clash",
        NoResult = "no_result",
        NoRetry = "no_retry",
        NoSpace = "no_space",
        NoSuchRoute = "no_such_route",
        NotAccepted = "not_accepted",
        NotAdmitted = "not_admitted",
        NotEnded = "not_ended",
        NotFound = "not_found",
        OtherHash = "other_hash",
        OtherSize = "other_size",
        OutputTooLarge = "output_too_large",
        Panicked = "panicked",
        PeerNotFound = "peer_not_found",
        PeersFull = "peers_full",
        /// The handler reports that the task failed and would fail again.
        Permanent = "permanent",
        Protocol = "protocol",
        QueueFull = "queue_full",
        Recovering = "recovering",
        Refused = "refused",
        ShuttingDown = "shutting_down",
        /// The node sent nothing for the whole time limit.
        Silent = "silent",
        TargetExists = "target_exists",
        TimedOut = "timed_out",
        Timeout = "timeout",
        TooLarge = "too_large",
        Transport = "transport",
        UnknownFamily = "unknown_family",
        UnknownHandler = "unknown_handler",
        /// No node serves the socket.
        Unreachable = "unreachable",
        Unsupported = "unsupported",
        UnsupportedFile = "unsupported_file",
        UnsupportedLink = "unsupported_link",
        UnsupportedName = "unsupported_name",
        Unwritable = "unwritable",
        WrongNetwork = "wrong_network",
    }
}

/// An error of the API, sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:meshwork:problem:`, followed by the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The meaning of the HTTP status.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The error in one sentence.
    pub detail: String,
    /// The stable code, the same in the library, on the wire and on the command line.
    pub code: ErrorCode,
    /// What the user can do about the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The id of the task, if the error is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Time after which a repeated request may succeed, in milliseconds; `None` if repeating does
    /// not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Progress of a node that recovers, 0 to 99 percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

impl Problem {
    /// Whether the same request may succeed later, without any change by the user.
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
