//! Owner and workers of a bench: nodes that use the public API.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use meshwork::{
    NetworkConfig, NetworkManager, Task, TaskType,
    config::{Accept, AcceptPolicy, Multiaddr, Offered},
    peer::PeerState,
    task::Durability,
};

use tempfile::TempDir;

use super::{
    Transport,
    child::{Ask, Parent},
    lanes,
};

/// Runs a node that submits to the workers at these addresses and has no slots.
pub(super) async fn owner(
    payload: usize,
    window: usize,
    durability: Durability,
    workers: &[String],
) -> anyhow::Result<()> {
    let offered = Offered { slots: Some(0), ..Offered::default() };
    let (home, config) = loopback(durability)?;
    let config = NetworkConfig { listen_addrs: Vec::new(), offered, ..config };
    let manager = NetworkManager::builder().config(config).build()?;
    manager.start().await?;
    for worker in workers {
        let address: Multiaddr = worker.parse().context("a worker's address")?;
        let peer = manager.dial(address).await?;
        manager.trust(peer, true).await?;
    }
    let mut parent = Parent::greet(manager.local_peer_id().to_string()).await?;
    let node = manager.clone();
    let one = Rc::new(move |number| one(node.clone(), payload, number));
    while let Some(ask) = parent.next().await? {
        match ask {
            Ask::Burst(tasks) => {
                ready(&manager, workers.len()).await?;
                let burst = lanes::burst(window, tasks, Rc::clone(&one)).await?;
                parent.answer(&burst).await?;
            }
            Ask::Single(tasks) => {
                parent.answer(&lanes::single(tasks, one.as_ref()).await?).await?;
            }
            Ask::Trust(_) | Ask::Usage | Ask::Pin(_) => bail!("not for an owner"),
        }
    }
    manager.shutdown().await?;
    Ok(home.map_or(Ok(()), TempDir::close)?)
}

/// Runs a node that echoes the tasks of the owner that it trusts.
pub(super) async fn worker(transport: Transport, durability: Durability) -> anyhow::Result<()> {
    let listen = match transport {
        Transport::Tcp => "/ip4/127.0.0.1/tcp/0",
        Transport::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
    };
    let (home, config) = loopback(durability)?;
    let config = NetworkConfig {
        listen_addrs: vec![listen.parse()?],
        accept: AcceptPolicy::default().with("debug", Accept::Listed),
        ..config
    };
    let manager = NetworkManager::builder().config(config).debug_handlers(None).build()?;
    manager.start().await?;
    let address = manager.addresses().first().context("no listener")?.to_string();
    let mut parent = Parent::greet(address).await?;
    while let Some(ask) = parent.next().await? {
        match ask {
            Ask::Trust(peer) => {
                manager.trust(peer.parse()?, true).await?;
                parent.answer(&()).await?;
            }
            Ask::Burst(_) | Ask::Single(_) | Ask::Usage | Ask::Pin(_) => bail!("not for a worker"),
        }
    }
    manager.shutdown().await?;
    Ok(home.map_or(Ok(()), TempDir::close)?)
}

/// The shared configuration, and the temporary home of a node that writes to disk.
fn loopback(durability: Durability) -> anyhow::Result<(Option<TempDir>, NetworkConfig)> {
    let home = (durability == Durability::Disk).then(tempfile::tempdir).transpose()?;
    let dir = home.as_ref().map(|home| home.path().to_owned());
    let config = NetworkConfig { mdns: false, home: dir, durability, ..NetworkConfig::default() };
    Ok((home, config))
}

/// Waits until all workers can receive tasks.
async fn ready(manager: &NetworkManager, workers: usize) -> anyhow::Result<()> {
    let mut events = manager.subscribe();
    let all = async {
        loop {
            let peers = manager.get_peers().await?;
            let usable = peers.iter().filter(|peer| {
                peer.state == PeerState::Ready
                    && peer.advert.as_ref().is_some_and(|advert| !advert.handlers.is_empty())
            });
            if usable.count() >= workers {
                return anyhow::Ok(());
            }
            events.next().await.context("the node has stopped")?;
        }
    };
    tokio::time::timeout(READY, all).await.context("the workers were not ready in time")?
}

/// Submits one task, awaits it and compares the result. Returns when the task was accepted.
async fn one(manager: NetworkManager, payload: usize, number: u64) -> anyhow::Result<Instant> {
    let input = super::floor::payload(payload, number);
    let task = Task {
        task_type: TaskType::Custom("debug".to_owned()),
        operation: "echo".into(),
        ..Task::default()
    };
    let task = task.with_input(input.clone());
    let handle = manager.distribute_task(task, Vec::new()).await?;
    let accepted = Instant::now();
    lanes::compare(handle.result().await?.bytes()?, &input)?;
    Ok(accepted)
}

/// How long the workers may take to be ready. On an idle machine each starts in well under a
/// second.
const READY: Duration = Duration::from_secs(30);
