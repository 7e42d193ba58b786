//! The configuration of a node. Each field has a range, which is checked when the node is built.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use meshwork_core::{AcceptPolicy, Durability, Multiaddr, PeerId, advert::clean, limits};
use meshwork_net::{BuildError, Subnet, limits as net_limits};

pub(crate) mod file;

pub use self::file::UnknownFamily;

/// The configuration of a node. `NetworkConfig::default()`: all IPv4 interfaces, any free port,
/// mDNS on, a key in memory, tasks accepted from trusted peers.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Addresses to listen on, `/ip4|ip6/…/tcp/PORT` or `/ip4|ip6/…/udp/PORT/quic-v1`. At most 16.
    pub listen_addrs: Vec<Multiaddr>,
    /// Addresses of nodes to connect to at the start, and again after a lost connection. At most
    /// 64.
    pub bootstrap_peers: Vec<Multiaddr>,
    /// Maximum number of connected peers, 1 to 1,024. Default 96.
    pub max_peers: usize,
    /// Maximum time for a dial with its handshakes, 100 ms to 10 min. Default 10 s.
    pub connection_timeout: Duration,
    /// Silence after which a peer is pinged. A peer that does not answer is disconnected before
    /// three intervals have passed. 100 ms to 10 min. Default 8 s.
    pub ping_interval: Duration,
    /// Maximum wait for an answer of a small protocol, 100 ms to 10 min. Default 5 s.
    pub protocol_timeout: Duration,
    /// The node's key, which determines its peer id.
    pub identity: Identity,
    /// The node's directory (journal, boot count, trusted peers, `config.toml`), used by one node
    /// at a time. None: the node keeps nothing on disk.
    pub home: Option<PathBuf>,
    /// The node's name, for people; 1 to 64 bytes. Default: none, people see the peer id.
    pub name: Option<String>,
    /// The network's name: nodes of different networks refuse each other. Default `main`.
    pub network: String,
    /// Private address ranges of this node's own network. The node dials addresses there that other
    /// peers name, and passes such addresses on to peers in the same range. At most 64. Default:
    /// none, which means the subnets of this machine's private interfaces.
    pub lan: Vec<Subnet>,
    /// Whether to find peers on the local network segment by mDNS. Default true.
    pub mdns: bool,
    /// Whose tasks are accepted, by family of handlers. A rule here overrides the one in the home's
    /// `config.toml`, and must name a family that the node has. Default: no rule, see
    /// [`AcceptPolicy`].
    pub accept: AcceptPolicy,
    /// Peers that count as listed for [`Self::accept`], and to which own tasks may go. At most
    /// 1,024, in addition to those that the user trusts at run time.
    pub trusted: Vec<PeerId>,
    /// Resources that this machine offers.
    pub offered: Offered,
    /// Settings for tasks.
    pub tasks: TaskSettings,
    /// Durability of tasks that do not set it themselves. `Disk` needs a home. Default `Memory`.
    pub durability: Durability,
}

/// The key of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// A new key in memory: another peer id at each start.
    #[default]
    Ephemeral,
    /// The key in this file. If the file is missing, it is created, readable only by its owner.
    File(PathBuf),
}

/// Resources that a machine offers to tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Attempts that run at once, 0 to 4,096. With 0 nothing runs here, not even own tasks.
    /// Default: one per CPU.
    pub slots: Option<u32>,
    /// CPUs offered, at most 65,536. Default: all.
    pub cpus: Option<u32>,
    /// Memory offered, in bytes, at most 1 PiB. Default: all.
    pub memory_bytes: Option<u64>,
    /// GPUs offered, at most 1,024. Default 0.
    pub gpus: u32,
    /// Names that tasks may require. At most 32.
    pub capabilities: BTreeSet<String>,
    /// Names with values that tasks may require. At most 32.
    pub labels: BTreeMap<String, String>,
}

/// A node's settings for tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSettings {
    /// Lease: attempts at a worker that is silent for this long are lost. 1 s to 1 h. Default 15 s.
    pub lease: Duration,
    /// Interval of a worker's heartbeats, 100 ms to a third of the lease. Default 5 s.
    pub heartbeat: Duration,
    /// Time that running attempts may continue when the node stops; then they are stopped and
    /// handed back. 0 to 1 h. Default 30 s.
    pub stop_grace: Duration,
    /// Own tasks that may wait or run, 1 to a million. Default a million.
    pub max_owned: usize,
    /// Bytes of ended tasks that are kept on disk; each task counts at least 1 KiB. Ended tasks
    /// that are only in memory take at most 128 MiB. At least 64 KiB. Default 5 GiB.
    pub keep_bytes: u64,
    /// Time that ended tasks are kept, and results that their owners do not fetch. Only the node's
    /// uptime counts. 1 s to 10 years. Default 7 days.
    pub keep_results: Duration,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            lease: limits::LEASE,
            heartbeat: limits::HEARTBEAT,
            stop_grace: crate::limits::STOP_GRACE,
            max_owned: limits::OWNED_TASKS,
            keep_bytes: limits::KEEP_BYTES,
            keep_results: limits::KEEP_RESULTS,
        }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen_addrs: default_listen_addrs(),
            bootstrap_peers: Vec::new(),
            max_peers: net_limits::DEFAULT_MAX_PEERS,
            connection_timeout: Duration::from_secs(10),
            ping_interval: crate::limits::PING_INTERVAL,
            protocol_timeout: Duration::from_secs(5),
            identity: Identity::Ephemeral,
            home: None,
            name: None,
            network: "main".to_owned(),
            lan: Vec::new(),
            mdns: true,
            accept: AcceptPolicy::default(),
            trusted: Vec::new(),
            offered: Offered::default(),
            tasks: TaskSettings::default(),
            durability: Durability::Memory,
        }
    }
}

/// Lower bound of `keep_bytes`: with less, nothing could be archived.
const LEAST_KEPT: u64 = 64 << 10;
/// Upper bound of `keep_results`: the clock cannot represent earlier times.
const LONGEST_KEPT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// TCP and QUIC on every IPv4 interface, any free port.
fn default_listen_addrs() -> Vec<Multiaddr> {
    ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"]
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect()
}

impl NetworkConfig {
    /// Checks the fields that only the node uses. The network checks its own when it starts.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let wrong = |field, why: String| Err(BuildError::Config { field, why });
        if self.listen_addrs.len() > crate::limits::LISTEN_ADDRS {
            return wrong("listen_addrs", format!("at most {}", crate::limits::LISTEN_ADDRS));
        }
        if self.bootstrap_peers.len() > crate::limits::BOOTSTRAP {
            return wrong("bootstrap_peers", format!("at most {}", crate::limits::BOOTSTRAP));
        }
        if self.trusted.len() > crate::limits::TRUSTED {
            return wrong("trusted", format!("at most {} peers", crate::limits::TRUSTED));
        }
        if let Some(name) = &self.name
            && (name.is_empty() || clean(name) != *name)
        {
            let most = limits::LABEL_BYTES;
            return wrong("name", format!("1 to {most} bytes without control characters"));
        }
        if self.durability == Durability::Disk && self.home.is_none() {
            return wrong("durability", "disk needs a home".to_owned());
        }
        self.check_offered()?;
        self.check_tasks()
    }

    fn check_offered(&self) -> Result<(), BuildError> {
        let wrong = |field, why: String| Err(BuildError::Config { field, why });
        let offered = &self.offered;
        if offered.slots.is_some_and(|slots| slots > limits::CREDIT_TASKS) {
            return wrong("offered.slots", format!("0 to {}", limits::CREDIT_TASKS));
        }
        if offered.cpus.is_some_and(|cpus| cpus > limits::CPUS) {
            return wrong("offered.cpus", format!("at most {}", limits::CPUS));
        }
        if offered.memory_bytes.is_some_and(|bytes| bytes > limits::MEMORY_BYTES) {
            return wrong("offered.memory_bytes", format!("at most {}", limits::MEMORY_BYTES));
        }
        if offered.gpus > limits::GPUS {
            return wrong("offered.gpus", format!("at most {}", limits::GPUS));
        }
        if offered.capabilities.len() > limits::LABELS || offered.labels.len() > limits::LABELS {
            let why = format!("at most {0} capabilities and {0} labels", limits::LABELS);
            return wrong("offered", why);
        }
        let texts =
            offered.capabilities.iter().chain(offered.labels.keys()).chain(offered.labels.values());
        for text in texts {
            if text.is_empty() || clean(text) != *text {
                let most = limits::LABEL_BYTES;
                let why = format!("{text:?}: 1 to {most} bytes without control characters");
                return wrong("offered", why);
            }
        }
        Ok(())
    }

    fn check_tasks(&self) -> Result<(), BuildError> {
        let wrong = |field, why: &str| Err(BuildError::Config { field, why: why.to_owned() });
        let tasks = &self.tasks;
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&tasks.lease) {
            return wrong("tasks.lease", "1 s to 1 h");
        }
        if tasks.heartbeat < Duration::from_millis(100) || tasks.heartbeat > tasks.lease / 3 {
            return wrong("tasks.heartbeat", "100 ms to a third of the lease");
        }
        if tasks.stop_grace > Duration::from_secs(3600) {
            return wrong("tasks.stop_grace", "0 to 1 h");
        }
        if tasks.max_owned == 0 || tasks.max_owned > limits::OWNED_TASKS {
            return wrong("tasks.max_owned", "1 to 1,000,000");
        }
        if tasks.keep_bytes < LEAST_KEPT {
            return wrong("tasks.keep_bytes", "64 KiB or more");
        }
        if !(Duration::from_secs(1)..=LONGEST_KEPT).contains(&tasks.keep_results) {
            return wrong("tasks.keep_results", "1 s to 10 years");
        }
        Ok(())
    }
}
