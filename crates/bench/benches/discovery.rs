//! The cost of finding peers among the known ones, without asking others.
#![expect(clippy::expect_used, reason = "a bench that cannot start must fail")]

use std::{collections::BTreeSet, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use meshwork::{
    NetworkConfig, NetworkEvent, NetworkManager,
    peer::{Advert, PeerId, PeerQuery, PeerStage},
};
use meshwork_bench::peer;
use meshwork_core::limits;
use meshwork_net::bench::Cache;
use tokio::runtime::Runtime;

/// Full tables in which all entries match, so that only the nearest must be found.
fn tables(c: &mut Criterion) {
    let mut group = c.benchmark_group("find_peers");
    let advert = Advert { capabilities: BTreeSet::from(["gpu".to_owned()]), ..Advert::default() };
    let ids: Vec<PeerId> = (0..96 + limits::LEADS).map(peer).collect();
    let (peers, leads) = ids.split_at(96);
    let cache = Cache::new(peers, leads, &advert);
    let all = PeerQuery::capability("gpu");
    assert_eq!(cache.find(&all).len(), all.limit, "the measured code must work");
    group.bench_function("16 of 1,120 that match", |b| b.iter(|| cache.find(&all)));
    let near = PeerQuery { latency: Some(Duration::from_millis(5)), ..all };
    group.bench_function("16 of 1,120, a few match", |b| b.iter(|| cache.find(&near)));
    group.finish();
}

/// The whole call on a node with peers on real sockets.
fn node(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (node, _others) = runtime.block_on(mesh()).expect("nodes on loopback");
    let discovery = node.discovery_protocol();
    let query = PeerQuery { state: Some(PeerStage::Ready), limit: PEERS, ..PeerQuery::default() };
    let mut group = c.benchmark_group("find_peers");
    group.bench_function("of a node with 8 peers", |b| {
        b.to_async(&runtime).iter(|| discovery.find_peers(query.clone()));
    });
    group.finish();
}

const PEERS: usize = 8;

/// A node with [`PEERS`] ready peers.
async fn mesh() -> Result<(NetworkManager, Vec<NetworkManager>), Box<dyn std::error::Error>> {
    let loopback = NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    };
    let node = NetworkManager::new(loopback.clone()).await?;
    node.start().await?;
    let mut events = node.subscribe();
    let mut others = Vec::new();
    for _ in 0..PEERS {
        let other = NetworkManager::new(loopback.clone()).await?;
        other.start().await?;
        for address in other.addresses() {
            node.dial(address).await?;
        }
        others.push(other);
    }
    let mut ready = 0;
    while ready < PEERS {
        let event = events.next().await.ok_or("the node has stopped")?;
        ready += usize::from(matches!(event, NetworkEvent::PeerReady { .. }));
    }
    Ok((node, others))
}

criterion_group!(benches, tables, node);
criterion_main!(benches);
