//! Events for the node, and the published status of each peer.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{
    Advert, HealthStatus, PeerQuery, PeerState, ResourceUsage, Time, ToOwner, ToWorker,
};

use crate::{clock::LastSeen, intake::Crowd, protocol::task::session::Session, traffic::Traffic};

/// Which side dialled a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer dialled us.
    Inbound,
    /// We dialled the peer.
    Outbound,
}

/// An event of the network. No event is lost: the loop stops polling the swarm while the node
/// lags.
#[derive(Debug)]
pub enum NetEvent {
    /// This node listens on a new address.
    Listening {
        /// The address, with `/p2p/…` appended.
        address: Multiaddr,
    },
    /// This node no longer listens on an address.
    ListenerClosed {
        /// The address, with `/p2p/…` appended.
        address: Multiaddr,
    },
    /// mDNS found a peer; nothing else is known about it yet.
    Discovered {
        /// The peer.
        peer: PeerId,
        /// The announced addresses on network segments of this machine.
        addresses: Vec<Multiaddr>,
    },
    /// The first connection to a peer is established.
    Connected {
        /// The peer.
        peer: PeerId,
        /// The remote address of the connection.
        address: Multiaddr,
        /// Which side dialled.
        direction: Direction,
    },
    /// Both hellos were accepted, and the peer's advert is known; sent again whenever the advert
    /// changes.
    Ready {
        /// The peer.
        peer: PeerId,
        /// The peer's advert for this node, clamped.
        advert: Advert,
        /// The highest version of the protocol that both nodes speak.
        version: u32,
    },
    /// The last connection to a peer was closed.
    Disconnected {
        /// The peer.
        peer: PeerId,
        /// The cause, as far as it is known.
        why: Option<String>,
    },
    /// A session that this node requested with [`NetHandle::open_session`] is open; this node is
    /// the owner.
    ///
    /// Frames arrive on another channel, see [`Network`](crate::build::Network). The session
    /// replaces an earlier one with the same worker; drop the handle of that one.
    ///
    /// [`NetHandle::open_session`]: crate::handle::NetHandle::open_session
    WorkerSession {
        /// The worker.
        peer: PeerId,
        /// Sends frames to the worker.
        session: Session<ToWorker>,
    },
    /// A requested session could not be opened.
    WorkerSessionFailed {
        /// The worker.
        peer: PeerId,
        /// The cause.
        why: String,
    },
    /// An admitted owner opened a session; this node is the worker. The event may come before the
    /// owner is ready, because that also needs the owner to accept our hello. The session replaces
    /// an earlier one with the same owner; drop the handle of that one.
    OwnerSession {
        /// The owner.
        peer: PeerId,
        /// Sends frames to the owner.
        session: Session<ToOwner>,
    },
    /// What identify reports about a peer changed.
    Updated {
        /// The peer.
        peer: PeerId,
    },
    /// A peer reported its resources.
    Resources {
        /// The peer.
        peer: PeerId,
        /// The report, checked.
        usage: ResourceUsage,
    },
    /// A peer reported its health.
    Health {
        /// The peer.
        peer: PeerId,
        /// The report, clamped.
        status: HealthStatus,
    },
    /// A peer sent the adverts of peers that it knows, and perhaps a query; this node answered.
    Heard {
        /// The peer.
        peer: PeerId,
        /// The peers that it knows, from their signed adverts.
        known: Vec<PeerStatus>,
        /// The query for peers that it looks for.
        query: Option<PeerQuery>,
    },
    /// An echo was answered.
    Measured {
        /// The peer.
        peer: PeerId,
        /// The round-trip time.
        round_trip: Duration,
    },
    /// A dial failed, or a listener had an error. The node tries again where that makes sense.
    AddressFailed {
        /// The address, if it is known.
        address: Option<Multiaddr>,
        /// The peer, if it is known.
        peer: Option<PeerId>,
        /// The cause.
        why: String,
    },
    /// Peers or connections were refused because there are too many; each kind at most once per
    /// minute.
    Overloaded(Overload),
    /// Two machines use one key. Sent once, and while it continues at most once per
    /// [`limits::COPIED_TIME`](crate::limits::COPIED_TIME) for each key; for untrusted peers at
    /// most [`limits::COPIES_REPORTED`](crate::limits::COPIES_REPORTED) times in that period.
    KeyCopied(KeyCopied),
}

/// Two machines use one key, usually because a home was copied with its `identity.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCopied {
    /// The peer whose key is copied, or this node.
    pub peer: PeerId,
    /// The evidence.
    pub evidence: KeyEvidence,
}

/// Evidence that two machines use one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEvidence {
    /// Hellos of two starts of a peer alternate. A proof: a restart never brings an earlier start
    /// back, and only the holder of the key can send a hello.
    Alternates,
    /// This node reached its own key at this address, which is not its own. A proof.
    Reached(Multiaddr),
    /// Another machine with this node's key dialled this node from this address. A proof. Over TCP
    /// such a dial usually appears as a handshake that broke off.
    Came(Multiaddr),
    /// This peer claims it about this node's key. Not a proof.
    SaidBy(PeerId),
}

/// The last evidence that another machine uses this node's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKeyCopied {
    /// The evidence; never [`KeyEvidence::Alternates`].
    pub evidence: KeyEvidence,
    /// When it was last seen.
    pub at: Time,
}

/// The remedy for a copied key.
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
    /// A peer was refused because `max_peers` peers are admitted.
    Peers {
        /// The limit.
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
                "peer {refused} was refused: this node has {max_peers} peers, its limit \
                 (max_peers)"
            ),
        }
    }
}

/// The answer to an echo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The peer.
    pub peer: PeerId,
    /// The round-trip time.
    pub round_trip: Duration,
    /// The far end of the connection.
    pub address: Multiaddr,
    /// `tcp` or `quic`.
    pub transport: &'static str,
}

/// The published status of a peer. The table has at most
/// [`limits::KNOWN_PEERS`](crate::limits::KNOWN_PEERS) entries.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// The peer.
    pub peer: PeerId,
    /// The state of the peer, and why it is stuck there.
    pub state: PeerState,
    /// Addresses where it was reached, and those that it claims; at most 8.
    pub addresses: Vec<Multiaddr>,
    /// Addresses to dial after a restart: where this node reached it, and dialable ones from its
    /// own signed advert. Empty unless it was ever ready; at most
    /// [`limits::REMEMBERED_ADDRESSES`](crate::limits::REMEMBERED_ADDRESSES).
    pub recallable: Vec<Multiaddr>,
    /// When it was last ready; if it is ready, since when.
    pub last_ready: Option<Time>,
    /// Its protocols, from identify.
    pub protocols: BTreeSet<String>,
    /// Its software, from identify, cleaned.
    pub agent: Option<String>,
    /// The advert of its last hello, clamped; kept after it disconnects.
    pub advert: Option<Advert>,
    /// When bytes last arrived from it; live.
    pub last_seen: Arc<LastSeen>,
    /// The bytes exchanged with it; live.
    pub traffic: Arc<Traffic>,
    /// The smoothed round-trip time of its echoes.
    pub latency: Option<Duration>,
    /// Its last report of resources; kept after it disconnects.
    pub resources: Option<ResourceUsage>,
    /// Its last report of health; kept after it disconnects.
    pub health: Option<HealthStatus>,
    /// When two machines with its key were last seen.
    pub copied: Option<Time>,
}
