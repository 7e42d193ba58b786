//! The actions that a part of the loop can request from the loop.
//!
//! A part changes its own state and the table of peers at once, and returns the rest as actions.
//! The loop carries them out in order: with the swarm, with the timers, with other parts. So a part
//! needs no access to the swarm or to another part.

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use meshwork_core::Advert;
use tokio::time::Instant;

use super::{dials::Pending, facts::NewSession, peers::News, timers::Timer};
use crate::{
    behaviour::streams::Protocol,
    event::NetEvent,
    protocol::{discovery::errand::Errand, links::link::LinkProtocol},
};

/// One action that the loop carries out for a part.
pub(crate) enum Action {
    /// Send the node an event.
    Tell(NetEvent),
    /// Send the node the event of a session, then start the session.
    TellSession(NetEvent, NewSession),
    /// Publish the table of peers if it changed.
    Publish,
    /// Set a timer.
    Remind(Instant, Timer),
    /// Open a stream on a connection.
    Open { connection: ConnectionId, purpose: Purpose },
    /// Send our hello on a connection.
    SayHello { peer: PeerId, connection: ConnectionId },
    /// Set whether an idle connection stays open.
    KeepAlive { peer: PeerId, connection: ConnectionId, keep: bool },
    /// React to a peer that is ready with an advert that was not reported yet.
    Ready { peer: PeerId, advert: Advert, news: News },
    /// Send a peer an echo request, to see whether it still answers.
    Echo(PeerId),
    /// Begin an exchange of adverts with a peer.
    Exchange { peer: PeerId, errand: Errand },
    /// An exchange for this errand could not begin; there will be no result.
    ErrandDone(Errand),
    /// A new address of this peer is known.
    Lead(PeerId),
    /// Query Kademlia for the addresses of a peer.
    LookUp(PeerId),
    /// Give Kademlia the addresses of a peer.
    Route(PeerId),
    /// Begin a dial.
    Dial(Pending),
    /// Dial a ready peer for blobs.
    DialForBlobs(PeerId),
    /// Check soon whether to dial peers that other peers named.
    Mesh,
    /// A dial that began at `since` reached this node's own key.
    OwnKeyReached { address: Multiaddr, since: Instant },
    /// Close one connection.
    CloseConnection(ConnectionId),
    /// Close all connections to a peer.
    ClosePeer { peer: PeerId, why: String },
    /// Close all connections to a peer that broke the protocol, and deny new ones for a while.
    Expel { peer: PeerId, why: &'static str },
}

/// The purpose of a stream that this node opens.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Our hello to the peer.
    Hello { peer: PeerId, connection: ConnectionId },
    /// A session with a worker.
    Session { peer: PeerId },
    /// A link for the resource or health protocol.
    Link { peer: PeerId, protocol: LinkProtocol },
    /// An exchange of adverts.
    Exchange { peer: PeerId, errand: Errand },
    /// A stream to a provider of blobs.
    Blob { peer: PeerId, number: u64 },
}

impl Purpose {
    /// The peer to which the stream is opened.
    pub(crate) fn peer(&self) -> PeerId {
        match self {
            Self::Hello { peer, .. }
            | Self::Session { peer }
            | Self::Link { peer, .. }
            | Self::Exchange { peer, .. }
            | Self::Blob { peer, .. } => *peer,
        }
    }

    /// The protocol of the stream.
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Hello { .. } => Protocol::Hello,
            Self::Session { .. } => Protocol::Task,
            Self::Link { protocol: LinkProtocol::Resource, .. } => Protocol::Resource,
            Self::Link { protocol: LinkProtocol::Health, .. } => Protocol::Health,
            Self::Exchange { .. } => Protocol::Discovery,
            Self::Blob { .. } => Protocol::Blob,
        }
    }
}
