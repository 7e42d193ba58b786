//! Puts a node together: checks the configuration, takes the home, registers handlers.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};

use meshwork_core::{
    Advert, Capacity, HandlerName, PeerId,
    engine::{Engine, EngineConfig},
    limits as core_limits,
};
use meshwork_exec::{Executor, Handler, RegisterError, Registry};
use meshwork_net::{Keypair, NetConfig, NetHandle, Network, Offer, identity};
use tokio::sync::{broadcast, mpsc};

use crate::{
    clock::Clock,
    config::{Identity, NetworkConfig},
    driver::{Call, Driver, Feeds},
    error::{InternalError, NetworkError},
    home::{self, Home},
    limits,
    manager::{Inner, NetworkManager},
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
}

impl Default for NetworkManagerBuilder {
    fn default() -> Self {
        Self { config: NetworkConfig::default(), registry: Registry::new().with_text() }
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
        let Self { config, registry } = self;
        config.check()?;
        let registry = registry.map_err(InternalError::from)?;
        let handlers: Vec<HandlerName> = registry.names().cloned().collect();
        let home = match &config.home {
            Some(dir) => Some(Home::open(dir).map_err(InternalError::from)?),
            None => None,
        };
        let keypair = match &config.identity {
            Identity::Ephemeral => identity::ephemeral(),
            Identity::File(path) => identity::load_or_create(path).map_err(InternalError::from)?,
        };
        let (boot, kept) = match &home {
            Some(home) => (
                home.next_boot().map_err(InternalError::from)?,
                home.trusted().map_err(InternalError::from)?,
            ),
            None => (boot_without_home(&config.identity)?, HashSet::new()),
        };
        let trusted: HashSet<PeerId> = kept.into_iter().chain(config.trusted.clone()).collect();
        let (calls, inbox) = mpsc::channel(limits::CALLS);
        let (events, _) = broadcast::channel(limits::EVENTS);
        let parts = Parts { keypair: keypair.clone(), registry, boot, inbox };
        Ok(NetworkManager::from_inner(Inner {
            local_peer: keypair.public().to_peer_id(),
            clock: Clock::start(),
            calls,
            events,
            home,
            handlers,
            parts: Mutex::new(Some(parts)),
            net: OnceLock::new(),
            trusted: tokio::sync::Mutex::new(trusted),
            config,
        }))
    }
}

/// What is put together and not running yet.
pub(crate) struct Parts {
    keypair: Keypair,
    registry: Registry,
    boot: u32,
    inbox: mpsc::Receiver<Call>,
}

impl Parts {
    /// Opens the sockets and spawns the node's tasks.
    pub(crate) async fn run(self, inner: &Arc<Inner>) -> Result<NetHandle, NetworkError> {
        let Inner { config, clock, handlers, events, .. } = &**inner;
        let trusted = inner.trusted.lock().await.clone();
        let offer = offer(config, handlers, trusted.clone());
        let engine = Engine::new(EngineConfig {
            local: inner.local_peer,
            boot: self.boot,
            advert: offer.advert.as_ref().clone(),
            accept: config.accept.clone(),
            slots: offer.advert.capacity.slots,
            lease: config.tasks.lease,
            heartbeat: config.tasks.heartbeat,
            max_owned: config.tasks.max_owned,
            max_ended: config.tasks.max_ended,
            max_ended_bytes: config.tasks.max_ended_bytes,
        });
        let (reports, ended) = mpsc::channel(limits::REPORTS);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let executor =
            Executor::new(self.registry, threads, reports).map_err(InternalError::Threads)?;
        let network = Network::build(net_config(config, self.keypair, offer), clock.monotonic);
        let Network { handle, event_loop, events: facts, sessions } = network.await?;
        let feeds = Feeds { calls: self.inbox, facts, sessions, reports: ended };
        let driver =
            Driver::new(engine, executor, handle.clone(), *clock, events.clone(), feeds, trusted);
        // Either of them ends when the other does; a panic in one is a stop with a line in the log.
        crate::driver::spawn("event loop", event_loop.run());
        crate::driver::spawn("driver", driver.run());
        Ok(handle)
    }
}

/// A key that outlives the process needs a count that does, too: it is kept beside it.
fn boot_without_home(identity: &Identity) -> Result<u32, InternalError> {
    match identity {
        Identity::Ephemeral => Ok(1),
        Identity::File(path) => Ok(home::next_boot(&path.with_extension("boot"))?),
    }
}

fn net_config(config: &NetworkConfig, keypair: Keypair, offer: Offer) -> NetConfig {
    NetConfig {
        keypair,
        network: config.network.clone(),
        listen: config.listen_addrs.clone(),
        bootstrap: config.bootstrap_peers.clone(),
        mdns: config.mdns,
        max_peers: config.max_peers,
        connection_timeout: config.connection_timeout,
        ping_interval: config.ping_interval,
        protocol_timeout: config.protocol_timeout,
        offer,
    }
}

/// What this node says of itself, and to whom.
pub(crate) fn offer(
    config: &NetworkConfig,
    handlers: &[HandlerName],
    trusted: HashSet<PeerId>,
) -> Offer {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
    let offered = &config.offered;
    let advert = Advert {
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
    };
    Offer {
        advert: Arc::new(advert),
        accept: Arc::new(config.accept.clone()),
        trusted: Arc::new(trusted),
    }
}

fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    // The kernel's word sizes differ between platforms.
    u64::from(info.mem_unit).saturating_mul(info.totalram as u64)
}
