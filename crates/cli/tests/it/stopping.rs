//! `drain`, `down` and signals, while something runs (F-24).

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
fn a_node_that_is_told_to_stop_lets_what_runs_end() {
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
fn a_second_signal_stops_it_at_once_and_what_ran_is_handed_back() {
    let (ant, mut bee) = pair(&["--grace", "1h"]);
    let runs = sleeps(&ant, "3600000");
    until_running(&ant, &runs);
    signal(&bee.process, Signal::TERM);
    // Until the first one has been taken, the second would be the same.
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
fn down_now_waits_for_nothing() {
    let (ant, mut bee) = pair(&["--grace", "1h"]);
    let runs = sleeps(&ant, "3600000");
    until_running(&ant, &runs);
    assert_eq!(bee.ask(&["down", "--now"]).code, 0);
    assert_eq!(bee.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_node_that_drains_finishes_what_runs_and_takes_nothing_until_it_may_again() {
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
