//! Nodes that go and come back.

use meshwork_core::Accept;
use meshwork_node::Identity;
use meshwork_testkit::{Apart, Spec, TestNet, TestNode, Wiring, within};

use crate::support::{output, task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_comes_back_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let net = TestNet::start(Wiring { workers: 0, ..Wiring::default() }).await;
    let identity = Identity::File(dir.path().join("identity.key"));
    let spec = Spec { identity, ..net.worker_spec(&Wiring::default(), 1) };
    let first = TestNode::start(spec.clone()).await;
    net.admit(&first).await;
    let end = net.owner.run(task("text/upper").with_input("one"), &[]).await;
    assert_eq!(output(end), "ONE");
    first.shutdown().await;
    net.owner.gone(first.id()).await;

    // It waits for the worker that is not there.
    let waits = net.owner.submit(task("text/upper").with_input("two"), &[]).await;
    let code = |view: &meshwork_core::engine::view::TaskView| Some(view.waiting.as_ref()?.code);
    let code = net.owner.task_until(waits.id(), "it waits", code).await;
    assert_eq!(code, "no_eligible_peer");
    let second = TestNode::start(spec).await;
    assert_eq!(second.id(), first.id(), "the key is the same");
    let end = within("the end of what waited", waits.end()).await.unwrap();
    assert_eq!(output(end), "TWO");
    second.shutdown().await;
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_killed_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let net = TestNet::start(Wiring { workers: 0, ..Wiring::default() }).await;
    let identity = Identity::File(dir.path().join("identity.key"));
    let spec = Spec { identity, ..net.worker_spec(&Wiring::default(), 1) };
    let first = Apart::start(spec.clone()).await;
    let id = first.node().id();
    net.admit(first.node()).await;
    let end = net.owner.run(task("text/upper").with_input("one"), &[]).await;
    assert_eq!(output(end), "ONE");
    first.kill();
    net.owner.gone(id).await;
    let second = TestNode::start(spec).await;
    let end = net.owner.run(task("text/upper").with_input("two"), &[]).await;
    assert_eq!(output(end), "TWO");
    second.shutdown().await;
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_was_restarted_starts_with_fresh_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::File(dir.path().join("identity.key"));
    let worker = TestNode::start(Spec::worker(Accept::Anyone)).await;
    let spec = Spec { identity, ..Spec::owner() }.joining(&worker);
    let mut last = None;
    for word in ["one", "two"] {
        let owner = TestNode::start(spec.clone()).await;
        owner.offered(worker.id(), "text").await;
        let end = owner.run(task("text/upper").with_input(word), &[worker.id()]).await;
        assert_eq!(output(end), word.to_uppercase());
        owner.shutdown().await;
        worker.gone(owner.id()).await;
        assert!(last.replace(owner.id()).is_none_or(|before| before == owner.id()));
    }
    worker.shutdown().await;
}
