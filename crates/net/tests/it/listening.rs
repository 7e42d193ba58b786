//! Tests of listening, and of addresses that cannot be used.

use meshwork_net::{BuildError, Clock, NetConfig, NetEvent, Network};

use crate::support::{Node, QUIC, TCP, config};

#[tokio::test]
async fn taken_port_is_refused_and_not_shared() {
    for listen in [TCP, QUIC] {
        let first = Node::listening(listen).await;
        // libp2p listens with SO_REUSEPORT: without the check this would succeed.
        let address: libp2p::Multiaddr = meshwork_address(&first);
        let second = NetConfig { listen: vec![address.clone()], ..config() };
        let error = Network::build(second, Clock::new()).await.unwrap_err();
        assert!(
            matches!(&error, BuildError::PortTaken { address: named } if *named == address),
            "{error}"
        );
        first.stop().await;
        let again = Node::start(NetConfig { listen: vec![address], ..config() }).await;
        again.stop().await;
    }
}

#[tokio::test]
async fn foreign_listener_is_detected() {
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = foreign.local_addr().unwrap().port();
    let listen = vec![format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()];
    let error = Network::build(NetConfig { listen, ..config() }, Clock::new()).await.unwrap_err();
    assert!(matches!(error, BuildError::PortTaken { .. }), "{error}");
}

#[tokio::test]
async fn error_names_the_address_of_another_machine() {
    let listen = vec!["/ip4/203.0.113.1/tcp/4101".parse().unwrap()];
    let error = Network::build(NetConfig { listen, ..config() }, Clock::new()).await.unwrap_err();
    assert!(matches!(error, BuildError::Listen { .. }), "{error}");
    assert!(error.to_string().contains("/ip4/203.0.113.1/tcp/4101"), "{error}");
}

#[tokio::test]
async fn all_listeners_are_up_when_the_network_is_built() {
    let listen = [TCP, QUIC].map(|address| address.parse().unwrap()).to_vec();
    let mut node = Node::start(NetConfig { listen, ..config() }).await;
    let addresses = node.handle.addresses();
    assert_eq!(addresses.len(), 2);
    let suffix = format!("/p2p/{}", node.id());
    assert!(addresses.iter().all(|address| address.to_string().ends_with(&suffix)));
    for _ in 0..2 {
        let address = node
            .event(|event| match event {
                NetEvent::Listening { address } => Some(address),
                _ => None,
            })
            .await;
        assert!(addresses.contains(&address));
    }
}

#[tokio::test]
async fn node_works_without_listeners() {
    let mut first = Node::listening(TCP).await;
    let bootstrap = vec![first.address()];
    let mut second = Node::start(NetConfig { listen: Vec::new(), bootstrap, ..config() }).await;
    first.ready(second.id()).await;
    second.ready(first.id()).await;
    assert!(second.handle.addresses().is_empty());
}

#[tokio::test]
async fn loop_ends_when_the_node_drops_its_receiver() {
    let network = Network::build(config(), Clock::new()).await.unwrap();
    let running = tokio::spawn(network.event_loop.run());
    drop(network.events);
    crate::support::within(running).await.unwrap();
    let error = network.handle.dial("/ip4/127.0.0.1/tcp/9".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, meshwork_net::DialError::Closed(_)), "{error}");
    // The loop also ends with its last handle.
    let network = Network::build(config(), Clock::new()).await.unwrap();
    let running = tokio::spawn(network.event_loop.run());
    drop(network.handle);
    crate::support::within(running).await.unwrap();
}

/// The listen address of a node, without its peer id.
fn meshwork_address(node: &Node) -> libp2p::Multiaddr {
    let is_name = |part: &libp2p::multiaddr::Protocol<'_>| {
        matches!(part, libp2p::multiaddr::Protocol::P2p(_))
    };
    node.address().iter().filter(|part| !is_name(part)).collect()
}

#[tokio::test]
async fn missing_address_is_reported_with_a_remedy() {
    for (listen, remedies) in [
        ("/ip4/192.0.2.1/tcp/4101", ["does not have this address", "/ip4/0.0.0.0/tcp/4101"]),
        (
            "/ip4/192.0.2.1/udp/4101/quic-v1",
            ["does not have this address", "when the machine has the address"],
        ),
    ] {
        let listen: libp2p::Multiaddr = listen.parse().unwrap();
        let config = NetConfig { listen: vec![listen.clone()], ..config() };
        let error = Network::build(config, Clock::new()).await.map(drop).unwrap_err();
        assert!(error.is_retryable(), "the machine may get it later");
        let text = error.to_string();
        for part in remedies.iter().chain(&[listen.to_string().as_str()]) {
            assert!(text.contains(part), "{text}");
        }
    }
}
