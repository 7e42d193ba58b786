//! Why a handler has no output, and what that means for another attempt.

use std::{io, str::Utf8Error, string::FromUtf8Error};

use meshwork_core::{FailureCode, TaskFailure, limits::INLINE_BYTES};

/// Why a run of a handler failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// Something that may pass: another attempt, perhaps elsewhere, may succeed.
    #[error("{message}")]
    Failed {
        /// What happened.
        message: String,
        /// The task's own exit code, 1 to 123, where it has one.
        exit: Option<u8>,
    },
    /// Something that no further attempt will change.
    #[error("{message}")]
    Permanent {
        /// What happened.
        message: String,
        /// The task's own exit code, 1 to 123, where it has one.
        exit: Option<u8>,
    },
    /// A parameter is missing, unknown or malformed.
    #[error("parameter {name:?}: {why}")]
    BadParameter {
        /// The parameter.
        name: String,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// The input is not what the handler reads.
    #[error("{message}")]
    BadInput {
        /// What is wrong, and where.
        message: String,
    },
    /// The input should be UTF-8 text and is not. Counts as bad input.
    #[error("the input is not UTF-8 text: invalid from byte {} on", .0.valid_up_to())]
    NotText(#[source] Utf8Error),
    /// The output would be larger than [`INLINE_BYTES`], which is what travels back.
    #[error("the output is more than the {INLINE_BYTES} bytes that travel back")]
    OutputTooLarge,
    /// The operating system refused something. Counts as a failure that may pass.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The handler ended early because it was told to stop.
    #[error("stopped before it was done")]
    Stopped,
}

impl HandlerError {
    /// A failure that may pass: the task is tried again as its retry policy says.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), exit: None }
    }

    /// A failure for good: the task is not tried again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent { message: message.into(), exit: None }
    }

    /// The parameter `name` is missing, unknown or malformed. For good.
    pub fn bad_parameter(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::BadParameter { name: name.into(), why: why.into() }
    }

    /// The input is not what the handler reads. For good.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::BadInput { message: message.into() }
    }

    /// The same error with the task's own exit code, which `meshwork run` ends with.
    ///
    /// Only [`Failed`](Self::Failed) and [`Permanent`](Self::Permanent) carry one, and only from 1
    /// to 123; anything else leaves the error as it is.
    #[must_use]
    pub fn with_exit(mut self, code: u8) -> Self {
        if let Self::Failed { exit, .. } | Self::Permanent { exit, .. } = &mut self
            && (1..=123).contains(&code)
        {
            *exit = Some(code);
        }
        self
    }

    /// The task's own exit code, 1 to 123, where it has one.
    pub fn exit(&self) -> Option<u8> {
        match self {
            Self::Failed { exit, .. } | Self::Permanent { exit, .. } => *exit,
            Self::BadParameter { .. }
            | Self::BadInput { .. }
            | Self::NotText(_)
            | Self::OutputTooLarge
            | Self::Io(_)
            | Self::Stopped => None,
        }
    }

    /// Whether another attempt may end otherwise.
    pub fn is_retryable(&self) -> bool {
        self.code().is_retryable()
    }

    /// The code under which the failure is told.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Failed { .. } | Self::Io(_) | Self::Stopped => FailureCode::Handler,
            Self::Permanent { .. } => FailureCode::Permanent,
            Self::BadParameter { .. } => FailureCode::BadParameter,
            Self::BadInput { .. } | Self::NotText(_) => FailureCode::BadInput,
            Self::OutputTooLarge => FailureCode::OutputTooLarge,
        }
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
