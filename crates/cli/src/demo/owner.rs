//! The owner: a node in this process that submits tasks and runs none.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use indicatif::ProgressBar;
use meshwork_core::{PeerId, PeerState, Task};
use meshwork_exec::limits::TOP_WORDS;
use meshwork_node::{NetworkConfig, NetworkManager, Subscription, TaskError, TaskHandle};
use tokio::time::Instant;

use super::{corpus::Corpus, slices::slices, tally::Tally, workers::Workers};
use crate::{
    exit,
    failure::Failure,
    limits,
    output::{Output, bar, format},
};

/// The results of a run.
pub(super) struct Ran {
    pub(super) tally: Tally,
    pub(super) tasks: u64,
    /// From the first submit to the last result.
    pub(super) took: Duration,
}

/// Starts a node on loopback, with a key in memory.
pub(super) async fn start() -> anyhow::Result<NetworkManager> {
    let manager = NetworkManager::builder().config(on_loopback()?).build()?;
    manager.start().await?;
    Ok(manager)
}

/// The configuration that owner and workers share.
pub(super) fn on_loopback() -> anyhow::Result<NetworkConfig> {
    Ok(NetworkConfig {
        listen_addrs: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        mdns: false,
        ..NetworkConfig::default()
    })
}

/// Starts the workers, waits until they are ready, and counts the corpus on them.
pub(super) async fn run(
    owner: &NetworkManager,
    corpus: &Corpus,
    workers: &mut Workers,
    out: &Output,
) -> anyhow::Result<Ran> {
    let mut events = owner.subscribe();
    let address = owner.addresses().into_iter().next().context("the owner has no address")?;
    let ready = async {
        workers.start(&address).await?;
        let peers = workers.peers();
        tokio::select! {
            ready = all_ready(owner, &peers, &mut events) => ready?,
            died = workers.died() => return Err(died.into()),
        }
        anyhow::Ok(peers)
    };
    let peers = tokio::time::timeout(limits::DEMO_READY, ready).await.map_err(|_| {
        let message =
            format!("the workers were not ready within {}", format::span(limits::DEMO_READY));
        Failure::new(exit::FAILED, "not_ready", message)
            .with_hint("meshwork demo -vv        (logs what they are doing)")
    })??;
    out.say("3 workers are ready");
    greet(owner, &peers).await?;
    count(owner, corpus, &peers, out).await
}

/// Runs an empty task on each worker. This opens the sessions, so that all three workers share a
/// corpus of a few slices.
async fn greet(owner: &NetworkManager, peers: &[PeerId]) -> anyhow::Result<()> {
    let mut greeted = Vec::new();
    for peer in peers {
        greeted.push(owner.distribute_task(task(Bytes::new())?, vec![*peer]).await?);
    }
    for handle in greeted {
        handle.end().await?;
    }
    Ok(())
}

async fn all_ready(
    owner: &NetworkManager,
    peers: &[PeerId],
    events: &mut Subscription,
) -> anyhow::Result<()> {
    loop {
        let known = owner.get_peers().await?;
        let is_ready = |peer: &PeerId| {
            known.iter().any(|info| info.peer_id == *peer && info.state == PeerState::Ready)
        };
        if peers.iter().all(is_ready) {
            return Ok(());
        }
        events.next().await.context("the owner has stopped")?;
    }
}

/// Submits one task for each slice, at most [`limits::DEMO_WINDOW`] at a time.
async fn count(
    owner: &NetworkManager,
    corpus: &Corpus,
    peers: &[PeerId],
    out: &Output,
) -> anyhow::Result<Ran> {
    let total = corpus.files.iter().map(|file| slices(file).count()).sum::<usize>();
    let bar = bar(out, u64::try_from(total).unwrap_or(u64::MAX), Duration::ZERO);
    let mut tally = Tally::default();
    let mut under_way = FuturesUnordered::new();
    let start = Instant::now();
    for slice in corpus.files.iter().flat_map(slices) {
        if under_way.len() >= limits::DEMO_WINDOW
            && let Some(ended) = under_way.next().await
        {
            note(ended, &mut tally, &bar);
        }
        let submitted = Instant::now();
        let handle = owner.distribute_task(task(slice)?, peers.to_vec()).await?;
        under_way.push(end(handle, submitted));
    }
    while let Some(ended) = under_way.next().await {
        note(ended, &mut tally, &bar);
    }
    let took = start.elapsed();
    bar.finish_and_clear();
    if let Some(why) = &tally.first_failure {
        out.say(format!("{} tasks failed; the first: {why}", tally.failed));
    }
    Ok(Ran { tally, tasks: u64::try_from(total).unwrap_or(u64::MAX), took })
}

fn task(slice: Bytes) -> anyhow::Result<Task> {
    Ok(Task::new("text/top-words")?.with_input(slice).with_param("n", TOP_WORDS))
}

type Ended = (Result<meshwork_core::TaskResult, TaskError>, Duration);

async fn end(handle: TaskHandle, submitted: Instant) -> Ended {
    let result = handle.result().await;
    (result, submitted.elapsed())
}

fn note((result, latency): Ended, tally: &mut Tally, bar: &ProgressBar) {
    match result {
        Ok(result) => tally.add(&result, latency),
        Err(error) => tally.fail(error.to_string()),
    }
    bar.inc(1);
}
