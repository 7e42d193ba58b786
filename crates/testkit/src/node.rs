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

/// What a node shall be. Loopback, a free TCP port and no mDNS are given.
#[derive(Clone, Debug)]
pub struct Spec {
    /// For people who read reports.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// Who it is; a new key in memory unless it is to come again.
    pub identity: Identity,
    /// Attempts that run at once; 0: none, its own included.
    pub slots: u32,
    /// Whose tasks run here.
    pub accept: AcceptPolicy,
    /// Peers that it trusts from the start.
    pub trusted: Vec<PeerId>,
    /// Where it connects to.
    pub bootstrap: Vec<Multiaddr>,
    /// Leases and bounds.
    pub tasks: TaskSettings,
    /// Longest wait for an answer of a small protocol.
    pub protocol_timeout: Duration,
    /// Where executions of `debug/sleep` are written down.
    pub log: Option<PathBuf>,
}

impl Spec {
    /// A node that runs nothing and accepts nothing.
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

    /// A node with two slots that runs `text/…` and `debug/…` of those that `accept` says.
    pub fn worker(accept: Accept) -> Self {
        let accept = AcceptPolicy::default().with("text", accept).with("debug", accept);
        Self { name: "worker".to_owned(), slots: 2, accept, ..Self::owner() }
    }

    /// The same node, which connects to `other`.
    #[must_use]
    pub fn joining(mut self, other: &TestNode) -> Self {
        self.bootstrap.push(other.address());
        self
    }

    /// The configuration of such a node.
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
        TestNode { manager: manager.expect("the specification is sound"), name: self.name.clone() }
    }
}

/// A real node. Stop it with [`Self::shutdown`]; one that is dropped stops by itself.
#[derive(Clone, Debug)]
pub struct TestNode {
    manager: NetworkManager,
    name: String,
}

impl TestNode {
    /// A node that runs.
    pub async fn start(spec: Spec) -> Self {
        Self::start_with(spec, |builder| builder).await
    }

    /// A node that runs, with handlers of the test's own.
    pub async fn start_with(
        spec: Spec,
        more: impl FnOnce(NetworkManagerBuilder) -> NetworkManagerBuilder,
    ) -> Self {
        let node = Self::built_with(&spec, more);
        node.manager.start().await.expect("loopback has free ports");
        node
    }

    /// A node that runs with this configuration.
    pub async fn configured(config: NetworkConfig) -> Self {
        let name = config.name.clone().unwrap_or_default();
        Self::start_with(Spec { name, ..Spec::owner() }, |builder| builder.config(config)).await
    }

    /// A node that is not started.
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

    /// The node itself.
    pub fn manager(&self) -> &NetworkManager {
        &self.manager
    }

    /// For people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who it is.
    pub fn id(&self) -> PeerId {
        self.manager.local_peer_id()
    }

    /// Where it listens, with its id.
    pub fn address(&self) -> Multiaddr {
        self.manager.addresses().first().expect("it listens").clone()
    }

    /// Trusts `peer` from now on.
    pub async fn trust(&self, peer: PeerId) {
        self.manager.trust(peer, true).await.expect("it runs");
    }

    /// What it knows of `peer`.
    pub async fn peer(&self, peer: PeerId) -> Option<PeerInfo> {
        let peers = self.manager.get_peers().await.expect("it runs");
        peers.into_iter().find(|info| info.peer_id == peer)
    }

    /// Waits until `peer` is ready; what it offers this node.
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
    pub async fn gone(&self, peer: PeerId) {
        eventually(&format!("{peer} gone from {}", self.name), &[self], async || {
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

    /// Submits a task, for these peers only if any are named.
    pub async fn submit(&self, task: Task, targets: &[PeerId]) -> TaskHandle {
        self.manager.distribute_task(task, targets.to_vec()).await.expect("it is accepted")
    }

    /// Submits a task and waits for its end.
    pub async fn run(&self, task: Task, targets: &[PeerId]) -> TaskEnd {
        let handle = self.submit(task, targets).await;
        within("the end of a task", handle.end()).await.expect("the node runs")
    }

    /// What it knows of one of its tasks.
    pub async fn task(&self, id: TaskId) -> TaskView {
        self.manager.task(id).await.expect("it runs").expect("it knows the task")
    }

    /// Waits until a view of one of its tasks is as wished.
    pub async fn task_until<T>(
        &self,
        id: TaskId,
        what: &str,
        mut pick: impl FnMut(&TaskView) -> Option<T>,
    ) -> T {
        eventually(what, &[self], async || pick(&self.task(id).await)).await
    }

    /// Stops it at once, and returns when it has stopped. What runs there is handed back.
    ///
    /// # Panics
    ///
    /// It does not stop in time.
    pub async fn shutdown(&self) {
        self.manager.shutdown_within(Duration::ZERO).await.expect("it stops in time");
    }
}
