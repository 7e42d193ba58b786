//! A peer that keeps to the rules, and is to be served whatever others do.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use meshwork_core::{Task, TaskEnd};

use crate::{Spec, TestNode, panics};

/// How long it rests between two tasks.
const REST: Duration = Duration::from_millis(20);
/// Bytes of its tasks.
const BYTES: usize = 1_024;

/// An owner that has its tasks run by a node which others attack. The node must run `text/…` of
/// anyone.
#[derive(Debug)]
pub struct Honest {
    node: TestNode,
    worker: TestNode,
}

impl Honest {
    /// One that is connected to `worker` and was served.
    pub async fn beside(worker: &TestNode) -> Self {
        let spec = Spec { name: "honest".to_owned(), ..Spec::owner() };
        let node = TestNode::start(spec.joining(worker)).await;
        node.offered(worker.id(), "text").await;
        let honest = Self { node, worker: worker.clone() };
        honest.is_served().await;
        honest
    }

    /// The honest node.
    pub fn node(&self) -> &TestNode {
        &self.node
    }

    /// Has one task run.
    ///
    /// # Panics
    ///
    /// It is lost, or its result is wrong.
    pub async fn is_served(&self) {
        let task = Task::new("text/upper").unwrap().with_input("small".repeat(BYTES / 5));
        let end = self.node.run(task, &[self.worker.id()]).await;
        let TaskEnd::Succeeded(result) = end else { panic!("it was not served: {end:?}") };
        assert_eq!(result.text(), Ok("SMALL".repeat(BYTES / 5).as_str()));
    }

    /// Has tasks run one after the other while `attack` goes on, and one after it. What the attack
    /// gives.
    ///
    /// # Panics
    ///
    /// One of them is lost, or something in a node panics.
    pub async fn served_during<T>(&self, attack: impl Future<Output = T>) -> T {
        let over = AtomicBool::new(false);
        let attacked = async {
            let result = attack.await;
            over.store(true, Ordering::Relaxed);
            result
        };
        let served = async {
            while !over.load(Ordering::Relaxed) {
                self.is_served().await;
                tokio::time::sleep(REST).await;
            }
        };
        let (result, ()) = futures::join!(attacked, served);
        self.is_served().await;
        panics::assert_none();
        result
    }

    /// Stops the honest node.
    pub async fn shutdown(self) {
        self.node.shutdown().await;
    }
}
