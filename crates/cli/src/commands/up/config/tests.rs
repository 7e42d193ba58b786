use clap::Parser;
use meshwork_core::Accept;

use super::*;
use crate::args::{Cli, Verb};

fn config(line: &str) -> NetworkConfig {
    let home = Home::of(Some(std::path::Path::new("/h"))).unwrap();
    let verb = Cli::try_parse_from(line.split_whitespace()).unwrap().verb;
    let Verb::Up(args) = verb else { panic!("{line}") };
    of(*args, &home, &Env::default()).unwrap()
}

#[test]
fn node_listens_on_its_port_and_accepts_listed_peers() {
    let config = config("meshwork up");
    assert!(config.listen_addrs.len() >= 2);
    assert!(config.listen_addrs.iter().all(|address| address.to_string().contains("/4101")));
    assert_eq!((config.accept.of("text"), config.accept.iter().count()), (Accept::Listed, 0));
    assert_eq!(config.home.as_deref(), Some(std::path::Path::new("/h")));
    assert_eq!(config.identity, Identity::File("/h/identity.key".into()));
    assert!(config.mdns && !config.name.unwrap().is_empty());
    assert_eq!(config.tasks, TaskSettings::default());
}

#[test]
fn without_ipv6_the_default_is_ipv4_only() {
    let texts =
        |ipv6| -> Vec<String> { default_listen(ipv6).iter().map(ToString::to_string).collect() };
    assert_eq!(texts(false), ["/ip4/0.0.0.0/tcp/4101", "/ip4/0.0.0.0/udp/4101/quic-v1"]);
    assert_eq!(texts(true)[2..], ["/ip6/::/tcp/4101", "/ip6/::/udp/4101/quic-v1"]);
}

#[test]
fn policy_without_a_family_applies_to_the_families_here() {
    let policy = config("meshwork up --accept anyone --accept text=listed").accept;
    assert_eq!((policy.of("text"), policy.of("debug")), (Accept::Listed, Accept::Nobody));
    assert_eq!(policy.rule("exec"), None);
    let policy = config("meshwork up --debug-handlers --accept listed").accept;
    assert_eq!((policy.of("text"), policy.of("debug")), (Accept::Listed, Accept::Listed));
    let policy = config("meshwork up --accept text=anyone --accept nobody").accept;
    assert_eq!(policy.of("text"), Accept::Nobody);
}

#[test]
fn flag_overrides_the_environment_for_each_family() {
    let home = Home::of(Some(std::path::Path::new("/h"))).unwrap();
    let of_env = |line: &str, env: &str| {
        let verb = Cli::try_parse_from(line.split_whitespace()).unwrap().verb;
        let Verb::Up(args) = verb else { panic!("{line}") };
        of(*args, &home, &Env { accept: env.to_owned(), ..Env::default() })
            .map(|config| config.accept)
    };
    let up = "meshwork up --debug-handlers";
    let policy = of_env(up, " anyone, text=nobody,").unwrap();
    assert_eq!((policy.of("text"), policy.of("debug")), (Accept::Nobody, Accept::Anyone));
    let flag = format!("{up} --accept text=listed");
    let policy = of_env(&flag, "anyone,text=nobody").unwrap();
    assert_eq!((policy.of("text"), policy.of("debug")), (Accept::Listed, Accept::Anyone));
    let error = of_env(up, "text=everybody").unwrap_err();
    assert_eq!(error.exit, crate::exit::USAGE);
    assert!(
        error.message.contains("MESHWORK_ACCEPT") && error.message.contains("listed"),
        "{error}"
    );
}

#[test]
fn error_names_the_flag_or_family_with_two_values() {
    let home = Home::of(Some(std::path::Path::new("/h"))).unwrap();
    for (line, named) in [
        ("meshwork up --accept text=listed --accept text=nobody", "twice for text"),
        ("meshwork up --accept listed --accept nobody", "twice for every family"),
        ("meshwork up --label a=b --label a=c", "--label a"),
    ] {
        let verb = Cli::try_parse_from(line.split_whitespace()).unwrap().verb;
        let Verb::Up(args) = verb else { panic!("{line}") };
        let failure = of(*args, &home, &Env::default()).unwrap_err();
        assert_eq!(failure.exit, crate::exit::USAGE);
        assert!(failure.message.contains(named), "{failure}");
    }
}

#[test]
fn a_short_lease_has_a_heartbeat_that_fits() {
    let tasks = config("meshwork up --lease 3s").tasks;
    assert_eq!((tasks.lease, tasks.heartbeat), (Duration::from_secs(3), Duration::from_secs(1)));
    assert_eq!(config("meshwork up --lease 1m").tasks.heartbeat, HEARTBEAT);
}

#[test]
fn the_flags_reach_the_configuration() {
    let config = config(
        "meshwork up --name bee --network lab --slots 3 --cpus 2 --mem 1KiB --gpu 1 --label a=b \
         --capability big --no-mdns --listen /ip4/127.0.0.1/tcp/0 --bootstrap /ip4/10.0.0.1/tcp/1",
    );
    assert_eq!((config.name.as_deref(), config.network.as_str()), (Some("bee"), "lab"));
    let offered = &config.offered;
    assert_eq!(
        (offered.slots, offered.cpus, offered.memory_bytes),
        (Some(3), Some(2), Some(1_024))
    );
    assert_eq!((offered.gpus, offered.labels["a"].as_str()), (1, "b"));
    assert!(offered.capabilities.contains("big") && !config.mdns);
    assert_eq!((config.listen_addrs.len(), config.bootstrap_peers.len()), (1, 1));
}

#[test]
fn ranges_of_the_flag_override_the_environment() {
    assert!(ranges("").unwrap().is_empty());
    let two = ranges("10.0.0.0/8, fd00::/8").unwrap();
    assert_eq!(two, ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().unwrap()));
    let refused = ranges("10.0.0.0/8,8.8.8.0/24").unwrap_err();
    assert!(refused.message.starts_with("MESHWORK_LAN: "), "{refused:?}");
    let home = Home::of(Some(std::path::Path::new("/h"))).unwrap();
    let lan = |line: &str| {
        let verb = Cli::try_parse_from(line.split_whitespace()).unwrap().verb;
        let Verb::Up(args) = verb else { panic!("{line}") };
        let env = Env { lan: "192.168.0.0/16".to_owned(), ..Env::default() };
        of(*args, &home, &env).unwrap().lan
    };
    assert_eq!(lan("meshwork up"), ["192.168.0.0/16".parse().unwrap()]);
    assert_eq!(lan("meshwork up --lan 10.0.0.0/8"), ["10.0.0.0/8".parse().unwrap()]);
}
