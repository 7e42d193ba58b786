//! Starts a node: reads the journal, opens the sockets, and spawns the tasks.
//!
//! Absent on purpose: what is checked before (`builder`), and what each task does.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Weak},
};

use meshwork_core::{
    BlobHash, PeerId,
    engine::{Engine, EngineConfig},
    limits as core_limits,
};
use meshwork_exec::{Executor, Files, ManualAttempt};
use meshwork_net::{
    Keypair, NetConfig, NetHandle, Network, Offer, Remembered, blob::serve::BlobEvent,
};
use tokio::sync::{mpsc, watch};

use crate::{
    blobs::{
        fetcher::Fetcher,
        place::{self, Place},
    },
    book::keeper::Keeper,
    config::NetworkConfig,
    driver::{Driver, DriverParts, Feeds, call::Call, handle::CallQueues},
    error::{InternalError, NetworkError},
    event::NetworkEvent,
    journal::Journal,
    limits,
    monitor::ResourceMonitor,
    node::{Node, OnDisk, Running, Unstarted},
    probes::Probes,
    publisher::Publisher,
    vitals::{Samples, Vitals},
};

/// Opens the sockets and spawns the node's tasks.
///
/// # Errors
///
/// The journal cannot be read, an address cannot be listened on, or the handler threads cannot be
/// started.
pub(crate) async fn start(node: &Arc<Node>, unstarted: Unstarted) -> Result<Running, NetworkError> {
    let Unstarted { keypair, registry, boot, queues, manual } = unstarted;
    let Node { config, clock, publisher, .. } = &**node;
    let policy = node.policies.now();
    let offer = policy.offer(&node.advert);
    let mut engine = Engine::new(engine_config(config, node.local_peer, boot, &offer));
    let Opened { journal, blobs, lost } = open(node, &mut engine).await?;
    let (reports, report_queue) = mpsc::channel(limits::REPORTS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let files = files(config, &blobs)?;
    let executor = Executor::new(registry, threads, reports, Some(files));
    let executor = executor.map_err(InternalError::Threads)?;
    let (keeper, book) = Keeper::open(node).await.unzip();
    let remembered = keeper.as_ref().map(Keeper::remembered).unwrap_or_default();
    let mut net_config = net_config(config, keypair, boot, offer, remembered);
    net_config.blocked.clone_from(&policy.blocked);
    let network = Network::build(net_config, clock.monotonic);
    let Network { handle: net, event_loop, events: facts, sessions, blobs: streams } =
        network.await?;
    let archive = journal.as_ref().map(|journal| journal.archiver().archive());
    let CallQueues { entries, calls, snapshot } = queues;
    let driver = Driver::new(DriverParts {
        engine,
        executor,
        net: net.clone(),
        clock: *clock,
        publisher: publisher.clone(),
        collector: Arc::clone(node.collector()),
        snapshot,
        feeds: Feeds { entries, calls, facts, sessions, reports: report_queue },
        own_calls: node.driver.downgrade(),
        journal,
        fetcher: Fetcher::new(net.clone(), Arc::clone(&blobs), node.driver.downgrade()),
        blobs: Arc::clone(&blobs),
        lost,
        durability: config.durability,
        policies: Arc::clone(&node.policies),
    });
    let on_disk = archive.zip(book).map(|(archive, book)| OnDisk { archive, book });
    let (prober, running) = probes(node, &net, blobs, on_disk);
    if let Some(keeper) = keeper {
        spawn("peer book", keeper.run(net.watch_peers()));
    }
    // Each of the two ends when the other does. A panic in one stops the node with a line in the log.
    spawn("event loop", event_loop.run());
    spawn("driver", driver.run());
    spawn("probes", prober.run());
    spawn("blob requests", pass_on(streams, node.driver.downgrade()));
    spawn("manual attempts", announce(manual, publisher.clone()));
    spawn("partial blobs", sweep(Arc::downgrade(&running.blobs), net.clone()));
    spawn("metrics", record(Arc::downgrade(node), net.clone()));
    Ok(running)
}

/// The task that measures, and the running parts of the node, with what it keeps on disk.
fn probes(
    node: &Node,
    net: &NetHandle,
    blobs: Arc<Place>,
    on_disk: Option<OnDisk>,
) -> (Probes, Running) {
    let Node { config, publisher, driver, .. } = node;
    let dir = config.home.as_deref().unwrap_or_else(|| Path::new("."));
    let monitor = ResourceMonitor::of(&config.offered, dir, driver.snapshots());
    let (samples, latest) = watch::channel(Samples::default());
    let vitals = Vitals {
        samples: latest,
        driver: driver.snapshots(),
        net: net.clone(),
        listeners: config.listen_addrs.len(),
        archive: on_disk.as_ref().map(|on_disk| Arc::clone(&on_disk.archive)),
    };
    let (probes, commands) = mpsc::channel(limits::PROBES);
    let prober = Probes {
        local: node.local_peer,
        monitor: monitor.clone(),
        net: net.clone(),
        calls: driver.downgrade(),
        publisher: publisher.clone(),
        commands,
        vitals: vitals.clone(),
        samples,
    };
    (prober, Running { net: net.clone(), probes, monitor, vitals, blobs, on_disk })
}

/// Spawns one of the node's tasks. A panic in it is logged. Of the driver and the event loop, each
/// ends when the channels of the other close.
pub(crate) fn spawn(name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let running = tokio::spawn(task);
    tokio::spawn(async move {
        if let Err(error) = running.await
            && error.is_panic()
        {
            tracing::error!(task = name, "a task of the node panicked; the node stops");
        }
    });
}

/// What a node reads at its start.
struct Opened {
    /// `None` without a home.
    journal: Option<Journal>,
    blobs: Arc<Place>,
    /// Blobs of the journal whose files are gone.
    lost: Vec<BlobHash>,
}

/// Opens the journal and the blobs, if there is a home, and restores the engine from them.
async fn open(node: &Node, engine: &mut Engine) -> Result<Opened, NetworkError> {
    let Some(home) = &node.config.home else {
        let blobs = Arc::new(Place::temporary());
        engine.set_blob_budget(budget(node, blobs.store().dir(), engine));
        return Ok(Opened { journal: None, blobs, lost: Vec::new() });
    };
    let (journal, known) = open_journal(node, home, engine).await?;
    let dir = home.clone();
    let opened = tokio::task::spawn_blocking(move || Place::open(&dir, &known)).await;
    let (blobs, found) =
        opened.map_err(|_| InternalError::Stopped)?.map_err(InternalError::from)?;
    engine.set_blob_budget(budget(node, blobs.store().dir(), engine));
    engine.set_remains(found.remains, node.clock.now());
    Ok(Opened { journal: Some(journal), blobs: Arc::new(blobs), lost: found.lost })
}

/// The files of attempts: in the home, or beside the temporary blobs.
fn files(config: &NetworkConfig, blobs: &Place) -> Result<Files, InternalError> {
    let store = blobs.store().clone();
    match &config.home {
        Some(home) => Files::open(store, home.join("work")).map_err(InternalError::Work),
        None => {
            let work = store.dir().join("work");
            Ok(Files::temporary(store, work))
        }
    }
}

/// Bytes that blobs may take.
fn budget(node: &Node, dir: &Path, engine: &Engine) -> u64 {
    let configured = node.config.offered.disk_bytes;
    configured.unwrap_or_else(|| place::default_budget(dir, engine.blob_space().used))
}

/// Opens the journal and restores the engine from it. Also returns the sizes of its blobs.
async fn open_journal(
    node: &Node,
    home: &Path,
    engine: &mut Engine,
) -> Result<(Journal, HashMap<BlobHash, u64>), NetworkError> {
    let clock = node.clock;
    let opened = Journal::open(home, node.owner(), clock, node.recovery.clone()).await;
    let (journal, mut ledger) = opened.map_err(InternalError::from)?;
    let now = clock.now();
    let archive = journal.archiver().archive();
    let blobs = ledger.blobs().iter().map(|(hash, blob)| (*hash, blob.size)).collect();
    engine.restore_archive(&mut ledger)?;
    engine.expect_volumes(archive.live());
    for first in archive.firsts() {
        let archive = Arc::clone(&archive);
        let volume = tokio::task::spawn_blocking(move || archive.volume(first)).await;
        let volume = volume.map_err(|_| InternalError::Stopped)?;
        engine.restore_volume(&volume.map_err(InternalError::from)?)?;
    }
    let (tasks, kept_results) = ledger.into_parts();
    for (number, task) in (1..).zip(tasks) {
        engine.restore(task, now)?;
        if number % limits::RESTORE_AT_ONCE == 0 {
            // On a runtime of one thread, callers are answered meanwhile.
            tokio::task::yield_now().await;
        }
    }
    for (result, finished) in kept_results {
        engine.restore_kept(result, finished, now)?;
    }
    Ok((journal, blobs))
}

/// Passes requests of peers for blobs on to the driver, until the network or the node stops.
async fn pass_on(mut streams: mpsc::Receiver<BlobEvent>, driver: mpsc::WeakSender<Call>) {
    while let Some(event) = streams.recv().await {
        let Some(calls) = driver.upgrade() else { return };
        if calls.send(Call::BlobStream(event)).await.is_err() {
            return;
        }
    }
}

/// Publishes the attempts at manual handlers, until the executor stops.
async fn announce(mut attempts: mpsc::Receiver<ManualAttempt>, publisher: Publisher) {
    while let Some(attempt) = attempts.recv().await {
        publisher.publish(|| NetworkEvent::ManualAttempt(Box::new(attempt)));
    }
}

/// Removes remains of transfers that nobody has continued, until the node stops.
async fn sweep(place: Weak<Place>, net: NetHandle) {
    loop {
        tokio::time::sleep(limits::SWEEP_EVERY).await;
        let Some(place) = place.upgrade() else { return };
        if net.is_closed() {
            return;
        }
        let store = place.store().clone();
        let swept = tokio::task::spawn_blocking(move || store.sweep_partials(core_limits::REMAINS));
        if let Ok(Err(error)) = swept.await {
            tracing::warn!(%error, "the remains of old transfers are not removed");
        }
    }
}

/// Passes metrics on at intervals, until the node stops or its last handle is dropped.
async fn record(node: Weak<Node>, net: NetHandle) {
    loop {
        tokio::time::sleep(limits::RECORD_EVERY).await;
        let Some(node) = node.upgrade() else { return };
        if net.is_closed() {
            return;
        }
        node.record_metrics();
    }
}

fn engine_config(config: &NetworkConfig, local: PeerId, boot: u32, offer: &Offer) -> EngineConfig {
    EngineConfig {
        local,
        boot,
        advert: offer.advert.as_ref().clone(),
        accept: offer.accept.as_ref().clone(),
        slots: offer.advert.capacity.slots,
        durability: config.durability,
        lease: config.tasks.lease,
        heartbeat: config.tasks.heartbeat,
        max_owned: config.tasks.max_owned,
        keep_bytes: config.tasks.keep_bytes,
        memory_bytes: config.tasks.keep_bytes.min(core_limits::ENDED_IN_MEMORY),
        blob_bytes: 0,
        keep_results: config.tasks.keep_results,
        up_before: std::time::Duration::ZERO,
        started: meshwork_net::clock::START,
    }
}

fn net_config(
    config: &NetworkConfig,
    keypair: Keypair,
    boot: u32,
    offer: Offer,
    remembered: Vec<Remembered>,
) -> NetConfig {
    NetConfig {
        keypair,
        boot,
        network: config.network.clone(),
        listen: config.listen_addrs.clone(),
        remembered,
        blocked: HashSet::new(),
        bootstrap: config.bootstrap_peers.clone(),
        lan: config.lan.clone(),
        mdns: config.mdns,
        max_peers: config.max_peers,
        connection_timeout: config.connection_timeout,
        ping_interval: config.ping_interval,
        protocol_timeout: config.protocol_timeout,
        offer,
    }
}
