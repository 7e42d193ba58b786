//! Why an attempt, and with it perhaps a task, failed.

use std::fmt;

use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize};

use crate::limits::MESSAGE_BYTES;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureCode {
    /// The handler said so, with an error of its own that may pass.
    Handler,
    /// The handler said so, and that trying again is useless.
    Permanent,
    /// The handler panicked.
    Panicked,
    /// A parameter is missing, unknown or malformed.
    BadParameter,
    /// The handler cannot read the input.
    BadInput,
    /// No node that may be asked has this handler.
    UnknownHandler,
    /// The output is larger than a frame carries.
    OutputTooLarge,
    /// The attempt ran into its time limit.
    TimedOut,
    /// The worker refused for good, on a task that named it.
    Refused,
    /// The worker was lost with the attempt: connection gone, and no word within the lease.
    Lost,
}

impl FailureCode {
    /// The stable name in JSON, on the wire and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Permanent => "permanent",
            Self::Panicked => "panicked",
            Self::BadParameter => "bad_parameter",
            Self::BadInput => "bad_input",
            Self::UnknownHandler => "unknown_handler",
            Self::OutputTooLarge => "output_too_large",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }

    /// The code of this name.
    pub fn parse(name: &str) -> Option<Self> {
        const ALL: [FailureCode; 10] = [
            FailureCode::Handler,
            FailureCode::Permanent,
            FailureCode::Panicked,
            FailureCode::BadParameter,
            FailureCode::BadInput,
            FailureCode::UnknownHandler,
            FailureCode::OutputTooLarge,
            FailureCode::TimedOut,
            FailureCode::Refused,
            FailureCode::Lost,
        ];
        ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// Whether another attempt may end otherwise.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Handler | Self::Panicked | Self::TimedOut | Self::Lost)
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an attempt failed: the code, the words, the process exit code where there was one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TaskFailure {
    /// The kind of failure.
    pub code: FailureCode,
    /// What happened, at most [`MESSAGE_BYTES`].
    pub message: String,
    /// The task's own exit code, 1 to 123, where it has one.
    pub exit: Option<u8>,
    /// The worker on which it happened, where there was one.
    pub worker: Option<Box<PeerId>>,
}

impl TaskFailure {
    /// A failure with these words, cut to [`MESSAGE_BYTES`].
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > MESSAGE_BYTES {
            let mut end = MESSAGE_BYTES;
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
        }
        Self { code, message, exit: None, worker: None }
    }

    /// Whether another attempt may end otherwise.
    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable()
    }
}
