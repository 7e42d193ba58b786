//! An honest peer, which a node must serve while others attack it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use meshwork_core::{Task, TaskEnd};

use crate::{Spec, TestNode, panics};

/// Pause between two tasks.
const REST: Duration = Duration::from_millis(20);
/// How many times each task's input contains `small`: about one KiB in all.
const REPEATS: usize = 200;

/// An owner whose tasks run on a worker that hostile peers attack. The worker must accept
/// `text/…` from everybody.
#[derive(Debug)]
pub struct Honest {
    node: TestNode,
    worker: TestNode,
}

impl Honest {
    /// An honest peer that is connected to `worker` and has run one task there.
    ///
    /// # Panics
    ///
    /// As for [`Self::assert_served`].
    pub async fn beside(worker: &TestNode) -> Self {
        let spec = Spec { name: "honest".to_owned(), ..Spec::owner() };
        let node = TestNode::start(spec.joining(worker)).await;
        node.offered(worker.id(), "text").await;
        let honest = Self { node, worker: worker.clone() };
        honest.assert_served().await;
        honest
    }

    /// The honest peer's node.
    pub fn node(&self) -> &TestNode {
        &self.node
    }

    /// Runs one task at the worker.
    ///
    /// # Panics
    ///
    /// The task does not succeed, or its result is wrong.
    pub async fn assert_served(&self) {
        let task = Task::new("text/upper").unwrap().with_input("small".repeat(REPEATS));
        let end = self.node.run(task, &[self.worker.id()]).await;
        let TaskEnd::Succeeded(result) = end else { panic!("it was not served: {end:?}") };
        assert_eq!(result.text(), Ok("SMALL".repeat(REPEATS).as_str()));
    }

    /// Runs tasks one after the other during `attack`, and one more after it. Returns the output of
    /// the attack.
    ///
    /// # Panics
    ///
    /// A task does not succeed, its result is wrong, or a node has panicked.
    pub async fn served_during<T>(&self, attack: impl Future<Output = T>) -> T {
        let over = AtomicBool::new(false);
        let attacked = async {
            let result = attack.await;
            over.store(true, Ordering::Relaxed);
            result
        };
        let served = async {
            while !over.load(Ordering::Relaxed) {
                self.assert_served().await;
                tokio::time::sleep(REST).await;
            }
        };
        let (result, ()) = futures::join!(attacked, served);
        self.assert_served().await;
        panics::assert_none();
        result
    }

    /// Stops the honest node.
    pub async fn shutdown(self) {
        self.node.shutdown().await;
    }
}
