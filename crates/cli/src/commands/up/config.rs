//! From the flags of `up` to the node's configuration.

use std::{
    net::{Ipv6Addr, UdpSocket},
    time::Duration,
};

use meshwork::Subnet;
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

/// Port of a daemon that is not told another.
const PORT: u16 = 4101;

/// The configuration that the flags and these variables ask for.
///
/// # Errors
///
/// A variable does not hold what it should.
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

/// What variables of the environment say, empty if they are not set.
#[derive(Clone, Debug, Default)]
pub(super) struct Env {
    /// That of [`ACCEPT_ENV`].
    pub(super) accept: String,
    /// That of [`LAN_ENV`].
    pub(super) lan: String,
}

/// The variable that holds rules as `--accept` takes them, with commas between them.
pub(super) const ACCEPT_ENV: &str = "MESHWORK_ACCEPT";
/// The variable that holds ranges as `--lan` takes them, with commas between them.
pub(super) const LAN_ENV: &str = "MESHWORK_LAN";

fn ranges(env: &str) -> Result<Vec<Subnet>, Failure> {
    let words = env.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(str::parse)
        .collect::<Result<_, meshwork::InvalidSubnet>>()
        .map_err(|why| Failure::usage(format!("{LAN_ENV}: {why}")))
}

/// The rules of the flags over those of the environment.
fn accept(flags: &[AcceptRule], env: &str, debug: bool) -> Result<AcceptPolicy, Failure> {
    let twice = |(at, rule): (usize, &AcceptRule)| {
        flags.iter().take(at).any(|earlier| earlier.family == rule.family).then(|| rule.clone())
    };
    if let Some(AcceptRule { family, .. }) = flags.iter().enumerate().find_map(twice) {
        let what = family.unwrap_or_else(|| "every family".to_owned());
        return Err(Failure::usage(format!("--accept is given twice for {what}"))
            .with_hint("--accept FAMILY=WHO once for each family"));
    }
    let families: &[&str] = if debug { &["text", "debug"] } else { &["text"] };
    let words = env.split(',').map(str::trim).filter(|word| !word.is_empty());
    let env: Vec<AcceptRule> = words
        .map(values::accept)
        .collect::<Result<_, _>>()
        .map_err(|why| Failure::usage(format!("{ACCEPT_ENV}: {why}")))?;
    Ok(values::policy(env.iter().chain(flags), families))
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
