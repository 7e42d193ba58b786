//! Meshwork: hand work to any machine that trusts you, and get the result back. No server in the
//! middle.
//!
//! This page is a tutorial. The names used most are at the root; the others are in modules by
//! subject: [`config`], [`handler`], [`task`], [`group`], [`peer`], [`event`], [`protocol`],
//! [`error`], [`status`].
//!
//! # A node
//!
//! A [`NetworkManager`] is a node. It is cheap to clone, and all clones are the same node. It runs on
//! the tokio runtime of your program, submits tasks, and runs those of peers as far as its policy
//! allows.
//!
//! ```
//! use meshwork::{NetworkConfig, NetworkManager, Task};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = NetworkConfig {
//!     // Any free port of this machine, and no search for peers.
//!     listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
//!     mdns: false,
//!     ..NetworkConfig::default()
//! };
//! let node = NetworkManager::new(config).await?;
//! node.start().await?;
//! let task = Task::new("text/upper")?.with_input("hand work to any machine");
//! // Without targets a task runs here, or on any ready peer that this node trusts.
//! let handle = node.distribute_task(task, vec![]).await?;
//! assert_eq!(handle.result().await?.text()?, "HAND WORK TO ANY MACHINE");
//! node.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! Every setting with its meaning, range and value: `println!("{}", node.config())`.
//!
//! # A handler
//!
//! A handler is the code behind one name, `family/operation`. It takes bytes and returns bytes. A
//! closure does for most; implement [`handler::Handler`] for more. A node accepts tasks of a family
//! from the peers that its policy allows: by default those that it trusts.
//!
//! ```
//! use meshwork::{
//!     NetworkConfig, NetworkManager, Task,
//!     config::{Accept, AcceptPolicy},
//!     handler_fn,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let loopback = NetworkConfig {
//! #     listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
//! #     mdns: false,
//! #     ..NetworkConfig::default()
//! # };
//! let shout = handler_fn("demo/shout", |_cx, input| async move {
//!     Ok(str::from_utf8(&input)?.to_uppercase().into())
//! });
//! let accept = AcceptPolicy::default().with("demo", Accept::Anyone);
//! let config = NetworkConfig { accept, ..loopback.clone() };
//! let worker = NetworkManager::builder().config(config).handler(shout).spawn().await?;
//!
//! let owner = NetworkManager::new(loopback).await?;
//! owner.start().await?;
//! let peer = owner.dial(worker.addresses()[0].clone()).await?;
//! let task = Task::new("demo/shout")?.with_input("hello");
//! let result = owner.distribute_task(task, vec![peer]).await?.result().await?;
//! assert_eq!(result.text()?, "HELLO");
//! assert_eq!(result.worker, worker.local_peer_id());
//! # owner.shutdown().await?;
//! # worker.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! The [`handler::TaskContext`] of a run gives its parameters and its deadline, takes its progress,
//! and tells it that it was cancelled.
//!
//! # Errors and retries
//!
//! A task ends in exactly one way: [`task::TaskEnd`]. A handler says with its error whether another
//! attempt may help: [`HandlerError::Failed`](handler::HandlerError::Failed) is tried again, elsewhere
//! if possible, as often as [`task::RetryPolicy`] allows;
//! [`HandlerError::Permanent`](handler::HandlerError::Permanent) and the mistakes of the submitter are
//! not. An attempt whose worker goes away is tried again as well.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//!
//! use meshwork::{
//!     NetworkConfig, NetworkManager, Task,
//!     handler::HandlerError,
//!     handler_fn,
//!     task::{FailureCode, RetryPolicy, TaskError},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config =
//! #     NetworkConfig { listen_addrs: vec![], mdns: false, ..NetworkConfig::default() };
//! static RUNS: AtomicU32 = AtomicU32::new(0);
//! let busy = handler_fn("demo/busy", |_cx, _input| async move {
//!     match RUNS.fetch_add(1, Ordering::Relaxed) {
//!         0 => {
//!             Err(HandlerError::Failed { message: "the camera is busy".into(), exit: None }.into())
//!         }
//!         _ => Ok("a picture".into()),
//!     }
//! });
//! let broken = handler_fn("demo/broken", |_cx, _input| async move {
//!     Err(HandlerError::Permanent { message: "there is no camera".into(), exit: None }.into())
//! });
//! let node =
//!     NetworkManager::builder().config(config).handler(busy).handler(broken).spawn().await?;
//!
//! let retry = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
//! let task = Task { retry, ..Task::new("demo/busy")? };
//! let result = node.distribute_task(task, vec![]).await?.result().await?;
//! assert_eq!((result.text()?, result.attempt), ("a picture", 2));
//!
//! let task = Task::new("demo/broken")?;
//! match node.distribute_task(task, vec![]).await?.result().await {
//!     Err(TaskError::Failed(failure)) => assert_eq!(failure.code, FailureCode::Permanent),
//!     other => panic!("{other:?}"),
//! }
//! # node.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! All errors answer `is_retryable()`. A refusal carries a typed [`error::Reason`] with a code that is
//! the same on the wire, in the HTTP API and on the command line.
//!
//! # Groups
//!
//! Tasks that belong together are submitted as a group: they are waited for, cancelled, explained and
//! retried as one, and `max_fails` ends all of them when too many fail.
//!
//! ```
//! # use meshwork::{NetworkConfig, NetworkManager, Task};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config =
//! #     NetworkConfig { listen_addrs: vec![], mdns: false, ..NetworkConfig::default() };
//! # let node = NetworkManager::new(config).await?;
//! # node.start().await?;
//! let pages = ["one", "two", "three"];
//! let tasks = pages.map(|page| Task::new("text/upper").map(|task| task.with_input(page)));
//! let tasks: Vec<Task> = tasks.into_iter().collect::<Result<_, _>>()?;
//! let group = node.distribute_group(tasks, vec![], Some(0)).await?;
//! let view = group.wait().await?;
//! assert_eq!((view.received, view.ended.succeeded), (3, 3));
//! # node.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! # Files and folders
//!
//! An input or a result may also be a file or a folder of any size. [`NetworkManager::blobs`] adds
//! them to the node, which keeps each under the hash of its bytes, and saves them again. The worker
//! fetches the input, and this node the result. A [`FileHandler`] reads and writes them; its small
//! inputs and results stay bytes in memory.
//!
//! [`FileHandler`]: handler::FileHandler
//!
//! ```
//! # use meshwork::{NetworkConfig, NetworkManager, Task};
//! use meshwork::{
//!     blob::Payload,
//!     handler::{Output, file_handler},
//!     task::TaskEnd,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let twice = file_handler("demo/twice", |cx, input| async move {
//!     let mut output = Output::writer(&cx);
//!     for _ in 0..2 {
//!         std::io::copy(&mut input.reader()?, &mut output)?;
//!     }
//!     Ok(output.finish()?)
//! });
//! # let config =
//! #     NetworkConfig { listen_addrs: vec![], mdns: false, ..NetworkConfig::default() };
//! let node = NetworkManager::builder().config(config).file_handler(twice).build()?;
//! node.start().await?;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("numbers");
//! # let copy = folder.path().join("copy");
//! # std::fs::write(&path, vec![7; 2_000_000])?;
//! let input = node.blobs().add_file(&path).await?;
//! let task = Task::new("demo/twice")?.with_input(input);
//! let TaskEnd::Succeeded(result) = node.distribute_task(task, vec![]).await?.end().await? else {
//!     panic!("it did not succeed");
//! };
//! let Payload::Blob(output) = result.output else { panic!("it is small") };
//! node.blobs().save(&output, &copy).await?;
//! assert_eq!(std::fs::metadata(&copy)?.len(), 4_000_000);
//! # node.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! # Discovery
//!
//! Nodes of one network segment find each other by mDNS, all others through
//! [`NetworkConfig::bootstrap_peers`], the peers of peers, and the DHT. A peer is of use for tasks
//! once it is trusted on both sides: [`NetworkManager::trust`]. Search for peers by what they offer:
//!
//! ```
//! # use meshwork::{NetworkConfig, NetworkManager};
//! use meshwork::peer::PeerQuery;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config =
//! #     NetworkConfig { listen_addrs: vec![], mdns: false, ..NetworkConfig::default() };
//! # let node = NetworkManager::new(config).await?;
//! # node.start().await?;
//! let query = PeerQuery { capability: Some("gpu".to_owned()), ..PeerQuery::default() };
//! let found = node.discovery_protocol().find_peers(query).await?;
//! assert!(found.is_empty(), "this node has no peers");
//! # node.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! # Events
//!
//! [`NetworkManager::subscribe`] is a stream of what happens: peers come and go, tasks change. A
//! subscriber that is too slow receives the number of events that it missed.
//!
//! ```
//! # use meshwork::{NetworkConfig, NetworkManager, Task};
//! use meshwork::NetworkEvent;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config =
//! #     NetworkConfig { listen_addrs: vec![], mdns: false, ..NetworkConfig::default() };
//! # let node = NetworkManager::new(config).await?;
//! # node.start().await?;
//! let mut events = node.subscribe();
//! let task = Task::new("text/stats")?.with_input("a text");
//! let id = node.distribute_task(task, vec![]).await?.id();
//! while let Some(event) = events.next().await {
//!     if let NetworkEvent::TaskChanged { id: of, state, .. } = event
//!         && of == id
//!         && state.is_terminal()
//!     {
//!         break;
//!     }
//! }
//! # node.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! # Durability
//!
//! A node with a home keeps its key, its peers and its tasks on disk. With [`Durability::Disk`]
//! (for the node or for one task) an accepted task and its result are on disk before your program
//! learns of them, and come back after a crash. An idempotency key makes it safe to submit again.
//!
//! [`Durability::Disk`]: task::Durability::Disk
//!
//! ```
//! use meshwork::{
//!     NetworkConfig, NetworkManager, Task,
//!     config::Identity,
//!     task::{Durability, TaskEnd},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let home = folder.path().join("home");
//! let config = NetworkConfig {
//!     listen_addrs: vec![],
//!     mdns: false,
//!     identity: Identity::File(home.join("identity.key")),
//!     home: Some(home),
//!     durability: Durability::Disk,
//!     ..NetworkConfig::default()
//! };
//! let task = Task {
//!     idempotency_key: Some("page 7".to_owned()),
//!     ..Task::new("text/upper")?.with_input("seven")
//! };
//! let node = NetworkManager::new(config.clone()).await?;
//! node.start().await?;
//! let first = node.distribute_task(task.clone(), vec![]).await?.id();
//! node.wait_task(first).await?;
//! node.shutdown().await?;
//! // The home is free for another node once the last clone is dropped.
//! drop(node);
//!
//! // Later, perhaps in another process.
//! let node = NetworkManager::new(config).await?;
//! node.start().await?;
//! let again = node.distribute_task(task, vec![]).await?;
//! assert_eq!(again.id(), first);
//! assert!(matches!(again.end().await?, TaskEnd::Succeeded(result) if result.output == "SEVEN"));
//! # node.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! # Testing
//!
//! A node that listens nowhere runs its own tasks without any socket, as in the examples above: that
//! is enough to test a handler. To see how a set of tasks behaves when workers crash, links break and
//! disks fill, use the crate `meshwork-sim`: it runs the same engine on many simulated nodes in one
//! thread, from one seed, and checks that every task ends exactly once.
//!
//! ```
//! use meshwork_sim::{Policies, Scenario};
//!
//! let scenario = Scenario { tasks: 20, ..Scenario::default() };
//! let policies = Policies::default().tasks(|task, _| task.retry.attempts = 10);
//! let report = scenario.run_as(7, policies)?;
//! assert_eq!(report.ends.total(), 20);
//! # Ok::<(), meshwork_sim::Failure>(())
//! ```
//!
//! # Absent on purpose
//!
//! Internals. The parts are crates of their own: decisions in `meshwork-core`, connections in
//! `meshwork-net`, handlers in `meshwork-exec`, and the node that joins them in `meshwork-node`.

pub use meshwork_core::{HealthStatus, Task, TaskId, TaskInput, TaskType};
pub use meshwork_exec::handler_fn;
pub use meshwork_node::{NetworkConfig, NetworkEvent, NetworkManager, TaskHandle};

pub mod config {
    //! What a node is built from: its settings, its key, and whose work it accepts.

    pub use meshwork_core::{Accept, AcceptPolicy, Multiaddr};
    pub use meshwork_net::{InvalidSubnet, Keypair, Subnet};
    pub use meshwork_node::{
        BuildError, Identity, NetworkManagerBuilder, Offered, TaskSettings, UnknownFamily,
    };
}

pub mod handler {
    //! Handlers: the code that runs tasks.

    pub use meshwork_core::HandlerName;
    pub use meshwork_exec::{
        Bytes, Description, Failure, FileHandler, Handler, HandlerError, Input, InputReader,
        OrFail, Output, OutputWriter, ParamKind, ParamSpec, TaskContext, file_handler,
    };
    pub use meshwork_node::ManualAttempt;
}

pub mod task {
    //! Tasks: what they demand, how they end, and how they are shown.

    pub use meshwork_core::{
        Durability, FailureCode, Requirements, RetryPolicy, Stuck, TaskEnd, TaskFailure,
        TaskLimits, TaskResult, TaskState,
        engine::view::{AttemptView, Explanation, Obstacle, Progress, TaskView, Waits},
    };
    pub use meshwork_node::{FindError, TaskError, TaskFilter};
}

pub mod blob {
    //! Files and folders on the disk of a node, known by the hash of their bytes.

    pub use meshwork_core::{
        BlobForm, BlobHash, BlobRef, Payload,
        engine::view::{BlobSpace, BlobView},
    };
    pub use meshwork_node::{Blobs, Content, Upload};
}

pub mod group {
    //! Groups: tasks that are submitted, waited for, cancelled and retried together.

    pub use meshwork_core::{
        GroupId, GroupMember,
        engine::view::{
            EndCounts, GroupExplanation, GroupQuery, GroupState, GroupStop, GroupView,
            WaitingMembers,
        },
    };
    pub use meshwork_node::{GroupHandle, Members, Retried};
}

pub mod peer {
    //! Other nodes: who they are, what they offer, and how they are.

    pub use meshwork_core::{
        Advert, Capacity, HealthCheck, HealthReason, NetworkProtocol, PeerId, PeerInfo, PeerQuery,
        PeerStage, PeerState, ResourceUsage, TrafficBytes,
    };
    pub use meshwork_node::Pong;
}

pub mod event {
    //! Subscriptions to a node's events, and the messages and warnings in them.

    pub use meshwork_core::{NetworkMessage, TaskProtocolEvent};
    pub use meshwork_node::{Crowd, KeyCopied, KeyEvidence, Overload, Subscription, Topics};
}

pub mod protocol {
    //! The node's protocols as handles, and the events that they send to the network.

    pub use meshwork_core::{DiscoveryEvent, HealthEvent, ResourceEvent};
    pub use meshwork_node::{DiscoveryProtocol, HealthProtocol, ResourceProtocol, TaskProtocol};
}

pub mod error {
    //! Errors and refusals. Each answers `is_retryable()`.

    pub use meshwork_core::Reason;
    pub use meshwork_node::{
        BlobError, BuildError, ConnectionError, DialError, FindError, InternalError, JournalError,
        MessageError, NetworkError, ProtocolViolation, ResourceError, TaskError,
    };
}

pub mod status {
    //! The state of a node and its machine, and its metrics.

    pub use meshwork_core::engine::{Accounts, Kept};
    pub use meshwork_node::{NetCounters, NetworkMetricsCollector, NodeStatus, ResourceMonitor};
}

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeDoctests;
