//! The errors of handlers, and whether another attempt may succeed.

use std::{io, str::Utf8Error, string::FromUtf8Error};

use meshwork_blob::{ReadError, WriteError};
use meshwork_core::{FailureCode, TaskFailure, limits::INLINE_BYTES};

/// Why a handler failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// A temporary failure: another attempt, perhaps elsewhere, may succeed.
    #[error("{message}")]
    Failed {
        /// What failed.
        message: String,
        /// The task's own exit code, 1 to 123, if it has one.
        exit: Option<u8>,
    },
    /// A permanent failure: no further attempt will succeed.
    #[error("{message}")]
    Permanent {
        /// What failed.
        message: String,
        /// The task's own exit code, 1 to 123, if it has one.
        exit: Option<u8>,
    },
    /// A parameter is missing, unknown or malformed.
    #[error("parameter {name:?}: {why}")]
    BadParameter {
        /// The parameter's name.
        name: String,
        /// What is wrong with it, and what is accepted.
        why: String,
    },
    /// The input does not have the format that the handler reads.
    #[error("{message}")]
    BadInput {
        /// The error in the input, and its place.
        message: String,
    },
    /// The input is not UTF-8 text. Counts as bad input.
    #[error("the input is not UTF-8 text: invalid from byte {} on", .0.valid_up_to())]
    NotText(#[source] Utf8Error),
    /// The input is larger than the handler reads into memory. Permanent.
    #[error(
        "the input has {size} bytes; this handler reads its input into memory, at most {limit} bytes"
    )]
    InputTooLarge {
        /// Size of the input in bytes.
        size: u64,
        /// Maximum size in bytes.
        limit: u64,
    },
    /// The node no longer has the input: its file is gone or damaged. Permanent.
    #[error("the input is lost: {0}")]
    InputLost(#[source] ReadError),
    /// The output would exceed [`INLINE_BYTES`], and the node has no store for it.
    #[error("the output exceeds the limit of {INLINE_BYTES} bytes")]
    OutputTooLarge,
    /// An I/O operation failed. Counts as a temporary failure; a full disk as a fault of the worker,
    /// so that the attempt does not count.
    #[error(transparent)]
    Io(io::Error),
    /// The handler returned early because the attempt was stopped.
    #[error("stopped before it finished")]
    Stopped,
}

/// Exit codes that a handler may give; others have a meaning of their own on the command line.
const EXITS: std::ops::RangeInclusive<u8> = 1..=123;

impl HandlerError {
    /// A temporary failure: the task is tried again under its retry policy.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), exit: None }
    }

    /// A permanent failure: the task is not tried again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent { message: message.into(), exit: None }
    }

    /// The parameter `name` is missing, unknown or malformed. Permanent.
    pub fn bad_parameter(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::BadParameter { name: name.into(), why: why.into() }
    }

    /// The input does not have the format that the handler reads. Permanent.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::BadInput { message: message.into() }
    }

    /// The input is not UTF-8 text from byte `at` on. Permanent.
    pub(crate) fn not_text(at: u64) -> Self {
        Self::bad_input(format!("the input is not UTF-8 text: invalid from byte {at} on"))
    }

    /// The output cannot be stored: a fault of this node's disk.
    pub(crate) fn not_stored(error: WriteError) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let text = format!("cannot store the output: {error}{}", cause.unwrap_or_default());
        let kind = if error.is_full() { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        Self::Io(io::Error::new(kind, text))
    }

    /// The handler wrote to its input, which other tasks may share. Permanent.
    pub(crate) fn wrote_input() -> Self {
        Self::permanent(
            "the handler wrote to its input, which it must only read; its output is dropped",
        )
    }

    /// The same error with the task's own exit code, with which `meshwork run` exits.
    ///
    /// Without effect on errors other than [`Failed`](Self::Failed) and
    /// [`Permanent`](Self::Permanent), and for codes other than 1 to 123.
    #[must_use]
    pub fn with_exit(mut self, code: u8) -> Self {
        if let Self::Failed { exit, .. } | Self::Permanent { exit, .. } = &mut self
            && EXITS.contains(&code)
        {
            *exit = Some(code);
        }
        self
    }

    /// The task's own exit code, 1 to 123, if it has one.
    pub fn exit(&self) -> Option<u8> {
        match self {
            Self::Failed { exit, .. } | Self::Permanent { exit, .. } => {
                exit.filter(|code| EXITS.contains(code))
            }
            Self::BadParameter { .. }
            | Self::BadInput { .. }
            | Self::NotText(_)
            | Self::InputTooLarge { .. }
            | Self::InputLost(_)
            | Self::OutputTooLarge
            | Self::Io(_)
            | Self::Stopped => None,
        }
    }

    /// Whether another attempt may succeed.
    pub fn is_retryable(&self) -> bool {
        self.code().is_retryable()
    }

    /// The failure code that the owner receives.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Io(error) if is_full(error) => FailureCode::NoSpace,
            Self::Failed { .. } | Self::Io(_) | Self::Stopped => FailureCode::Handler,
            Self::Permanent { .. } => FailureCode::Permanent,
            Self::BadParameter { .. } => FailureCode::BadParameter,
            Self::BadInput { .. } | Self::NotText(_) => FailureCode::BadInput,
            Self::InputTooLarge { .. } => FailureCode::InputTooLarge,
            Self::InputLost(_) => FailureCode::InputLost,
            Self::OutputTooLarge => FailureCode::OutputTooLarge,
        }
    }
}

/// Whether a disk has no space left.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<io::Error> for HandlerError {
    /// An error of a handler or of the store that passed through [`io::Write`] keeps its meaning.
    fn from(error: io::Error) -> Self {
        match error.downcast() {
            Ok(error) => error,
            Err(error) => error.downcast().map_or_else(Self::Io, Self::not_stored),
        }
    }
}

impl From<HandlerError> for io::Error {
    fn from(error: HandlerError) -> Self {
        if let HandlerError::Io(error) = error { error } else { Self::other(error) }
    }
}

impl From<Utf8Error> for HandlerError {
    fn from(error: Utf8Error) -> Self {
        Self::NotText(error)
    }
}

impl From<FromUtf8Error> for HandlerError {
    fn from(error: FromUtf8Error) -> Self {
        Self::NotText(error.utf8_error())
    }
}

impl From<HandlerError> for TaskFailure {
    fn from(error: HandlerError) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        Self { exit: error.exit(), ..failure }
    }
}
