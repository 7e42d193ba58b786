//! Puts a node together: checks the configuration, takes the home, registers handlers.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, Weak},
};

use meshwork_core::{
    Advert, Capacity, HandlerName, PeerId,
    engine::{Engine, EngineConfig},
    limits as core_limits,
};
use meshwork_exec::{Executor, Handler, ManualAttempt, ManualDesk, RegisterError, Registry};
use meshwork_net::{
    BuildError, Keypair, NetConfig, NetHandle, Network, Offer, Remembered, identity,
};
use tokio::sync::{broadcast, mpsc, watch};

use crate::{
    book::Keeper,
    clock::Clock,
    config::{Identity, NetworkConfig, UnknownFamily},
    driver::{Call, Driver, DriverParts, Feeds},
    error::{InternalError, NetworkError},
    home::{self, Home, PeerList},
    journal::{self, Journal, Recovery},
    limits,
    manager::{Inner, NetworkManager},
    monitor::{ResourceMonitor, total_memory},
    policy::{Policies, Policy},
    probes::Probes,
    snapshot::{self, Snapshot},
};

/// Puts a node together. Made by [`NetworkManager::builder`].
///
/// ```
/// # async fn example() -> Result<(), meshwork_node::NetworkError> {
/// use meshwork_exec::handler_fn;
/// use meshwork_node::NetworkManager;
///
/// let manager = NetworkManager::builder()
///     .handler(handler_fn("demo/reverse", |_cx, input| async move {
///         Ok(input.iter().rev().copied().collect::<Vec<u8>>().into())
///     }))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct NetworkManagerBuilder {
    config: NetworkConfig,
    registry: Result<Registry, RegisterError>,
    desk: ManualDesk,
    manual: mpsc::Receiver<ManualAttempt>,
}

impl Default for NetworkManagerBuilder {
    fn default() -> Self {
        let (notices, manual) = mpsc::channel(limits::MANUAL_NOTICES);
        Self {
            config: NetworkConfig::default(),
            registry: Registry::new().with_text(),
            desk: ManualDesk::new(notices),
            manual,
        }
    }
}

impl NetworkManagerBuilder {
    /// Uses this configuration in place of the default one.
    #[must_use]
    pub fn config(mut self, config: NetworkConfig) -> Self {
        self.config = config;
        self
    }

    /// Adds a handler. That its name is bad or taken is said by [`Self::build`].
    #[must_use]
    pub fn handler(mut self, handler: impl Handler) -> Self {
        self.registry = self.registry.and_then(|mut registry| {
            registry.register(handler)?;
            Ok(registry)
        });
        self
    }

    /// Adds a handler whose attempts the program completes itself. Each that starts is a
    /// [`NetworkEvent::ManualAttempt`](crate::NetworkEvent::ManualAttempt), and waits for
    /// [`TaskProtocol::send_result`](crate::TaskProtocol::send_result), or its limit. That the name
    /// is bad or taken is said by [`Self::build`].
    #[must_use]
    pub fn manual_handler(mut self, name: &str) -> Self {
        self.registry = self.registry.and_then(|mut registry| {
            registry.register(self.desk.handler(name.parse()?))?;
            Ok(registry)
        });
        self
    }

    /// Adds the `debug/…` handlers. With a file, every start of `debug/sleep` appends a line to it.
    #[must_use]
    pub fn debug_handlers(mut self, log: Option<PathBuf>) -> Self {
        self.registry = self.registry.and_then(|registry| registry.with_debug(log));
        self
    }

    /// Checks everything and takes the home. Opens no socket yet.
    ///
    /// # Errors
    ///
    /// A field of the configuration is out of its range; the home is in use, damaged or open to
    /// others; the identity key cannot be used; a handler's name is bad or taken.
    pub fn build(self) -> Result<NetworkManager, NetworkError> {
        let Self { mut config, registry, desk, manual } = self;
        config.check()?;
        let registry = registry.map_err(InternalError::from)?;
        let handlers: Vec<HandlerName> = registry.names().cloned().collect();
        let descriptions = registry.descriptions();
        let descriptions = descriptions.map(|(name, d)| (name.clone(), d.clone())).collect();
        let home = config.home.as_deref().map(Home::open).transpose();
        let home = home.map_err(InternalError::from)?.map(Arc::new);
        let keypair = match &config.identity {
            Identity::Ephemeral => identity::ephemeral(),
            Identity::File(path) => {
                if let Some(home) = &config.home {
                    journal::check_key(home, path).map_err(InternalError::from)?;
                }
                identity::load_or_create(path).map_err(InternalError::from)?
            }
        };
        let policy = policy(&mut config, home.as_deref(), &families(&handlers))?;
        let boot = match &home {
            Some(home) => home.next_boot().map_err(InternalError::from)?,
            None => boot_without_home(&config.identity)?,
        };
        let (entries, entered) = mpsc::channel(limits::CALLS);
        let (calls, called) = mpsc::channel(limits::CALLS);
        let (events, _) = broadcast::channel(limits::EVENTS);
        let (snapshot, driver) = snapshot::channel();
        let parts = Parts {
            keypair: keypair.clone(),
            registry,
            boot,
            entries: entered,
            calls: called,
            manual,
            snapshot,
        };
        Ok(NetworkManager::from_inner(Inner {
            local_peer: keypair.public().to_peer_id(),
            clock: Clock::start(),
            entries,
            calls,
            events,
            interest: Arc::default(),
            driver,
            probes: OnceLock::new(),
            monitor: OnceLock::new(),
            collector: OnceLock::new(),
            home,
            descriptions,
            desk,
            parts: Mutex::new(Some(parts)),
            net: OnceLock::new(),
            book_closed: OnceLock::new(),
            archive: OnceLock::new(),
            recovery: Recovery::default(),
            policies: Arc::new(Policies::new(policy)),
            advert: Arc::new(advert(&config, &handlers)),
            handlers,
            config,
        }))
    }
}

impl NetworkManagerBuilder {
    /// Builds the node and starts it on the caller's tokio runtime.
    ///
    /// # Errors
    ///
    /// As for [`Self::build`] and [`NetworkManager::start`].
    pub async fn spawn(self) -> Result<NetworkManager, NetworkError> {
        let manager = self.build()?;
        manager.start().await?;
        Ok(manager)
    }
}

/// What the configuration and the home say about other nodes. What the configuration does not set, it
/// takes from `config.toml`.
fn policy(
    config: &mut NetworkConfig,
    home: Option<&Home>,
    families: &[&str],
) -> Result<Policy, NetworkError> {
    UnknownFamily::check(&config.accept, families)
        .map_err(|error| BuildError::Config { field: "accept", why: error.to_string() })?;
    let mut policy = Policy {
        trusted: config.trusted.iter().copied().collect(),
        accept: config.accept.clone(),
        ..Policy::default()
    };
    if let Some(home) = home {
        policy.trusted.extend(home.peers(PeerList::Trusted).map_err(InternalError::from)?);
        policy.blocked = home.peers(PeerList::Blocked).map_err(InternalError::from)?;
        policy.names = home.names().map_err(InternalError::from)?;
        let file = home.config(families).map_err(InternalError::from)?;
        policy.accept = policy.accept.over(&file.accept);
        if config.lan.is_empty() {
            config.lan = file.lan;
        }
    }
    Ok(policy)
}

/// The families of these handlers, in order.
pub(crate) fn families(handlers: &[HandlerName]) -> Vec<&str> {
    let families: BTreeSet<&str> = handlers.iter().map(HandlerName::family).collect();
    families.into_iter().collect()
}

/// What is put together and not running yet.
pub(crate) struct Parts {
    keypair: Keypair,
    registry: Registry,
    boot: u32,
    entries: mpsc::Receiver<Call>,
    calls: mpsc::Receiver<Call>,
    manual: mpsc::Receiver<ManualAttempt>,
    snapshot: watch::Sender<Snapshot>,
}

impl Parts {
    /// Opens the sockets and spawns the node's tasks.
    pub(crate) async fn run(self, inner: &Arc<Inner>) -> Result<NetHandle, NetworkError> {
        let Inner { config, clock, events, .. } = &**inner;
        let policy = inner.policies.now();
        let offer = offer(&inner.advert, &policy);
        let mut engine = Engine::new(engine_config(config, inner.local_peer, self.boot, &offer));
        let journal = open_journal(inner, &mut engine).await?;
        let (reports, ended) = mpsc::channel(limits::REPORTS);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let executor =
            Executor::new(self.registry, threads, reports).map_err(InternalError::Threads)?;
        let keeper = Keeper::open(inner).await;
        let remembered = keeper.as_ref().map(Keeper::remembered).unwrap_or_default();
        let mut net_config = net_config(config, self.keypair, self.boot, offer, remembered);
        net_config.blocked.clone_from(&policy.blocked);
        let network = Network::build(net_config, clock.monotonic);
        let Network { handle, event_loop, events: facts, sessions } = network.await?;
        let Self { entries, calls, manual, snapshot, .. } = self;
        let feeds = Feeds { entries, calls, facts, sessions, reports: ended, manual };
        let driver = Driver::new(DriverParts {
            engine,
            executor,
            net: handle.clone(),
            clock: *clock,
            events: events.clone(),
            interest: Arc::clone(&inner.interest),
            collector: Arc::clone(inner.collector()),
            snapshot,
            feeds,
            journal,
            durability: config.durability,
            policies: Arc::clone(&inner.policies),
        });
        let (probes_in, commands) = mpsc::channel(limits::PROBES);
        let dir = config.home.as_deref().unwrap_or_else(|| Path::new("."));
        let monitor = inner
            .monitor
            .get_or_init(|| ResourceMonitor::of(&config.offered, dir, inner.driver.clone()));
        let probes = Probes {
            local: inner.local_peer,
            monitor: monitor.clone(),
            net: handle.clone(),
            calls: inner.calls.downgrade(),
            events: events.clone(),
            commands,
            driver: inner.driver.clone(),
            listeners: config.listen_addrs.len(),
            archive: inner.archive.get().cloned(),
        };
        inner.probes.get_or_init(|| probes_in);
        if let Some(keeper) = keeper {
            crate::driver::spawn("peer book", keeper.run(handle.watch_peers()));
        }
        // Either of them ends when the other does; a panic in one is a stop with a line in the log.
        crate::driver::spawn("event loop", event_loop.run());
        crate::driver::spawn("driver", driver.run());
        crate::driver::spawn("probes", probes.run());
        crate::driver::spawn("metrics", record(Arc::downgrade(inner), handle.clone()));
        Ok(handle)
    }
}

/// Opens the journal, if there is a home; the engine goes on from what is in it.
async fn open_journal(inner: &Inner, engine: &mut Engine) -> Result<Option<Journal>, NetworkError> {
    let Some(home) = &inner.config.home else { return Ok(None) };
    let clock = inner.clock;
    let opened = Journal::open(home, inner.owner(), clock, inner.recovery.clone()).await;
    let (journal, mut ledger) = opened.map_err(InternalError::from)?;
    let now = clock.now();
    let archive = inner.archive.get_or_init(|| journal.archiver().archive());
    engine.restore_archive(&mut ledger)?;
    engine.expect_volumes(archive.live());
    for first in archive.firsts() {
        let archive = Arc::clone(archive);
        let volume = tokio::task::spawn_blocking(move || archive.volume(first)).await;
        let volume = volume.map_err(|_| InternalError::Stopped)?;
        engine.restore_volume(&volume.map_err(InternalError::from)?)?;
    }
    let (tasks, kept) = ledger.into_parts();
    for (number, task) in (1..).zip(tasks) {
        engine.restore(task, now)?;
        if number % limits::RESTORE_AT_ONCE == 0 {
            // Whoever asks meanwhile, on a runtime of one thread, is answered.
            tokio::task::yield_now().await;
        }
    }
    for (result, finished) in kept {
        engine.restore_kept(result, finished, now)?;
    }
    Ok(Some(journal))
}

/// Passes metrics on from time to time, until the node stops or its last handle is gone.
async fn record(inner: Weak<Inner>, net: NetHandle) {
    loop {
        tokio::time::sleep(limits::RECORD_EVERY).await;
        let Some(inner) = inner.upgrade() else { return };
        if net.is_closed() {
            return;
        }
        inner.record_metrics();
    }
}

/// A key that outlives the process needs a count that does, too: it is kept beside it.
fn boot_without_home(identity: &Identity) -> Result<u32, InternalError> {
    match identity {
        Identity::Ephemeral => Ok(1),
        Identity::File(path) => Ok(home::next_boot(&path.with_extension("boot"))?),
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

/// What this node says of itself. Reads `/proc` if the configuration leaves the memory open.
fn advert(config: &NetworkConfig, handlers: &[HandlerName]) -> Advert {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
    let offered = &config.offered;
    Advert {
        name: config.name.clone().unwrap_or_default(),
        handlers: handlers.iter().cloned().collect(),
        capabilities: offered.capabilities.clone(),
        labels: offered.labels.clone(),
        capacity: Capacity {
            slots: offered.slots.unwrap_or(cpus).min(core_limits::CREDIT_TASKS),
            cpus: offered.cpus.unwrap_or(cpus),
            memory_bytes: offered.memory_bytes.unwrap_or_else(total_memory),
            gpus: offered.gpus,
        },
    }
}

/// The advert of this node, and which peers may use which handlers.
pub(crate) fn offer(advert: &Arc<Advert>, policy: &Policy) -> Offer {
    Offer {
        advert: Arc::clone(advert),
        accept: Arc::new(policy.accept.clone()),
        trusted: Arc::new(policy.trusted.clone()),
    }
}
