//! A hedge beside an attempt that hangs.

use meshwork_core::{Accept, RetryPolicy, Task, TaskEnd, limits::TAIL_LEAST};
use meshwork_testkit::{Spec, TestNode, eventually, within};

use crate::support::{Gate, output, task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hedge_finishes_a_task_whose_first_attempt_hangs() {
    let owner = TestNode::start(Spec::owner()).await;
    let mut workers = Vec::new();
    for _ in 0..2 {
        let (gate, spec) = (Gate::new(), Spec::worker(Accept::Anyone).joining(&owner));
        let node = TestNode::start_with(spec, |builder| builder.handler(gate.handler())).await;
        owner.ready(node.id()).await;
        owner.trust(node.id()).await;
        workers.push((node, gate));
    }
    // Teach the owner how long the handler usually takes.
    for _ in 0..TAIL_LEAST {
        let (node, gate) = &workers[0];
        gate.open_one();
        assert_eq!(output(owner.run(task("text/gate"), &[node.id()]).await), "");
    }
    let retry = RetryPolicy { hedge: true, ..RetryPolicy::default() };
    let hedged = Task { retry, ..task("text/gate").with_input("done") };
    let handle = owner.submit(hedged, &[]).await;
    let [first, second] = owner
        .task_until(handle.id(), "it has two attempts", |view| {
            <[_; 2]>::try_from(view.attempts.clone()).ok()
        })
        .await;
    assert_ne!(first.peer, second.peer);
    workers.sort_by_key(|(node, _)| node.id() != first.peer);
    let [(hangs, _), (helps, gate)] = &workers[..] else { panic!("there are two workers") };
    gate.open_one();
    let end = within("its end", handle.end()).await.unwrap();
    let TaskEnd::Succeeded(result) = end else { panic!("it has not succeeded: {end:?}") };
    assert_eq!(
        (&result.bytes().unwrap()[..], result.worker, result.attempt),
        (&b"done"[..], helps.id(), 2)
    );
    // The gate there is still closed: the attempt was stopped.
    eventually("nothing runs where it hung", &[&owner], async || {
        (hangs.manager().status().unwrap().tasks.held == 0).then_some(())
    })
    .await;
    for node in [&workers[0].0, &workers[1].0, &owner] {
        node.shutdown().await;
    }
}
