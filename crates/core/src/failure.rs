//! Why an attempt failed.

use std::fmt;

use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize};

use crate::limits::MESSAGE_BYTES;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureCode {
    /// The handler reported an error of its own that may pass.
    Handler,
    /// The handler reported an error and that a retry is useless.
    Permanent,
    /// The handler panicked.
    Panicked,
    /// A parameter is missing, unknown or malformed.
    BadParameter,
    /// The handler cannot read the input.
    BadInput,
    /// The input is larger than the handler reads.
    InputTooLarge,
    /// The owner of the task no longer has its input.
    InputLost,
    /// The worker could not get the input from its owner, or its copy of it was damaged. The next
    /// attempt fetches it again.
    InputUnavailable,
    /// The worker had no space for the output, or for the files of the attempt.
    NoSpace,
    /// No node that may run the task has this handler.
    UnknownHandler,
    /// The output is larger than a frame carries.
    OutputTooLarge,
    /// The attempt ran into its time limit.
    TimedOut,
    /// The worker refused for good, and the task names it as its target.
    Refused,
    /// The worker was lost: the connection broke, and it was silent for the whole lease.
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
            Self::InputTooLarge => "input_too_large",
            Self::InputLost => "input_lost",
            Self::InputUnavailable => "input_unavailable",
            Self::NoSpace => "no_space",
            Self::UnknownHandler => "unknown_handler",
            Self::OutputTooLarge => "output_too_large",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }

    /// The code with this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        const ALL: [FailureCode; 14] = [
            FailureCode::Handler,
            FailureCode::Permanent,
            FailureCode::Panicked,
            FailureCode::BadParameter,
            FailureCode::BadInput,
            FailureCode::InputTooLarge,
            FailureCode::InputLost,
            FailureCode::InputUnavailable,
            FailureCode::NoSpace,
            FailureCode::UnknownHandler,
            FailureCode::OutputTooLarge,
            FailureCode::TimedOut,
            FailureCode::Refused,
            FailureCode::Lost,
        ];
        ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// Whether the worker is at fault, and not the task: such an attempt does not count.
    pub fn is_of_worker(self) -> bool {
        self == Self::NoSpace
    }

    /// Whether another attempt may succeed.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Handler
            | Self::Panicked
            | Self::TimedOut
            | Self::Lost
            | Self::NoSpace
            | Self::InputUnavailable => true,
            Self::Permanent
            | Self::BadParameter
            | Self::BadInput
            | Self::InputTooLarge
            | Self::InputLost
            | Self::UnknownHandler
            | Self::OutputTooLarge
            | Self::Refused => false,
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an attempt failed: the code, a message, and the exit code of a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TaskFailure {
    /// The kind of failure.
    pub code: FailureCode,
    /// A message for people, at most [`MESSAGE_BYTES`].
    pub message: String,
    /// The program's exit code, 1 to 123, if the handler ran one.
    pub exit: Option<u8>,
    /// The worker on which the attempt failed, if it reached one.
    pub worker: Option<Box<PeerId>>,
}

impl TaskFailure {
    /// A failure with this message, cut to [`MESSAGE_BYTES`].
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

    /// Whether another attempt may succeed.
    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable()
    }
}
