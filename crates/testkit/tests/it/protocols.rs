//! The four protocols between two nodes, as users see them.

use std::time::Duration;

use meshwork_core::{
    Accept, HealthCheck, HealthReason, HealthStatus, NetworkMessage, PeerInfo, PeerQuery, TaskEnd,
    TaskResult,
};
use meshwork_node::{NetworkError, NetworkEvent, NetworkManager, Subscription, Topics};
use meshwork_testkit::{
    Spec, TestNet, TestNode, Wiring, eventually,
    hostile::{
        HEALTH, HELLO, Hostile, RESOURCE,
        message::{HealthFrame, ResourceFrame, ResourceReport, health_frame, resource_frame},
    },
    within,
};

use crate::support::{output, task};

/// The first message of a peer for which `pick` returns a value.
async fn message<T>(
    events: &mut Subscription,
    mut pick: impl FnMut(&NetworkMessage) -> Option<T>,
) -> T {
    within("a message", async {
        loop {
            if let NetworkEvent::Message(message) = events.next().await.expect("the node runs")
                && let Some(picked) = pick(&message)
            {
                return picked;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_receive_all_five_kinds_of_message() {
    let net = TestNet::start(Wiring::default()).await;
    let worker = &net.workers[0];
    let (mut at_owner, mut at_worker) =
        (net.owner.manager().subscribe(), worker.manager().subscribe());
    let end = net.owner.run(task("text/upper").with_input("one"), &[]).await;
    assert_eq!(output(end), "ONE");
    let sent = message(&mut at_worker, |message| match message {
        NetworkMessage::TaskDistribution { task_id, task, target_peers } => {
            assert_eq!(target_peers.as_slice(), [worker.id()]);
            assert_eq!(task.input.size(), 3);
            Some(*task_id)
        }
        _ => None,
    })
    .await;
    let result = message(&mut at_owner, |message| match message {
        NetworkMessage::TaskResult { task_id, result, source_peer } => {
            Some((*task_id, result.output.clone(), *source_peer))
        }
        _ => None,
    })
    .await;
    assert_eq!(result, (sent, "ONE".into(), worker.id()));

    let status = HealthStatus::Degraded(vec![HealthReason::new(HealthCheck::Other, "reported")]);
    worker.manager().health_protocol().report_health(status.clone()).await.unwrap();
    // The worker's first report, from its start, may come before this one.
    let reported = message(&mut at_owner, |message| match message {
        NetworkMessage::HealthCheck { peer_id, status: HealthStatus::Degraded(reasons) } => {
            Some((*peer_id, HealthStatus::Degraded(reasons.clone())))
        }
        _ => None,
    })
    .await;
    assert_eq!(reported, (worker.id(), status));

    let mut late = Spec::worker(Accept::Anyone).joining(&net.owner);
    late.slots = 7;
    let late = TestNode::start(late).await;
    let usage = message(&mut at_owner, |message| match message {
        NetworkMessage::ResourceUpdate { peer_id, resources } if *peer_id == late.id() => {
            Some(*resources)
        }
        _ => None,
    })
    .await;
    assert_eq!((usage.slots, usage.slots_free), (7, 7));
    let known = net.owner.peer(late.id()).await.unwrap().resources.unwrap();
    assert_eq!(known.slots, 7);
    let query = PeerQuery { capability: Some("gpu".to_owned()), ..PeerQuery::default() };
    let discovery = late.manager().discovery_protocol();
    assert!(discovery.find_peers(query).await.unwrap().is_empty());
    let request = message(&mut at_owner, |message| match message {
        NetworkMessage::PeerDiscovery { known_peers, query: Some(query) } => {
            Some((known_peers.first()?.peer_id, query.capability.clone()))
        }
        _ => None,
    })
    .await;
    assert_eq!(request, (late.id(), Some("gpu".to_owned())));
    late.shutdown().await;
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriber_to_peers_receives_no_messages() {
    let net = TestNet::start(Wiring::default()).await;
    let mut peers = net.owner.manager().subscribe_to(Topics::PEERS);
    let end = net.owner.run(task("text/upper").with_input("one"), &[]).await;
    assert_eq!(output(end), "ONE");
    let worker = net.workers[0].id();
    net.workers[0].shutdown().await;
    within("the worker is lost", async {
        loop {
            let event = peers.next().await.unwrap();
            assert!(
                !matches!(event, NetworkEvent::Message(_) | NetworkEvent::TaskChanged { .. }),
                "{event:?}"
            );
            if matches!(event, NetworkEvent::PeerDisconnected { peer, .. } if peer == worker) {
                return;
            }
        }
    })
    .await;
    net.owner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_of_a_peer_are_known_or_requested() {
    let net = TestNet::start(Wiring::default()).await;
    let worker = net.workers[0].id();
    let resources = net.owner.manager().resource_protocol();
    let usage = eventually("the worker has measured itself", &[&net.owner], async || {
        resources.get_peer_resources(worker).await.ok()
    })
    .await;
    assert_eq!(usage.slots, 2);
    assert!(usage.memory_bytes > 0 && usage.measured_at <= meshwork_node::time_of_day());
    let own = resources.get_peer_resources(net.owner.id()).await.unwrap();
    assert_eq!(own.slots, 0);
    let nobody = libp2p::identity::Keypair::generate_ed25519().public().to_peer_id();
    let unknown = resources.get_peer_resources(nobody).await;
    assert!(matches!(unknown, Err(NetworkError::PeerNotFound(peer)) if peer == nobody));
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_node_is_healthy_and_a_peer_can_be_measured() {
    let net = TestNet::start(Wiring::default()).await;
    let worker = net.workers[0].id();
    assert_eq!(net.owner.manager().check_health().await.unwrap(), HealthStatus::Healthy);
    let health = net.workers[0].manager().health_protocol();
    assert_eq!(health.check_health().await.unwrap(), HealthStatus::Healthy);
    let pong = within("an echo", net.owner.manager().ping(worker)).await.unwrap();
    assert_eq!((pong.peer, pong.transport), (worker, "tcp"));
    eventually("the latency is known", &[&net.owner], async || {
        net.owner.peer(worker).await?.latency
    })
    .await;
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_usable_parts_of_a_hint_are_kept() {
    let net = TestNet::start(Wiring::default()).await;
    let (owner, worker) = (&net.owner, &net.workers[0]);
    let discovery = owner.manager().discovery_protocol();
    let stranger = libp2p::identity::Keypair::generate_ed25519().public().to_peer_id();
    let worker_info = owner.peer(worker.id()).await.unwrap();
    let about = |addresses: &[&str]| PeerInfo {
        peer_id: stranger,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        trusted: true,
        reputation: 1_000,
        ..worker_info.clone()
    };
    let sound = "/ip4/192.0.2.7/tcp/4101";
    let useless = ["/ip4/192.0.2.7/tcp/80/ws", "/ip4/192.0.2.7/udp/53"];
    let refused = discovery.announce_peer(about(&useless)).await.unwrap_err();
    assert_eq!(refused.code(), "invalid_message", "{refused}");
    let foreign = format!("{sound}/p2p/{}", worker.id());
    discovery.announce_peer(about(&[useless[0], &foreign, sound])).await.unwrap();
    let kept = eventually("the hint is kept", &[owner], async || owner.peer(stranger).await).await;
    assert_eq!(kept.addresses, [sound.parse().unwrap()]);
    assert_eq!((kept.trusted, kept.reputation, kept.state.as_str()), (false, 0, "disconnected"));
    assert_eq!((kept.advert, kept.agent), (None, None), "a hint's claims are not used");
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_peer_reports_its_health_and_each_new_reason() {
    let net = TestNet::start(Wiring::default()).await;
    let worker = &net.workers[0];
    eventually("the worker reports that it is healthy", &[&net.owner], async || {
        net.owner.peer(worker.id()).await?.health.filter(|status| *status == HealthStatus::Healthy)
    })
    .await;
    let mut at_owner = net.owner.manager().subscribe();
    let health = worker.manager().health_protocol();
    // Both reports have the same check and level; only the detail differs.
    for detail in ["the printer is on fire", "the printer is out of paper"] {
        let reason = HealthReason::new(HealthCheck::Other, detail);
        health.report_health(HealthStatus::Degraded(vec![reason])).await.unwrap();
        message(&mut at_owner, |message| match message {
            NetworkMessage::HealthCheck { status, .. } => {
                status.reasons().iter().any(|reason| reason.detail == detail).then_some(())
            }
            _ => None,
        })
        .await;
    }
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_is_blamed_at_once_for_an_invalid_answer() {
    let node = TestNode::start(Spec::owner()).await;
    let mut boaster = Hostile::linked(&node, &[HELLO, RESOURCE]).await;
    let peer = boaster.id();
    let resources = node.manager().resource_protocol();
    let lie = async {
        let mut link = boaster.next_session().await;
        loop {
            let frame: ResourceFrame = link.recv().await.expect("the link lives");
            if let Some(resource_frame::Kind::Question(_)) = frame.kind {
                let report = ResourceReport { cpus: 1_000_000_000, ..ResourceReport::default() };
                let kind = Some(resource_frame::Kind::Report(report));
                let answer = ResourceFrame { id: frame.id, kind };
                link.send(&answer).await.unwrap();
                return link;
            }
        }
    };
    let (answer, _link) = tokio::join!(resources.get_peer_resources(peer), lie);
    let error = answer.unwrap_err();
    assert!(matches!(&error, NetworkError::ProtocolError(_)), "{error:?}");
    assert_eq!((error.blames_peer(), error.code()), (Some(peer), "protocol"));
    assert!(!error.is_retryable() && error.to_string().contains("cpus"), "{error}");

    let mut babbler = Hostile::linked(&node, &[HELLO, HEALTH]).await;
    let peer = babbler.id();
    let babble = async {
        let mut link = babbler.next_session().await;
        // The first echo is the one that every new peer receives.
        let mut echoes = 0;
        while echoes < 2 {
            let frame: HealthFrame = link.recv().await.expect("the link lives");
            echoes += usize::from(matches!(frame.kind, Some(health_frame::Kind::Echo(_))));
        }
        link.write(&[2, 0xff, 0xff]).await.unwrap();
        link
    };
    let (answer, _link) = tokio::join!(node.manager().ping(peer), babble);
    let error = answer.unwrap_err();
    assert!(matches!(&error, NetworkError::ProtocolError(_)), "{error:?}");
    assert_eq!(error.blames_peer(), Some(peer));
    node.until_disconnected(peer).await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_at_a_manual_handler_is_completed_by_the_program() {
    let owner = TestNode::start(Spec::owner()).await;
    let spec = Spec { trusted: vec![owner.id()], ..Spec::worker(Accept::Listed) };
    let worker =
        TestNode::start_with(spec.joining(&owner), |builder| builder.manual_handler("text/review"))
            .await;
    owner.trust(worker.id()).await;
    owner.offered(worker.id(), "text").await;
    let tasks = worker.manager().task_protocol();
    let mut events = worker.manager().subscribe();
    let reviewed = task("text/review").with_input("draft");
    let sent = owner.manager().task_protocol().send_task(reviewed, Vec::new()).await;
    let submitted = sent.unwrap();
    let attempt = within("the attempt is reported", async {
        loop {
            if let Some(NetworkEvent::ManualAttempt(attempt)) = events.next().await {
                return attempt;
            }
        }
    })
    .await;
    assert_eq!((attempt.task, attempt.owner), (submitted.id(), owner.id()));
    assert_eq!(attempt.input, "draft");
    let result = TaskResult {
        output: "reviewed".into(),
        worker: worker.id(),
        attempt: 1,
        took: Duration::ZERO,
    };
    let foreign = tasks.send_result(attempt.task, result.clone(), owner.id()).await;
    assert_eq!(foreign.unwrap_err().code(), "denied");
    tasks.send_result(attempt.task, result.clone(), worker.id()).await.unwrap();
    let end = within("its end", submitted.end()).await.unwrap();
    assert_eq!(output(end), "reviewed");
    let again = tasks.send_result(attempt.task, result, worker.id()).await;
    assert_eq!(again.unwrap_err().code(), "not_found");

    let submitted = owner.submit(task("text/review").with_input("bad"), &[]).await;
    let attempt = within("the attempt is reported", async {
        loop {
            if let Some(NetworkEvent::ManualAttempt(attempt)) = events.next().await {
                return attempt;
            }
        }
    })
    .await;
    let error = meshwork_exec::HandlerError::permanent("unreadable");
    tasks.send_failure(attempt.task, error).unwrap();
    let end = within("its end", submitted.end()).await.unwrap();
    assert!(matches!(&end, TaskEnd::Failed(failure) if failure.message.contains("unreadable")));
    worker.shutdown().await;
    owner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_ends_with_its_last_handle() {
    let node = TestNode::start(Spec::owner()).await;
    let manager: NetworkManager = node.manager().clone();
    let mut events = manager.subscribe();
    drop((manager, node));
    // Neither health checks nor metrics keep the node alive.
    within("the end of its events", async { while events.next().await.is_some() {} }).await;
}
