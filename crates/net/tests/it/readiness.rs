//! Tests from the connection to readiness, and back.

use std::{collections::HashSet, sync::Arc};

use meshwork_core::{PeerState, Stuck};
use meshwork_net::{Direction, NetConfig, NetEvent, Offer};

use crate::support::{Node, QUIC, TCP, config, key_beside, offer, pair};

#[tokio::test]
async fn two_nodes_become_ready_over_each_transport() {
    for listen in [TCP, QUIC, "/ip6/::1/tcp/0", "/ip6/::1/udp/0/quic-v1"] {
        let mut first = Node::listening(listen).await;
        let mut second = Node::joining(listen, &first).await;
        let connected = |event| match event {
            NetEvent::Connected { peer, direction, .. } => Some((peer, direction)),
            _ => None,
        };
        assert_eq!(first.event(connected).await, (second.id(), Direction::Inbound));
        assert_eq!(second.event(connected).await, (first.id(), Direction::Outbound));
        let advert = first.ready(second.id()).await;
        assert_eq!(advert.name, "node");
        assert_eq!(second.ready(first.id()).await, advert);
        assert_eq!(first.state(&second.id()), Some(PeerState::Ready));
        assert_eq!(second.state(&first.id()), Some(PeerState::Ready));
        second.stop().await;
        first.stop().await;
    }
}

#[tokio::test]
async fn identify_and_ping_fill_the_table() {
    let (first, mut second) = pair(TCP).await;
    let peer = first.id();
    let listens_at = first.address();
    second
        .until(|peers| {
            peers.iter().any(|status| {
                let known = status.addresses.iter().map(|at| format!("{at}/p2p/{peer}"));
                status.peer == peer
                    && status.latency.is_some()
                    && status.agent.as_deref().is_some_and(|agent| agent.starts_with("meshwork/"))
                    && status.protocols.contains("/meshwork/task/1.0.0")
                    && status.protocols.contains("/meshwork/test/kad/1.0.0")
                    && known.into_iter().any(|at| at == listens_at.to_string())
            })
        })
        .await;
}

#[tokio::test]
async fn peers_get_their_handlers_and_later_changes() {
    let (mut first, mut second) = pair(TCP).await;
    let names = |advert: meshwork_core::Advert| -> Vec<String> {
        advert.handlers.iter().map(ToString::to_string).collect()
    };
    let before = second.status(&first.id()).unwrap().advert.unwrap();
    assert_eq!(names(before), ["debug/echo"]);
    // The first node now trusts the second.
    let trusted = Arc::new(HashSet::from([second.id()]));
    first.handle.set_offer(Offer { trusted, ..offer("node") }).await.unwrap();
    assert_eq!(names(second.ready(first.id()).await), ["debug/echo", "text/stats"]);
    // Many changes at once: the last one arrives, and others may be skipped.
    for round in 0..100 {
        first.handle.set_offer(offer(&format!("name {round}"))).await.unwrap();
    }
    while second.ready(first.id()).await.name != "name 99" {}
    // A change that does not concern the peer is not sent.
    let stranger = Arc::new(HashSet::from([libp2p::PeerId::random()]));
    first.handle.set_offer(Offer { trusted: stranger, ..offer("name 99") }).await.unwrap();
    second.handle.set_offer(offer("second")).await.unwrap();
    assert_eq!(first.ready(second.id()).await.name, "second");
    assert!(second.events.try_recv().is_err(), "the second node received nothing");
}

#[tokio::test]
async fn other_network_is_refused_on_both_sides() {
    let mut first = Node::listening(TCP).await;
    let bootstrap = vec![first.address()];
    let network = "other".to_owned();
    let mut second = Node::start(NetConfig { network, bootstrap, ..config() }).await;
    let refused = |state: &PeerState| matches!(state, PeerState::Connected(Stuck::WeRefused(why)) if why.contains("network"));
    first.until_state(second.id(), refused).await;
    second.until_state(first.id(), refused).await;
    assert!(first.handle.counters().hellos_refused >= 1);
    assert!(second.handle.counters().hellos_refused >= 1);
    // Neither node opens a session to the other.
    assert!(first.handle.open_session(second.id()));
    let why = first
        .event(|event| match event {
            NetEvent::WorkerSessionFailed { why, .. } => Some(why),
            _ => None,
        })
        .await;
    assert!(why.contains("network"), "{why}");
}

#[tokio::test]
async fn full_node_refuses_with_a_reason() {
    let mut full = Node::start(NetConfig { max_peers: 1, ..config() }).await;
    let mut first = Node::joining(TCP, &full).await;
    first.ready(full.id()).await;
    full.ready(first.id()).await;
    let mut second = Node::joining(TCP, &full).await;
    second
        .until_state(
            full.id(),
            |state| matches!(state, PeerState::Admitted(Stuck::TheyRefused(why)) if why.contains("1 peers, its maximum")),
        )
        .await;
    assert_eq!(full.state(&first.id()), Some(PeerState::Ready));
    assert!(matches!(full.state(&second.id()), Some(PeerState::Connected(Stuck::WeRefused(_)))));
}

#[tokio::test]
async fn lost_peer_is_reconnected_after_it_returns() {
    for smaller in [true, false] {
        let mut second_config = config();
        let mut first_config = config();
        let key = key_beside(&second_config.keypair.public().to_peer_id(), smaller);
        first_config.keypair = key;
        let mut first = Node::start(first_config.clone()).await;
        let address = first.address();
        second_config.bootstrap = vec![address.clone()];
        let mut second = Node::start(second_config).await;
        for _ in 0..2 {
            second.ready(first.id()).await;
            first.ready(second.id()).await;
            let id = first.id();
            first.stop().await;
            second.disconnected(id).await;
            assert!(matches!(second.state(&id), Some(PeerState::Disconnected(_))));
            // The same key and port.
            let port = libp2p::multiaddr::Multiaddr::from_iter(address.iter().take(2));
            first_config.listen = vec![port];
            first = Node::start(first_config.clone()).await;
        }
        second.ready(first.id()).await;
    }
}

#[tokio::test]
async fn persistent_peer_is_dialled_again_without_being_configured() {
    let mut first_config = config();
    let mut first = Node::start(first_config.clone()).await;
    let address = first.address();
    let mut second = Node::start(config()).await;
    assert_eq!(second.handle.dial(address.clone()).await.unwrap(), first.id());
    second.ready(first.id()).await;
    first.ready(second.id()).await;
    assert!(second.handle.keep(first.id(), true));
    first.stop().await;
    first_config.listen = vec![address.iter().take(2).collect()];
    let mut first = Node::start(first_config).await;
    second.ready(first.id()).await;
    first.ready(second.id()).await;
}

#[tokio::test]
async fn a_peer_is_disconnected_blocked_and_forgotten_on_request() {
    let (mut first, mut second) = pair(TCP).await;
    let peer = second.id();
    first.handle.disconnect(peer).await.unwrap();
    let why = first.disconnected(peer).await.unwrap();
    assert!(why.contains("disconnected it"), "{why}");
    // The second node is configured to dial the first, and reconnects by itself.
    second.disconnected(first.id()).await;
    first.ready(peer).await;

    first.handle.block(peer, true).await.unwrap();
    let why = first.disconnected(peer).await.unwrap();
    assert!(why.contains("blocked it"), "{why}");
    let refused = first.handle.dial(second.address()).await.unwrap_err();
    assert!(refused.to_string().contains("this node blocks the peer"), "{refused}");

    first.handle.forget(peer).await.unwrap();
    first.until(|peers| peers.is_empty()).await;
    first.handle.block(peer, false).await.unwrap();
    first.handle.dial(second.address()).await.unwrap();
    first.ready(peer).await;
}
