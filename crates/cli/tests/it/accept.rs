//! The policy of whose work runs here: the default, changes at run time, and restarts.

use std::fs;

use rustix::process::Signal;

use crate::support::{Node, ask, eventually, meshwork};

#[test]
fn trust_on_both_sides_is_enough_for_text_and_not_for_debug() {
    let bee = Node::up(&["--name", "bee"]);
    let ant = Node::up(&["--name", "ant", "--bootstrap", bee.address(), "--slots", "0"]);
    ant.until_ready("bee");
    let first = ant.ask(&["peers", "trust", "bee"]);
    let remedy = format!("run there: meshwork peers trust {}", ant.text("peer"));
    assert!(first.stderr.contains(&remedy), "{first:?}");
    let second = bee.ask(&["peers", "trust", "ant"]);
    assert!(second.stderr.contains("its text tasks may run here"), "{second:?}");
    eventually("bee offers text to ant", || {
        ant.ask(&["run", "text/upper", "a", "--on", "bee"]).stdout == "A"
    });
    let refused = ant.ask(&["run", "debug/echo", "a", "--on", "bee"]);
    refused.error(126, &["not_accepted", "debug"]);
}

#[test]
fn change_of_policy_works_at_once_and_outlives_the_node() {
    let bee = Node::up(&["--name", "bee"]);
    let ant = Node::up(&["--name", "ant", "--bootstrap", bee.address(), "--slots", "0"]);
    ant.until_ready("bee");
    assert_eq!(bee.ask(&["peers", "trust", "ant"]).code, 0);
    let runs = || ant.ask(&["run", "text/upper", "a", "--on", "bee"]);
    eventually("text runs there", || runs().stdout == "A");

    let answer = bee.ask(&["accept", "text=nobody", "--json"]).json();
    assert_eq!((&answer["accept"]["text"], &answer["kept"]), (&"nobody".into(), &true.into()));
    runs().error(126, &["not_accepted"]);
    let shown = bee.ask(&["accept"]);
    assert_eq!((shown.code, shown.stdout.as_str()), (0, "debug\tnobody\ntext\tnobody\n"));

    let (_, home) = bee.end(Signal::KILL);
    let bee = Node::up_in(home, &["--name", "bee"]);
    assert_eq!(bee.ask(&["accept", "--json"]).json()["accept"]["text"], "nobody");
    let (_, home) = bee.end(Signal::TERM);
    let bee = Node::up_in(home, &["--name", "bee", "--accept", "text=anyone"]);
    assert_eq!(
        bee.ask(&["accept", "--json"]).json()["accept"]["text"],
        "anyone",
        "the flag takes precedence"
    );
    let answer = bee.ask(&["accept", "text=listed"]);
    assert!(answer.stderr.contains("started with text=anyone"), "{answer:?}");
    bee.ask(&["accept", "txt=listed"]).error(2, &["txt", "did you mean text?"]);
}

#[test]
fn node_does_not_start_with_an_invalid_file_or_flag() {
    let home = tempfile::tempdir().unwrap();
    let up = |args: &[&str]| ask(home.path(), &[&["up", "--no-mdns"], args].concat());
    up(&["--accept", "foo=listed"]).error(2, &["--accept", "foo", "known: text"]);
    up(&["--accept", "debug=listed"]).error(2, &["debug", "known: text"]);
    let mut command = meshwork(home.path());
    let command = command.env("MESHWORK_ACCEPT", "text=me").args(["up", "--no-mdns"]);
    crate::support::Answer::of(command.output().unwrap()).error(2, &["MESHWORK_ACCEPT", "listed"]);
    fs::write(home.path().join("config.toml"), "[accept]\ntxet = \"nobody\"\n").unwrap();
    up(&[]).error(2, &["config.toml", "line 2", "did you mean text?"]);
}
