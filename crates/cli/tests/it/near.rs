//! Two processes on one network that find each other by mDNS, without configured addresses.
//!
//! The network is in a separate network namespace: mDNS does not use the loopback interface, and on
//! a real network it would find other nodes.

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
    // The other order with the same keys, which may decide which node dials.
    let (ant, bee) = meet(("ant", ant), ("bee", bee));
    meet(("bee", bee), ("ant", ant));
}

/// Starts the first, then the second, and waits until each is ready for the other. This wait is far
/// shorter than the minutes until the next query of the first.
fn meet(first: (&str, TempDir), second: (&str, TempDir)) -> (TempDir, TempDir) {
    let up =
        |name: &str, home| Node::open_in(home, &["--name", name, "--listen", "/ip4/0.0.0.0/tcp/0"]);
    let (first, second) = ((first.0, up(first.0, first.1)), (second.0, up(second.0, second.1)));
    first.1.until_ready(second.0);
    second.1.until_ready(first.0);
    (first.1.end(Signal::TERM).1, second.1.end(Signal::TERM).1)
}

#[test]
fn neighbours_find_each_other_with_ipv6_only() {
    let name = "near::neighbours_find_each_other_with_ipv6_only";
    if !is_inside(Command::new(SCRIPT), name) {
        return;
    }
    for (wire, address) in [("wire0", "fd77::1/64"), ("wire1", "fd77::2/64")] {
        ip(&["address", "flush", "dev", wire]);
        // An interface without an address has no route for multicast.
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
