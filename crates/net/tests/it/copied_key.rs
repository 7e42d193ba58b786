//! Tests of two machines with one key.

use meshwork_net::{DialError, KeyCopied, KeyEvidence, NetConfig, NetEvent, identity};

use crate::support::{Node, QUIC, TCP, config, key_beside};

/// The next report of a node about a copied key.
async fn next_report(node: &mut Node) -> KeyCopied {
    node.event(|event| match event {
        NetEvent::KeyCopied(copied) => Some(copied),
        _ => None,
    })
    .await
}

/// Two machines with one key dial a third node, whose id is smaller than theirs if `smaller`. All
/// three report the copied key, and one machine stays connected.
async fn all_report_the_copy(smaller: bool) {
    let key = identity::ephemeral();
    let id = key.public().to_peer_id();
    let keypair = key_beside(&id, smaller);
    let mut third = Node::start(NetConfig { keypair, ..config() }).await;
    let bootstrap = vec![third.address()];
    let twin = || NetConfig { keypair: key.clone(), bootstrap: bootstrap.clone(), ..config() };
    let mut one = Node::start(twin()).await;
    third.ready(id).await;
    let mut other = Node::start(twin()).await;
    let reported = KeyCopied { peer: id, evidence: KeyEvidence::SaidBy(third.id()) };
    let detected = KeyCopied { peer: id, evidence: KeyEvidence::Alternates };
    let all = tokio::join!(next_report(&mut third), next_report(&mut one), next_report(&mut other));
    assert_eq!(all, (detected, reported.clone(), reported));
    assert!(third.status(&id).unwrap().copied.is_some());
    assert!(third.handle.counters().hellos_refused > 0);
}

#[tokio::test]
async fn settling_third_node_detects_a_copied_key() {
    all_report_the_copy(true).await;
}

#[tokio::test]
async fn other_third_node_detects_a_copied_key() {
    all_report_the_copy(false).await;
}

#[tokio::test]
async fn restart_with_the_same_key_is_not_a_copy() {
    let mut third = Node::listening(TCP).await;
    let keypair = identity::ephemeral();
    let id = keypair.public().to_peer_id();
    let bootstrap = vec![third.address()];
    for _ in 0..3 {
        let (keypair, bootstrap) = (keypair.clone(), bootstrap.clone());
        let node = Node::start(NetConfig { keypair, bootstrap, ..config() }).await;
        third.ready(id).await;
        node.stop().await;
        third.disconnected(id).await;
    }
    assert!(third.status(&id).unwrap().copied.is_none());
    assert_eq!(third.handle.counters().hellos_refused, 0);
}

#[tokio::test]
async fn dialled_machine_with_own_key_is_detected_as_a_copy() {
    for listen in [TCP, QUIC] {
        let keypair = identity::ephemeral();
        let peer = keypair.public().to_peer_id();
        let twin = || {
            let listen = vec![listen.parse().unwrap()];
            NetConfig { keypair: keypair.clone(), listen, ..config() }
        };
        let (mut one, mut other) = (Node::start(twin()).await, Node::start(twin()).await);
        let there = crate::support::without_peer(&other.address());
        let error = one.handle.dial(there.clone()).await.unwrap_err();
        assert!(matches!(error, DialError::SelfDial(_)), "{error}");
        let reached = KeyCopied { peer, evidence: KeyEvidence::Reached(there) };
        assert_eq!(next_report(&mut one).await, reached);
        assert!(one.handle.own_key_copied().is_some());
        // Over TCP the other node may see only a handshake that broke off.
        if listen == QUIC {
            let KeyCopied { evidence: KeyEvidence::Came(_), .. } = next_report(&mut other).await
            else {
                panic!("it was dialled");
            };
            assert!(other.handle.own_key_copied().is_some());
        }
    }
}

#[tokio::test]
async fn node_that_dials_itself_detects_no_copy() {
    let listen = vec!["/ip4/0.0.0.0/tcp/0".parse().unwrap()];
    let node = Node::start(NetConfig { listen, ..config() }).await;
    let address = node.address();
    let port = address.iter().nth(1).unwrap();
    // An address of this machine that the node does not listen on explicitly.
    let itself: libp2p::Multiaddr = "/ip4/127.0.0.2".parse().unwrap();
    for _ in 0..5 {
        let error = node.handle.dial(itself.clone().with(port.clone())).await.unwrap_err();
        assert!(matches!(error, DialError::SelfDial(_)), "{error}");
    }
    assert_eq!(node.handle.own_key_copied(), None);
}
