//! The configuration of a node. Each field is defined once, with its documentation, default and
//! range; the ranges are checked when the node is built.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    time::Duration,
};

use meshwork_core::{AcceptPolicy, Durability, Multiaddr, PeerId, advert::clean, limits};
use meshwork_net::{BuildError, Subnet, limits as net_limits};

pub(crate) mod file;
mod range;
mod settings;

pub use meshwork_net::limits::{DEFAULT_MAX_PEERS, MAX_PEERS};

pub use self::file::UnknownFamily;
use self::{
    range::Range,
    settings::{Section, Setting, Shown, settings},
};

settings! { "",
/// The configuration of a node. `NetworkConfig::default()`: all IPv4 interfaces, any free port,
/// mDNS on, a key in memory, tasks accepted from trusted peers.
///
/// It prints itself as documented TOML: `println!("{config}")`.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Addresses to listen on, `/ip4|ip6/…/tcp/PORT` or `/ip4|ip6/…/udp/PORT/quic-v1`. 0 to 16.
    pub listen_addrs: Vec<Multiaddr> = default_listen_addrs(), in LISTEN_ADDRS,
    /// Addresses of nodes to connect to at the start, and again after a lost connection. 0 to 64.
    pub bootstrap_peers: Vec<Multiaddr> = Vec::new(), in BOOTSTRAP_PEERS,
    /// Maximum number of admitted peers. 1 to 1,024. Default 96.
    pub max_peers: usize = DEFAULT_MAX_PEERS, in PEERS,
    /// Maximum time for a dial with its handshakes. 100 ms to 10 min. Default 10 s.
    pub connection_timeout: Duration = Duration::from_secs(10), in PERIOD,
    /// Silence after which a peer is pinged. A peer that does not answer is disconnected before
    /// three intervals have passed. 100 ms to 10 min. Default 8 s.
    pub ping_interval: Duration = crate::limits::PING_INTERVAL, in PERIOD,
    /// Maximum wait for an answer of a small protocol. 100 ms to 10 min. Default 5 s.
    pub protocol_timeout: Duration = Duration::from_secs(5), in PERIOD,
    /// The node's key, which determines its peer id.
    pub identity: Identity = Identity::Ephemeral,
    /// The node's directory (journal, boot count, trusted peers, `config.toml`), used by one node
    /// at a time. Without one, nothing outlives the node: files are in a temporary folder until it
    /// stops.
    pub home: Option<PathBuf> = None,
    /// The node's name, for people; 1 to 64 bytes. Without one, people see the peer id.
    pub name: Option<String> = None,
    /// The network's name: nodes of different networks refuse each other. Default `main`.
    pub network: String = "main".to_owned(),
    /// Private address ranges of this node's own network. The node dials addresses there that other
    /// peers name, and passes such addresses on to peers in the same range. 0 to 64; with none, the
    /// subnets of this machine's private interfaces.
    pub lan: Vec<Subnet> = Vec::new(), in LAN,
    /// Whether to find peers on the local network segment by mDNS. Default true.
    pub mdns: bool = true,
    /// Whose tasks are accepted, by family of handlers. A rule here overrides the one in the home's
    /// `config.toml`, and must name a family that the node has. Default: no rule, see
    /// [`AcceptPolicy`].
    pub accept: AcceptPolicy = AcceptPolicy::default(),
    /// Peers that count as listed for [`Self::accept`], and to which own tasks may go, in addition
    /// to those that the user trusts at run time. 0 to 1,024.
    pub trusted: Vec<PeerId> = Vec::new(), in TRUSTED,
    /// Durability of tasks that do not set it themselves. `Disk` needs a home. Default `Memory`.
    pub durability: Durability = Durability::Memory,
    /// Resources that this machine offers.
    pub offered: Offered = Offered::default(),
    /// Settings for tasks.
    pub tasks: TaskSettings = TaskSettings::default(),
}
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

settings! { "offered.",
/// Resources that a machine offers to tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Attempts that run at once. 0 to 4,096. With 0 nothing runs here, not even own tasks.
    /// Default: one per CPU.
    pub slots: Option<u32> = None, in SLOTS,
    /// CPUs offered. 0 to 65,536. Default: all.
    pub cpus: Option<u32> = None, in CPUS,
    /// Memory offered, in bytes. 0 to 1 PiB. Default: all.
    pub memory_bytes: Option<u64> = None, in MEMORY,
    /// Disk offered for files of tasks, in bytes. 1 MiB to 1024 PiB. Default: half of what is free or
    /// taken by such files when the node starts.
    pub disk_bytes: Option<u64> = None, in DISK,
    /// GPUs offered. 0 to 1,024. Default 0.
    pub gpus: u32 = 0, in GPUS,
    /// Names that tasks may require. 0 to 32.
    pub capabilities: BTreeSet<String> = BTreeSet::new(), in LABELS,
    /// Names with values that tasks may require. 0 to 32.
    pub labels: BTreeMap<String, String> = BTreeMap::new(), in LABELS,
}
}

settings! { "tasks.",
/// A node's settings for tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSettings {
    /// Lease: attempts at a worker that is silent for this long are lost. 1 s to 1 h. Default 15 s.
    pub lease: Duration = limits::LEASE, in LEASE,
    /// Interval of a worker's heartbeats. 100 ms to 20 min, and at most a third of the lease.
    /// Default 5 s.
    pub heartbeat: Duration = limits::HEARTBEAT, in HEARTBEAT,
    /// Time that running attempts may continue when the node stops; then they are stopped and
    /// handed back. 0 to 1 h. Default 30 s.
    pub stop_grace: Duration = crate::limits::STOP_GRACE, in STOP_GRACE,
    /// Own tasks that may wait or run. 1 to 1,000,000. Default 1,000,000.
    pub max_owned: usize = limits::OWNED_TASKS, in OWNED,
    /// Bytes of ended tasks that are kept on disk; each task counts at least 1 KiB. Ended tasks
    /// that are only in memory take at most 128 MiB. 64 KiB or more. Default 5 GiB.
    pub keep_bytes: u64 = limits::KEEP_BYTES, in KEPT,
    /// Time that ended tasks are kept, and results that their owners do not fetch. Only the node's
    /// uptime counts. 1 s to 10 years. Default 7 days.
    pub keep_results: Duration = limits::KEEP_RESULTS, in KEPT_FOR,
}
}

const LISTEN_ADDRS: Range = Range::Count(0..=crate::limits::LISTEN_ADDRS as u64);
const BOOTSTRAP_PEERS: Range = Range::Count(0..=crate::limits::BOOTSTRAP as u64);
const PEERS: Range = Range::Count(1..=MAX_PEERS as u64);
const PERIOD: Range = Range::Time(*net_limits::PERIOD.start()..=*net_limits::PERIOD.end());
const LAN: Range = Range::Count(0..=net_limits::LAN_RANGES as u64);
const TRUSTED: Range = Range::Count(0..=crate::limits::TRUSTED as u64);
const SLOTS: Range = Range::Count(0..=limits::CREDIT_TASKS as u64);
const CPUS: Range = Range::Count(0..=limits::CPUS as u64);
const MEMORY: Range = Range::Bytes(0..=limits::MEMORY_BYTES);
const DISK: Range = Range::Bytes(1 << 20..=limits::DISK_BYTES);
const GPUS: Range = Range::Count(0..=limits::GPUS as u64);
const LABELS: Range = Range::Count(0..=limits::LABELS as u64);
const LEASE: Range = Range::Time(Duration::from_secs(1)..=Duration::from_secs(3_600));
/// A worker sends at least three heartbeats in a lease, so that a lost one does no harm.
const HEARTBEAT: Range = Range::Time(Duration::from_millis(100)..=Duration::from_secs(1_200));
const STOP_GRACE: Range = Range::Time(Duration::ZERO..=crate::limits::LONGEST_GRACE);
const OWNED: Range = Range::Count(1..=limits::OWNED_TASKS as u64);
/// With less than 64 KiB nothing could be archived.
const KEPT: Range = Range::Bytes(64 << 10..=u64::MAX);
/// The clock cannot represent much earlier times.
const KEPT_FOR: Range =
    Range::Time(Duration::from_secs(1)..=Duration::from_secs(10 * 365 * 24 * 3_600));

/// TCP and QUIC on every IPv4 interface, any free port.
fn default_listen_addrs() -> Vec<Multiaddr> {
    ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"]
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect()
}

impl NetworkConfig {
    /// Checks that every field is within its range.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        for setting in self.settings() {
            setting.check()?;
            setting.section().into_iter().flatten().try_for_each(|setting| setting.check())?;
        }
        let wrong = |field, why: String| Err(BuildError::Config { field, why });
        if self.name.as_ref().is_some_and(|name| !is_label(name)) {
            let most = limits::LABEL_BYTES;
            return wrong("name", format!("1 to {most} bytes without control characters"));
        }
        if self.durability == Durability::Disk && self.home.is_none() {
            return wrong("durability", "disk needs a home".to_owned());
        }
        if self.tasks.heartbeat > self.tasks.lease / 3 {
            let why = format!("{:?}; use at most a third of the lease", self.tasks.heartbeat);
            return wrong("tasks.heartbeat", why);
        }
        let Offered { capabilities, labels, .. } = &self.offered;
        match capabilities
            .iter()
            .chain(labels.keys())
            .chain(labels.values())
            .find(|it| !is_label(it))
        {
            Some(text) => {
                let most = limits::LABEL_BYTES;
                let why = format!("{text:?}: 1 to {most} bytes without control characters");
                wrong("offered", why)
            }
            None => Ok(()),
        }
    }
}

impl Shown for Identity {
    fn toml(&self) -> Option<toml_edit::Value> {
        Some(match self {
            Self::Ephemeral => "ephemeral".into(),
            Self::File(path) => path.display().to_string().into(),
        })
    }
}

/// Whether a text can name a node, a capability or a label.
fn is_label(text: &str) -> bool {
    !text.is_empty() && clean(text) == text
}

/// Prints every setting with its documentation, as TOML.
impl fmt::Display for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings();
        for setting in settings.iter().filter(|setting| setting.section().is_none()) {
            writeln!(f, "{setting}")?;
        }
        for (section, settings) in settings.iter().filter_map(|it| Some((it.name, it.section()?))) {
            writeln!(f, "[{section}]")?;
            for setting in settings {
                writeln!(f, "{setting}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
