//! Why a session ends.

use std::io;

use crate::{limits, wire::WireError};

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// This node dropped its half, and what waited is written.
    #[error("closed by this node")]
    Local,
    /// The peer closed the stream between two messages.
    #[error("closed by the peer")]
    Peer,
    /// The stream ended within a message.
    #[error("the stream ended in the middle of a message")]
    Cut,
    /// Reading failed.
    #[error("cannot read: {0}")]
    Read(#[source] io::Error),
    /// Writing failed.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// The peer broke the protocol.
    #[error("protocol violation: {0}")]
    Violation(#[source] WireError),
    /// This node was about to send what the protocol does not allow.
    #[error("cannot send: {0}")]
    Unsendable(#[source] WireError),
    /// A frame took too long from its first byte to its last.
    #[error("a frame was not complete within {:?}", limits::FRAME_TIMEOUT)]
    FrameTimeout,
    /// The peer has not read anything for too long.
    #[error("the peer has not read for {:?}", limits::WRITE_TIMEOUT)]
    WriteTimeout,
    /// The outbox is full.
    #[error("the peer does not read, and {} frames wait", limits::OUTBOX)]
    Stuck,
    /// Nobody takes what arrives.
    #[error("the node has stopped")]
    NodeStopped,
}

impl End {
    /// Whether the peer did what no honest peer of any version does. Being slow is not that.
    pub(super) fn is_violation(&self) -> bool {
        matches!(self, Self::Violation(_))
    }
}
