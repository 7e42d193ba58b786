//! Nodes that stop while attempts run there.

use std::time::Duration;

use meshwork_core::{Accept, CancelledBy, TaskEnd};
use meshwork_node::NetworkConfig;
use meshwork_testkit::{
    Spec, TestNode,
    hostile::{
        Hostile,
        message::{AssignBatch, ToOwner, ToWorker, to_owner, to_worker},
    },
    within,
};

use crate::support::{Gate, output, sleep, task};

const GRACE: Duration = Duration::from_millis(200);
const AN_HOUR: u64 = 3_600_000;

/// An owner, and a worker whose attempts end at a gate.
async fn pair(gate: &Gate) -> (TestNode, TestNode) {
    let spec = Spec::worker(Accept::Anyone);
    let worker = TestNode::start_with(spec, |builder| builder.handler(gate.handler())).await;
    let owner = TestNode::start(Spec::owner().joining(&worker)).await;
    owner.ready(worker.id()).await;
    (owner, worker)
}

async fn runs(owner: &TestNode, id: meshwork_core::TaskId) {
    owner.task_until(id, "it runs", |view| (view.state.as_str() == "running").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_finishes_running_attempts_and_hands_back_waiting_ones() {
    let gate = Gate::new();
    let (owner, worker) = pair(&gate).await;
    let work = || task("text/gate").with_input("x");
    // Two slots: the third waits.
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(owner.submit(work(), &[worker.id()]).await);
    }
    let (third, first_two) = (handles.pop().unwrap(), handles);
    for handle in &first_two {
        runs(&owner, handle.id()).await;
    }
    let manager = worker.manager().clone();
    let stopping = tokio::spawn(async move { manager.shutdown().await });
    // The task is handed back and waits at its owner again: only this worker is its target.
    owner
        .task_until(third.id(), "it is handed back", |view| {
            (view.attempts.last()?.end.as_deref() == Some("shutting_down")).then_some(())
        })
        .await;
    let refused = worker.manager().distribute_task(work(), vec![]).await.unwrap_err();
    assert_eq!(refused.code(), "shutting_down", "{refused}");
    assert!(worker.manager().status().unwrap().draining, "it can be asked meanwhile");
    gate.open_one();
    gate.open_one();
    for handle in first_two {
        assert_eq!(output(within("it ends", handle.end()).await.unwrap()), "x");
    }
    within("it stops", stopping).await.unwrap().unwrap();
    owner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempt_longer_than_the_grace_is_handed_back() {
    let mut spec = Spec::worker(Accept::Anyone);
    spec.tasks.stop_grace = GRACE;
    let worker = TestNode::start(spec).await;
    let owner = TestNode::start(Spec::owner().joining(&worker)).await;
    owner.ready(worker.id()).await;
    let handle = owner.submit(sleep(AN_HOUR), &[worker.id()]).await;
    runs(&owner, handle.id()).await;
    within("it stops", worker.manager().shutdown()).await.unwrap();
    // This does not wait for the lease, and does not count as a failed attempt.
    let end = owner
        .task_until(handle.id(), "it is handed back", |view| view.attempts.last()?.end.clone())
        .await;
    assert_eq!(end, "stopped by the worker");
    owner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_request_stops_the_node_at_once() {
    let gate = Gate::new();
    let (owner, worker) = pair(&gate).await;
    let handle = owner.submit(task("text/gate"), &[worker.id()]).await;
    runs(&owner, handle.id()).await;
    let manager = worker.manager().clone();
    let first =
        tokio::spawn(async move { manager.shutdown_within(Duration::from_secs(3600)).await });
    within("it drains", async {
        while !worker.manager().status().unwrap().draining {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within("it stops", worker.manager().shutdown_within(Duration::ZERO)).await.unwrap();
    within("the first call returns", first).await.unwrap().unwrap();
    owner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_owner_cancels_its_tasks_in_memory() {
    let gate = Gate::new();
    let (owner, worker) = pair(&gate).await;
    let handle = owner.submit(sleep(AN_HOUR), &[worker.id()]).await;
    runs(&owner, handle.id()).await;
    within("it stops", owner.manager().shutdown()).await.unwrap();
    let end = within("its end", handle.end()).await.unwrap();
    assert!(matches!(end, TaskEnd::Cancelled { by: CancelledBy::Shutdown, .. }), "{end:?}");
    // The worker stops an attempt that its owner no longer wants.
    within("its slots are free", async {
        while worker.manager().status().unwrap().tasks.held > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_drains_and_takes_work_again() {
    let gate = Gate::new();
    let (owner, worker) = pair(&gate).await;
    worker.manager().drain(true).await.unwrap();
    let handle = owner.submit(task("text/upper").with_input("x"), &[worker.id()]).await;
    let why = owner
        .task_until(handle.id(), "it waits", |view| {
            let waiting = view.waiting.as_ref()?;
            waiting.peers.iter().find(|(peer, _)| *peer == worker.id()).map(|(_, why)| why.clone())
        })
        .await;
    assert!(!why.to_string().is_empty());
    worker.manager().drain(false).await.unwrap();
    assert_eq!(output(within("it runs", handle.end()).await.unwrap()), "X");
    worker.shutdown().await;
    owner.shutdown().await;
}

/// The grace is for running attempts: a worker does not wait for a missing acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_acknowledgement_does_not_delay_a_stop() {
    let mut spec = Spec::worker(Accept::Anyone);
    spec.tasks.stop_grace = Duration::from_millis(AN_HOUR);
    // The owner does not answer echoes either, so it would be lost in time.
    let config = NetworkConfig { ping_interval: Duration::from_secs(600), ..spec.config() };
    let worker = TestNode::configured(config).await;
    let owner = Hostile::admitted(&worker).await;
    let mut session = owner.granted_session().await;
    let order = to_worker::Kind::Assign(AssignBatch::one(1, "debug/echo", "x"));
    session.send(&ToWorker::from(order)).await.unwrap();
    within("its result", async {
        while !matches!(
            session.recv::<ToOwner>().await.expect("the session lives").kind,
            Some(to_owner::Kind::Result(_))
        ) {}
    })
    .await;
    within("it stops", worker.manager().shutdown()).await.unwrap();
}
