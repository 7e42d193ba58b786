//! Builds a node: checks the configuration, takes the home, registers handlers.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};

use meshwork_core::{Advert, Capacity, HandlerName, limits as core_limits};
use meshwork_exec::{FileHandler, Handler, ManualAttempt, ManualDesk, RegisterError, Registry};
use meshwork_net::{BuildError, identity};
use tokio::sync::mpsc;

use crate::{
    clock::Clock,
    config::{Identity, NetworkConfig, UnknownFamily},
    driver::handle::DriverHandle,
    error::{InternalError, NetworkError},
    home::{self, Home, PeerList},
    journal::{self, Recovery},
    limits,
    manager::NetworkManager,
    monitor::total_memory,
    node::{Node, Unstarted},
    policy::{Policies, Policy, families},
    publisher::Publisher,
};

/// Builds a node. Made by [`NetworkManager::builder`].
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
    /// Uses this configuration instead of the default one.
    #[must_use]
    pub fn config(mut self, config: NetworkConfig) -> Self {
        self.config = config;
        self
    }

    /// Registers a handler. [`Self::build`] reports an invalid or duplicate name.
    #[must_use]
    pub fn handler(mut self, handler: impl Handler) -> Self {
        self.registry = self.registry.and_then(|mut registry| {
            registry.register(handler)?;
            Ok(registry)
        });
        self
    }

    /// Registers a handler whose input and output may be files. [`Self::build`] reports an invalid or
    /// duplicate name.
    #[must_use]
    pub fn file_handler(mut self, handler: impl FileHandler) -> Self {
        self.registry = self.registry.and_then(|mut registry| {
            registry.register_file_handler(handler)?;
            Ok(registry)
        });
        self
    }

    /// Registers a handler whose attempts the program completes itself. Each attempt that starts is a
    /// [`NetworkEvent::ManualAttempt`](crate::NetworkEvent::ManualAttempt), and waits for
    /// [`TaskProtocol::send_result`](crate::TaskProtocol::send_result) or its time limit.
    /// [`Self::build`] reports an invalid or duplicate name.
    #[must_use]
    pub fn manual_handler(mut self, name: &str) -> Self {
        self.registry = self.registry.and_then(|mut registry| {
            registry.register(self.desk.handler(name.parse()?))?;
            Ok(registry)
        });
        self
    }

    /// Registers the `debug/…` handlers. Every start of `debug/sleep` appends a line to `log`, if given.
    #[must_use]
    pub fn debug_handlers(mut self, log: Option<PathBuf>) -> Self {
        self.registry = self.registry.and_then(|registry| registry.with_debug(log));
        self
    }

    /// Checks the configuration and locks the home. Opens no socket.
    ///
    /// # Errors
    ///
    /// A field of the configuration is out of its range; the home is in use, damaged or open to
    /// other users; the identity key cannot be used; the name of a handler is invalid or a duplicate.
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
        let (driver, queues) = DriverHandle::new();
        Ok(NetworkManager::of(Node {
            local_peer: keypair.public().to_peer_id(),
            clock: Clock::start(),
            home,
            advert: Arc::new(advert(&config, &handlers)),
            handlers,
            descriptions,
            desk,
            driver,
            publisher: Publisher::default(),
            policies: Arc::new(Policies::new(policy)),
            recovery: Recovery::default(),
            collector: OnceLock::new(),
            unstarted: Mutex::new(Some(Unstarted { keypair, registry, boot, queues, manual })),
            running: OnceLock::new(),
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

impl NetworkManager {
    /// Builds a node with handlers of your own.
    pub fn builder() -> NetworkManagerBuilder {
        NetworkManagerBuilder::default()
    }

    /// A node with this configuration and the built-in text handlers.
    ///
    /// # Errors
    ///
    /// A field of the configuration is out of its range, or the identity key or the home cannot be
    /// used.
    #[expect(clippy::unused_async, reason = "the seed's signature")]
    pub async fn new(config: NetworkConfig) -> Result<Self, NetworkError> {
        Self::builder().config(config).build()
    }
}

/// The user's decisions about other nodes, from the configuration and the home. `config.toml` sets
/// what the configuration leaves open.
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

/// The number of this start. For a key that outlives the process, the count is kept beside the key.
fn boot_without_home(identity: &Identity) -> Result<u32, InternalError> {
    match identity {
        Identity::Ephemeral => Ok(1),
        Identity::File(path) => Ok(home::next_boot(&path.with_extension("boot"))?),
    }
}

/// The advert of this node. Reads `/proc` if the configuration does not set the memory.
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
