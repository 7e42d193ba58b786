//! Peers that are killed, suspended, stopped and restarted while they work.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use meshwork_api::{Client, EventView, TaskSpec};
use rustix::process::Signal;

use crate::support::{Node, eventually, signal};

const HEARTBEAT: Duration = Duration::from_secs(1);

/// Submits tasks until [`Self::end`], which returns the number of tasks. All of them succeed.
struct Load {
    over: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Load {
    /// Submits eight tasks of 20 ms at a time.
    fn on(owner: &Node) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (socket, stop) = (owner.text("socket").to_owned(), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let lanes = (0..8).map(|_| lane(Path::new(&socket), &stop));
                let ids: Vec<String> =
                    futures::future::join_all(lanes).await.into_iter().flatten().collect();
                let distinct: HashSet<&String> = ids.iter().collect();
                assert_eq!(distinct.len(), ids.len(), "each task has ended once");
                ids.len()
            })
        });
        Self { over, thread }
    }

    fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("all tasks have succeeded")
    }
}

async fn lane(socket: &Path, over: &AtomicBool) -> Vec<String> {
    let client = Client::new(socket);
    let mut ids = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let mut spec = TaskSpec::new("debug/sleep");
        spec.params.insert("ms".to_owned(), "20".to_owned());
        let task = client.submit(&spec, Duration::from_secs(60)).await.unwrap();
        assert_eq!(task.state, "succeeded".into(), "{task:?}");
        ids.push(task.id);
    }
    ids
}

/// Records the owner's events about peers that connect and leave.
struct PeerEvents {
    thread: JoinHandle<Vec<EventView>>,
}

impl PeerEvents {
    /// Starts recording.
    fn of(owner: &Node) -> Self {
        let socket = owner.text("socket").to_owned();
        let (connected, is_connected) = sync_channel(1);
        let types = ["peer.connected", "peer.ready", "peer.disconnected"].map(str::to_owned);
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Client::new(Path::new(&socket));
                let mut events = client.events(&types, None).await.unwrap();
                connected.send(()).unwrap();
                let mut seen = Vec::new();
                while let Some(event) = events.next().await.unwrap() {
                    seen.push(event);
                }
                seen
            })
        });
        is_connected.recv().expect("it connects");
        Self { thread }
    }

    fn until_the_end_of(self, owner: Node) -> Vec<EventView> {
        owner.end(Signal::TERM);
        self.thread.join().expect("the events are read")
    }
}

/// The types of a peer's events. Repeated ones count once: a new advert repeats `peer.ready`.
fn kinds<'a>(events: &'a [EventView], peer: &str) -> Vec<&'a str> {
    let of_peer = events.iter().filter(|event| event.peer_id.as_deref() == Some(peer));
    let mut kinds: Vec<&str> = of_peer.map(|event| event.kind.as_str()).collect();
    kinds.dedup();
    kinds
}

fn worker(name: &str, owner: &Node) -> Vec<String> {
    let words = ["--name", name, "--trust", owner.text("peer"), "--accept", "listed"];
    let more = ["--bootstrap", owner.address(), "--heartbeat", "1s", "--lease", "3s"];
    words.iter().chain(&more).map(|word| (*word).to_owned()).collect()
}

fn start(args: &[String]) -> Node {
    Node::up(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A peer's state at the owner, the reason, and when it was last seen.
fn peer_state(owner: &Node, peer: &str) -> (String, String, chrono::DateTime<chrono::Utc>) {
    let peer = owner.ask(&["peers", "show", peer, "--json"]).json();
    let last_seen = peer["last_seen"].as_str().unwrap().parse().unwrap();
    let why = peer["why"].as_str().unwrap_or_default().to_owned();
    (peer["state"].as_str().unwrap().to_owned(), why, last_seen)
}

fn until_state(owner: &Node, peer: &str, state: &str) {
    eventually(&format!("{peer} is {state}"), || peer_state(owner, peer).0 == state);
}

#[test]
fn no_task_is_lost_while_peers_come_and_go() {
    let owner = Node::up(&["--name", "ant", "--slots", "0", "--heartbeat", "1s", "--lease", "3s"]);
    let (bee, cat) = (start(&worker("bee", &owner)), start(&worker("cat", &owner)));
    for id in [bee.text("peer"), cat.text("peer")] {
        assert_eq!(owner.ask(&["peers", "trust", id]).code, 0);
        owner.until_ready(id);
    }
    let events = PeerEvents::of(&owner);
    let load = Load::on(&owner);

    // Suspended for less than three heartbeats, several times: the peer is slow, but not lost.
    for _ in 0..3 {
        signal(&bee.process, Signal::STOP);
        thread::sleep(HEARTBEAT);
        signal(&bee.process, Signal::CONT);
        thread::sleep(HEARTBEAT / 4);
        assert_eq!(peer_state(&owner, "bee").0, "ready");
    }
    // Suspended without end: the peer is lost, and last seen at the time of the suspension.
    let before = meshwork_node::time_of_day();
    signal(&bee.process, Signal::STOP);
    until_state(&owner, "bee", "disconnected");
    let (_, why, last_seen) = peer_state(&owner, "bee");
    assert!(why.starts_with("silent for"), "{why}");
    let late = last_seen - before;
    assert!(late < chrono::TimeDelta::from_std(HEARTBEAT).unwrap(), "seen {late} after that");
    signal(&bee.process, Signal::CONT);
    until_state(&owner, "bee", "ready");

    // Killed: the peer is lost at once, and has the same id after a restart.
    let cat_id = cat.text("peer").to_owned();
    let (_, home) = cat.end(Signal::KILL);
    until_state(&owner, &cat_id, "disconnected");
    let args = worker("cat", &owner);
    let cat = Node::up_in(home, &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(cat.text("peer"), cat_id);
    until_state(&owner, "cat", "ready");

    // Stopped by SIGTERM.
    cat.end(Signal::TERM);
    until_state(&owner, "cat", "disconnected");

    let ended = load.end();
    assert!(ended > 50, "{ended} tasks");
    let status = owner.ask(&["status", "--json"]).json();
    assert_eq!(status["node"]["tasks"]["succeeded"], ended);
    assert_eq!(status["node"]["tasks"]["running"], 0);
    // A peer that was only slow has no `peer.disconnected`.
    let again = ["peer.disconnected", "peer.connected", "peer.ready"];
    let (bee_id, events) = (bee.text("peer").to_owned(), events.until_the_end_of(owner));
    assert_eq!(kinds(&events, &bee_id), again);
    assert_eq!(kinds(&events, &cat_id), [&again[..], &again[..1]].concat());
}
