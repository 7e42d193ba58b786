//! Makes the node's configuration from the flags of `up` and the environment.

use std::{
    net::{Ipv6Addr, UdpSocket},
    time::Duration,
};

use meshwork::config::Subnet;
use meshwork_core::{AcceptPolicy, Multiaddr, advert::clean, limits::HEARTBEAT};
use meshwork_node::{Identity, NetworkConfig, Offered, TaskSettings};

use crate::{
    args::{
        UpArgs,
        values::{self, AcceptRule},
    },
    commands::spec,
    failure::Failure,
    home::Home,
};

#[cfg(test)]
mod tests;

/// Default port of a node, without `--listen`.
const PORT: u16 = 4101;

/// The configuration. A flag takes precedence over its variable.
///
/// # Errors
///
/// The value of a variable is invalid, or a flag is given twice for one family or label.
pub(super) fn of(args: UpArgs, home: &Home, env: &Env) -> Result<NetworkConfig, Failure> {
    let accept = accept(&args.accept, &env.accept, args.debug_handlers)?;
    let lan = if args.lan.is_empty() { ranges(&env.lan)? } else { args.lan };
    let listen = if args.listen.is_empty() { default_listen(has_ipv6()) } else { args.listen };
    Ok(NetworkConfig {
        listen_addrs: listen,
        bootstrap_peers: args.bootstrap,
        max_peers: args.max_peers,
        identity: Identity::File(home.identity()),
        home: Some(home.dir().to_owned()),
        name: Some(args.name.unwrap_or_else(host_name)),
        network: args.network,
        lan,
        mdns: !args.no_mdns,
        ping_interval: args.heartbeat,
        accept,
        trusted: args.trust,
        offered: Offered {
            slots: args.slots,
            cpus: args.cpus,
            memory_bytes: args.mem,
            disk_bytes: args.disk,
            gpus: args.gpu,
            capabilities: args.capability.into_iter().collect(),
            labels: spec::by_name("--label", args.label)?,
        },
        tasks: TaskSettings {
            lease: args.lease,
            heartbeat: heartbeat(args.lease),
            stop_grace: args.grace,
            keep_results: args.keep_results,
            keep_bytes: args.keep_results_max,
            ..TaskSettings::default()
        },
        durability: args.durability,
        ..NetworkConfig::default()
    })
}

/// The values of environment variables, empty if they are not set.
#[derive(Clone, Debug, Default)]
pub(super) struct Env {
    /// The value of [`ACCEPT_ENV`].
    pub(super) accept: String,
    /// The value of [`LAN_ENV`].
    pub(super) lan: String,
}

/// Variable with the rules of `--accept`, separated by commas.
pub(super) const ACCEPT_ENV: &str = "MESHWORK_ACCEPT";
/// Variable with the ranges of `--lan`, separated by commas.
pub(super) const LAN_ENV: &str = "MESHWORK_LAN";

fn ranges(env: &str) -> Result<Vec<Subnet>, Failure> {
    let words = env.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(str::parse)
        .collect::<Result<_, meshwork::config::InvalidSubnet>>()
        .map_err(|why| Failure::usage(format!("{LAN_ENV}: {why}")))
}

/// The policy: rules of flags take precedence over rules of the environment.
fn accept(flags: &[AcceptRule], env: &str, debug: bool) -> Result<AcceptPolicy, Failure> {
    let twice = |(at, rule): (usize, &AcceptRule)| {
        flags.iter().take(at).any(|earlier| earlier.family == rule.family).then(|| rule.clone())
    };
    if let Some(AcceptRule { family, .. }) = flags.iter().enumerate().find_map(twice) {
        let what = family.unwrap_or_else(|| "every family".to_owned());
        return Err(Failure::usage(format!("--accept is given twice for {what}"))
            .with_hint("--accept FAMILY=POLICY once for each family"));
    }
    let families: &[&str] = if debug { &["text", "debug"] } else { &["text"] };
    let words = env.split(',').map(str::trim).filter(|word| !word.is_empty());
    let env: Vec<AcceptRule> = words
        .map(values::accept)
        .collect::<Result<_, _>>()
        .map_err(|why| Failure::usage(format!("{ACCEPT_ENV}: {why}")))?;
    Ok(values::policy(env.iter().chain(flags), families))
}

/// The heartbeat interval: at most a third of the lease, so that a worker may miss two.
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

/// Whether this machine supports IPv6. Without it, the IPv6 default addresses would fail.
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
