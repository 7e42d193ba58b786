//! The decisions of a Meshwork node, without any I/O.
//!
//! This crate is pure (I1): no I/O, no clock, and no randomness of its own except in
//! [`TaskId::new`]. A host gives [`engine::Engine::handle`] each [`engine::Input`], the [`Time`]
//! and a random generator, and carries out every [`engine::Effect`]. The same engine runs in tests,
//! in the simulator and in a node.
//!
//! Absent on purpose: tokio, libp2p (except the types [`PeerId`] and [`Multiaddr`]) and files.

pub mod address;
pub mod advert;
pub mod blob;
pub mod command;
pub mod discovery;
pub mod engine;
pub mod failure;
pub mod frame;
pub mod health;
pub mod limits;
pub mod message;
pub mod nearest;
pub mod peer;
pub mod policy;
pub mod protocol;
pub mod reason;
pub mod resource;
pub mod task;
pub mod time;

pub use advert::{Advert, Capacity};
pub use blob::{BlobForm, BlobHash, BlobRef, Payload};
pub use command::{DiscoveryEvent, HealthEvent, ResourceEvent, TaskProtocolEvent};
pub use discovery::PeerQuery;
pub use failure::{FailureCode, TaskFailure};
pub use frame::{Assignment, AttemptEnd, Epoch, ToOwner, ToWorker};
pub use health::{HealthCheck, HealthReason, HealthStatus};
pub use libp2p_identity::PeerId;
pub use message::NetworkMessage;
pub use multiaddr::Multiaddr;
pub use nearest::nearest;
pub use peer::{PeerInfo, PeerStage, PeerState, Stuck, TrafficBytes};
pub use policy::{Accept, AcceptPolicy};
pub use protocol::NetworkProtocol;
pub use reason::{BlobUse, Reason};
pub use resource::ResourceUsage;
pub use task::{
    CancelledBy, Durability, ExpiredLimit, GroupId, GroupMember, HandlerName, Requirements,
    RetryPolicy, Task, TaskEnd, TaskId, TaskInput, TaskLimits, TaskResult, TaskState, TaskType,
};
pub use time::Time;
