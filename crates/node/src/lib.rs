//! A Meshwork node: [`NetworkManager`] starts it, and is the front door.
//!
//! It joins the pure engine (`meshwork-core`), the network (`meshwork-net`) and the handlers
//! (`meshwork-exec`). One task, the driver, owns the engine (I2); all handles send it calls.
//!
//! # Tasks and channels
//!
//! ```text
//!   handles: NetworkManager, TaskHandle, GroupHandle, protocols          subscribers  readers
//!      │ mpsc, CALLS: calls that add durable work  ▲ oneshot:               ▲ broadcast, ▲ watch:
//!      │ mpsc, CALLS: all other calls              │ answers                │ EVENTS     │ Snapshot
//!      ▼                                           │                        │            │
//!   ┌──────────────────────────────────────────────┴────────────────────────┴────────────┴──┐
//!   │ Driver: one task, the engine, the sessions, the waiting callers                       │
//!   │ a pass: take inputs → engine → carry out effects → publish the snapshot → send answers│
//!   └──▲──────────┬──────────────────▲──────────┬────────────────▲──────────┬───────────────┘
//!      │ mpsc:    │ Session::send    │ mpsc,    │ start, stop    │ mpsc:    │ sync channel:
//!      │ NetEvent │ of each peer     │ REPORTS  │                │ commits, │ one commit,
//!      │ Session- │                  │          │                │ volumes  │ one copy
//!      │ Event    ▼                  │          ▼                │          ▼
//!   EventLoop (meshwork-net)       Executor (meshwork-exec)    journal: a thread for commits,
//!      │ watch: peers              handler threads             a thread for the archive
//!      ▼
//!   peer book: writes the peers that were met       probes: mpsc, PROBES: measure this machine and
//!   metrics: passes changes on every 5 s            both loops, watch: Samples
//! ```
//!
//! The capitalised names are constants of `limits`, here and in `meshwork-net`.
//!
//! The driver never waits for a caller, a subscriber, a peer or the disk. While the journal is far
//! behind it takes no more durable work, a slow subscriber misses events, and the session of a slow
//! peer is bounded. A start reads the journal before any task is spawned (`start`); a stop ends the
//! sessions, the network, the handlers and the journal, in this order.
//!
//! Absent on purpose: HTTP (in `meshwork-api`), libp2p types (in `meshwork-net`).

mod blobs;
mod book;
mod builder;
mod clock;
pub mod config;
mod driver;
pub mod error;
pub mod event;
mod group_handle;
mod health;
mod home;
mod journal;
mod limits;
mod manager;
mod members;
mod metrics;
mod monitor;
mod node;
mod policy;
mod probes;
mod protocol;
mod publisher;
mod snapshot;
mod start;
mod status;
mod task_handle;
mod vitals;

pub use meshwork_core::{HealthStatus, ResourceUsage, engine::view::TaskQuery as TaskFilter};
pub use meshwork_exec::{Description, HandlerError, ManualAttempt, ParamKind, ParamSpec};
pub use meshwork_net::{
    BuildError, COPIED_KEY_ADVICE, Crowd, DialError, InvalidSubnet, KeyCopied, KeyEvidence,
    Keypair, NetCounters, Overload, Pong, Subnet,
    clock::time_of_day,
    identity::{self, IdentityError},
};

pub use self::{
    blobs::{BlobError, Blobs, Content, Upload},
    builder::NetworkManagerBuilder,
    config::{Identity, NetworkConfig, Offered, TaskSettings, UnknownFamily},
    error::{
        ConnectionError, InternalError, MessageError, NetworkError, ProtocolViolation, TaskError,
    },
    event::{NetworkEvent, Subscription, Topics},
    group_handle::{GroupHandle, Retried},
    home::HomeError,
    journal::{JournalError, repair},
    manager::{NetworkManager, find::FindError},
    members::Members,
    metrics::NetworkMetricsCollector,
    monitor::{ResourceError, ResourceMonitor},
    protocol::{DiscoveryProtocol, HealthProtocol, ResourceProtocol, TaskProtocol},
    status::NodeStatus,
    task_handle::TaskHandle,
};
