//! Two nodes in two processes: where tasks may run.

use serde_json::Value;

use crate::support::Node;

#[test]
fn task_runs_only_where_it_is_allowed() {
    let bee = Node::up(&["--name", "bee", "--accept", "text=listed"]);
    let ant = Node::up(&["--name", "ant", "--bootstrap", bee.address(), "--slots", "0"]);
    ant.until_ready("bee");

    // Bee does not list ant: a task with bee as its target is refused.
    let refused = ant.ask(&["run", "text/upper", "hello", "--on", "bee"]);
    refused.error(126, &["not_accepted", "meshwork peers trust"]);

    // Ant does not trust bee: a task without a target waits, and its story says why.
    let id = ant.ask(&["submit", "text/upper", "hello"]).stdout.trim().to_owned();
    let waiting = ant.ask(&["task", "show", &id, "--json"]).json();
    assert_eq!(waiting["state"], "queued", "{waiting}");
    assert_eq!(obstacle(&waiting, "bee")["code"], "not_trusted", "{waiting}");
    assert!(ant.ask(&["task", "show", &id]).stdout.contains("bee  no  not trusted"));

    let trusted = bee.ask(&["peers", "trust", ant.text("peer"), "--json"]).json();
    assert_eq!(trusted["trusted"], true);
    assert_eq!(ant.ask(&["peers", "trust", "bee"]).code, 0);
    assert_eq!(ant.ask(&["wait", &id]).code, 0);
    assert_eq!(ant.ask(&["task", "result", &id]).stdout, "HELLO");
    let done = ant.ask(&["task", "show", &id, "--json"]).json();
    assert_eq!((&done["worker"], &done["worker_name"]), (&bee.text("peer").into(), &"bee".into()));

    let answer = ant.ask(&["run", "text/word-count", "a b c", "--on", bee.text("peer")]);
    assert_eq!(answer.json()["words"], 3);
    assert!(answer.stderr.contains("-> bee"), "{answer:?}");
}

#[test]
fn a_peer_is_dialled_listed_trusted_and_untrusted() {
    let bee = Node::up(&["--name", "bee"]);
    let ant = Node::up(&["--name", "ant"]);
    let id = bee.text("peer");
    assert_eq!(ant.ask(&["peers", "dial", bee.address()]).stdout.trim(), id);
    ant.until_ready("bee");
    bee.until_ready("ant");
    let row = ant.ask(&["peers"]).stdout;
    assert_eq!(row.split('\t').take(3).collect::<Vec<_>>(), ["bee", id, "ready"], "{row}");
    assert_eq!(ant.ask(&["peers", "list", "-q"]).stdout.trim(), id);

    let untrusted = ant.ask(&["status"]).stdout;
    assert!(untrusted.contains(&format!("meshwork peers trust {id}")), "{untrusted}");
    let answer = ant.ask(&["peers", "trust", "bee"]);
    assert!(answer.stderr.contains(id), "{answer:?}");
    assert_eq!(ant.ask(&["peers", "show", "bee", "--json"]).json()["trusted"], true);
    assert_eq!(ant.ask(&["peers", "untrust", id]).code, 0);
    assert_eq!(ant.ask(&["peers", "show", id, "--json"]).json()["trusted"], false);
    ant.ask(&["peers", "dial", "/ip4/127.0.0.1/tcp/1"]).error(1, &["/ip4/127.0.0.1/tcp/1"]);
}

#[test]
fn handlers_are_listed_with_the_nodes_that_offer_them() {
    let bee = Node::up(&["--name", "bee", "--accept", "text=anyone"]);
    let ant = Node::up(&["--name", "ant", "--bootstrap", bee.address()]);
    ant.until_ready("bee");
    let ids = [ant.text("peer"), bee.text("peer")];

    let upper = ant.ask(&["handlers", "text/upper", "--json"]).json();
    assert_eq!((&upper["name"], &upper["offer_count"]), (&"text/upper".into(), &2.into()));
    assert_eq!([&upper["offers"][0]["peer"], &upper["offers"][1]["peer"]], ids);
    assert_eq!(
        (&upper["offers"][0]["here"], &upper["offers"][1]["here"]),
        (&true.into(), &false.into())
    );
    assert_eq!(upper["offers"][1]["trusted"], false);

    let list = ant.ask(&["handlers"]).stdout;
    let row = list.lines().find(|line| line.starts_with("text/upper\t")).unwrap();
    assert!(ids.iter().all(|id| row.contains(id)), "{row}");
    let own = list.lines().find(|line| line.starts_with("debug/echo\t")).unwrap();
    assert!(own.contains(ids[0]) && !own.contains(ids[1]), "{own}");
    assert!(ant.ask(&["handlers", "-q"]).stdout.lines().any(|line| line == "text/upper"));

    let shown = ant.ask(&["handlers", "text/upper"]).stdout;
    assert!(shown.contains("bee") && shown.contains("ready, not trusted"), "{shown}");
    ant.ask(&["handlers", "text/nope"]).error(4, &["text/nope", "meshwork handlers"]);
}

#[test]
fn ping_measures_a_peer() {
    let bee = Node::up(&["--name", "bee"]);
    let ant = Node::up(&["--name", "ant", "--bootstrap", bee.address()]);
    ant.until_ready("bee");
    let answer = ant.ask(&["ping", "bee", "--count", "2", "--interval", "10ms"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.stdout.lines().count(), 2, "{answer:?}");
    let direct = |line: &str| line.starts_with("bee direct /ip4/127.0.0.1/tcp/");
    assert!(answer.stdout.lines().all(direct), "{answer:?}");
    assert!(answer.stderr.starts_with("2 sent, 2 received; min/avg/max "), "{answer:?}");
    let pong = ant.ask(&["ping", "bee", "-c", "1", "--json"]).json();
    let id = bee.text("peer");
    assert_eq!((&pong["peer"], &pong["transport"]), (&id.into(), &"tcp".into()));
    ant.ask(&["ping", "nobody"]).error(4, &["nobody"]);
}

/// Why the named peer does not run a waiting task.
fn obstacle<'t>(task: &'t Value, name: &str) -> &'t Value {
    let peers = task["waiting"]["peers"].as_array().expect("peers that were considered");
    peers.iter().find(|peer| peer["name"] == name).unwrap_or_else(|| panic!("{name} in {task}"))
}
