//! An owner and its workers.

use std::path::PathBuf;

use meshwork_core::Accept;
use meshwork_node::TaskSettings;

use crate::{Spec, TestNode};

/// The configuration of a [`TestNet`].
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Number of workers.
    pub workers: usize,
    /// Whose tasks the workers accept.
    pub accept: Accept,
    /// Leases and bounds of all nodes.
    pub tasks: TaskSettings,
    /// The log of executions of `debug/sleep`, shared by all workers; no log by default.
    pub log: Option<PathBuf>,
}

impl Default for Wiring {
    fn default() -> Self {
        Self { workers: 1, accept: Accept::Listed, tasks: TaskSettings::default(), log: None }
    }
}

/// An owner without slots, and workers; owner and workers trust each other.
#[derive(Debug)]
pub struct TestNet {
    /// The owner; the workers connect to it.
    pub owner: TestNode,
    /// The workers.
    pub workers: Vec<TestNode>,
}

impl TestNet {
    /// Starts a network, and waits until every worker is ready and offers its handlers to the
    /// owner.
    pub async fn start(wiring: Wiring) -> Self {
        let owner = TestNode::start(Spec { tasks: wiring.tasks.clone(), ..Spec::owner() }).await;
        let mut net = Self { owner, workers: Vec::new() };
        for number in 1..=wiring.workers {
            let spec = net.worker_spec(&wiring, number);
            net.add(spec).await;
        }
        net
    }

    /// The specification of a worker of this network.
    pub fn worker_spec(&self, wiring: &Wiring, number: usize) -> Spec {
        Spec {
            name: format!("worker-{number}"),
            trusted: vec![self.owner.id()],
            tasks: wiring.tasks.clone(),
            log: wiring.log.clone(),
            ..Spec::worker(wiring.accept)
        }
        .joining(&self.owner)
    }

    /// Adds a worker, and waits until the owner can use it.
    pub async fn add(&mut self, spec: Spec) {
        let worker = TestNode::start(spec).await;
        self.admit(&worker).await;
        self.workers.push(worker);
    }

    /// Lets the owner trust a running worker, and waits until the owner can use it.
    pub async fn admit(&self, worker: &TestNode) {
        self.owner.trust(worker.id()).await;
        self.owner.offered(worker.id(), "text").await;
    }

    /// Stops all nodes.
    pub async fn shutdown(self) {
        for node in self.workers.iter().chain([&self.owner]) {
            node.shutdown().await;
        }
    }
}
