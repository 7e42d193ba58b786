//! From the flags of `up` to the node's configuration.

use std::{
    net::{Ipv6Addr, UdpSocket},
    time::Duration,
};

use meshwork_core::{AcceptPolicy, Multiaddr, advert::clean, limits::HEARTBEAT};
use meshwork_node::{Identity, NetworkConfig, Offered, TaskSettings};

use crate::{
    args::{UpArgs, values::AcceptRule},
    home::Home,
};

#[cfg(test)]
mod tests;

/// Port of a daemon that is not told another.
const PORT: u16 = 4101;

/// The configuration that the flags ask for.
pub(super) fn of(args: UpArgs, home: &Home) -> NetworkConfig {
    let listen = if args.listen.is_empty() { default_listen(has_ipv6()) } else { args.listen };
    NetworkConfig {
        listen_addrs: listen,
        bootstrap_peers: args.bootstrap,
        identity: Identity::File(home.identity()),
        home: Some(home.dir().to_owned()),
        name: Some(args.name.unwrap_or_else(host_name)),
        network: args.network,
        mdns: !args.no_mdns,
        ping_interval: args.heartbeat,
        accept: accept(&args.accept, args.debug_handlers),
        trusted: args.trust,
        offered: Offered {
            slots: args.slots,
            cpus: args.cpus,
            memory_bytes: args.mem,
            gpus: args.gpu,
            capabilities: args.capability.into_iter().collect(),
            labels: args.label.into_iter().collect(),
        },
        tasks: TaskSettings {
            lease: args.lease,
            heartbeat: heartbeat(args.lease),
            stop_grace: args.grace,
            keep_results: args.keep_results,
            max_ended_bytes: usize::try_from(args.keep_results_max).unwrap_or(usize::MAX),
            ..TaskSettings::default()
        },
        durability: args.durability,
        ..NetworkConfig::default()
    }
}

/// The rules in their order, later ones over earlier ones. One without a family is said of all
/// families that the node has, so that nothing is opened which nobody thought of.
fn accept(rules: &[AcceptRule], debug_handlers: bool) -> AcceptPolicy {
    let families: &[&str] = if debug_handlers { &["text", "debug"] } else { &["text"] };
    rules.iter().fold(AcceptPolicy::default(), |policy, rule| match &rule.family {
        Some(family) => policy.with(family, rule.accept),
        None => families.iter().fold(policy, |policy, family| policy.with(*family, rule.accept)),
    })
}

/// The usual one, or more often if the lease is short: three may be lost before it ends.
fn heartbeat(lease: Duration) -> Duration {
    HEARTBEAT.min(lease / 3)
}

fn default_listen(ipv6: bool) -> Vec<Multiaddr> {
    let mut addresses =
        vec![format!("/ip4/0.0.0.0/tcp/{PORT}"), format!("/ip4/0.0.0.0/udp/{PORT}/quic-v1")];
    if ipv6 {
        addresses.push(format!("/ip6/::/tcp/{PORT}"));
        addresses.push(format!("/ip6/::/udp/{PORT}/quic-v1"));
    }
    addresses.iter().filter_map(|address| address.parse().ok()).collect()
}

/// Whether this machine has IPv6 at all: without it the default addresses would not start.
fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// The host's name, without its domain.
fn host_name() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let name = clean(host.split('.').next().unwrap_or_default());
    if name.is_empty() { "node".to_owned() } else { name }
}
