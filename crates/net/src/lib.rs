//! Meshwork's network: connections, admission, sessions, wire format. The only crate that names
//! libp2p (I7).
//!
//! [`Network::build`] makes four things: the [`EventLoop`], which owns the swarm and is spawned by
//! the caller; a clonable [`NetHandle`] that asks it; and two receivers, of [`NetEvent`]s (facts
//! about peers and sessions) and of [`SessionEvent`]s (batches of decoded task frames). Task
//! frames never pass through the event loop: each session has a reader and a writer of its own.
//!
//! Absent on purpose: any decision about tasks. What a peer may run, and where work goes, is
//! decided by the engine of `meshwork-core`.

mod address;
mod behaviour;
#[doc(hidden)]
pub mod bench;
mod build;
pub mod clock;
pub mod config;
mod counters;
mod dial_filter;
pub mod error;
pub mod event;
mod event_loop;
mod handle;
pub mod identity;
mod instances;
mod intake;
mod lan;
pub mod limits;
mod meter;
mod protocol;
mod quota;
mod share;
mod traffic;
mod transport;
mod wire;

pub use libp2p::identity::Keypair;

pub use self::protocol::task::session;
pub use self::{
    build::Network,
    clock::Clock,
    config::{NetConfig, Offer, Remembered},
    counters::NetCounters,
    error::{AskError, BuildError, DialError, FindPeersError, NetClosed},
    event::{
        COPIED_KEY_ADVICE, Direction, KeyCopied, KeyEvidence, NetEvent, Overload, OwnKeyCopied,
        PeerStatus, Pong,
    },
    event_loop::EventLoop,
    handle::NetHandle,
    identity::IdentityError,
    intake::Crowd,
    lan::{InvalidSubnet, Subnet},
    meter::{Flow, NetTraffic, SizeClass, message_kinds},
    protocol::task::session::{Session, SessionEvent},
    traffic::Traffic,
};
