//! What a session has to do with the rest of the node.

use std::sync::Arc;

use libp2p::PeerId;
use meshwork_core::{ToOwner, ToWorker};
use tokio::sync::mpsc;

use crate::{clock::LastSeen, meter::Meter};

/// Names one session of this process; a later session of the same peer has a higher id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What sessions tell the node: batches of frames, and their end.
#[derive(Debug)]
pub enum SessionEvent {
    /// A worker of ours spoke.
    FromWorker {
        /// The worker.
        peer: PeerId,
        /// Its frames, in order.
        frames: Vec<ToOwner>,
    },
    /// An owner that we work for spoke.
    FromOwner {
        /// The owner.
        peer: PeerId,
        /// Its frames, in order.
        frames: Vec<ToWorker>,
    },
    /// A session in which we are the owner has ended.
    WorkerClosed {
        /// The worker.
        peer: PeerId,
        /// Number of the session.
        id: SessionId,
        /// The reason, for people.
        why: String,
        /// Whether because the worker broke the protocol.
        violation: bool,
    },
    /// A session in which we are the worker has ended.
    OwnerClosed {
        /// The owner.
        peer: PeerId,
        /// Number of the session.
        id: SessionId,
        /// The reason, for people.
        why: String,
        /// Whether because the owner broke the protocol.
        violation: bool,
    },
}

/// What a session needs of the node: the peer, the channel for its events, the counters.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    pub(crate) peer: PeerId,
    pub(crate) id: SessionId,
    pub(crate) events: mpsc::Sender<SessionEvent>,
    pub(crate) last_seen: Arc<LastSeen>,
    pub(crate) meter: Arc<Meter>,
}
