//! `up`, `down`, `status`: starting, stopping, and errors at the start.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;

use crate::support::{Node, ask};

const LISTEN: [&str; 4] = ["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];

#[test]
fn started_node_prints_its_addresses_and_shows_its_status() {
    let node = Node::up(&["--name", "ant", "--accept", "text=listed"]);
    let id = node.text("peer");
    assert!(node.address().ends_with(&format!("/p2p/{id}")));
    let socket = fs::metadata(node.text("socket")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let key = fs::metadata(node.home.path().join("identity.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let status = node.ask(&["status", "--json"]).json();
    assert_eq!(status["node"]["peer"], id);
    assert_eq!(status["node"]["accept"]["text"], "listed");
    assert_eq!(node.ills(), [""; 0]);
    assert_eq!(status["peers"], serde_json::json!([]));
    assert_eq!(node.ask(&["status", "-q"]).stdout.trim(), id);
    assert!(node.ask(&["status"]).stdout.starts_with("ant  "));
}

#[test]
fn metrics_are_printed_as_prometheus_text() {
    let node = Node::up(&[]);
    let answer = node.ask(&["metrics"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let version = node.ask(&["version", "--json"]).json();
    let [version, commit] = ["version", "commit"].map(|field| version[field].as_str().unwrap());
    let info = format!("meshwork_build_info{{version=\"{version}\",commit=\"{commit}\"}} 1");
    assert!(answer.stdout.lines().any(|line| line == info), "{answer:?}");
    assert!(answer.stdout.contains("# TYPE meshwork_build_info gauge\n"), "{answer:?}");
    let json = node.ask(&["metrics", "--json"]).json();
    assert!(json["prometheus"].as_str().unwrap().contains(&info), "{json}");
}

/// Counters follow Prometheus; those of the seed document keep their names.
#[test]
fn every_counter_ends_in_total() {
    const SEED: [&str; 3] =
        ["network_messages_sent", "network_messages_received", "network_errors_by_type"];
    let node = Node::up(&[]);
    let page = node.ask(&["metrics"]).stdout;
    let counters =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"));
    let counters: Vec<&str> = counters.collect();
    assert!(counters.len() > 5, "{page}");
    for name in counters {
        assert!(name.ends_with("_total") || SEED.contains(&name), "{name}");
    }
}

/// Whether the node ignores SIGHUP, because it inherits that from the test.
fn ignores_hangup(node: &Node) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", node.process.id())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() & 1 != 0
}

#[test]
fn signal_stops_the_node_and_the_next_start_has_the_same_id() {
    for with in [Signal::TERM, Signal::INT, Signal::HUP] {
        let node = Node::up(&[]);
        if with == Signal::HUP && ignores_hangup(&node) {
            crate::support::skip("the test runs with SIGHUP ignored");
            continue;
        }
        let id = node.text("peer").to_owned();
        let (status, home) = node.end(with);
        assert_eq!(status.code(), Some(0), "{with:?}");
        assert!(!home.path().join("api.sock").exists());
        assert_eq!(Node::up_in(home, &[]).text("peer"), id);
    }
}

#[test]
fn node_starts_over_the_socket_of_a_killed_node() {
    let (_, home) = Node::up(&[]).end(Signal::KILL);
    assert!(home.path().join("api.sock").exists());
    ask(home.path(), &["status"]).error(3, &["no process listens"]);
    let node = Node::up_in(home, &[]);
    assert_eq!(node.ask(&["status"]).code, 0);
}

#[test]
fn down_command_stops_the_node() {
    let mut node = Node::up(&[]);
    assert_eq!(node.ask(&["down"]).code, 0);
    assert_eq!(node.process.wait().unwrap().code(), Some(0));
    node.ask(&["status"]).error(3, &["socket does not exist"]);
}

#[test]
fn second_node_in_a_home_is_refused() {
    let node = Node::up(&[]);
    ask(node.home.path(), &LISTEN).error(1, &["in use by a running node", "--home"]);
    assert_eq!(node.ask(&["status"]).code, 0);
}

#[test]
fn second_node_on_a_port_is_refused() {
    let node = Node::up(&[]);
    let (listen, _) = node.address().rsplit_once("/p2p/").unwrap();
    let home = tempfile::tempdir().unwrap();
    let answer = ask(home.path(), &["up", "--no-mdns", "--listen", listen]);
    answer.error(1, &[listen, "taken", "--listen"]);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let (_, home) = Node::up(&[]).end(Signal::TERM);
    let key = home.path().join("identity.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    ask(home.path(), &LISTEN).error(1, &["identity.key", "chmod 600"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "no key").unwrap();
    ask(home.path(), &LISTEN).error(1, &["identity.key", "damaged"]);
}

/// F-26: a node never silently makes a new key beside an existing journal.
#[test]
fn missing_or_foreign_key_beside_a_journal_is_refused() {
    let (_, home) = Node::up(&[]).end(Signal::TERM);
    let key = home.path().join("identity.key");
    let own = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    ask(home.path(), &LISTEN).error(1, &["identity.key is missing", "put it back"]);
    assert!(!key.exists(), "the node makes no new key");
    let (_, other) = Node::up(&[]).end(Signal::TERM);
    fs::copy(other.path().join("identity.key"), &key).unwrap();
    ask(home.path(), &LISTEN).error(1, &["journal.redb", "the identity key is another node"]);
    fs::write(&key, own).unwrap();
    assert_eq!(Node::up_in(home, &[]).ask(&["status"]).code, 0);
}

#[test]
fn file_in_place_of_the_socket_is_kept() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("api.sock"), "precious").unwrap();
    ask(home.path(), &LISTEN).error(1, &["api.sock", "not a socket"]);
    assert_eq!(fs::read_to_string(home.path().join("api.sock")).unwrap(), "precious");
}

#[test]
fn invalid_configuration_names_its_flag() {
    let home = tempfile::tempdir().unwrap();
    let up = |args: &[&str]| {
        let all: Vec<&str> = LISTEN.iter().chain(args).copied().collect();
        ask(home.path(), &all)
    };
    up(&["--lease", "10ms"]).error(2, &["--lease", "1 s to 1 h"]);
    up(&["--keep-results", "10ms"]).error(2, &["--keep-results", "1 s to 10 years"]);
    up(&["--keep-results-max", "1KiB"]).error(2, &["--keep-results-max", "4MiB"]);
    up(&["--name", ""]).error(2, &["--name"]);
    up(&["--network", "No Such"]).error(2, &["--network"]);
    up(&["--slots", "5000"]).error(2, &["--slots"]);
    up(&["--bootstrap", "/ip4/127.0.0.1/sctp/1"]).error(2, &["--bootstrap"]);
    let answer = ask(home.path(), &["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/sctp/1"]);
    answer.error(2, &["--listen", "/ip4/127.0.0.1/sctp/1"]);
}
