//! Nodes that find each other again by their peer books, without configured addresses.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Node, eventually};

const ALONE: [&str; 4] = ["-v", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];

fn book(home: &TempDir) -> PathBuf {
    home.path().join("peers")
}

/// Two nodes that are connected: the second has dialled the first and trusts it.
fn connected_pair() -> (Node, Node) {
    let bee = Node::up(&["--name", "bee"]);
    let ant = Node::up(&["--name", "ant"]);
    assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
    ant.until_ready("bee");
    assert_eq!(ant.ask(&["peers", "trust", "bee"]).code, 0);
    (bee, ant)
}

#[test]
fn restarted_node_finds_peers_of_its_peer_book() {
    let (bee, ant) = connected_pair();
    let (id, address) = (bee.text("peer").to_owned(), bee.address().to_owned());
    let listen = address.split("/p2p/").next().unwrap().to_owned();
    eventually("bee is in the peer book while both run", || {
        fs::read_to_string(book(&ant.home)).is_ok_and(|text| text.contains(&id))
    });
    let (status, home) = ant.end(Signal::TERM);
    assert!(status.success());
    let text = fs::read_to_string(book(&home)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("meshwork-peers 1 "), "{text}");
    assert!(
        lines[1].starts_with(&format!("{id} "))
            && lines[1].ends_with(&format!("{listen} name=bee")),
        "{text}"
    );

    // The peer book also survives a kill.
    let ant = Node::open_in(home, &ALONE);
    ant.until_ready(&id);
    bee.until_ready(ant.text("peer"));
    let (_, home) = ant.end(Signal::KILL);
    let ant = Node::open_in(home, &ALONE);
    ant.until_ready(&id);

    // Bee has no peer book; ant finds it at its old address.
    let (_, home) = bee.end(Signal::TERM);
    assert!(!book(&home).exists(), "bee has met no peer that it could find again");
    let bee = Node::open_in(home, &["--no-mdns", "--listen", &listen]);
    assert_eq!(bee.address(), address);
    ant.until_ready(&id);
}

/// Each new peer connects soon after a write of the peer book.
#[test]
fn killed_node_finds_peers_met_seconds_before() {
    let (bee, ant) = connected_pair();
    let text = |ant: &Node| fs::read_to_string(book(&ant.home)).unwrap_or_default();
    eventually("the first peer is written", || text(&ant).contains(bee.text("peer")));
    let late: Vec<Node> = ["cat", "dog"]
        .map(|name| {
            let peer = Node::up(&["--name", name]);
            assert_eq!(ant.ask(&["peers", "dial", peer.address()]).code, 0);
            ant.until_ready(name);
            let start = Instant::now();
            eventually("it is written", || text(&ant).contains(peer.text("peer")));
            // Two seconds, and some for a slow machine: far below the interval of other writes.
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
            peer
        })
        .into();
    let (_, home) = ant.end(Signal::KILL);
    let ant = Node::open_in(home, &ALONE);
    for peer in late.iter().chain([&bee]) {
        ant.until_ready(peer.text("peer"));
    }
}

#[test]
fn invalid_peer_book_is_ignored_and_replaced() {
    let (bee, ant) = connected_pair();
    let id = bee.text("peer").to_owned();
    let (_, mut home) = ant.end(Signal::TERM);
    let good = fs::read(book(&home)).unwrap();
    let foreign = String::from_utf8(good.clone()).unwrap().replacen("1 ", "1 not-", 1).into_bytes();
    let long = [good.as_slice(), &vec![b'\n'; 300 * 1024]].concat();
    for bad in [foreign, long, b"\xff\x00\x1b[2J\n".to_vec(), Vec::new()] {
        fs::write(book(&home), &bad).unwrap();
        let log = home.path().join("stderr").display().to_string();
        let ant = Node::open_in_after(home, &format!("exec 2>'{log}'"), &ALONE);
        let known = ant.ask(&["peers", "show", &id, "--json"]).json();
        assert_eq!(known["addresses"], serde_json::json!([]), "it does not know where bee is");
        let stderr = fs::read_to_string(&log).unwrap();
        assert!(stderr.contains("the peer book is ignored"), "{stderr}");
        assert!(!stderr.contains('\u{0}') && !stderr.contains("\u{1b}[2J"), "{stderr:?}");
        assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
        ant.until_ready(&id);
        home = ant.end(Signal::TERM).1;
        let text = fs::read_to_string(book(&home)).unwrap();
        assert!(text.lines().count() == 2 && text.contains(&id), "{text}");
    }
}

#[test]
fn unwritable_peer_book_is_reported_once() {
    let bee = Node::up(&["--name", "bee"]);
    let home = tempfile::tempdir().expect("a folder");
    // A folder in place of the temporary file makes each write fail.
    fs::create_dir(home.path().join("peers.new")).unwrap();
    let log = home.path().join("stderr").display().to_string();
    let ant = Node::open_in_after(home, &format!("exec 2>'{log}'"), &ALONE);
    assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
    ant.until_ready("bee");
    let warnings = || {
        let stderr = fs::read_to_string(&log).unwrap();
        stderr.lines().filter(|line| line.contains("peer book not saved")).count()
    };
    eventually("it is reported", || warnings() == 1);
    assert_eq!(ant.ask(&["peers", "list", "-q"]).stdout.trim(), bee.text("peer"));
    let mut ant = ant;
    crate::support::signal(&ant.process, Signal::TERM);
    assert!(ant.process.wait().unwrap().success());
    assert_eq!(warnings(), 1);
}
