//! Everything that a part of the loop can ask the loop to do.
//!
//! A part changes its own state and the table of peers at once, and returns the rest as actions. The
//! loop carries them out in their order: with the swarm, with the timers, with other parts. So a
//! part holds neither the swarm nor another part.

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use meshwork_core::Advert;
use tokio::time::Instant;

use super::{dials::Pending, facts::NewSession, peers::News, timers::Timer};
use crate::{
    behaviour::streams::Protocol,
    event::NetEvent,
    protocol::{discovery::errand::Errand, links::link::LinkProtocol},
};

/// One thing that the loop does for a part.
pub(crate) enum Action {
    /// Tell the owner a fact.
    Tell(NetEvent),
    /// Tell the owner about a session, and start it.
    TellSession(NetEvent, NewSession),
    /// Publish the table of peers if it has changed.
    Publish,
    /// Set a timer.
    Remind(Instant, Timer),
    /// Open a stream on a connection.
    Open { connection: ConnectionId, purpose: Purpose },
    /// Say hello on a connection.
    SayHello { peer: PeerId, connection: ConnectionId },
    /// Keep a connection open from now on, or no longer.
    KeepAlive { peer: PeerId, connection: ConnectionId, keep: bool },
    /// A peer is ready and offers something that was not announced yet.
    Ready { peer: PeerId, advert: Advert, news: News },
    /// Ask a peer for a sign of life.
    Echo(PeerId),
    /// Begin an exchange.
    Exchange { peer: PeerId, errand: Errand },
    /// An exchange for this errand could not begin: nothing else comes of it.
    ErrandDone(Errand),
    /// Something new is known about where a peer is.
    Lead(PeerId),
    /// Ask Kademlia where a peer is.
    LookUp(PeerId),
    /// Tell Kademlia where a peer is.
    Route(PeerId),
    /// Dial.
    Dial(Pending),
    /// Look in a moment whether peers are to be dialled on others' word.
    Mesh,
    /// A dial that began at `since` has ended at this node's own key.
    OwnKeyReached { address: Multiaddr, since: Instant },
    /// Close one connection.
    CloseConnection(ConnectionId),
    /// Close all connections to a peer.
    ClosePeer { peer: PeerId, why: String },
    /// Close all connections to a peer that broke the protocol, and refuse new ones for a while.
    Expel { peer: PeerId, why: &'static str },
}

/// What a stream is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Our hello.
    Hello { peer: PeerId, connection: ConnectionId },
    /// A session with a worker.
    Session { peer: PeerId },
    /// A link for resources or health.
    Link { peer: PeerId, protocol: LinkProtocol },
    /// An exchange of peers.
    Exchange { peer: PeerId, errand: Errand },
}

impl Purpose {
    /// The peer to which the stream is opened.
    pub(crate) fn peer(&self) -> PeerId {
        match self {
            Self::Hello { peer, .. }
            | Self::Session { peer }
            | Self::Link { peer, .. }
            | Self::Exchange { peer, .. } => *peer,
        }
    }

    /// The protocol that is spoken on the stream.
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Hello { .. } => Protocol::Hello,
            Self::Session { .. } => Protocol::Task,
            Self::Link { protocol: LinkProtocol::Resource, .. } => Protocol::Resource,
            Self::Link { protocol: LinkProtocol::Health, .. } => Protocol::Health,
            Self::Exchange { .. } => Protocol::Discovery,
        }
    }
}
