//! Why a session ends.

use std::io;

use crate::{limits, wire::WireError};

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// This node dropped its half, and all queued frames are written.
    #[error("closed by this node")]
    Local,
    /// The peer closed the stream between two messages.
    #[error("closed by the peer")]
    Peer,
    /// The stream ended within a message.
    #[error("the stream ended in the middle of a message")]
    Cut,
    /// Reading from the stream failed.
    #[error("cannot read: {0}")]
    Read(#[source] io::Error),
    /// Writing to the stream failed.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// The peer broke the protocol.
    #[error("protocol violation: {0}")]
    Violation(#[source] WireError),
    /// This node tried to send a frame that the protocol does not allow.
    #[error("cannot send: {0}")]
    Unsendable(#[source] WireError),
    /// A frame took longer than [`limits::FRAME_TIMEOUT`] from its first byte to its last.
    #[error("a frame was not complete within {:?}", limits::FRAME_TIMEOUT)]
    FrameTimeout,
    /// The peer has not read for [`limits::WRITE_TIMEOUT`].
    #[error("the peer has not read for {:?}", limits::WRITE_TIMEOUT)]
    WriteTimeout,
    /// The outbox is full.
    #[error("the peer does not read, and {} frames wait", limits::OUTBOX)]
    Stuck,
    /// The receiver of events is gone.
    #[error("the node has stopped")]
    NodeStopped,
}

impl End {
    /// Whether the peer broke the protocol, which no honest peer of any version does. Slowness is
    /// no violation.
    pub(super) fn is_violation(&self) -> bool {
        matches!(self, Self::Violation(_))
    }
}
