//! Disks that are slow (F-10): who waits for one waits, and nobody else; what was told is there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use meshwork_api::{BatchMembers, BatchSpec, Client, RangeSpec, TaskSpec};
use meshwork_core::GroupId;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Node, eventually, meshwork};

/// A shell's words by which a node commits nothing as long as a file is there, and the file.
fn holding(dir: &TempDir) -> (String, PathBuf) {
    let disk = dir.path().join("disk");
    (format!("export MESHWORK_TEST_HOLD_COMMITS={}", disk.display()), disk)
}

fn queued(node: &Node) -> u64 {
    node.ask(&["status", "--json"]).json()["node"]["tasks"]["queued"].as_u64().unwrap()
}

#[test]
fn a_slow_disk_holds_up_those_alone_who_wait_for_it() {
    let held = tempfile::tempdir().unwrap();
    let (hold, disk) = holding(&held);
    let node = Node::up_after(&hold, &[]);
    fs::write(&disk, "").unwrap();
    let mut waits = meshwork(node.home.path());
    waits.args(["submit", "text/upper", "x"]).stdout(Stdio::null());
    let mut waits = waits.spawn().unwrap();
    let open = |tasks: &Value| ["queued", "running"].map(|state| tasks[state].as_u64().unwrap());
    eventually("it is there", || {
        let tasks = &node.ask(&["status", "--json"]).json()["node"]["tasks"];
        open(tasks).iter().sum::<u64>() == 1
    });
    assert_eq!(node.ask(&["run", "text/upper", "a", "--durability", "memory"]).stdout, "A");
    assert!(waits.try_wait().unwrap().is_none(), "it was answered before it was on disk");
    fs::remove_file(&disk).unwrap();
    assert_eq!(waits.wait().unwrap().code(), Some(0));
}

/// What no commit has written is not counted as written: the next start misses nothing.
#[test]
fn a_node_that_is_killed_in_a_commit_starts_without_it() {
    let held = tempfile::tempdir().unwrap();
    let (hold, disk) = holding(&held);
    let node = Node::up_after(&hold, &["--slots", "0"]);
    assert_eq!(node.ask(&["submit", "text/upper", "kept"]).code, 0);
    fs::write(&disk, "").unwrap();
    let mut cut = meshwork(node.home.path());
    let mut cut = cut.args(["submit", "text/upper", "lost"]).stderr(Stdio::null()).spawn().unwrap();
    eventually("its commit is under way", || queued(&node) == 2);
    let (_, home) = node.end(Signal::KILL);
    assert!(!cut.wait().unwrap().success(), "nothing was answered");
    assert_eq!(queued(&Node::up_in(home, &["--slots", "0"])), 1);
}

/// Groups of as many tasks as one request carries: some more than may wait for the disk.
const GROUPS: usize = 20;
const MEMBERS: u64 = 4_096;

/// Submits as many at once. `told` counts those that are answered.
fn submit_groups(socket: &Path, told: &AtomicUsize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(socket);
    let submits = (0..GROUPS).map(|_| async {
        let members = RangeSpec { from: 1, to: MEMBERS, step: 1 };
        let batch = BatchSpec {
            task: TaskSpec::new("text/upper"),
            members: BatchMembers::Range(members),
            group: Some(GroupId::new().to_string()),
            first: 0,
            last: true,
            max_fails: None,
        };
        // One that is not answered in time is the same when it is submitted again.
        while client.submit_batch(&batch).await.is_err() {}
        told.fetch_add(1, Ordering::Relaxed);
    });
    runtime.block_on(futures::future::join_all(submits));
}

/// F-10, and more than may wait for the disk: whoever submits waits, the node says how it is, and all
/// that was told is there after a kill.
#[test]
fn a_node_that_waits_for_its_disk_with_all_it_may_hold_still_says_how_it_is() {
    let held = tempfile::tempdir().unwrap();
    let (hold, disk) = holding(&held);
    let node = Node::up_after(&hold, &["--slots", "0"]);
    let told = AtomicUsize::new(0);
    fs::write(&disk, "").unwrap();
    thread::scope(|scope| {
        // Dropped before the scope waits, so that no failure of a test waits for ever.
        let held = held;
        let socket = Path::new(node.text("socket"));
        scope.spawn(|| submit_groups(socket, &told));
        eventually("as much waits as may", || queued(&node) > 16 * MEMBERS);
        assert_eq!(node.ask(&["task", "list"]).code, 0);
        assert!(queued(&node) < GROUPS as u64 * MEMBERS, "nothing more is taken");
        assert_eq!(told.load(Ordering::Relaxed), 0, "nothing is on disk");
        drop(held);
    });
    let node = Node::up_in(node.end(Signal::KILL).1, &["--slots", "0"]);
    assert_eq!(queued(&node), GROUPS as u64 * MEMBERS);
}
