//! Meshwork: hand work to any machine that trusts you, and get the result back. No server in the
//! middle.
//!
//! A [`NetworkManager`] is a node. It runs its own tasks and, where its policy allows, those of
//! peers; every task that it accepts ends in exactly one typed state, and the node can explain it.
//!
//! ```
//! use meshwork::{Accept, AcceptPolicy, NetworkConfig, NetworkManager, Task, handler_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loopback = NetworkConfig {
//!     listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
//!     mdns: false,
//!     ..NetworkConfig::default()
//! };
//! // One node offers its own handler to all peers …
//! let shout = handler_fn("demo/shout", |_cx, input| async move {
//!     Ok(String::from_utf8_lossy(&input).to_uppercase().into())
//! });
//! let accept = AcceptPolicy::default().with("demo", Accept::Anyone);
//! let config = NetworkConfig { accept, ..loopback.clone() };
//! let worker = NetworkManager::builder().config(config).handler(shout).build()?;
//! worker.start().await?;
//! // … and another one uses it.
//! let owner = NetworkManager::new(loopback).await?;
//! owner.start().await?;
//! let peer = owner.dial(worker.addresses()[0].clone()).await?;
//! let task = Task::new("demo/shout")?.with_input("hello");
//! let result = owner.distribute_task(task, vec![peer]).await?.result().await?;
//! assert_eq!(result.text()?, "HELLO");
//! # owner.shutdown().await?;
//! # worker.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! Absent on purpose: internals. The parts are separate crates: decisions in `meshwork-core`,
//! connections in `meshwork-net`, handlers in `meshwork-exec`, and the node that joins them in
//! `meshwork-node`.

pub use meshwork_core::{
    Accept, AcceptPolicy, Advert, Capacity, DiscoveryEvent, Durability, FailureCode, GroupId,
    GroupMember, HandlerName, HealthCheck, HealthEvent, HealthReason, HealthStatus, Multiaddr,
    NetworkMessage, NetworkProtocol, PeerId, PeerInfo, PeerQuery, PeerStage, PeerState, Reason,
    Requirements, ResourceEvent, ResourceUsage, RetryPolicy, Stuck, Task, TaskEnd, TaskFailure,
    TaskId, TaskInput, TaskLimits, TaskProtocolEvent, TaskResult, TaskState, TaskType,
    TrafficBytes,
    engine::view::{
        AttemptView, EndCounts, Explanation, GroupExplanation, GroupQuery, GroupState, GroupStop,
        GroupView, Obstacle, Progress, TaskView, WaitingMembers,
    },
};
pub use meshwork_exec::{
    Bytes, Description, Failure, Handler, HandlerError, OrFail, ParamKind, ParamSpec, TaskContext,
    handler_fn,
};
pub use meshwork_net::{InvalidSubnet, Keypair, Subnet};
pub use meshwork_node::{
    BuildError, ConnectionError, DialError, DiscoveryProtocol, FindError, HealthProtocol, Identity,
    InternalError, JournalError, ManualAttempt, Members, MessageError, NetworkConfig, NetworkError,
    NetworkEvent, NetworkManager, NetworkManagerBuilder, NetworkMetricsCollector, NodeStatus,
    Offered, Pong, ProtocolViolation, ResourceError, ResourceMonitor, ResourceProtocol, Retried,
    Subscription, TaskError, TaskFilter, TaskHandle, TaskProtocol, TaskSettings, Topics,
};

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeDoctests;
