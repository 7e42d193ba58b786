//! Nodes that find each other again without any address given, because they have met before.

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

/// Two that have met by an address that was given once: the first is trusted by the second.
fn met() -> (Node, Node) {
    let bee = Node::up(&["--name", "bee"]);
    let ant = Node::up(&["--name", "ant"]);
    assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
    ant.until_ready("bee");
    assert_eq!(ant.ask(&["peers", "trust", "bee"]).code, 0);
    (bee, ant)
}

#[test]
fn a_node_that_restarts_finds_whom_it_has_met() {
    let (bee, ant) = met();
    let (id, address) = (bee.text("peer").to_owned(), bee.address().to_owned());
    let here = address.split("/p2p/").next().unwrap().to_owned();
    eventually("bee is written down while both run", || {
        fs::read_to_string(book(&ant.home)).is_ok_and(|text| text.contains(&id))
    });
    let (status, home) = ant.end(Signal::TERM);
    assert!(status.success());
    let text = fs::read_to_string(book(&home)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("meshwork-peers 1 "), "{text}");
    assert!(
        lines[1].starts_with(&format!("{id} ")) && lines[1].ends_with(&format!("{here} name=bee")),
        "{text}"
    );

    // Also when it was killed the time before.
    let ant = Node::open_in(home, &ALONE);
    ant.until_ready(&id);
    bee.until_ready(ant.text("peer"));
    let (_, home) = ant.end(Signal::KILL);
    let ant = Node::open_in(home, &ALONE);
    ant.until_ready(&id);

    // The other knows nobody, and is found where it was.
    let (_, home) = bee.end(Signal::TERM);
    assert!(!book(&home).exists(), "nobody was met whom it could find again");
    let bee = Node::open_in(home, &["--no-mdns", "--listen", &here]);
    assert_eq!(bee.address(), address);
    ant.until_ready(&id);
}

/// Each is met for the first time soon after the book was written.
#[test]
fn killed_node_finds_peers_met_seconds_before() {
    let (bee, ant) = met();
    let text = |ant: &Node| fs::read_to_string(book(&ant.home)).unwrap_or_default();
    eventually("the first peer is written", || text(&ant).contains(bee.text("peer")));
    let late: Vec<Node> = ["cat", "dog"]
        .map(|name| {
            let peer = Node::up(&["--name", name]);
            assert_eq!(ant.ask(&["peers", "dial", peer.address()]).code, 0);
            ant.until_ready(name);
            let start = Instant::now();
            eventually("it is written", || text(&ant).contains(peer.text("peer")));
            // Two seconds, and room for a slow machine: far below the pause between other writes.
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
fn a_node_whose_list_of_peers_is_of_no_use_starts_without_and_writes_a_new_one() {
    let (bee, ant) = met();
    let id = bee.text("peer").to_owned();
    let (_, mut home) = ant.end(Signal::TERM);
    let good = fs::read(book(&home)).unwrap();
    let foreign = String::from_utf8(good.clone()).unwrap().replacen("1 ", "1 not-", 1).into_bytes();
    let long = [good.as_slice(), &vec![b'\n'; 300 * 1024]].concat();
    for bad in [foreign, long, b"\xff\x00\x1b[2J\n".to_vec(), Vec::new()] {
        fs::write(book(&home), &bad).unwrap();
        let log = home.path().join("said").display().to_string();
        let ant = Node::open_in_after(home, &format!("exec 2>'{log}'"), &ALONE);
        let known = ant.ask(&["peers", "show", &id, "--json"]).json();
        assert_eq!(known["addresses"], serde_json::json!([]), "it does not know where bee is");
        let said = fs::read_to_string(&log).unwrap();
        assert!(said.contains("the peer book is ignored"), "{said}");
        assert!(!said.contains('\u{0}') && !said.contains("\u{1b}[2J"), "{said:?}");
        assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
        ant.until_ready(&id);
        home = ant.end(Signal::TERM).1;
        let text = fs::read_to_string(book(&home)).unwrap();
        assert!(text.lines().count() == 2 && text.contains(&id), "{text}");
    }
}

#[test]
fn a_list_of_peers_that_cannot_be_written_is_told_once_and_nothing_else() {
    let bee = Node::up(&["--name", "bee"]);
    let home = tempfile::tempdir().expect("a folder");
    // A folder in place of the file that is written first.
    fs::create_dir(home.path().join("peers.new")).unwrap();
    let log = home.path().join("said").display().to_string();
    let ant = Node::open_in_after(home, &format!("exec 2>'{log}'"), &ALONE);
    assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
    ant.until_ready("bee");
    let complaints = || {
        let said = fs::read_to_string(&log).unwrap();
        said.lines().filter(|line| line.contains("peer book not saved")).count()
    };
    eventually("it is told", || complaints() == 1);
    assert_eq!(ant.ask(&["peers", "list", "-q"]).stdout.trim(), bee.text("peer"));
    let mut ant = ant;
    crate::support::signal(&ant.process, Signal::TERM);
    assert!(ant.process.wait().unwrap().success());
    assert_eq!(complaints(), 1);
}
