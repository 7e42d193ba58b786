//! Tests with more connections than places: which peers still get in.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use libp2p::{Multiaddr, Swarm, multiaddr::Protocol};
use meshwork_core::PeerState;
use meshwork_net::{DialError, NetConfig, NetEvent, Offer, Overload, Remembered, identity, limits};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::Instant,
};

use crate::support::{
    Node, QUIC, TCP,
    bare::{self, Bare, Security},
    config, offer, within,
};

/// An address in another network than 127.0.0.1.
const ELSEWHERE: &str = "127.0.1.9:0";

fn port(address: &Multiaddr) -> u16 {
    let port = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    port.expect("a TCP address")
}

/// Connects a socket from another network and sends nothing.
async fn silent(to: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(ELSEWHERE.parse().unwrap()).unwrap();
    socket.connect(([127, 0, 0, 1], to).into()).await.unwrap()
}

/// Opens silent sockets until it is aborted, and drops the oldest ones.
fn flood(to: u16) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut open = std::collections::VecDeque::new();
        loop {
            open.push_back(silent(to).await);
            if open.len() > 200 {
                open.pop_front();
            }
            tokio::task::yield_now().await;
        }
    })
}

/// A node of plain libp2p that dials from another network.
async fn stranger_elsewhere() -> Swarm<Bare> {
    let mut swarm = bare::swarm(Security::Noise);
    swarm.listen_on("/ip4/127.0.1.9/tcp/0".parse().unwrap()).unwrap();
    bare::event(&mut swarm, |event| match event {
        libp2p::swarm::SwarmEvent::NewListenAddr { .. } => Some(()),
        _ => None,
    })
    .await;
    swarm
}

fn run(swarms: Vec<Swarm<Bare>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut all = futures::stream::select_all(swarms);
        while all.next().await.is_some() {}
    })
}

#[tokio::test]
async fn silent_sockets_do_not_block_other_peers() {
    let listen = vec![TCP.parse().unwrap(), QUIC.parse().unwrap()];
    let mut node = Node::start(NetConfig { listen, ..config() }).await;
    let addresses = node.handle.addresses();
    let tcp = addresses.iter().find(|it| it.to_string().contains("/tcp/")).unwrap().clone();
    let quic = addresses.iter().find(|it| it.to_string().contains("/quic")).unwrap().clone();
    let mut held = Vec::new();
    for _ in 0..limits::PENDING_INBOUND + 8 {
        held.push(silent(port(&tcp)).await);
    }
    let attack = flood(port(&tcp));
    for address in [tcp, quic] {
        let bootstrap = vec![address];
        let mut newcomer = Node::start(NetConfig { bootstrap, ..config() }).await;
        newcomer.ready(node.id()).await;
        node.ready(newcomer.id()).await;
        newcomer.stop().await;
    }
    attack.abort();
}

#[tokio::test]
async fn crowd_report_names_its_network() {
    let mut node = Node::listening(TCP).await;
    let attack = flood(port(&node.address()));
    let crowd = node
        .event(|event| match event {
            NetEvent::Overloaded(Overload::Inbound(crowd)) => Some(crowd),
            _ => None,
        })
        .await;
    assert_eq!(crowd.mostly_from, "127.0.1.0/24");
    assert!(crowd.shed >= limits::CROWD);
    assert!(node.handle.crowd().is_some());
    assert!(node.handle.counters().inbound_displaced > 0);
    attack.abort();
}

#[tokio::test]
async fn silent_socket_is_closed_before_a_slow_one() {
    let node = Node::listening(TCP).await;
    let start = Instant::now();
    let mut silent = silent(port(&node.address())).await;
    let mut slow = TcpStream::connect(("127.0.0.1", port(&node.address()))).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut slow, b"\x13/multistream/1.0.0\n").await.unwrap();
    let mut rest = Vec::new();
    within(silent.read_to_end(&mut rest)).await.ok();
    assert!(start.elapsed() >= limits::FIRST_BYTE, "{:?}", start.elapsed());
    assert_eq!(node.handle.counters().inbound_silent, 1);
    // The node answers this socket and then waits for it.
    within(slow.read_to_end(&mut rest)).await.ok();
    assert!(start.elapsed() >= limits::HANDSHAKE, "{:?}", start.elapsed());
    assert!(start.elapsed() < limits::FIRST_BYTE + limits::HANDSHAKE);
    assert_eq!(node.handle.counters().inbound_silent, 1);
}

#[tokio::test]
async fn peers_without_hello_yield_to_another_network() {
    let mut node = Node::listening(TCP).await;
    let mut swarms = Vec::new();
    for _ in 0..limits::STRANGERS {
        let mut swarm = stranger_elsewhere().await;
        bare::connect(&mut swarm, &node.address()).await;
        swarms.push(swarm);
    }
    node.until(|peers| peers.len() == limits::STRANGERS).await;
    let attack = run(swarms);
    let mut friend = Node::joining(TCP, &node).await;
    friend.ready(node.id()).await;
    node.ready(friend.id()).await;
    // A closed stranger may connect again and displace another one.
    assert!(node.handle.counters().strangers_closed >= 1);
    assert_eq!(node.state(&friend.id()), Some(PeerState::Ready));
    attack.abort();
}

#[tokio::test]
async fn full_node_displaces_a_stranger_for_a_trusted_peer() {
    let key = identity::ephemeral();
    let trusted = Arc::new([key.public().to_peer_id()].into());
    let offer = Offer { trusted, ..offer("full") };
    let mut full = Node::start(NetConfig { max_peers: 1, offer, ..config() }).await;
    let mut first = Node::joining(TCP, &full).await;
    first.ready(full.id()).await;
    full.ready(first.id()).await;
    // The refused stranger and the node's owner both learn the reason.
    let second = Node::joining(TCP, &full).await;
    let refused = full
        .event(|event| match event {
            NetEvent::Overloaded(Overload::Peers { max_peers: 1, refused }) => Some(refused),
            _ => None,
        })
        .await;
    assert_eq!(refused, second.id());
    assert_eq!(full.handle.counters().peers_refused, 1);
    // A worker with a session is a persistent peer; this does not raise its rank.
    assert!(full.handle.keep(first.id(), true));
    let bootstrap = vec![full.address()];
    let mut friend = Node::start(NetConfig { keypair: key, bootstrap, ..config() }).await;
    friend.ready(full.id()).await;
    full.ready(friend.id()).await;
    let why = first.disconnected(full.id()).await;
    assert!(why.is_some());
    assert_eq!(full.handle.counters().peers_displaced, 1);
}

#[tokio::test]
async fn refused_peer_is_admitted_after_it_is_trusted() {
    let mut full = Node::start(NetConfig { max_peers: 1, ..config() }).await;
    let mut first = Node::joining(TCP, &full).await;
    first.ready(full.id()).await;
    full.ready(first.id()).await;
    let mut second = Node::joining(TCP, &full).await;
    second.until_state(full.id(), |state| matches!(state, PeerState::Admitted(_))).await;
    let trusted = Arc::new([second.id()].into());
    full.handle.set_offer(Offer { trusted, ..offer("full") }).await.unwrap();
    let start = Instant::now();
    second.ready(full.id()).await;
    full.ready(second.id()).await;
    assert!(start.elapsed() < limits::FULL_RETRY / 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_full_node_keeps_peers_of_the_same_rank() {
    let keys = [identity::ephemeral(), identity::ephemeral()];
    let trusted = Arc::new(keys.iter().map(|key| key.public().to_peer_id()).collect());
    let offer = Offer { trusted, ..offer("full") };
    let mut full = Node::start(NetConfig { max_peers: 1, offer, ..config() }).await;
    let mut nodes = Vec::new();
    for keypair in keys {
        let bootstrap = vec![full.address()];
        nodes.push(Node::start(NetConfig { keypair, bootstrap, ..config() }).await);
        full.until(|peers| peers.iter().any(|peer| peer.state == PeerState::Ready)).await;
    }
    let second = nodes.pop().unwrap();
    full.until_state(second.id(), |state| {
        state.why().is_some_and(|why| why.contains("its maximum"))
    })
    .await;
    assert_eq!(full.state(&nodes[0].id()), Some(PeerState::Ready));
    assert_eq!(full.handle.counters().peers_displaced, 0);
}

#[tokio::test]
async fn silent_addresses_delay_a_live_one_by_one_turn() {
    let mut live = Node::listening(TCP).await;
    // Listeners that accept no connection: each dial lasts until its timeout.
    let mut dead = Vec::new();
    let mut bootstrap = Vec::new();
    for _ in 0..30 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        bootstrap.push(format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap());
        dead.push(listener);
    }
    bootstrap.push(live.address());
    let connection_timeout = Duration::from_secs(50);
    let start = Instant::now();
    let mut node = Node::start(NetConfig { bootstrap, connection_timeout, ..config() }).await;
    // The user's own dial has a separate place.
    let other = Node::listening(TCP).await;
    assert_eq!(within(node.handle.dial(other.address())).await.unwrap(), other.id());
    node.ready(live.id()).await;
    live.ready(node.id()).await;
    assert!(start.elapsed() < connection_timeout / 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn dials_of_callers_are_bounded() {
    let node = Node::listening(TCP).await;
    let mut dead = Vec::new();
    let mut dials = tokio::task::JoinSet::new();
    for _ in 0..=limits::CALLER_DIALS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        dead.push(listener);
        let handle = node.handle.clone();
        let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
        dials.spawn(async move { handle.dial(address).await });
    }
    let first = within(dials.join_next()).await.unwrap().unwrap();
    assert!(matches!(first, Err(DialError::Busy)), "{first:?}");
}

#[tokio::test]
async fn remembered_peer_is_admitted_beside_the_most_strangers() {
    let key = identity::ephemeral();
    let peer = key.public().to_peer_id();
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/9999".parse().unwrap();
    let remembered = Remembered::new(peer, &[address], false).into_iter().collect();
    let mut node = Node::start(NetConfig { remembered, ..config() }).await;
    let mut swarms = Vec::new();
    for _ in 0..limits::STRANGERS {
        let mut swarm = bare::swarm(Security::Noise);
        bare::connect(&mut swarm, &node.address()).await;
        swarms.push(swarm);
    }
    let attack = run(swarms);
    let bootstrap = vec![node.address()];
    let mut friend = Node::start(NetConfig { keypair: key, bootstrap, ..config() }).await;
    friend.ready(node.id()).await;
    node.ready(peer).await;
    attack.abort();
}
