//! Remembered peers: dialled at the start, and checked against their ids.

use libp2p::{Multiaddr, PeerId};
use meshwork_core::PeerState;
use meshwork_net::{NetConfig, NetEvent, Remembered, identity, limits};

use crate::support::{Node, TCP, config};

fn remembered(peer: PeerId, address: &Multiaddr, keep: bool) -> Remembered {
    let address: Multiaddr = address.iter().take(2).collect();
    Remembered::new(peer, &[address], keep).expect("it can be dialled")
}

fn nowhere() -> Multiaddr {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("/ip4/127.0.0.1/tcp/{free}").parse().unwrap()
}

#[tokio::test]
async fn remembered_peer_is_dialled_without_bootstrap() {
    for keep in [true, false] {
        let mut bee = Node::listening(TCP).await;
        let remembered = vec![remembered(bee.id(), &bee.address(), keep)];
        let mut ant = Node::start(NetConfig { remembered, ..config() }).await;
        ant.ready(bee.id()).await;
        bee.ready(ant.id()).await;
        // Its peer book would contain the address where it reached the peer. The other node did not
        // dial.
        let address: Multiaddr = bee.address().iter().take(2).collect();
        let status = ant.status(&bee.id()).unwrap();
        assert_eq!((status.recallable, status.last_ready.is_some()), (vec![address], true));
        assert!(bee.status(&ant.id()).unwrap().recallable.is_empty());
        ant.stop().await;
        bee.stop().await;
    }
}

#[tokio::test]
async fn other_peer_at_an_old_address_is_rejected() {
    let (cat, bee) = (Node::listening(TCP).await, Node::listening(TCP).await);
    let absent_peer = PeerId::random();
    let remembered = vec![remembered(absent_peer, &cat.address(), true)];
    let mut ant = Node::start(NetConfig { remembered, ..config() }).await;
    let failed = |event| match event {
        NetEvent::AddressFailed { peer: Some(peer), why, .. } => Some((peer, why)),
        _ => None,
    };
    let (peer, why) = ant.event(failed).await;
    assert_eq!(peer, absent_peer);
    assert!(why.contains(&format!("is {}, not the expected peer", cat.id())), "{why}");
    // That address is not dialled again, and the node can dial others.
    ant.handle.dial(bee.address()).await.unwrap();
    ant.ready(bee.id()).await;
    assert!(ant.status(&cat.id()).is_none());
    assert_eq!(ant.status(&absent_peer).unwrap().state, PeerState::Disconnected(Some(why)));
}

#[tokio::test]
async fn persistent_peer_is_dialled_until_it_connects() {
    let address = nowhere();
    let keypair = identity::ephemeral();
    let peer = keypair.public().to_peer_id();
    let remembered = vec![remembered(peer, &address, true)];
    let mut ant = Node::start(NetConfig { remembered, ..config() }).await;
    ant.event(|event| matches!(event, NetEvent::AddressFailed { .. }).then_some(())).await;
    let late = Node::start(NetConfig { keypair, listen: vec![address], ..config() }).await;
    ant.ready(late.id()).await;
}

#[tokio::test]
async fn configured_peer_is_dialled_at_its_remembered_address() {
    let bee = Node::listening(TCP).await;
    let wrong = format!("{}/p2p/{}", nowhere(), bee.id()).parse().unwrap();
    let remembered = vec![remembered(bee.id(), &bee.address(), false)];
    let bootstrap = vec![wrong];
    let mut ant = Node::start(NetConfig { remembered, bootstrap, ..config() }).await;
    ant.ready(bee.id()).await;
}

#[test]
fn remembered_addresses_are_always_checked() {
    let peer = PeerId::random();
    let all: Vec<Multiaddr> = (0..10)
        .map(|n| format!("/ip4/10.0.0.1/tcp/{}", 4_101 + n))
        .map(|text| text.parse().unwrap())
        .collect();
    let bounded = Remembered::new(peer, &all, false).unwrap();
    assert_eq!(
        bounded,
        Remembered::new(peer, &all[..limits::REMEMBERED_ADDRESSES], false).unwrap()
    );
    for (text, is_taken) in [
        ("/ip4/127.0.0.1/tcp/4101", true),
        ("/ip4/192.168.1.7/udp/4101/quic-v1", true),
        ("/dns4/bee.example/tcp/4101", true),
        ("/ip4/127.0.0.1/tcp/6443", false),
        ("/ip4/127.0.0.1/tcp/80", false),
        ("/ip4/169.254.169.254/tcp/4101", false),
        ("/ip4/224.0.0.1/udp/4101/quic-v1", false),
        ("/ip6/fe80::1/tcp/4101", false),
        ("/memory/1", false),
    ] {
        assert_eq!(Remembered::takes(&peer, &text.parse().unwrap()), is_taken, "{text}");
        let new = Remembered::new(peer, &[text.parse().unwrap()], false);
        assert_eq!(new.is_some(), is_taken, "{text}");
    }
}
