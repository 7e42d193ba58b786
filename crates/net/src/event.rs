//! Facts that the event loop tells its owner, and what it publishes of each peer.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{
    Advert, HealthStatus, PeerQuery, PeerState, ResourceUsage, Time, ToOwner, ToWorker,
};

use crate::{clock::LastSeen, intake::Crowd, protocol::task::session::Session, traffic::Traffic};

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
    /// mDNS found a peer, or a caller named one; nothing else is known about it yet.
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
    /// Frames travel beside the events, see [`Network`](crate::build::Network). An earlier session with the
    /// same worker is replaced: its handle is to be dropped.
    ///
    /// [`NetHandle::open_session`]: crate::handle::NetHandle::open_session
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
    /// What is known of a peer beside its state has changed: what identify says.
    Updated {
        /// Who.
        peer: PeerId,
    },
    /// A peer has said what its machine has and uses.
    Resources {
        /// Who.
        peer: PeerId,
        /// What it says, checked.
        usage: ResourceUsage,
    },
    /// A peer has said how it is.
    Health {
        /// Who.
        peer: PeerId,
        /// What it says, clamped.
        status: HealthStatus,
    },
    /// A peer has said whom it knows, and perhaps whom it looks for; it was answered.
    Heard {
        /// Who.
        peer: PeerId,
        /// Whom it knows, by their signed adverts.
        known: Vec<PeerStatus>,
        /// Whom it looks for.
        query: Option<PeerQuery>,
    },
    /// An echo has come back.
    Measured {
        /// From whom.
        peer: PeerId,
        /// How long it took.
        round_trip: Duration,
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
    /// Peers or connections were refused because there are too many; each kind at most once in a
    /// minute.
    Overloaded(Overload),
    /// Two machines use one key; told once, and while it goes on at most once in
    /// [`limits::COPIED_TIME`](crate::limits::COPIED_TIME) for each key; of peers that are not trusted
    /// at most [`limits::COPIES_TOLD`](crate::limits::COPIES_TOLD) in that time.
    KeyCopied(KeyCopied),
}

/// Two machines use one key: mostly a home that was copied with its `identity.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCopied {
    /// Whose key it is: that of a peer, or of this node.
    pub peer: PeerId,
    /// How that is known.
    pub evidence: KeyEvidence,
}

/// How it is known that two machines use one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEvidence {
    /// Two starts of a peer said hello by turns. It is a proof: a restart brings no earlier start
    /// back, and only the holder of the key can say hello.
    Alternates,
    /// This node has reached its own key at this address, which is not its own. A proof.
    Reached(Multiaddr),
    /// Another machine with this node's key has dialled it from this address. A proof. Over TCP such
    /// a dial mostly shows as a handshake that broke off.
    Came(Multiaddr),
    /// This peer says so of this node's key. Its word, and no proof.
    SaidBy(PeerId),
}

/// That another machine uses this node's own key, as last found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKeyCopied {
    /// How that is known; never [`KeyEvidence::Alternates`].
    pub evidence: KeyEvidence,
    /// When it was last found.
    pub at: Time,
}

/// What to do about a copied key.
pub const COPIED_KEY_ADVICE: &str =
    "start one of them with an empty home, so that it gets its own key: meshwork --home DIR up";

impl std::fmt::Display for KeyCopied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { peer, evidence } = self;
        match evidence {
            KeyEvidence::Alternates => write!(f, "two machines use the key of {peer}")?,
            KeyEvidence::Reached(address) => {
                write!(f, "another machine uses the key of this node: it answers at {address}")?;
            }
            KeyEvidence::Came(address) => {
                write!(
                    f,
                    "another machine uses the key of this node: it has dialled from {address}"
                )?;
            }
            KeyEvidence::SaidBy(by) => {
                write!(f, "peer {by} says that another machine uses the key of this node")?;
            }
        }
        write!(f, "; {COPIED_KEY_ADVICE}")
    }
}

/// More peers or connections than this node has places for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overload {
    /// Inbound connections are shed before their peers are known.
    Inbound(Crowd),
    /// A peer was refused because this node has as many as it may.
    Peers {
        /// How many it may have.
        max_peers: usize,
        /// The peer that was refused.
        refused: PeerId,
    },
}

impl std::fmt::Display for Overload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inbound(crowd) => crowd.fmt(f),
            Self::Peers { max_peers, refused } => write!(
                f,
                "peer {refused} was refused: this node has {max_peers} peers, as many as it may \
                 (max_peers)"
            ),
        }
    }
}

/// An echo that has come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// From whom.
    pub peer: PeerId,
    /// How long it took.
    pub round_trip: Duration,
    /// The far end of the connection.
    pub address: Multiaddr,
    /// `tcp` or `quic`.
    pub transport: &'static str,
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
    /// Where it may be found after a restart: where this node has reached it, and what its own
    /// signed advert names, as far as that may be dialled. Empty unless it was ready; at most
    /// [`limits::REMEMBERED_ADDRESSES`](crate::limits::REMEMBERED_ADDRESSES).
    pub recallable: Vec<Multiaddr>,
    /// When it was last ready; of one that is, since when.
    pub last_ready: Option<Time>,
    /// Protocols from identify.
    pub protocols: BTreeSet<String>,
    /// Software from identify, cleaned.
    pub agent: Option<String>,
    /// The advert of its last hello, clamped; kept when it is gone.
    pub advert: Option<Advert>,
    /// When something last arrived from it; live.
    pub last_seen: Arc<LastSeen>,
    /// What has travelled between it and this node; live.
    pub traffic: Arc<Traffic>,
    /// Smoothed round trip of an echo.
    pub latency: Option<Duration>,
    /// What it last said that its machine has and uses; kept when it is gone.
    pub resources: Option<ResourceUsage>,
    /// What it last said of its health; kept when it is gone.
    pub health: Option<HealthStatus>,
    /// When two machines were last seen to use its key.
    pub copied: Option<Time>,
}
