//! Owner and workers that are killed while they work: what was accepted ends, once, as it should.

use std::{path::Path, sync::mpsc, time::Duration};

use bytes::Bytes;
use meshwork_api::{Client, Payload, TaskSpec};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Node, eventually};

/// As often as `MESHWORK_KILLS` says, else so often.
const KILLS: usize = 8;
/// Tasks that are accepted between two kills.
const TASKS: usize = 50;

fn kills() -> usize {
    let asked = std::env::var("MESHWORK_KILLS").ok().and_then(|kills| kills.parse().ok());
    asked.unwrap_or(KILLS)
}

fn owner(home: TempDir, listen: &str) -> Node {
    let alone = ["--no-mdns", "--listen", listen, "--name", "ant", "--slots", "0"];
    Node::open_in(home, &[&alone[..], &["--lease", "2s", "--heartbeat", "500ms"]].concat())
}

fn worker(home: TempDir, name: &str, owner: &str) -> Node {
    let who = ["--name", name, "--accept", "anyone", "--bootstrap", owner, "--slots", "2"];
    Node::up_in(home, &[&who[..], &["--lease", "2s", "--heartbeat", "500ms"]].concat())
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Submits all tasks, each until it is accepted; their ids, in order.
fn submit_all(socket: &Path, tasks: usize, accepted: &mpsc::SyncSender<()>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut ids = Vec::new();
        for number in 0..tasks {
            let mut spec = TaskSpec::new("debug/echo");
            spec.input = Some(Payload::of(Bytes::from(format!("task {number}"))));
            // An answer may be lost with the owner: the task is not submitted twice for that.
            spec.idempotency_key = Some(format!("key {number}"));
            let id = loop {
                let client = Client::new(socket);
                match client.submit(&spec, Duration::ZERO).await {
                    Ok(task) => break task.id,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            ids.push(id);
            accepted.send(()).ok();
        }
        ids
    })
}

#[test]
fn whoever_is_killed_what_was_accepted_ends_once_and_right() {
    let mut ant = Some(owner(home(), "/ip4/127.0.0.1/tcp/0"));
    let (id, socket, address) = {
        let ant = ant.as_ref().unwrap();
        (ant.text("peer"), ant.text("socket"), ant.address())
    };
    let (id, socket, address) = (id.to_owned(), socket.to_owned(), address.to_owned());
    let listen = address.split("/p2p/").next().unwrap().to_owned();
    let names = ["bee", "cat"];
    let mut workers: Vec<Option<Node>> =
        names.iter().map(|name| Some(worker(home(), name, &address))).collect();
    for worker in workers.iter().flatten() {
        let ant = ant.as_ref().unwrap();
        ant.until_ready(worker.text("peer"));
        assert_eq!(ant.ask(&["peers", "trust", worker.text("peer")]).code, 0);
    }

    let kills = kills();
    let tasks = (kills + 1) * TASKS;
    let (told, accepted) = mpsc::sync_channel(tasks);
    let submitting = {
        let socket = socket.clone();
        std::thread::spawn(move || submit_all(Path::new(&socket), tasks, &told))
    };
    for kill in 0..kills {
        for _ in 0..TASKS {
            accepted.recv().expect("more is accepted");
        }
        // The owner each other time, else one of the workers.
        if kill % 2 == 0 {
            let (_, home) = ant.take().unwrap().end(Signal::KILL);
            ant = Some(owner(home, &listen));
        } else {
            let at = kill / 2 % workers.len();
            let (_, home) = workers[at].take().unwrap().end(Signal::KILL);
            workers[at] = Some(worker(home, names[at], &address));
        }
    }
    let ids = submitting.join().expect("all are accepted");
    let ant = ant.unwrap();
    assert_eq!(ant.text("peer"), id, "it is who it was");

    eventually("all have ended", || {
        let tasks = ant.ask(&["status", "--json"]).json()["node"]["tasks"].clone();
        tasks["queued"] == 0 && tasks["running"] == 0
    });
    let client = Client::new(Path::new(&socket));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (number, id) in ids.iter().enumerate() {
            let task = client.task(id).await.unwrap();
            assert_eq!(task.state, "succeeded".into(), "{task:?}");
            assert_eq!(client.result(id).await.unwrap(), format!("task {number}"));
        }
    });
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), tasks, "each key has one task");
    for worker in workers.iter().flatten() {
        eventually("no result is left behind", || {
            worker.ask(&["status", "--json"]).json()["node"]["tasks"]["unacked"] == 0
        });
    }
}

/// The damaged byte is in what a user gave, which is found wherever the file has it.
#[test]
fn a_damaged_journal_is_told_and_salvaged() {
    let node = Node::up_in(home(), &["--slots", "0"]);
    let ids: Vec<String> = ["spoil me", "leave me"]
        .iter()
        .map(|input| node.ask(&["submit", "text/upper", input]).stdout.trim().to_owned())
        .collect();
    node.ask(&["store", "verify"]).error(1, &["in use", " down"]);
    let (status, home) = node.end(Signal::TERM);
    assert!(status.success());
    let ask = |args: &[&str]| crate::support::ask(home.path(), args);
    let whole = ask(&["store", "verify", "--json"]).json();
    assert_eq!((&whole["open"], &whole["damaged"]), (&2.into(), &0.into()));

    let path = home.path().join("journal.redb");
    let mut file = std::fs::read(&path).unwrap();
    let word = b"spoil me";
    let mut at = 0;
    while let Some(found) = file[at..].windows(word.len()).position(|bytes| bytes == word) {
        at += found + 1;
        file[at] ^= 0x20;
    }
    assert!(at > 0, "it is there");
    std::fs::write(&path, file).unwrap();
    ask(&["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"])
        .error(1, &["damaged", "meshwork store salvage"]);
    let damaged = ask(&["store", "verify"]);
    assert!(damaged.code == 1 && damaged.stderr.contains("cannot be read"), "{damaged:?}");
    let salvaged = ask(&["store", "salvage", "--json"]).json();
    assert_eq!((&salvaged["open"], &salvaged["damaged"]), (&1.into(), &0.into()));
    let kept = salvaged["taken_out"][0].as_str().unwrap();
    assert!(std::fs::metadata(kept).unwrap().len() > 0);
    assert_eq!(ask(&["store", "compact"]).code, 0);

    let node = Node::up_in(home, &[]);
    assert_eq!(node.ask(&["wait", &ids[1]]).code, 0);
    assert_eq!(node.ask(&["task", "result", &ids[1]]).stdout, "LEAVE ME");
    node.ask(&["task", "show", &ids[0]]).error(4, &["not found"]);
}

/// What a copy means: tasks are as they were when it was made, and those that ended since run again.
#[test]
fn a_copy_of_a_node_that_runs_is_put_back() {
    let folder = home();
    let copy = folder.path().join("copy");
    let copy = copy.to_str().unwrap();
    let node = Node::up_in(home(), &["--slots", "1"]);
    assert_eq!(node.ask(&["run", "text/upper", "before"]).stdout, "BEFORE");
    let waits = node.ask(&["submit", "text/upper", "wait", "--capability", "late"]);
    let waits = waits.stdout.trim().to_owned();
    let made = node.ask(&["store", "backup", copy, "--json"]).json();
    assert_eq!(
        (&made["open"], &made["ended"], &made["damaged"]),
        (&1.into(), &1.into(), &0.into())
    );
    node.ask(&["store", "backup", copy]).error(1, &["exists already"]);
    let since = node.ask(&["submit", "text/upper", "since"]).stdout.trim().to_owned();
    assert_eq!(node.ask(&["wait", &since]).code, 0);
    node.ask(&["store", "restore", copy, "--yes"]).error(1, &["in use"]);
    let node = Node::up_in(node.end(Signal::TERM).1, &["--slots", "1", "--capability", "late"]);
    assert_eq!(node.ask(&["wait", &waits]).code, 0);
    let home = node.end(Signal::TERM).1;

    let ask = |args: &[&str]| crate::support::ask(home.path(), args);
    ask(&["store", "restore", copy]).error(1, &["--yes"]);
    let boot = std::fs::read_to_string(home.path().join("boot")).unwrap();
    let put_back = ask(&["store", "restore", copy, "--yes", "--json"]).json();
    assert_eq!((&put_back["open"], &put_back["ended"]), (&1.into(), &1.into()));
    assert_eq!(std::fs::read_to_string(home.path().join("boot")).unwrap(), boot);
    let node = Node::up_in(home, &["--slots", "1", "--capability", "late"]);
    assert_eq!(node.ask(&["wait", &waits]).code, 0);
    assert_eq!(node.ask(&["task", "result", &waits]).stdout, "WAIT");
    node.ask(&["task", "show", &since]).error(4, &["not found"]);
}
