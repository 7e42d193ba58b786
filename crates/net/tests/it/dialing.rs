//! Tests of dials that a handle or the configuration asks for.

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use meshwork_core::PeerState;
use meshwork_net::{DialError, NetConfig, NetEvent, limits};

use crate::support::{Node, TCP, config};

/// The address without its `/p2p/…`.
fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

/// The address with `peer` in its `/p2p/…`.
fn with_peer(address: &Multiaddr, peer: PeerId) -> Multiaddr {
    without_peer(address).with(Protocol::P2p(peer))
}

/// An address of this machine at which no process listens.
fn unused_address() -> Multiaddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

#[tokio::test]
async fn dial_returns_the_peer_at_the_address() {
    let first = Node::listening(TCP).await;
    let second = Node::listening(TCP).await;
    let bare = without_peer(&first.address());
    for address in [bare.clone(), first.address(), bare] {
        assert_eq!(second.handle.dial(address).await.unwrap(), first.id());
    }
    assert_eq!(first.handle.counters().duplicates_closed, 0, "one connection for all");
}

#[tokio::test]
async fn concurrent_dials_of_one_address_share_a_connection() {
    let first = Node::listening(TCP).await;
    let second = Node::listening(TCP).await;
    let dials = (0..10).map(|_| second.handle.dial(first.address()));
    for result in futures::future::join_all(dials).await {
        assert_eq!(result.unwrap(), first.id());
    }
    assert_eq!(first.handle.counters().duplicates_closed, 0);
    assert_eq!(second.handle.counters().duplicates_closed, 0);
}

#[tokio::test]
async fn dial_fails_for_good_if_another_peer_answers() {
    let node = Node::listening(TCP).await;
    let other = Node::listening(TCP).await;
    let wrong = with_peer(&other.address(), PeerId::random());
    let error = node.handle.dial(wrong).await.unwrap_err();
    assert!(
        matches!(&error, DialError::WrongPeer { found, .. } if *found == other.id()),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn dial_of_the_node_itself_is_refused() {
    let node = Node::listening(TCP).await;
    let other = Node::listening(TCP).await;
    let by_address = without_peer(&node.address());
    let by_peer_id = with_peer(&other.address(), node.id());
    for address in [node.address(), by_address, by_peer_id] {
        let error = node.handle.dial(address).await.unwrap_err();
        assert!(matches!(error, DialError::SelfDial(_)), "{error}");
    }
}

#[tokio::test]
async fn dial_of_an_address_without_a_listener_may_be_retried() {
    let node = Node::listening(TCP).await;
    let error = node.handle.dial(unused_address()).await.unwrap_err();
    assert!(
        matches!(&error, DialError::Unreachable { why, .. } if why == "no process listens there"),
        "{error}"
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn dial_of_an_unsupported_address_is_refused() {
    let node = Node::listening(TCP).await;
    for text in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/1", "/memory/1", "/ip4/127.0.0.1"] {
        let error = node.handle.dial(text.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, DialError::Address { .. }), "{error}");
    }
}

#[tokio::test]
async fn node_in_its_own_bootstrap_list_reports_that_and_reaches_the_other_peers() {
    let listen = vec![unused_address()];
    let other = Node::listening(TCP).await;
    let bootstrap = vec![listen[0].clone(), other.address()];
    let mut node = Node::start(NetConfig { listen, bootstrap, ..config() }).await;
    let why = node
        .event(|event| match event {
            NetEvent::AddressFailed { why, .. } => Some(why),
            _ => None,
        })
        .await;
    assert!(why.contains("this node itself"), "{why}");
    node.until_state(other.id(), |state| *state == PeerState::Ready).await;
}

#[tokio::test]
async fn dial_of_a_port_that_never_answers_times_out() {
    let connection_timeout = std::time::Duration::from_millis(200);
    let node = Node::start(NetConfig { connection_timeout, ..config() }).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for address in [format!("/ip4/127.0.0.1/tcp/{port}"), "/ip4/127.0.0.1/udp/9/quic-v1".to_owned()]
    {
        let dial = node.handle.dial(address.parse().unwrap());
        let error = crate::support::within(dial).await.unwrap_err();
        assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn dial_of_an_ssh_server_fails() {
    let node = Node::listening(TCP).await;
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH\r\n").await.ok();
        }
    });
    let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let error = node.handle.dial(address).await.unwrap_err();
    assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn dial_of_a_host_name_resolves_it() {
    let first = Node::listening(TCP).await;
    let second = Node::listening(TCP).await;
    let port = first.address().iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let address = format!("/dns4/localhost/tcp/{}", port.unwrap()).parse().unwrap();
    assert_eq!(second.handle.dial(address).await.unwrap(), first.id());
}

#[tokio::test]
async fn an_unreachable_bootstrap_address_is_reported_once_each_time_it_is_lost() {
    let address = unused_address();
    let mut node = Node::start(NetConfig { bootstrap: vec![address.clone()], ..config() }).await;
    let failed = |event| match event {
        NetEvent::AddressFailed { address: Some(failed), why, .. } => {
            assert_eq!(failed, address);
            Some(why)
        }
        _ => None,
    };
    let why = node.event(failed).await;
    assert!(why.contains("no process listens there"), "{why}");
    // It is dialled again and again, without further reports.
    let is_report = |event: &NetEvent| matches!(event, NetEvent::AddressFailed { .. });
    tokio::time::timeout(limits::REDIAL_MIN * 4, async {
        while let Some(event) = node.events.recv().await {
            assert!(!is_report(&event), "{event:?}");
        }
    })
    .await
    .unwrap_err();
    let mut late = Node::start(NetConfig { listen: vec![address.clone()], ..config() }).await;
    node.ready(late.id()).await;
    late.ready(node.id()).await;
    // Once it was reached, the next failure is reported again.
    late.stop().await;
    let why = node.event(failed).await;
    assert!(why.contains("no process listens there"), "{why}");
}

#[tokio::test]
async fn an_expelled_peer_cannot_connect_again() {
    let mut first = Node::listening(TCP).await;
    let mut second = Node::joining(TCP, &first).await;
    second.ready(first.id()).await;
    first.ready(second.id()).await;
    assert!(first.handle.expel(second.id(), "it lied"));
    let why = first.disconnected(second.id()).await;
    assert_eq!(why.as_deref(), Some("expelled: it lied"));
    assert!(matches!(first.state(&second.id()), Some(PeerState::Disconnected(Some(_)))));
    let status = first.status(&second.id()).expect("it was admitted once");
    assert!(status.advert.is_some(), "its advert stays known");
    assert_eq!(first.handle.counters().expelled, 1);
    let error = first.handle.dial(second.address()).await.unwrap_err();
    assert!(error.to_string().contains("broke the protocol"), "{error}");
    // The peer dials again by itself, and is denied.
    crate::support::within(async {
        while first.handle.counters().connections_denied < 2 {
            second.events.recv().await.unwrap();
        }
    })
    .await;
    assert!(!matches!(first.state(&second.id()), Some(PeerState::Ready)));
}
