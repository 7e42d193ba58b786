//! The connections of a session to the rest of the node.

use std::sync::Arc;

use libp2p::PeerId;
use meshwork_core::{ToOwner, ToWorker};
use tokio::sync::mpsc;

use crate::{clock::LastSeen, meter::Meter};

/// The number of a session in this process; a later session has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Events of sessions: batches of received frames, and the end of a session.
#[derive(Debug)]
pub enum SessionEvent {
    /// Frames from a worker of this node.
    FromWorker {
        /// The worker.
        peer: PeerId,
        /// The frames, in the order of arrival.
        frames: Vec<ToOwner>,
    },
    /// Frames from an owner for which this node works.
    FromOwner {
        /// The owner.
        peer: PeerId,
        /// The frames, in the order of arrival.
        frames: Vec<ToWorker>,
    },
    /// A session in which this node is the owner has ended.
    WorkerClosed {
        /// The worker.
        peer: PeerId,
        /// The number of the session.
        id: SessionId,
        /// The reason, for logs and users.
        why: String,
        /// Whether the session ended because the worker broke the protocol.
        violation: bool,
    },
    /// A session in which this node is the worker has ended.
    OwnerClosed {
        /// The owner.
        peer: PeerId,
        /// The number of the session.
        id: SessionId,
        /// The reason, for logs and users.
        why: String,
        /// Whether the session ended because the owner broke the protocol.
        violation: bool,
    },
}

/// The arguments of a new session: its peer and number, the channel for its events, the counters.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    pub(crate) peer: PeerId,
    pub(crate) id: SessionId,
    pub(crate) events: mpsc::Sender<SessionEvent>,
    pub(crate) last_seen: Arc<LastSeen>,
    pub(crate) meter: Arc<Meter>,
}
