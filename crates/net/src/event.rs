//! Facts that the event loop tells its owner, and what it publishes of each peer.

use std::{collections::BTreeSet, time::Duration};

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{Advert, HealthStatus, PeerState, ResourceUsage, Time, ToOwner, ToWorker};

use crate::session::Session;

/// Who made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer dialled us.
    Inbound,
    /// We dialled the peer.
    Outbound,
}

/// A fact about the network. None is lost: the loop stops polling the swarm while its owner lags.
#[derive(Debug)]
pub enum NetEvent {
    /// This node can be reached under a new address of its own.
    Listening {
        /// With `/p2p/…` appended.
        address: Multiaddr,
    },
    /// An address is gone.
    ListenerClosed {
        /// Which.
        address: Multiaddr,
    },
    /// Somebody is near, or was named; nothing is known of them yet.
    Discovered {
        /// Who.
        peer: PeerId,
        /// Where, as far as said.
        addresses: Vec<Multiaddr>,
    },
    /// The first connection to a peer is up.
    Connected {
        /// Who.
        peer: PeerId,
        /// The remote address.
        address: Multiaddr,
        /// Who dialled.
        direction: Direction,
    },
    /// A peer has been admitted and its advert is known; sent again whenever the advert changes.
    Ready {
        /// Who.
        peer: PeerId,
        /// What it offers this node, clamped.
        advert: Advert,
    },
    /// The last connection to a peer is gone.
    Disconnected {
        /// Who.
        peer: PeerId,
        /// Why, as far as is known.
        why: Option<String>,
    },
    /// The session that this node asked for with [`NetHandle::open_session`] is open; this node is
    /// the owner.
    ///
    /// Frames travel beside the events, see [`Network`](crate::Network). An earlier session with the
    /// same worker is replaced: its handle is to be dropped.
    ///
    /// [`NetHandle::open_session`]: crate::NetHandle::open_session
    WorkerSession {
        /// The worker.
        peer: PeerId,
        /// Sends to it.
        session: Session<ToWorker>,
    },
    /// That session could not be opened.
    WorkerSessionFailed {
        /// The worker.
        peer: PeerId,
        /// Why.
        why: String,
    },
    /// An admitted owner has opened a session; this node is the worker. It may come before the
    /// owner is ready, because that takes its consent, and replaces an earlier session of the same
    /// owner, whose handle is to be dropped.
    OwnerSession {
        /// The owner.
        peer: PeerId,
        /// Sends to it.
        session: Session<ToOwner>,
    },
    /// An address could not be dialled or listened on; it is tried again where that makes sense.
    AddressFailed {
        /// Which, if one is known.
        address: Option<Multiaddr>,
        /// The peer, if it is known.
        peer: Option<PeerId>,
        /// Why.
        why: String,
    },
}

/// What is known of a peer, as published to readers. Bounded by
/// [`limits::KNOWN_PEERS`](crate::limits::KNOWN_PEERS).
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Who.
    pub peer: PeerId,
    /// How far it has come, and why it is stuck.
    pub state: PeerState,
    /// Where it was reached, and where it says it can be; at most 8.
    pub addresses: Vec<Multiaddr>,
    /// Protocols from identify.
    pub protocols: BTreeSet<String>,
    /// Software from identify, cleaned.
    pub agent: Option<String>,
    /// The advert of its last hello, clamped; kept when it is gone.
    pub advert: Option<Advert>,
    /// When something last arrived from it, on the node's clock.
    pub last_seen: Time,
    /// Smoothed round trip of an echo.
    pub latency: Option<Duration>,
    /// What it last said that its machine has and uses; kept when it is gone.
    pub resources: Option<ResourceUsage>,
    /// What it last said of its health; kept when it is gone.
    pub health: Option<HealthStatus>,
}
