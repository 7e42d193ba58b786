//! Meshwork's network: connections, admission, sessions, wire format. The only crate that names
//! libp2p (I7).
//!
//! [`Network::build`] creates five things: the [`EventLoop`], which owns the swarm and which the
//! caller spawns; a clonable [`NetHandle`] that sends it commands; and three receivers, of
//! [`NetEvent`]s (events about peers and sessions), of [`SessionEvent`]s (batches of decoded task
//! frames) and of [`BlobEvent`](blob::serve::BlobEvent)s (requests of peers for blobs). Neither task
//! frames nor blobs pass through the event loop: each session has its own reader and writer, and
//! each blob stream is a future of its own.
//!
//! # Tasks and channels
//!
//! ```text
//!   handles                      node (the caller)                       readers
//!      │ mpsc, COMMANDS             ▲ mpsc, EVENTS   ▲ mpsc, FRAME_BATCHES  ▲ watch: peers,
//!      │ Command                    │ NetEvent       │ SessionEvent         │ hearsay, addresses,
//!      ▼                            │                │                      │ own key
//!   ┌───────────────────────────────┴───┐            │                      │
//!   │ EventLoop: one task, the swarm    ├────────────┼──────────────────────┘
//!   └─┬───────────┬───────────▲───────┬─┘            │
//!     │ JoinSet   │ JoinSet   │ mpsc, │ JoinSet      │
//!     ▼           ▼           │ LINK_ ▼              │
//!   hellos,     links ────────┘ EVENTS  sessions ────┘
//!   exchanges     ▲ mpsc, LINK_OUTBOX     ▲ Outbox, at most OUTBOX frames
//!                 └─ frames of the loop   └─ frames of the node (Session::send)
//! ```
//!
//! The capitalised names are constants of [`limits`]. The loop never waits: a hello and an exchange
//! have a time limit, and report their results through their `JoinSet`. A full channel to the node
//! stops the loop from polling the swarm; a full channel of sessions stops their readers and, by
//! flow control, their peers. A blob stream asks the node about one request at a time, through a
//! channel of FETCHES places.
//!
//! Absent on purpose: decisions about tasks. The engine of `meshwork-core` decides which tasks a
//! peer may run, and on which peer a task runs.

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

pub use self::protocol::{blob, task::session};
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
