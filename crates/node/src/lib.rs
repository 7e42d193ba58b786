//! Composition root of a Meshwork node: [`NetworkManager`] is the one front door.
//!
//! It puts together the pure engine (`meshwork-core`), the network (`meshwork-net`) and the
//! handlers (`meshwork-exec`). One driver task owns the engine (I2); handles ask it.
//!
//! Absent on purpose: HTTP (in `meshwork-api`), libp2p types (in `meshwork-net`).

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
