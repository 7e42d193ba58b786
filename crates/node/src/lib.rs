//! Composition root of a Meshwork node: [`NetworkManager`] is the one front door.
//!
//! It puts together the pure engine (`meshwork-core`), the network (`meshwork-net`) and the
//! handlers (`meshwork-exec`). One driver task owns the engine (I2); handles ask it.
//!
//! Absent on purpose: HTTP (in `meshwork-api`), libp2p types (in `meshwork-net`).

mod builder;
mod clock;
pub mod config;
mod driver;
pub mod error;
pub mod event;
mod health;
mod home;
mod limits;
mod manager;
mod status;
mod task_handle;

pub use meshwork_net::{
    BuildError, DialError, Keypair,
    identity::{self, IdentityError},
};

pub use self::{
    builder::NetworkManagerBuilder,
    config::{Identity, NetworkConfig, Offered, TaskSettings},
    error::{InternalError, NetworkError, ProtocolViolation, TaskError},
    event::{NetworkEvent, Subscription},
    health::HealthStatus,
    home::HomeError,
    manager::{FindError, NetworkManager, TaskFilter},
    status::NodeStatus,
    task_handle::TaskHandle,
};
