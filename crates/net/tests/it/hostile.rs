//! Peers that break the rules.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use meshwork_core::PeerState;
use meshwork_net::{NetConfig, NetEvent, SessionEvent};

use crate::support::{
    Node, TCP,
    bare::{self, Security},
    config, within,
};

/// The bound on connected peers that are not admitted.
const STRANGERS: usize = meshwork_net::limits::STRANGERS;
/// A hello: versions 1 to 1, network "test", number 1.
const HELLO: [u8; 13] = [12, 8, 1, 16, 1, 26, 4, b't', b'e', b's', b't', 32, 1];
/// The answer that admits.
const ADMITTED: [u8; 3] = [2, 10, 0];

#[tokio::test]
async fn strangers_are_bounded() {
    let mut node = Node::listening(TCP).await;
    let mut swarms = Vec::new();
    for _ in 0..STRANGERS + 8 {
        let mut swarm = bare::swarm(Security::Noise);
        bare::connect(&mut swarm, &node.address()).await;
        swarms.push(swarm);
    }
    let everybody = tokio::spawn(async move {
        let mut all = futures::stream::select_all(swarms);
        while all.next().await.is_some() {}
    });
    within(async {
        while node.handle.counters().strangers_closed < 8 {
            tokio::task::yield_now().await;
            while node.events.try_recv().is_ok() {}
        }
    })
    .await;
    node.until(|peers| peers.len() == STRANGERS).await;
    everybody.abort();
}

#[tokio::test]
async fn timed_out_strangers_make_room_for_a_peer() {
    // A short timeout, so that the first or second try of the friend finds room.
    let protocol_timeout = Duration::from_millis(300);
    let mut node = Node::start(NetConfig { protocol_timeout, ..config() }).await;
    let mut swarms = Vec::new();
    for _ in 0..STRANGERS {
        let mut swarm = bare::swarm(Security::Noise);
        bare::connect(&mut swarm, &node.address()).await;
        swarms.push(swarm);
    }
    let everybody = tokio::spawn(async move {
        let mut all = futures::stream::select_all(swarms);
        while all.next().await.is_some() {}
    });
    let mut friend = Node::joining(TCP, &node).await;
    friend.ready(node.id()).await;
    node.ready(friend.id()).await;
    everybody.abort();
}

#[tokio::test]
async fn a_malformed_hello_expels_its_sender() {
    let mut node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    let peer = *swarm.local_peer_id();
    bare::connect(&mut swarm, &node.address()).await;
    let mut stream = bare::open(&mut swarm, node.id(), "/meshwork/hello/1.0.0").await.unwrap();
    // A length prefix of 16 MiB.
    let send = async {
        stream.write_all(&[0x80, 0x80, 0x80, 0x08, 1, 2, 3]).await.unwrap();
        stream.flush().await.unwrap();
    };
    bare::meanwhile(&mut swarm, send).await;
    let why = bare::meanwhile(&mut swarm, node.disconnected(peer)).await;
    assert_eq!(why.as_deref(), Some("expelled: a malformed hello"));
    assert_eq!(node.handle.counters().expelled, 1);
    // The next connection is denied.
    swarm.dial(node.address()).unwrap();
    let denied = async {
        while node.handle.counters().connections_denied == 0 {
            tokio::task::yield_now().await;
        }
    };
    bare::meanwhile(&mut swarm, denied).await;
}

#[tokio::test]
async fn streams_beyond_the_bound_are_reset() {
    let node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &node.address()).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        // Silent streams; the last may be reset before their negotiation ends on this side.
        open.push(bare::open(&mut swarm, node.id(), "/meshwork/hello/1.0.0").await);
    }
    let refused = async {
        while node.handle.counters().streams_refused < 6 {
            tokio::task::yield_now().await;
        }
    };
    bare::meanwhile(&mut swarm, refused).await;
    assert_eq!(node.handle.counters().streams_refused, 6);
    // The other streams stay open until their timeout, and then close.
    let mut ended = 0;
    for stream in open {
        let Ok(mut stream) = stream else { continue };
        let mut rest = Vec::new();
        bare::meanwhile(&mut swarm, stream.read_to_end(&mut rest)).await.ok();
        assert!(rest.is_empty());
        ended += 1;
    }
    assert!(ended >= 4);
}

#[tokio::test]
async fn a_flood_of_hellos_is_answered_busy_and_changes_nothing() {
    let mut node = Node::listening(TCP).await;
    let mut friend = Node::joining(TCP, &node).await;
    node.ready(friend.id()).await;
    friend.ready(node.id()).await;
    let mut swarm = bare::swarm(Security::Noise);
    let peer = *swarm.local_peer_id();
    bare::connect(&mut swarm, &node.address()).await;
    let mut answers = Vec::new();
    let (burst, _) = meshwork_net::limits::HELLOS_ASKED;
    for _ in 0..burst + 8 {
        let mut stream = bare::open(&mut swarm, node.id(), "/meshwork/hello/1.0.0").await.unwrap();
        let exchange = async {
            stream.write_all(&HELLO).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            answer
        };
        answers.push(bare::meanwhile(&mut swarm, exchange).await);
    }
    let admitted = answers.iter().filter(|answer| **answer == ADMITTED).count();
    let allowed = usize::try_from(burst).unwrap();
    // More are admitted only as time passes.
    assert!(admitted >= allowed, "{answers:?}");
    assert!(answers.iter().all(|answer| !answer.is_empty()), "each gets an answer");
    node.until_state(peer, |state| matches!(state, PeerState::Admitted(_))).await;
    assert_eq!(node.state(&friend.id()), Some(PeerState::Ready));
    // The repeated hellos caused no event.
    while let Ok(event) = node.events.try_recv() {
        assert!(!matches!(event, NetEvent::Ready { peer: who, .. } if who == peer));
    }
}

#[tokio::test]
async fn protocol_violation_in_a_session_expels_the_peer() {
    let mut node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    let peer = *swarm.local_peer_id();
    bare::connect(&mut swarm, &node.address()).await;
    let mut hello = bare::open(&mut swarm, node.id(), "/meshwork/hello/1.0.0").await.unwrap();
    let admitted = async {
        hello.write_all(&HELLO).await.unwrap();
        hello.flush().await.unwrap();
        let mut answer = Vec::new();
        hello.read_to_end(&mut answer).await.unwrap();
        answer
    };
    assert_eq!(bare::meanwhile(&mut swarm, admitted).await, ADMITTED);
    let mut task = bare::open(&mut swarm, node.id(), "/meshwork/task/1.0.0").await.unwrap();
    let opened = node.event(|event| match event {
        NetEvent::OwnerSession { session, .. } => Some(session),
        _ => None,
    });
    let _session = bare::meanwhile(&mut swarm, opened).await;
    // An owner does not send `Accepted` (kind 65).
    let send = async {
        task.write_all(&[3, 0x8a, 0x04, 0]).await.unwrap();
        task.flush().await.unwrap();
    };
    bare::meanwhile(&mut swarm, send).await;
    let why = bare::meanwhile(&mut swarm, node.disconnected(peer)).await;
    assert_eq!(why.as_deref(), Some("expelled: it broke the protocol in a session"));
    loop {
        let event = node.session_event().await;
        if let SessionEvent::OwnerClosed { violation, why, .. } = event {
            assert!(violation, "{why}");
            break;
        }
    }
}
