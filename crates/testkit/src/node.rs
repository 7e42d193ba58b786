//! One real node on loopback.

use std::{path::PathBuf, time::Duration};

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{
    Accept, AcceptPolicy, Advert, PeerInfo, PeerState, Task, TaskEnd, TaskId,
    engine::view::TaskView,
};
use meshwork_node::{
    Identity, NetworkConfig, NetworkManager, NetworkManagerBuilder, Offered, TaskHandle,
    TaskSettings,
};

use crate::{eventually, within};

/// The specification of a node. It always listens on a free TCP port of loopback, without mDNS.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The node's name in reports.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// The node's key: by default a new one in memory; a file if the node must restart.
    pub identity: Identity,
    /// Attempts that run at once; with 0 the node does not even run its own tasks.
    pub slots: u32,
    /// Whose tasks the node accepts.
    pub accept: AcceptPolicy,
    /// Peers that the node trusts from the start.
    pub trusted: Vec<PeerId>,
    /// Addresses to which the node connects at the start.
    pub bootstrap: Vec<Multiaddr>,
    /// Leases and bounds of tasks.
    pub tasks: TaskSettings,
    /// Maximum wait for an answer of the hello, discovery, resource and health protocols.
    pub protocol_timeout: Duration,
    /// The log of executions of `debug/sleep`; no log by default.
    pub log: Option<PathBuf>,
}

impl Spec {
    /// A node that runs no attempts and accepts no tasks.
    pub fn owner() -> Self {
        Self {
            name: "owner".to_owned(),
            network: "test".to_owned(),
            identity: Identity::Ephemeral,
            slots: 0,
            accept: AcceptPolicy::default(),
            trusted: Vec::new(),
            bootstrap: Vec::new(),
            tasks: TaskSettings::default(),
            protocol_timeout: Duration::from_secs(5),
            log: None,
        }
    }

    /// A node with two slots that accepts `text/…` and `debug/…` as `accept` says.
    pub fn worker(accept: Accept) -> Self {
        let accept = AcceptPolicy::default().with("text", accept).with("debug", accept);
        Self { name: "worker".to_owned(), slots: 2, accept, ..Self::owner() }
    }

    /// The same specification, with `other` as a bootstrap address.
    #[must_use]
    pub fn joining(mut self, other: &TestNode) -> Self {
        self.bootstrap.push(other.address());
        self
    }

    /// The node's configuration.
    pub fn config(&self) -> NetworkConfig {
        NetworkConfig {
            listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            bootstrap_peers: self.bootstrap.clone(),
            protocol_timeout: self.protocol_timeout,
            identity: self.identity.clone(),
            name: Some(self.name.clone()),
            network: self.network.clone(),
            mdns: false,
            accept: self.accept.clone(),
            trusted: self.trusted.clone(),
            offered: Offered { slots: Some(self.slots), ..Offered::default() },
            tasks: self.tasks.clone(),
            ..NetworkConfig::default()
        }
    }

    fn build(&self, more: impl FnOnce(NetworkManagerBuilder) -> NetworkManagerBuilder) -> TestNode {
        let builder = NetworkManager::builder().config(self.config());
        let manager = more(builder.debug_handlers(self.log.clone())).build();
        TestNode { manager: manager.expect("the specification is valid"), name: self.name.clone() }
    }
}

/// A real node. Stop it with [`Self::shutdown`]; a dropped node stops by itself.
#[derive(Clone, Debug)]
pub struct TestNode {
    manager: NetworkManager,
    name: String,
}

impl TestNode {
    /// Starts a node.
    pub async fn start(spec: Spec) -> Self {
        Self::start_with(spec, |builder| builder).await
    }

    /// Starts a node with the test's own handlers.
    pub async fn start_with(
        spec: Spec,
        more: impl FnOnce(NetworkManagerBuilder) -> NetworkManagerBuilder,
    ) -> Self {
        let node = Self::built_with(&spec, more);
        node.manager.start().await.expect("loopback has free ports");
        node
    }

    /// Starts a node with this configuration.
    pub async fn configured(config: NetworkConfig) -> Self {
        let name = config.name.clone().unwrap_or_default();
        Self::start_with(Spec { name, ..Spec::owner() }, |builder| builder.config(config)).await
    }

    /// Builds a node without starting it.
    pub fn built(spec: &Spec) -> Self {
        Self::built_with(spec, |builder| builder)
    }

    fn built_with(
        spec: &Spec,
        more: impl FnOnce(NetworkManagerBuilder) -> NetworkManagerBuilder,
    ) -> Self {
        crate::panics::watch();
        spec.build(more)
    }

    /// The node's manager.
    pub fn manager(&self) -> &NetworkManager {
        &self.manager
    }

    /// The node's name in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node's id.
    pub fn id(&self) -> PeerId {
        self.manager.local_peer_id()
    }

    /// The first address at which the node listens, with its id.
    pub fn address(&self) -> Multiaddr {
        self.manager.addresses().first().expect("it listens").clone()
    }

    /// Makes the node trust `peer`.
    pub async fn trust(&self, peer: PeerId) {
        self.manager.trust(peer, true).await.expect("it runs");
    }

    /// What the node knows about `peer`; `None` if it does not know the peer.
    pub async fn peer(&self, peer: PeerId) -> Option<PeerInfo> {
        let peers = self.manager.get_peers().await.expect("it runs");
        peers.into_iter().find(|info| info.peer_id == peer)
    }

    /// Waits until `peer` is ready, and returns its advert.
    pub async fn ready(&self, peer: PeerId) -> Advert {
        self.until(peer, "ready", |info| {
            if info.state == PeerState::Ready { info.advert.clone() } else { None }
        })
        .await
    }

    /// Waits until `peer` offers this node handlers of `family`.
    pub async fn offered(&self, peer: PeerId, family: &str) {
        self.until(peer, "offering handlers", |info| {
            let advert = info.advert.as_ref()?;
            let offers = advert.handlers.iter().any(|name| name.family() == family);
            (offers && info.state == PeerState::Ready).then_some(())
        })
        .await;
    }

    /// Waits until `peer` is not connected.
    pub async fn until_disconnected(&self, peer: PeerId) {
        eventually(&format!("{peer} disconnected from {}", self.name), &[self], async || {
            let info = self.peer(peer).await;
            info.is_none_or(|info| matches!(info.state, PeerState::Disconnected(_))).then_some(())
        })
        .await;
    }

    async fn until<T>(
        &self,
        peer: PeerId,
        what: &str,
        mut pick: impl FnMut(&PeerInfo) -> Option<T>,
    ) -> T {
        eventually(&format!("{peer} {what} at {}", self.name), &[self], async || {
            self.peer(peer).await.as_ref().and_then(&mut pick)
        })
        .await
    }

    /// Submits a task. With targets, it runs only at these peers.
    pub async fn submit(&self, task: Task, targets: &[PeerId]) -> TaskHandle {
        self.manager.distribute_task(task, targets.to_vec()).await.expect("it is accepted")
    }

    /// Submits a task and waits for its end.
    pub async fn run(&self, task: Task, targets: &[PeerId]) -> TaskEnd {
        let handle = self.submit(task, targets).await;
        within("the end of a task", handle.end()).await.expect("the node runs")
    }

    /// The view of one of the node's tasks.
    pub async fn task(&self, id: TaskId) -> TaskView {
        self.manager.task(id).await.expect("it runs").expect("it knows the task")
    }

    /// Waits until `check` returns a value for the view of one of the node's tasks.
    pub async fn task_until<T>(
        &self,
        id: TaskId,
        what: &str,
        mut pick: impl FnMut(&TaskView) -> Option<T>,
    ) -> T {
        eventually(what, &[self], async || pick(&self.task(id).await)).await
    }

    /// Stops the node at once, and returns when it has stopped. Running attempts are handed back.
    ///
    /// # Panics
    ///
    /// Panics if the node does not stop in time.
    pub async fn shutdown(&self) {
        self.manager.shutdown_within(Duration::ZERO).await.expect("it stops in time");
    }
}
