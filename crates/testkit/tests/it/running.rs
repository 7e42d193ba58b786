//! Tasks of users: they run where allowed, and have exactly one end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use meshwork_core::{
    Accept, CancelledBy, ExpiredLimit, FailureCode, RetryPolicy, Task, TaskEnd, TaskState,
};
use meshwork_exec::{Failure, handler_fn};
use meshwork_node::{HealthStatus, NetworkEvent};
use meshwork_testkit::{Spec, TestNet, TestNode, Wiring, within};
use tokio::sync::mpsc;

use crate::support::{executions, output, sleep, task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_runs_on_a_trusted_worker() {
    let net = TestNet::start(Wiring { workers: 2, ..Wiring::default() }).await;
    for word in ["one", "two", "three"] {
        match net.owner.run(task("text/upper").with_input(word), &[]).await {
            TaskEnd::Succeeded(result) => {
                assert_eq!(result.text(), Ok(word.to_uppercase().as_str()));
                assert!(net.workers.iter().any(|worker| worker.id() == result.worker));
                assert_eq!(result.attempt, 1);
            }
            other => panic!("{other:?}"),
        }
    }
    // The task may run only at its target.
    for worker in &net.workers {
        match net.owner.run(task("text/upper").with_input("x"), &[worker.id()]).await {
            TaskEnd::Succeeded(result) => assert_eq!(result.worker, worker.id()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(net.owner.manager().check_health().await.unwrap(), HealthStatus::Healthy);
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_runs_its_own_tasks() {
    let node = TestNode::start(Spec::worker(Accept::Nobody)).await;
    let end = node.run(task("text/upper").with_input("alone"), &[]).await;
    assert_eq!(output(end), "ALONE");
    node.shutdown().await;
    // A stopped node reports that it has stopped.
    assert!(node.manager().distribute_task(Task::default(), Vec::new()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_serve_each_other() {
    let left = TestNode::start(Spec::worker(Accept::Anyone)).await;
    let right = TestNode::start(Spec::worker(Accept::Anyone).joining(&left)).await;
    left.offered(right.id(), "text").await;
    right.offered(left.id(), "text").await;
    let one_way = async |from: &TestNode, to: &TestNode| {
        for number in 0..20 {
            let word = format!("word {number}");
            let end = from.run(task("text/upper").with_input(word.as_str()), &[to.id()]).await;
            assert_eq!(output(end), word.to_uppercase());
        }
    };
    futures::join!(one_way(&left, &right), one_way(&right, &left));
    for node in [&left, &right] {
        let counts = async || {
            let tasks = node.manager().status().unwrap().tasks;
            ((tasks.succeeded, tasks.executed) == (20, 20)).then_some(())
        };
        // The last result leaves a moment before its worker publishes its counts.
        meshwork_testkit::eventually("both have run all tasks", &[node], counts).await;
    }
    left.shutdown().await;
    right.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_reaches_a_handler_on_another_node() {
    let (sender, mut cancelled) = mpsc::channel(4);
    let net = TestNet::start(Wiring { workers: 0, ..Wiring::default() }).await;
    let waiting = handler_fn("text/until-cancelled", move |cx, _input: Bytes| {
        let sender = sender.clone();
        async move {
            cx.progress(0.5, "runs");
            cx.cancelled().await;
            sender.send(cx.task()).await.ok();
            Ok(Bytes::new())
        }
    });
    let spec = net.worker_spec(&Wiring::default(), 1);
    let worker = TestNode::start_with(spec, |builder| builder.handler(waiting)).await;
    net.admit(&worker).await;
    let handle = net.owner.submit(task("text/until-cancelled"), &[]).await;
    let mut events = std::pin::pin!(handle.events());
    let running = |view: &meshwork_core::engine::view::TaskView| {
        matches!(view.state, TaskState::Running { .. }).then_some(())
    };
    net.owner.task_until(handle.id(), "it runs", running).await;
    let end = handle.cancel().await.unwrap();
    assert!(matches!(end, TaskEnd::Cancelled { by: CancelledBy::Submitter, .. }), "{end:?}");
    assert_eq!(within("the handler is cancelled", cancelled.recv()).await, Some(handle.id()));
    // The end is the last event, and an ended task stays as it is.
    let mut last = None;
    while let Some(event) = within("the last event", events.next()).await {
        if let NetworkEvent::TaskChanged { state, .. } = event {
            last = Some(state);
        }
    }
    assert_eq!(last, Some(TaskState::Cancelled));
    assert_eq!(handle.cancel().await.unwrap(), end);
    // A late subscriber receives the end, and then the stream ends.
    let late = within("the stream ends", handle.events().collect::<Vec<_>>()).await;
    let is_end = |event: &NetworkEvent| {
        matches!(event, NetworkEvent::TaskChanged { state: TaskState::Cancelled, .. })
    };
    assert!(late.len() == 1 && late.iter().all(is_end), "{late:?}");
    // The worker's slot is free again.
    let held = async || (worker.manager().status().unwrap().tasks.held == 0).then_some(());
    meshwork_testkit::eventually("the slot is free", &[&worker], held).await;
    worker.shutdown().await;
    net.shutdown().await;
}

/// A cancel is the owner's decision: a handler that blocks its thread does not delay it, and its
/// late output does not change it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_does_not_wait_for_a_blocked_handler() {
    let (over, began) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (seen, count) = (Arc::clone(&over), Arc::clone(&began));
    let net = TestNet::start(Wiring { workers: 0, ..Wiring::default() }).await;
    let blocker = handler_fn("text/block", move |_cx, _input: Bytes| {
        let (over, began) = (Arc::clone(&seen), Arc::clone(&count));
        async move {
            began.fetch_add(1, Ordering::Relaxed);
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(Bytes::from_static(b"too late"))
        }
    });
    let spec = net.worker_spec(&Wiring::default(), 1);
    let worker = TestNode::start_with(spec, |builder| builder.handler(blocker)).await;
    net.admit(&worker).await;
    let handle = net.owner.submit(task("text/block"), &[]).await;
    let blocks = async || (began.load(Ordering::Relaxed) > 0).then_some(());
    meshwork_testkit::eventually("it blocks", &[&worker], blocks).await;
    // The handler stays blocked until the answer has arrived.
    let end = within("the cancel is answered", handle.cancel()).await.unwrap();
    assert!(matches!(end, TaskEnd::Cancelled { by: CancelledBy::Submitter, .. }), "{end:?}");
    // The worker does not wait for it either: it abandons the attempt, and goes on.
    let held = async || (worker.manager().status().unwrap().tasks.held == 0).then_some(());
    meshwork_testkit::eventually("the attempt is abandoned", &[&worker], held).await;
    let alive = net.owner.run(task("text/upper").with_input("alive"), &[]).await;
    assert_eq!(output(alive), "ALIVE");
    over.store(true, Ordering::Relaxed);
    let alive = net.owner.run(task("text/upper").with_input("still"), &[]).await;
    assert_eq!(output(alive), "STILL");
    assert_eq!(handle.cancel().await.unwrap(), end, "an end never changes");
    let tasks = net.owner.manager().status().unwrap().tasks;
    assert_eq!((tasks.succeeded, tasks.cancelled), (2, 1));
    worker.shutdown().await;
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_fails_its_task_and_not_its_node() {
    let net = TestNet::start(Wiring::default()).await;
    let retry = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
    let task = Task { retry, ..task("debug/panic") }.with_param("message", "as asked");
    let handle = net.owner.submit(task, &[]).await;
    let id = handle.id();
    match within("its end", handle.end()).await.unwrap() {
        TaskEnd::Failed(failure) => {
            assert_eq!(failure.code, FailureCode::Panicked);
            assert!(failure.message.contains("as asked"), "{}", failure.message);
            assert_eq!(failure.worker.as_deref(), Some(&net.workers[0].id()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(net.owner.task(id).await.attempts.len(), 2);
    is_served(&net).await;
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocked_handler_fails_its_task_and_not_its_node() {
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    let net = TestNet::start(Wiring { workers: 0, ..Wiring::default() }).await;
    let blocker = handler_fn("text/block", move |_cx, _input: Bytes| {
        let over = Arc::clone(&seen);
        async move {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(Bytes::new())
        }
    });
    let spec = net.worker_spec(&Wiring::default(), 1);
    let worker = TestNode::start_with(spec, |builder| builder.handler(blocker)).await;
    net.admit(&worker).await;
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    for _ in 0..3 {
        let task =
            Task { retry, ..task("text/block") }.with_attempt_limit(Duration::from_millis(100));
        let end = net.owner.run(task, &[]).await;
        assert_eq!(end, TaskEnd::Expired { limit: ExpiredLimit::Attempt });
        let end = net.owner.run(self::task("text/upper").with_input("alive"), &[]).await;
        assert_eq!(output(end), "ALIVE");
    }
    over.store(true, Ordering::Relaxed);
    worker.shutdown().await;
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_temporary_failure_is_retried() {
    let net = TestNet::start(Wiring { workers: 0, ..Wiring::default() }).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let flaky = handler_fn("text/flaky", move |_cx, input: Bytes| {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move { if run == 0 { Err(Failure::new("once")) } else { Ok(input) } }
    });
    let spec = net.worker_spec(&Wiring::default(), 1);
    let worker = TestNode::start_with(spec, |builder| builder.handler(flaky)).await;
    net.admit(&worker).await;
    let end = net.owner.run(task("text/flaky").with_input("again"), &[]).await;
    assert_eq!(output(end), "again");
    assert_eq!(runs.load(Ordering::Relaxed), 2);

    let handle = net.owner.submit(task("debug/fail").with_param("permanent", true), &[]).await;
    let id = handle.id();
    match within("its end", handle.end()).await.unwrap() {
        TaskEnd::Failed(failure) => assert_eq!(failure.code, FailureCode::Permanent),
        other => panic!("{other:?}"),
    }
    assert_eq!(net.owner.task(id).await.attempts.len(), 1);
    worker.shutdown().await;
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_names_one_task() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("executions");
    let net = TestNet::start(Wiring { log: Some(log.clone()), ..Wiring::default() }).await;
    let keyed = || Task { idempotency_key: Some("once".to_owned()), ..sleep(1) };
    let first = net.owner.submit(keyed(), &[]).await;
    let second = net.owner.submit(keyed(), &[]).await;
    assert_eq!(first.id(), second.id());
    let id = first.id();
    let ends = futures::join!(first.end(), second.end());
    assert_eq!(ends.0.unwrap(), ends.1.unwrap());
    // Also after its end.
    let third = net.owner.submit(keyed(), &[]).await;
    assert_eq!(third.id(), id);
    within("its end", third.end()).await.unwrap();
    assert_eq!(executions(&log), [id.to_string()]);
    // The same id for another task is a conflict.
    let other = Task { id, ..task("text/upper") };
    let refused = net.owner.manager().distribute_task(other, Vec::new()).await.unwrap_err();
    assert_eq!(refused.code(), "conflict");
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriber_before_the_start_misses_no_event() {
    let worker = TestNode::start(Spec::worker(Accept::Anyone)).await;
    let owner = TestNode::built(&Spec::owner().joining(&worker));
    let mut events = owner.manager().subscribe();
    owner.manager().start().await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = within("three events", events.next()).await.expect("it runs");
        match event {
            NetworkEvent::Listening { address } => {
                assert_eq!(owner.manager().addresses(), [address]);
                seen.push("listening");
            }
            NetworkEvent::PeerConnected { peer, .. } if peer == worker.id() => {
                seen.push("connected");
            }
            NetworkEvent::PeerReady { peer } if peer == worker.id() => seen.push("ready"),
            _ => {}
        }
    }
    assert_eq!(seen, ["listening", "connected", "ready"]);
    let handle = owner.submit(task("text/upper").with_input("a"), &[worker.id()]).await;
    let id = handle.id();
    let mut states = Vec::new();
    while states.last() != Some(&"succeeded") {
        let event = within("the end", events.next()).await.expect("it runs");
        if let NetworkEvent::TaskChanged { id: of, state, .. } = event
            && of == id
        {
            states.push(state.as_str());
        }
    }
    // The task waits until the session with the worker is open.
    let first = states.iter().find(|state| **state != "queued");
    assert_eq!(first, Some(&"assigned"), "{states:?}");
    owner.shutdown().await;
    worker.shutdown().await;
    // The stream ends with the last handle of the node.
    drop((handle, owner));
    within("the end of the events", async { while events.next().await.is_some() {} }).await;
}

async fn is_served(net: &TestNet) {
    let end = net.owner.run(task("text/upper").with_input("alive"), &[]).await;
    assert_eq!(output(end), "ALIVE");
}
