//! Two processes on one wire that find each other by mDNS, without any address given.
//!
//! The wire is in a network namespace of its own: mDNS passes over the loopback interface, and on
//! any other it would find strangers.

use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Node, is_inside};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/in-namespace.sh");

#[test]
fn neighbours_find_each_other_in_any_order_of_start() {
    let name = "near::neighbours_find_each_other_in_any_order_of_start";
    if !is_inside(Command::new(SCRIPT), name) {
        return;
    }
    let homes = || (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (ant, bee) = homes();
    // The second order with the same keys: who dials whom may depend on them.
    let (ant, bee) = meet(("ant", ant), ("bee", bee));
    meet(("bee", bee), ("ant", ant));
}

/// Starts the first, then the second, and waits until each is ready for the other. The next query
/// of the first comes after minutes, far beyond this wait.
fn meet(first: (&str, TempDir), second: (&str, TempDir)) -> (TempDir, TempDir) {
    let up =
        |name: &str, home| Node::open_in(home, &["--name", name, "--listen", "/ip4/0.0.0.0/tcp/0"]);
    let (first, second) = ((first.0, up(first.0, first.1)), (second.0, up(second.0, second.1)));
    first.1.until_ready(second.0);
    second.1.until_ready(first.0);
    (first.1.end(Signal::TERM).1, second.1.end(Signal::TERM).1)
}

#[test]
fn neighbours_find_each_other_where_there_is_only_ipv6() {
    let name = "near::neighbours_find_each_other_where_there_is_only_ipv6";
    if !is_inside(Command::new(SCRIPT), name) {
        return;
    }
    for (wire, address) in [("wire0", "fd77::1/64"), ("wire1", "fd77::2/64")] {
        ip(&["address", "flush", "dev", wire]);
        // Without an address of its own a wire has no route for multicast.
        ip(&["-6", "address", "add", address, "dev", wire, "nodad"]);
    }
    let up = |name: &str| {
        let home = tempfile::tempdir().expect("a folder");
        Node::open_in(home, &["--name", name, "--listen", "/ip6/::/tcp/0"])
    };
    let (ant, bee) = (up("ant"), up("bee"));
    ant.until_ready("bee");
    bee.until_ready("ant");
}

fn ip(args: &[&str]) {
    let status = Command::new("ip").args(args).status().expect("it starts");
    assert!(status.success(), "ip {args:?}");
}
