//! Errors of the client.

use std::{io, path::PathBuf, time::Duration};

use crate::types::{ErrorCode, Problem};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No node serves the socket.
    #[error("cannot reach the node at unix:{}", path.display())]
    Unreachable {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The node answered with an error.
    #[error("{0}")]
    Api(Box<Problem>),
    /// The connection broke, or the answer was not complete in time.
    #[error("the node at unix:{} did not answer", path.display())]
    Broken {
        /// The path of the socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A stream of events was silent for so long that the node must be gone or stuck.
    #[error("the node at unix:{} sent nothing for {after:?}", path.display())]
    Silent {
        /// The path of the socket.
        path: PathBuf,
        /// How long the client waited.
        after: Duration,
    },
    /// The answer is not valid in this API, or the request cannot be written as HTTP.
    #[error("the node sent an invalid answer: {what}")]
    Protocol {
        /// What is invalid.
        what: String,
    },
}

impl ClientError {
    /// Whether the same request may succeed later, without any change by the user.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Api(problem) => problem.is_retryable(),
            Self::Broken { .. } | Self::Silent { .. } => true,
            Self::Unreachable { .. } | Self::Protocol { .. } => false,
        }
    }

    /// The stable code: that of the [`Problem`]; or `unreachable`, `broken`, `silent`, `protocol`.
    pub fn code(&self) -> &ErrorCode {
        match self {
            Self::Unreachable { .. } => &ErrorCode::Unreachable,
            Self::Api(problem) => &problem.code,
            Self::Broken { .. } => &ErrorCode::Broken,
            Self::Silent { .. } => &ErrorCode::Silent,
            Self::Protocol { .. } => &ErrorCode::Protocol,
        }
    }
}
