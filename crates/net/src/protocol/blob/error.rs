//! Why a blob could not be fetched.

use std::time::Duration;

use meshwork_blob::WriteError;
use meshwork_core::{BlobHash, Reason};

use crate::error::NetClosed;

/// Why a blob could not be fetched from a peer. What has arrived is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The peer is not ready.
    #[error("the peer is not ready")]
    NotReady,
    /// The peer does not speak the blob protocol: its program is older.
    #[error("the peer's program is too old to send files")]
    NotSpoken,
    /// This node already fetches as much as it may, from the peer or in all.
    #[error("too many fetches are in progress; retry in {retry_after:?}")]
    Busy {
        /// The wait.
        retry_after: Duration,
    },
    /// The peer refuses. [`Reason::NotFound`]: it does not have the blob, or this node may not have
    /// it; the peer does not say which.
    #[error("the peer refuses: {0}")]
    Refused(Reason),
    /// The peer sent nothing, or too little, in this time.
    #[error("the peer sent less than one piece in {0:?}")]
    Stalled(Duration),
    /// The stream could not be opened, failed, or ended too early.
    #[error("the transfer was cut: {0}")]
    Cut(String),
    /// The bytes or hashes that the peer sent are not those of the blob.
    #[error("the peer sent wrong bytes for blob {0}")]
    Wrong(BlobHash),
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Broken(String),
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] WriteError),
    /// The network has stopped.
    #[error(transparent)]
    Closed(#[from] NetClosed),
}

impl FetchError {
    /// Whether the same fetch from the same peer may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotReady | Self::Busy { .. } | Self::Stalled(_) | Self::Cut(_) => true,
            Self::Refused(reason) => reason.is_retryable(),
            Self::Store(error) => error.is_retryable(),
            Self::NotSpoken | Self::Wrong(_) | Self::Broken(_) | Self::Closed(_) => false,
        }
    }

    /// Whether no honest peer causes this error.
    pub fn blames_peer(&self) -> bool {
        matches!(self, Self::Wrong(_) | Self::Broken(_))
    }

    /// The wait that the peer, or this node, asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after } => Some(*retry_after),
            Self::Refused(reason) => reason.retry_after(),
            Self::NotReady
            | Self::NotSpoken
            | Self::Stalled(_)
            | Self::Cut(_)
            | Self::Wrong(_)
            | Self::Broken(_)
            | Self::Store(_)
            | Self::Closed(_) => None,
        }
    }
}
