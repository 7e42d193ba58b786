//! Owner and workers are killed while they work: each accepted task succeeds, once.

use std::{path::Path, sync::mpsc, time::Duration};

use bytes::Bytes;
use meshwork_api::{Client, Payload, TaskSpec};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Node, eventually, number};

/// Default number of kills; `MESHWORK_KILLS` overrides it.
const KILLS: usize = 8;
/// Tasks that are accepted between two kills.
const TASKS: usize = 50;

fn kills() -> usize {
    number("MESHWORK_KILLS").unwrap_or(KILLS)
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

/// Submits all tasks, each until it is accepted, and returns their ids in order.
fn submit_all(socket: &Path, tasks: usize, accepted: &mpsc::SyncSender<()>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut ids = Vec::new();
        for number in 0..tasks {
            let mut spec = TaskSpec::new("debug/echo");
            spec.input = Some(Payload::of(Bytes::from(format!("task {number}"))));
            // The owner may be killed before it answers: the key prevents a second task.
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
fn accepted_tasks_end_once_although_nodes_are_killed() {
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
    let (sender, accepted) = mpsc::sync_channel(tasks);
    let submitting = {
        let socket = socket.clone();
        std::thread::spawn(move || submit_all(Path::new(&socket), tasks, &sender))
    };
    for kill in 0..kills {
        for _ in 0..TASKS {
            accepted.recv().expect("more is accepted");
        }
        // Kill the owner every second time, otherwise one of the workers.
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
    assert_eq!(ant.text("peer"), id, "the id is the same");

    eventually("all tasks have ended", || {
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

/// The test damages a task's input, at every place of the file that contains it.
#[test]
fn damaged_journal_is_reported_and_salvaged() {
    let node = Node::up_in(home(), &["--slots", "0"]);
    let ids: Vec<String> = ["damage me", "leave me"]
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
    let word = b"damage me";
    let mut at = 0;
    while let Some(found) = file[at..].windows(word.len()).position(|bytes| bytes == word) {
        at += found + 1;
        file[at] ^= 0x20;
    }
    assert!(at > 0, "the file contains the input");
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

/// After a restore, tasks are as at the time of the backup: tasks that ended since run again.
#[test]
fn backup_of_a_running_node_is_restored() {
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
    let restored = ask(&["store", "restore", copy, "--yes", "--json"]).json();
    assert_eq!((&restored["open"], &restored["ended"]), (&1.into(), &1.into()));
    assert_eq!(std::fs::read_to_string(home.path().join("boot")).unwrap(), boot);
    let node = Node::up_in(home, &["--slots", "1", "--capability", "late"]);
    assert_eq!(node.ask(&["wait", &waits]).code, 0);
    assert_eq!(node.ask(&["task", "result", &waits]).stdout, "WAIT");
    node.ask(&["task", "show", &since]).error(4, &["not found"]);
}
