//! Three nodes in a row, B in the middle: which peers each learns of, and which claims are ignored.
//! In networks with their own private range: which nodes connect to each other.

use std::{collections::BTreeSet, sync::Arc};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::kad;
use meshwork_core::{Advert, DiscoveryEvent, PeerQuery, PeerState};
use meshwork_net::{NetConfig, NetEvent, Offer};

use crate::support::{
    Node, TCP,
    bare::{self, BareEvent, Security},
    config, offer, within,
};

fn capable(name: &str, capability: &str) -> Offer {
    let plain = offer(name);
    let advert = Advert { capabilities: [capability.to_owned()].into(), ..(*plain.advert).clone() };
    Offer { advert: Arc::new(advert), ..plain }
}

fn by_capability(capability: &str) -> PeerQuery {
    PeerQuery { capability: Some(capability.to_owned()), ..PeerQuery::default() }
}

/// A and C know B, and B knows them; A and C do not know each other.
async fn row() -> [Node; 3] {
    let mut b = Node::listening(TCP).await;
    let mut a = Node::joining(TCP, &b).await;
    let bootstrap = vec![b.address()];
    let mut c = Node::start(NetConfig { offer: capable("c", "gpu"), bootstrap, ..config() }).await;
    a.ready(b.id()).await;
    c.ready(b.id()).await;
    b.ready(a.id()).await;
    // B has received C's advert.
    b.event(|event| match event {
        NetEvent::Heard { peer, known, .. } if peer == c.id() => Some(known),
        _ => None,
    })
    .await;
    [a, b, c]
}

#[tokio::test]
async fn peer_of_a_peer_is_found_by_capability() {
    let [a, b, c] = row().await;
    let found = within(a.handle.find_peers(by_capability("gpu"))).await.unwrap();
    let peers: Vec<_> = found.iter().map(|status| status.peer).collect();
    assert_eq!(peers, [c.id()]);
    let advert = found[0].advert.as_ref().unwrap();
    assert_eq!(
        (advert.name.as_str(), &advert.capabilities),
        ("c", &BTreeSet::from(["gpu".into()]))
    );
    assert!(matches!(&found[0].state, PeerState::Disconnected(_)), "hearsay is not contact");
    assert!(found[0].addresses.is_empty(), "by default loopback is not an own network");
    // The connected peer is found as well, and comes first.
    let all = within(a.handle.find_peers(PeerQuery::default())).await.unwrap();
    assert_eq!(all.iter().map(|status| status.peer).collect::<Vec<_>>(), [b.id(), c.id()]);
    let seen = [&found[0], &all[1]].map(|status| status.last_seen.get());
    assert_eq!(seen[0], seen[1], "hearsay does not change when a peer was last seen");
    // Handlers that are not open to everybody were not sent to everybody.
    assert!(advert.handlers.iter().all(|handler| handler.to_string() == "debug/echo"));
}

#[tokio::test]
async fn same_search_is_not_repeated() {
    let [a, mut b, _c] = row().await;
    for _ in 0..3 {
        assert!(within(a.handle.find_peers(by_capability("none"))).await.unwrap().is_empty());
    }
    // B gets another query afterwards, so it has received all earlier ones.
    within(a.handle.find_peers(by_capability("last"))).await.unwrap();
    let mut queries = Vec::new();
    while queries.last().is_none_or(|last| *last != by_capability("last")) {
        let query = b.event(|event| match event {
            NetEvent::Heard { peer, query: Some(query), .. } if peer == a.id() => Some(query),
            _ => None,
        });
        queries.push(PeerQuery { limit: PeerQuery::default().limit, ..query.await });
    }
    assert_eq!(queries, [by_capability("none"), by_capability("last")]);
}

#[tokio::test]
async fn disconnected_peer_is_not_passed_on() {
    // Without other nodes, which might send C's advert to B again.
    let mut b = Node::listening(TCP).await;
    let bootstrap = vec![b.address()];
    let c = Node::start(NetConfig { offer: capable("c", "gpu"), bootstrap, ..config() }).await;
    let lost_peer = c.id();
    b.event(|event| match event {
        NetEvent::Heard { peer, known, .. } if peer == lost_peer => Some(known),
        _ => None,
    })
    .await;
    within(c.handle.stop()).await;
    let why = b.disconnected(lost_peer).await;
    // Bytes in flight to C when it closes its socket cause a reset.
    let ends = ["the peer closed the connection", "the connection broke off"];
    assert!(why.as_deref().is_some_and(|why| ends.contains(&why)), "{why:?}");
    let mut late = Node::joining(TCP, &b).await;
    late.ready(b.id()).await;
    let found = within(late.handle.find_peers(by_capability("gpu"))).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn an_announcement_reaches_peers_at_once() {
    let [_a, mut b, c] = row().await;
    c.handle.set_offer(capable("c", "gpu2")).await.unwrap();
    let info = meshwork_core::PeerInfo { peer_id: c.id(), ..info_of(&c) };
    c.handle.discovery(DiscoveryEvent::AnnouncePeer(Box::new(info))).await.unwrap();
    let known = b
        .event(|event| match event {
            NetEvent::Heard { peer, known, .. } if peer == c.id() => Some(known),
            _ => None,
        })
        .await;
    let own = known.iter().find(|status| status.peer == c.id()).unwrap();
    assert!(own.advert.as_ref().unwrap().capabilities.contains("gpu2"));
}

fn info_of(node: &Node) -> meshwork_core::PeerInfo {
    let (id, addresses) = (node.id(), vec![node.address()]);
    meshwork_core::PeerInfo::hint(id, addresses, chrono::DateTime::UNIX_EPOCH)
}

#[tokio::test]
async fn announced_peer_is_kept_and_not_passed_on() {
    let [a, mut b, c] = row().await;
    let stranger = Node::listening(TCP).await;
    let hint = DiscoveryEvent::AnnouncePeer(Box::new(info_of(&stranger)));
    b.handle.discovery(hint).await.unwrap();
    // Bootstrap makes B send the adverts that it knows.
    b.handle.discovery(DiscoveryEvent::Bootstrap).await.unwrap();
    within(a.handle.find_peers(by_capability("gpu"))).await.unwrap();
    let known: Vec<_> = a.handle.known(&PeerQuery::default()).iter().map(|s| s.peer).collect();
    assert!(!known.contains(&stranger.id()) && known.contains(&c.id()), "{known:?}");
    // Loopback addresses are not dialled on another peer's word.
    assert!(b.handle.counters().dials_filtered == 0 && stranger.handle.peers().is_empty());
    b.events.close();
}

#[tokio::test]
async fn stranger_gets_a_refusal_instead_of_adverts() {
    let node = Node::listening(TCP).await;
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &node.address()).await;
    let mut stream = bare::open(&mut swarm, node.id(), "/meshwork/discovery/1.0.0")
        .await
        .expect("the protocol is spoken");
    let exchange = async {
        // One query for one peer: field 2, which contains field 6.
        stream.write_all(&[4, 0x12, 2, 0x30, 1]).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let answer = bare::meanwhile(&mut swarm, exchange).await;
    let (&length, message) = answer.split_first().expect("an answer");
    assert_eq!(usize::from(length), message.len());
    assert_eq!(message[0], 0x12, "refused, field 2: {message:?}");
    assert!(String::from_utf8_lossy(message).contains("hello"), "{message:?}");
}

#[tokio::test]
async fn dht_returns_providers_of_a_capability() {
    // In one range: Kademlia returns no provider without a known address.
    let b = Node::start(on_lan(8)).await;
    let bootstrap = vec![b.address()];
    let mut c = Node::start(NetConfig { offer: capable("c", "gpu"), bootstrap, ..on_lan(8) }).await;
    c.ready(b.id()).await;
    c.handle.discovery(DiscoveryEvent::StartDHT).await.unwrap();
    let mut swarm = bare::swarm(Security::Noise);
    bare::connect(&mut swarm, &b.address()).await;
    swarm.behaviour_mut().kad.add_address(&b.id(), b.address());
    let key = kad::RecordKey::from(multihash_of("test/gpu"));
    // C publishes its record some time later, so ask B until it has it.
    let found = within(async {
        loop {
            let query = swarm.behaviour_mut().kad.get_providers(key.clone());
            let found = bare::event(&mut swarm, |event| match event {
                libp2p::swarm::SwarmEvent::Behaviour(BareEvent::Kad(
                    kad::Event::OutboundQueryProgressed {
                        id,
                        result: kad::QueryResult::GetProviders(Ok(found)),
                        ..
                    },
                )) if id == query => Some(found),
                _ => None,
            })
            .await;
            if let kad::GetProvidersOk::FoundProviders { providers, .. } = found
                && !providers.is_empty()
            {
                return providers;
            }
        }
    })
    .await;
    assert_eq!(found, [c.id()].into());
}

/// The key of a capability as in `docs/protocol.md`: sha2-256 of NETWORK/CAPABILITY, as a
/// multihash.
fn multihash_of(text: &str) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    [[0x12, 0x20].as_slice(), &Sha256::digest(text)].concat()
}

#[tokio::test]
async fn strangers_that_read_nothing_do_not_block_others() {
    let [a, mut b, _c] = row().await;
    let mut swarms = Vec::new();
    // More refusals than may be in progress, over enough connections.
    for _ in 0..8 {
        let mut swarm = bare::swarm(Security::Noise);
        bare::connect(&mut swarm, &b.address()).await;
        let mut held = Vec::new();
        for _ in 0..16 {
            let Ok(stream) = bare::open(&mut swarm, b.id(), "/meshwork/discovery/1.0.0").await
            else {
                break;
            };
            held.push(stream);
        }
        swarms.push((swarm, held));
    }
    assert!(b.handle.counters().streams_refused > 0, "refusals are bounded");
    within(a.handle.find_peers(by_capability("none"))).await.unwrap();
    b.event(|event| match event {
        NetEvent::Heard { peer, query: Some(_), .. } if peer == a.id() => Some(()),
        _ => None,
    })
    .await;
}

/// A node whose own network is loopback, which it shares with all nodes of the test.
fn on_lan(max_peers: usize) -> NetConfig {
    NetConfig { lan: vec!["127.0.0.0/8".parse().unwrap()], max_peers, ..config() }
}

/// The same, but with a full mesh as soon as it has one peer: it dials only peers that the test
/// names.
fn content() -> NetConfig {
    on_lan(2)
}

#[tokio::test]
async fn small_network_becomes_fully_connected() {
    const NODES: usize = 12;
    let first = Node::start(on_lan(32)).await;
    let bootstrap = vec![first.address()];
    let mut nodes = vec![first];
    for _ in 1..NODES {
        nodes.push(Node::start(NetConfig { bootstrap: bootstrap.clone(), ..on_lan(32) }).await);
    }
    let started = std::time::Instant::now();
    let ready = |peers: &[meshwork_net::PeerStatus]| {
        peers.iter().filter(|peer| peer.state == PeerState::Ready).count() == NODES - 1
    };
    // Meanwhile the events of all nodes are read.
    futures::future::join_all(nodes.iter_mut().map(|node| node.until(ready))).await;
    println!("{NODES} nodes are connected with each other after {:?}", started.elapsed());
}

#[tokio::test]
async fn named_peer_is_found_at_any_address() {
    let b = Node::start(on_lan(8)).await;
    let bootstrap = vec![b.address()];
    let mut a = Node::start(NetConfig { bootstrap: bootstrap.clone(), ..content() }).await;
    a.ready(b.id()).await;
    let keypair = meshwork_net::identity::ephemeral();
    let c_config =
        || NetConfig { keypair: keypair.clone(), bootstrap: bootstrap.clone(), ..content() };
    let c_id = keypair.public().to_peer_id();
    // Before any node has seen it.
    assert!(a.handle.keep(c_id, true));
    let c = Node::start(c_config()).await;
    a.ready(c_id).await;
    let first = c.address();
    c.stop().await;
    a.disconnected(c_id).await;
    // It returns with the same key, at another address.
    let here = first.iter().take(2).collect();
    let other = Node::start(NetConfig { listen: vec![here], ..config() }).await;
    let _c = Node::start(NetConfig { boot: 2, ..c_config() }).await;
    a.ready(c_id).await;
    drop(other);
}

#[tokio::test]
async fn peer_that_tasks_wait_for_is_found() {
    let b = Node::start(on_lan(8)).await;
    let bootstrap = vec![b.address()];
    let mut a = Node::start(NetConfig { bootstrap: bootstrap.clone(), ..content() }).await;
    let mut c = Node::start(NetConfig { bootstrap, ..content() }).await;
    a.ready(b.id()).await;
    c.ready(b.id()).await;
    assert!(a.state(&c.id()).is_none(), "no task waits for it yet");
    assert!(a.handle.seek(vec![c.id()]));
    a.ready(c.id()).await;
    // No task waits any longer: the peer is not dialled again.
    assert!(a.handle.seek(Vec::new()));
    c.stop().await;
}

#[tokio::test]
async fn peer_outside_the_range_learns_no_private_address() {
    let b = Node::start(on_lan(8)).await;
    let bootstrap = vec![b.address()];
    // A's own network is not loopback, so A does not announce its address either.
    let mut a = Node::start(NetConfig { bootstrap: bootstrap.clone(), ..config() }).await;
    let offer = capable("c", "gpu");
    let mut c = Node::start(NetConfig { bootstrap, offer, ..content() }).await;
    a.ready(b.id()).await;
    c.ready(b.id()).await;
    let handle = a.handle.clone();
    a.until(|_| handle.known(&by_capability("gpu")).len() == 1).await;
    assert!(a.handle.keep(c.id(), true));
    within(a.handle.find_peers(by_capability("none"))).await.unwrap();
    assert!(!matches!(a.state(&c.id()), Some(PeerState::Ready)));
    assert!(c.state(&a.id()).is_none(), "no dial arrived");
}
