//! Resources, health and echoes between two nodes, and claims that are refused.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use meshwork_core::{
    HealthCheck, HealthReason, HealthStatus, NetworkProtocol, PeerState, Reason, ResourceUsage,
};
use meshwork_net::{AskError, NetConfig, NetEvent};

use crate::support::{
    Node, QUIC, TCP,
    bare::{self, Security},
    config, pair, within,
};

fn usage() -> ResourceUsage {
    ResourceUsage {
        cpus: 4,
        cpu_used: 0.25,
        memory_bytes: 1 << 30,
        memory_free_bytes: 1 << 29,
        slots: 4,
        slots_free: 1,
        measured_at: meshwork_net::clock::time_of_day(),
        ..ResourceUsage::default()
    }
}

/// Whether the figures are the same. The measurement time travels as an age, so it may differ.
fn is_the_same(one: &ResourceUsage, other: &ResourceUsage) -> bool {
    ResourceUsage { measured_at: other.measured_at, ..*one } == *other
}

#[tokio::test]
async fn resources_are_reported_and_requested() {
    for listen in [TCP, QUIC] {
        let (mut one, mut other) = pair(listen).await;
        let answer = other.handle.peer_resources(one.id()).await;
        assert!(matches!(answer, Err(AskError::Refused(Reason::NotFound))), "{answer:?}");
        one.handle.update_resources(usage()).await.unwrap();
        let heard = other
            .event(|event| match event {
                NetEvent::Resources { peer, usage } => Some((peer, usage)),
                _ => None,
            })
            .await;
        assert_eq!(heard.0, one.id());
        assert!(is_the_same(&heard.1, &usage()));
        let known = other.status(&one.id()).unwrap().resources.unwrap();
        assert!(is_the_same(&known, &usage()));
        let answer = within(other.handle.peer_resources(one.id())).await.unwrap();
        assert!(is_the_same(&answer, &usage()));
        // In the other direction, on separate links.
        other.handle.update_resources(usage()).await.unwrap();
        one.event(|event| matches!(event, NetEvent::Resources { .. }).then_some(())).await;
        one.stop().await;
        other.stop().await;
    }
}

#[tokio::test]
async fn health_is_reported_to_present_and_later_peers() {
    let status = HealthStatus::Degraded(vec![HealthReason::new(HealthCheck::Disk, "1 % free")]);
    let (mut one, mut other) = pair(TCP).await;
    one.handle.report_health(status.clone()).await.unwrap();
    let is_health = |event| match event {
        NetEvent::Health { status, .. } => Some(status),
        _ => None,
    };
    assert_eq!(other.event(is_health).await, status);
    let mut late = Node::joining(TCP, &one).await;
    assert_eq!(late.event(is_health).await, status);
    assert_eq!(late.status(&one.id()).unwrap().health, Some(status));
    one.event(|event| matches!(event, NetEvent::Ready { .. }).then_some(())).await;
}

#[tokio::test]
async fn echo_measures_the_round_trip() {
    for (listen, transport) in [(TCP, "tcp"), (QUIC, "quic")] {
        let (one, mut other) = pair(listen).await;
        let pong = within(other.handle.ping(one.id())).await.unwrap();
        assert_eq!((pong.peer, pong.transport), (one.id(), transport));
        assert!(pong.round_trip > Duration::ZERO && pong.round_trip < Duration::from_secs(10));
        let id = one.id();
        other.until(|peers| peers.iter().any(|p| p.peer == id && p.latency.is_some())).await;
        let stranger = meshwork_net::identity::ephemeral().public().to_peer_id();
        assert!(matches!(other.handle.ping(stranger).await, Err(AskError::NotReady)));
    }
}

#[tokio::test]
async fn bytes_and_messages_are_counted_by_peer_and_protocol() {
    let (one, mut other) = pair(TCP).await;
    for _ in 0..3 {
        one.handle.update_resources(usage()).await.unwrap();
        other.event(|event| matches!(event, NetEvent::Resources { .. }).then_some(())).await;
    }
    let resource = NetworkProtocol::ResourceProtocol;
    let count = |flow: &meshwork_net::Flow| {
        let kind = |m: &&(NetworkProtocol, &str, u64)| (m.0, m.1) == (resource, "report");
        flow.messages.iter().find(kind).unwrap().2
    };
    let bytes = |flow: &meshwork_net::Flow| {
        flow.bytes.iter().find(|(protocol, _)| *protocol == resource).unwrap().1
    };
    let (sent, received) = (one.handle.traffic().sent, other.handle.traffic().received);
    assert_eq!((count(&sent), count(&received)), (3, 3));
    assert_eq!(bytes(&sent), bytes(&received));
    assert!(bytes(&sent) / 3 < 100, "a report costs {} bytes", bytes(&sent) / 3);
    let traffic = &other.status(&one.id()).unwrap().traffic;
    assert_eq!(traffic.received(resource), bytes(&received));
    assert_eq!(traffic.received(NetworkProtocol::TaskProtocol), 0);
}

#[tokio::test]
async fn frozen_peer_is_lost_within_three_heartbeats() {
    let heartbeat = Duration::from_millis(300);
    let mut node = Node::start(NetConfig { ping_interval: heartbeat, ..config() }).await;
    let mut friend = Node::joining(TCP, &node).await;
    node.ready(friend.id()).await;
    let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
    let config = NetConfig { bootstrap: vec![node.address()], ..config() };
    let frozen = config.keypair.public().to_peer_id();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut node = Node::start(config).await;
            node.event(|event| matches!(event, NetEvent::Ready { .. }).then_some(())).await;
            // The whole node is blocked.
            released.recv().ok();
        });
    });
    node.ready(frozen).await;
    let why = node.disconnected(frozen).await.unwrap();
    assert!(why.starts_with("silent for"), "{why}");
    friend.until(|_| true).await;
    assert_eq!(node.state(&friend.id()), Some(PeerState::Ready));
    assert_eq!(node.handle.counters().peers_silent, 1);
    drop(release);
    thread.join().unwrap();
}

/// Sends a frame with its length on a stream of `protocol`. Returns the answer.
async fn answer(
    swarm: &mut libp2p::Swarm<bare::Bare>,
    node: &Node,
    protocol: &'static str,
    frame: &[u8],
) -> Vec<u8> {
    let mut stream = bare::open(swarm, node.id(), protocol).await.unwrap();
    let exchange = async {
        stream.write_all(frame).await.unwrap();
        stream.flush().await.unwrap();
        let mut length = [0];
        stream.read_exact(&mut length).await.unwrap();
        let mut answer = vec![0; length[0].into()];
        stream.read_exact(&mut answer).await.unwrap();
        answer
    };
    bare::meanwhile(swarm, exchange).await
}

#[tokio::test]
async fn implausible_reports_are_refused_and_not_kept() {
    let node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    let peer = *swarm.local_peer_id();
    bare::connect(&mut swarm, &node.address()).await;
    // A refusal is field 4 of a resource frame, and field 5 of a health frame; its first field is a
    // code.
    const RESOURCE: &str = "/meshwork/resource/1.0.0";
    let refused = |answer: &[u8]| answer.first().copied() == Some(4 << 3 | 2);
    let code = |answer: &[u8]| answer[3];
    // Before the hello: not admitted.
    let early = answer(&mut swarm, &node, RESOURCE, &[4, 0x12, 2, 0x10, 4]).await;
    assert!(refused(&early) && code(&early) == 1, "{early:?}");
    bare::say_hello(&mut swarm, node.id()).await;
    // 1e9 cores: field 2 = 1000000000.
    let absurd = [8, 0x12, 6, 0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03];
    let answered = answer(&mut swarm, &node, RESOURCE, &absurd).await;
    assert!(refused(&answered) && code(&answered) == 15, "{answered:?}");
    // The same as the answer to a question that was never asked: refused under its id.
    let answer_7 = [10, 8, 7, 0x12, 6, 0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03];
    let answered = answer(&mut swarm, &node, RESOURCE, &answer_7).await;
    assert_eq!((&answered[..3], answered[5]), (&[8, 7, 4 << 3 | 2][..], 15), "{answered:?}");
    // The figures of another subject, "x".
    let others = [5, 0x12, 3, 0x72, 1, b'x'];
    let answered = answer(&mut swarm, &node, RESOURCE, &others).await;
    assert!(refused(&answered) && code(&answered) == 11, "{answered:?}");
    // A kind of a later version.
    let later = answer(&mut swarm, &node, RESOURCE, &[3, 0xc2, 0x02, 0]).await;
    assert_eq!(later, [5 << 3 | 2, 2, 8, 40]);
    assert_eq!(node.status(&peer).unwrap().resources, None);
}

/// Sends `frame` more often than the quota allows, and reads until the answer is `busy`.
async fn until_busy(
    swarm: &mut libp2p::Swarm<bare::Bare>,
    node: &Node,
    protocol: &'static str,
    frame: &[u8],
    (burst, _): (u32, u32),
) {
    // Field 4 of a resource frame, or field 5 of a health frame, is a refusal; the code of its
    // reason is 8.
    let is_busy = |answer: &[u8]| {
        answer.windows(4).any(|at| matches!(at, [0x22 | 0x2a, _, 8, 8]))
            && answer.windows(2).any(|at| at[0] == 0x28 && at[1] > 0)
    };
    let mut stream = bare::open(swarm, node.id(), protocol).await.unwrap();
    let flood = frame.repeat(usize::try_from(burst + 64).unwrap());
    let exchange = async {
        stream.write_all(&flood).await.unwrap();
        stream.flush().await.unwrap();
        loop {
            let mut length = [0];
            stream.read_exact(&mut length).await.unwrap();
            let mut answer = vec![0; length[0].into()];
            stream.read_exact(&mut answer).await.unwrap();
            if is_busy(&answer) {
                return;
            }
        }
    };
    bare::meanwhile(swarm, within(exchange)).await;
}

#[tokio::test]
async fn too_many_messages_of_a_kind_are_answered_busy() {
    const RESOURCE: &str = "/meshwork/resource/1.0.0";
    const HEALTH: &str = "/meshwork/health/1.0.0";
    use meshwork_net::limits;
    let node = Node::listening(TCP).await;
    for (protocol, frame, bound) in [
        // A report of 4 cores, a question, an echo, a report of good health.
        (RESOURCE, [4, 0x12, 2, 0x10, 4], limits::REPORTS_ASKED),
        (RESOURCE, [4, 0x08, 1, 0x1a, 0], limits::QUESTIONS_ASKED),
        (HEALTH, [4, 0x08, 1, 0x12, 0], limits::ECHOES_ASKED),
        (HEALTH, [4, 0x22, 2, 0x08, 1], limits::REPORTS_ASKED),
    ] {
        let mut swarm = bare::swarm(Security::Noise);
        bare::connect(&mut swarm, &node.address()).await;
        bare::say_hello(&mut swarm, node.id()).await;
        until_busy(&mut swarm, &node, protocol, &frame, bound).await;
    }
    // Discovery uses one stream per request: here a request for any peer.
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &node.address()).await;
    bare::say_hello(&mut swarm, node.id()).await;
    let (burst, _) = limits::QUERIES_ASKED;
    let mut busy = 0;
    for _ in 0..burst + 64 {
        let answer = answer(&mut swarm, &node, "/meshwork/discovery/1.0.0", &[2, 0x12, 0]).await;
        busy += u32::from(answer.starts_with(&[0x12]) && answer[2..4] == [8, 8]);
    }
    assert!(busy > 0, "no request was refused as busy");
}
