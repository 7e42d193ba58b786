//! Why a task waits: a typed reason for every peer that might have run it, and the way out.

use std::time::Duration;

use meshwork_core::{
    Accept, ExpiredLimit, FailureCode, PeerId, Task, TaskEnd, TaskLimits,
    engine::view::{Explanation, Obstacle},
};
use meshwork_testkit::{Spec, TestNet, TestNode, Wiring, within};

use crate::support::{output, task};

/// Why it waits, once it is as wished.
async fn waits(
    owner: &TestNode,
    id: meshwork_core::TaskId,
    wish: impl Fn(&Explanation) -> bool,
) -> Explanation {
    owner
        .task_until(id, "it waits for that reason", |view| {
            view.waiting.clone().filter(|waiting| wish(waiting))
        })
        .await
}

fn of(waiting: &Explanation, peer: PeerId) -> Option<&Obstacle> {
    waiting.peers.iter().find(|(who, _)| *who == peer).map(|(_, obstacle)| obstacle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_told_who_may_not_run_it_and_why() {
    let owner = TestNode::start(Spec::owner()).await;
    let open = TestNode::start(Spec::worker(Accept::Anyone).joining(&owner)).await;
    let shut = TestNode::start(Spec::worker(Accept::Nobody).joining(&owner)).await;
    owner.ready(open.id()).await;
    owner.ready(shut.id()).await;
    owner.trust(shut.id()).await;
    let handle = owner.submit(task("text/upper").with_input("a"), &[]).await;
    let waiting = waits(&owner, handle.id(), |waiting| waiting.peers.len() == 3).await;
    assert_eq!(waiting.code, "no_eligible_peer");
    let own = of(&waiting, owner.id());
    assert!(matches!(own, Some(Obstacle::Requirement { what: "slots", .. })), "{own:?}");
    assert_eq!(of(&waiting, open.id()), Some(&Obstacle::NotTrusted));
    let shut_out = of(&waiting, shut.id());
    assert!(matches!(shut_out, Some(Obstacle::NotOffered { .. })), "{shut_out:?}");
    assert!(waiting.gives_up.is_some(), "ten minutes by default");

    // What was missing comes, and it goes.
    owner.trust(open.id()).await;
    assert_eq!(output(within("its end", handle.end()).await.unwrap()), "A");
    for node in [&open, &shut, &owner] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requirement_that_nobody_meets_is_named() {
    let net = TestNet::start(Wiring::default()).await;
    let mut demanding = task("text/upper");
    demanding.requirements.gpus = 2;
    let handle = net.owner.submit(demanding, &[]).await;
    let worker = net.workers[0].id();
    let waiting = waits(&net.owner, handle.id(), |waiting| of(waiting, worker).is_some()).await;
    let obstacle = of(&waiting, worker);
    assert!(matches!(obstacle, Some(Obstacle::Requirement { what: "gpus", .. })), "{obstacle:?}");
    handle.cancel().await.unwrap();
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_too_long_expires() {
    let owner = TestNode::start(Spec::owner()).await;
    let limits = TaskLimits { queue: Some(Duration::from_millis(100)), ..TaskLimits::default() };
    let end = owner.run(Task { limits, ..Task::default() }, &[]).await;
    assert_eq!(end, TaskEnd::Expired { limit: ExpiredLimit::Queue });
    owner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_refuses_says_why() {
    let owner = TestNode::start(Spec::owner()).await;
    let shut = TestNode::start(Spec::worker(Accept::Listed).joining(&owner)).await;
    owner.ready(shut.id()).await;
    match owner.run(task("text/upper"), &[shut.id()]).await {
        TaskEnd::Failed(failure) => {
            assert_eq!(failure.code, FailureCode::Refused);
            assert!(failure.message.contains("not_accepted"), "{}", failure.message);
            assert_eq!(failure.worker.as_deref(), Some(&shut.id()));
        }
        other => panic!("{other:?}"),
    }
    // Trusted at run time, the same task goes.
    shut.trust(owner.id()).await;
    owner.offered(shut.id(), "text").await;
    assert_eq!(output(owner.run(task("text/upper").with_input("a"), &[shut.id()]).await), "A");
    match owner.run(task("text/unheard-of"), &[shut.id()]).await {
        TaskEnd::Failed(failure) => assert_eq!(failure.code, FailureCode::UnknownHandler),
        other => panic!("{other:?}"),
    }
    shut.shutdown().await;
    owner.shutdown().await;
}
