//! Why a node gave no answer, or not the one that was hoped for.

use std::{io, path::PathBuf, time::Duration};

use crate::types::{ErrorCode, Problem};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No node serves the socket.
    #[error("cannot reach the meshwork daemon at unix:{}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The node says no.
    #[error("{0}")]
    Api(Box<Problem>),
    /// The connection broke, or no answer came in time.
    #[error("the meshwork daemon at unix:{} did not answer", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Nothing came for so long that the node must be gone, or stuck.
    #[error("the meshwork daemon at unix:{} has said nothing for {after:?}", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        after: Duration,
    },
    /// The answer is not one of this API.
    #[error("the meshwork daemon gave an answer that is not understood: {what}")]
    Protocol {
        /// What is wrong with it.
        what: String,
    },
}

impl ClientError {
    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Api(problem) => problem.is_retryable(),
            Self::Broken { .. } | Self::Silent { .. } => true,
            Self::Unreachable { .. } | Self::Protocol { .. } => false,
        }
    }

    /// The stable code: that of the [`Problem`], or `unreachable`, `broken`, `silent`,
    /// `protocol`.
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
