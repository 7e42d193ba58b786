//! Peers: trusted peers that are off, names, and decisions of the user.

use rustix::process::Signal;

use crate::support::{Node, eventually};

#[test]
fn a_trusted_peer_that_is_off_is_listed_after_a_restart() {
    let bee = Node::up(&["--name", "bee"]);
    let ant = Node::up(&["--name", "ant", "--slots", "0"]);
    let id = bee.text("peer").to_owned();
    assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
    ant.until_ready("bee");
    assert_eq!(ant.ask(&["peers", "trust", "bee"]).code, 0);
    let never = "12D3KooWJCQT3eecHtv32UaHQqyByMq4N5Q42C6DrcJH8SbADUxh";
    assert_eq!(ant.ask(&["peers", "trust", never]).code, 0);
    let (_, home) = ant.end(Signal::TERM);
    drop(bee);
    let ant = Node::up_in(home, &["--name", "ant", "--slots", "0"]);

    let shown = ant.ask(&["peers", "show", "bee", "--json"]).json();
    assert_eq!((&shown["peer"], &shown["state"]), (&id.as_str().into(), &"disconnected".into()));
    assert!(!shown["last_seen"].as_str().unwrap().starts_with("1970"), "{shown}");
    eventually("the latest reason is shown", || {
        let shown = ant.ask(&["peers", "show", "bee", "--json"]).json();
        shown["why"].as_str().is_some_and(|why| why.contains("no process listens"))
    });
    let status = ant.ask(&["status"]).stdout;
    assert!(status.contains("! bee is trusted but not connected, last seen"), "{status}");
    assert!(status.contains("not seen yet"), "{status}");
    let unseen = ant.ask(&["peers", "show", never]).stdout;
    assert!(unseen.contains("last seen   never"), "{unseen}");
    let task = ant.ask(&["submit", "text/upper", "a", "--on", "bee"]);
    assert_eq!(task.code, 0, "it waits for bee: {task:?}");
}

#[test]
fn decisions_about_peers_outlive_the_node() {
    let bee = Node::up(&["--name", "bee"]);
    let ant = Node::up(&["--name", "ant"]);
    let id = bee.text("peer").to_owned();
    assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
    ant.until_ready("bee");
    assert_eq!(ant.ask(&["peers", "name", "bee", "worker one"]).code, 0);
    assert_eq!(ant.ask(&["peers", "show", "worker one", "--json"]).json()["peer"], id.as_str());
    assert_eq!(ant.ask(&["peers", "trust", "worker one"]).code, 0);

    let blocked = ant.ask(&["peers", "block", "worker one", "--json"]).json();
    assert_eq!((&blocked["blocked"], &blocked["trusted"]), (&true.into(), &false.into()));
    eventually("it is disconnected", || {
        ant.ask(&["peers", "show", &id, "--json"]).json()["state"] == "disconnected"
    });
    ant.ask(&["peers", "dial", bee.address()]).error(1, &["blocks the peer"]);
    ant.ask(&["peers", "trust", &id]).error(5, &["meshwork peers unblock"]);

    let (_, home) = ant.end(Signal::KILL);
    let ant = Node::up_in(home, &["--name", "ant"]);
    let row = ant.ask(&["peers"]).stdout;
    assert!(row.starts_with(&format!("worker one\t{id}\tdisconnected\tblocked")), "{row}");
    ant.ask(&["peers", "dial", bee.address()]).error(1, &["blocks the peer"]);

    assert_eq!(ant.ask(&["peers", "unblock", "worker one"]).code, 0);
    assert_eq!(ant.ask(&["peers", "dial", bee.address()]).code, 0);
    ant.until_ready("worker one");
    assert_eq!(ant.ask(&["peers", "disconnect", "worker one"]).code, 0);
    drop(bee);
    eventually("it is gone", || {
        ant.ask(&["peers", "show", &id, "--json"]).json()["state"] == "disconnected"
    });
    assert_eq!(ant.ask(&["peers", "forget", "worker one"]).code, 0);
    assert_eq!(ant.ask(&["peers"]).stdout, "");
    let (_, home) = ant.end(Signal::TERM);
    let ant = Node::up_in(home, &["--name", "ant"]);
    assert_eq!(ant.ask(&["peers"]).stdout, "", "the peer is forgotten");
}

#[test]
fn worker_with_a_new_id_is_found_by_its_name() {
    let ant = Node::up(&["--name", "ant", "--slots", "0"]);
    let join = || Node::up(&["--name", "bee", "--accept", "anyone", "--bootstrap", ant.address()]);
    let run = || ant.ask(&["run", "text/upper", "a", "--on", "bee", "--queue-timeout", "3s"]);
    let first = join();
    ant.until_ready(first.text("peer"));
    assert_eq!(run().stdout, "A");
    first.end(Signal::KILL);
    let second = join();
    ant.until_ready(second.text("peer"));
    eventually("the name means the connected peer", || run().stdout == "A");

    let old = second.text("peer").to_owned();
    assert_eq!(ant.ask(&["peers", "trust", &old]).code, 0);
    second.end(Signal::KILL);
    let third = join();
    let new = third.text("peer");
    ant.until_ready(new);
    let is_refused = || run().code == 125 && run().stderr.contains(&format!("trust {new}"));
    eventually("a stranger does not take over the name", is_refused);
    for verb in [&["peers", "show", "bee"][..], &["peers", "trust", "bee"], &["ping", "bee"]] {
        ant.ask(verb).error(4, &[&format!("peers trust {new}"), &format!("peers forget {old}")]);
    }
    assert_eq!(ant.ask(&["peers", "trust", new]).code, 0);
    assert_eq!(ant.ask(&["peers", "forget", &old]).code, 0);
    assert_eq!(run().stdout, "A");
}
