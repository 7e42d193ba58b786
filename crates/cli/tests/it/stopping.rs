//! `drain`, `down` and signals while attempts run (F-24).

use rustix::process::Signal;

use crate::support::{Node, eventually, signal};

fn pair(worker: &[&str]) -> (Node, Node) {
    let bee =
        Node::up(&[&["--name", "bee", "--accept", "anyone", "--slots", "1"], worker].concat());
    let trusts = ["--trust", bee.text("peer"), "--bootstrap", bee.address(), "--slots", "0"];
    let ant = Node::up(&[&["--name", "ant"][..], &trusts].concat());
    ant.until_ready("bee");
    (ant, bee)
}

fn sleeps(ant: &Node, ms: &str) -> String {
    let param = format!("ms={ms}");
    ant.ask(&["submit", "debug/sleep", "-p", &param, "-q"]).stdout.trim().to_owned()
}

fn until_running(ant: &Node, id: &str) {
    eventually("it runs", || ant.ask(&["task", "show", id, "--json"]).json()["state"] == "running");
}

fn last_attempt(ant: &Node, id: &str) -> serde_json::Value {
    let task = ant.ask(&["task", "show", id, "--json"]).json();
    task["attempts"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default()
}

#[test]
fn stopping_node_lets_running_attempts_finish() {
    for by_signal in [true, false] {
        let (ant, mut bee) = pair(&[]);
        let (runs, waits) = (sleeps(&ant, "1500"), sleeps(&ant, "1"));
        until_running(&ant, &runs);
        if by_signal {
            signal(&bee.process, Signal::TERM);
        } else {
            let answer = bee.ask(&["down"]);
            assert!(answer.stderr.contains("attempt"), "{answer:?}");
        }
        assert_eq!(ant.ask(&["wait", &runs]).code, 0);
        assert_eq!(last_attempt(&ant, &runs)["number"], 1);
        assert_eq!(bee.process.wait().unwrap().code(), Some(0));
        assert_eq!(ant.ask(&["task", "show", &waits, "--json"]).json()["state"], "queued");
    }
}

#[test]
fn second_signal_stops_at_once_and_hands_back_attempts() {
    let (ant, mut bee) = pair(&["--grace", "1h"]);
    let runs = sleeps(&ant, "3600000");
    until_running(&ant, &runs);
    signal(&bee.process, Signal::TERM);
    // A second signal before the node has handled the first would count as the same one.
    eventually("it stops", || bee.ask(&["status"]).code == 1);
    let status = bee.ask(&["status", "--json"]);
    assert!(status.stderr.contains(r#""code":"shutting_down""#), "{status:?}");
    let shown: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((status.code, &shown["state"]), (1, &"shutting_down".into()));
    assert_eq!(shown["node"]["draining"], true);
    bee.ask(&["submit", "text/upper", "x"]).error(1, &["shutting down"]);
    assert_eq!(ant.ask(&["task", "show", &runs, "--json"]).json()["state"], "running");
    signal(&bee.process, Signal::TERM);
    assert_eq!(bee.process.wait().unwrap().code(), Some(130));
    eventually("it is handed back", || last_attempt(&ant, &runs)["end"] == "stopped by the worker");
}

#[test]
fn down_now_does_not_wait_for_attempts() {
    let (ant, mut bee) = pair(&["--grace", "1h"]);
    let runs = sleeps(&ant, "3600000");
    until_running(&ant, &runs);
    assert_eq!(bee.ask(&["down", "--now"]).code, 0);
    assert_eq!(bee.process.wait().unwrap().code(), Some(0));
}

#[test]
fn draining_node_finishes_attempts_and_takes_no_new_ones() {
    let (ant, bee) = pair(&[]);
    let runs = sleeps(&ant, "3000");
    until_running(&ant, &runs);
    let answer = bee.ask(&["drain"]);
    assert!(answer.stderr.contains("1 still running here"), "{answer:?}");
    assert!(bee.ask(&["status"]).stdout.contains("meshwork drain --off"));
    let waits = sleeps(&ant, "1");
    assert_eq!(ant.ask(&["wait", &runs]).code, 0);
    let shown = ant.ask(&["task", "show", &waits, "--json"]).json();
    assert_eq!(shown["state"], "queued", "{shown}");
    let why = shown["waiting"]["peers"].as_array().unwrap();
    assert!(why.iter().any(|peer| peer["code"] == "draining"), "{shown}");
    assert_eq!(bee.ask(&["drain", "--off", "--json"]).json()["draining"], false);
    assert_eq!(ant.ask(&["wait", &waits]).code, 0);
}
