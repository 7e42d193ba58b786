//! Slow disks (F-10): they delay only durable work, and accepted tasks are on disk.

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

/// The shell command that makes a node's commits wait while a file exists, and the file.
fn holding(dir: &TempDir) -> (String, PathBuf) {
    let disk = dir.path().join("disk");
    (format!("export MESHWORK_TEST_HOLD_COMMITS={}", disk.display()), disk)
}

fn queued(node: &Node) -> u64 {
    node.ask(&["status", "--json"]).json()["node"]["tasks"]["queued"].as_u64().unwrap()
}

#[test]
fn slow_disk_delays_only_durable_tasks() {
    let held = tempfile::tempdir().unwrap();
    let (hold, disk) = holding(&held);
    let node = Node::up_after(&hold, &[]);
    fs::write(&disk, "").unwrap();
    let mut waits = meshwork(node.home.path());
    waits.args(["submit", "text/upper", "x"]).stdout(Stdio::null());
    let mut waits = waits.spawn().unwrap();
    let open = |tasks: &Value| ["queued", "running"].map(|state| tasks[state].as_u64().unwrap());
    eventually("the task is open", || {
        let tasks = &node.ask(&["status", "--json"]).json()["node"]["tasks"];
        open(tasks).iter().sum::<u64>() == 1
    });
    assert_eq!(node.ask(&["run", "text/upper", "a", "--durability", "memory"]).stdout, "A");
    assert!(
        waits.try_wait().unwrap().is_none(),
        "the submit was answered before the task was on disk"
    );
    fs::remove_file(&disk).unwrap();
    assert_eq!(waits.wait().unwrap().code(), Some(0));
}

/// A task in an unfinished commit is not accepted, so that the next start lacks no accepted task.
#[test]
fn node_killed_in_a_commit_starts_without_it() {
    let held = tempfile::tempdir().unwrap();
    let (hold, disk) = holding(&held);
    let node = Node::up_after(&hold, &["--slots", "0"]);
    assert_eq!(node.ask(&["submit", "text/upper", "kept"]).code, 0);
    fs::write(&disk, "").unwrap();
    let mut cut = meshwork(node.home.path());
    let mut cut = cut.args(["submit", "text/upper", "lost"]).stderr(Stdio::null()).spawn().unwrap();
    eventually("its commit has begun", || queued(&node) == 2);
    let (_, home) = node.end(Signal::KILL);
    assert!(!cut.wait().unwrap().success(), "nothing was answered");
    assert_eq!(queued(&Node::up_in(home, &["--slots", "0"])), 1);
}

/// Number of groups. Their tasks are more than may wait for the disk.
const GROUPS: usize = 20;
const MEMBERS: u64 = 4_096;

/// Submits all groups at once. `answered` counts the answers.
fn submit_groups(socket: &Path, answered: &AtomicUsize) {
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
        // After a timeout, the same batch may be submitted again.
        while client.submit_batch(&batch).await.is_err() {}
        answered.fetch_add(1, Ordering::Relaxed);
    });
    runtime.block_on(futures::future::join_all(submits));
}

/// F-10, with more tasks than may wait for the disk: submits wait, the node still answers other
/// requests, and it has all accepted tasks after a kill.
#[test]
fn node_with_a_full_commit_queue_still_answers() {
    let held = tempfile::tempdir().unwrap();
    let (hold, disk) = holding(&held);
    let node = Node::up_after(&hold, &["--slots", "0"]);
    let answered = AtomicUsize::new(0);
    fs::write(&disk, "").unwrap();
    thread::scope(|scope| {
        // Dropped before the scope waits for its threads, so that a failed test does not hang.
        let held = held;
        let socket = Path::new(node.text("socket"));
        scope.spawn(|| submit_groups(socket, &answered));
        eventually("the queue for the disk is full", || queued(&node) > 16 * MEMBERS);
        assert_eq!(node.ask(&["task", "list"]).code, 0);
        assert!(queued(&node) < GROUPS as u64 * MEMBERS, "further groups wait");
        assert_eq!(answered.load(Ordering::Relaxed), 0, "nothing is on disk");
        drop(held);
    });
    let node = Node::up_in(node.end(Signal::KILL).1, &["--slots", "0"]);
    assert_eq!(queued(&node), GROUPS as u64 * MEMBERS);
}
