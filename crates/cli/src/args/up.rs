//! `up`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use meshwork::config::Subnet;
use meshwork_core::{Durability, Multiaddr, PeerId, address::parse_address};

use super::values::{self, AcceptRule};

/// Start this node in the foreground.
///
/// The home (see --home) holds the node's key, its socket, its tasks and the peers that it trusts.
/// Ctrl-C stops the node; a second Ctrl-C stops it at once.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  meshwork up
  meshwork up --trust PEER_ID
  meshwork up --accept text=nobody
  meshwork up --bootstrap 192.168.1.7:4101
  meshwork up --home /tmp/b --listen /ip4/127.0.0.1/tcp/0 --no-mdns")]
pub(crate) struct UpArgs {
    /// Listen on these addresses [default: port 4101, TCP and QUIC, IPv4 and IPv6]
    #[arg(long, value_name = "ADDR", num_args = 1.., value_parser = parse_address)]
    pub(crate) listen: Vec<Multiaddr>,
    /// Connect to these nodes, and reconnect when a connection is lost
    #[arg(long, value_name = "ADDR", num_args = 1.., value_parser = parse_address)]
    pub(crate) bootstrap: Vec<Multiaddr>,
    /// Maximum number of peers, 1 to 1024; trusted peers displace others
    #[arg(long, value_name = "N", default_value_t = meshwork_node::config::DEFAULT_MAX_PEERS)]
    pub(crate) max_peers: usize,
    /// Trust these peers: the rule `listed` includes them, and own tasks may run there
    #[arg(long, value_name = "PEER_ID", num_args = 1.., value_parser = values::peer_id)]
    pub(crate) trust: Vec<PeerId>,
    /// Whose work runs here: nobody, listed (trusted peers) or anyone; without FAMILY= for every
    /// family of this node except command and exec. Overrides MESHWORK_ACCEPT (rules separated by
    /// commas), which overrides config.toml in the home (see `meshwork accept`) [default: listed;
    /// debug: nobody]
    #[arg(long, value_name = "FAMILY=POLICY", value_parser = values::accept)]
    pub(crate) accept: Vec<AcceptRule>,
    /// The node's name [default: the host's name]
    #[arg(long, value_parser = values::name)]
    pub(crate) name: Option<String>,
    /// The network's name; nodes of different networks refuse each other
    #[arg(long, default_value = "main", value_parser = values::name)]
    pub(crate) network: String,
    /// Attempts that run here at once [default: one per CPU]
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<u32>,
    /// Number of CPUs to offer [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) cpus: Option<u32>,
    /// Memory to offer, such as 8GiB [default: all]
    #[arg(long, value_name = "SIZE", value_parser = values::bytes)]
    pub(crate) mem: Option<u64>,
    /// Disk offered for files of tasks, such as 20GiB; the inputs of peers that are not trusted may
    /// reserve a quarter of it [default: half of what is free or taken by such files when the node
    /// starts]
    #[arg(long, value_name = "SIZE", value_parser = values::bytes)]
    pub(crate) disk: Option<u64>,
    /// Number of GPUs to offer
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) gpu: u32,
    /// Label that tasks may require
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::pair)]
    pub(crate) label: Vec<(String, String)>,
    /// Capability that tasks may require
    #[arg(long, value_name = "NAME", value_parser = values::name)]
    pub(crate) capability: Vec<String>,
    /// Private address ranges of this node's own network, such as 10.0.0.0/8. The node then also
    /// learns of peers there from other peers. Overrides MESHWORK_LAN (ranges separated by commas),
    /// which overrides `lan = ["10.0.0.0/8"]` in config.toml in the home [default: the subnets of
    /// this machine's private interfaces]
    #[arg(long, value_name = "RANGE", num_args = 1..)]
    pub(crate) lan: Vec<Subnet>,
    /// Do not search for peers on the local network with mDNS
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// Lease: a worker that is silent for this long is treated as lost
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = values::duration)]
    pub(crate) lease: Duration,
    /// Grace: time for running attempts to finish when the node stops, before they are handed back
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::duration)]
    pub(crate) grace: Duration,
    /// Ping a peer that is silent for this long; after about three times this long it is treated as
    /// gone
    #[arg(long, value_name = "TIME", default_value = "8s", value_parser = values::duration)]
    pub(crate) heartbeat: Duration,
    /// Durability of tasks that do not set it: memory (lost on restart) or disk (written before it is
    /// acknowledged)
    #[arg(long, value_name = "KIND", default_value = "disk", value_parser = values::durability)]
    pub(crate) durability: Durability,
    /// How long ended tasks are kept, and results that absent owners have not fetched. Only time
    /// while the node runs counts
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = values::duration)]
    pub(crate) keep_results: Duration,
    /// Maximum size of ended tasks on disk, such as 20GiB; at least 4MiB. Each task counts as at
    /// least 1KiB. For lack of space, tasks whose results were read are forgotten first, then the
    /// oldest
    #[arg(long, value_name = "SIZE", default_value = "5GiB", value_parser = values::kept_bytes)]
    pub(crate) keep_results_max: u64,
    /// Offer debug/noop, echo, sleep, fail and panic too
    #[arg(long)]
    pub(crate) debug_handlers: bool,
    /// File to which debug/sleep adds a line for each execution
    #[arg(long, value_name = "FILE", requires = "debug_handlers", hide = true)]
    pub(crate) debug_log: Option<PathBuf>,
}
