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

use crate::{
    control_group::Group,
    faults::{Tracer, recovers, submit},
    power::Disk,
    support::{Answer, Node, eventually, into_mount_namespace, is_inside, meshwork},
};

/// A shell's words by which a node commits nothing as long as a file is there, and the file.
fn holding(dir: &TempDir) -> (String, PathBuf) {
    let disk = dir.path().join("disk");
    (format!("export MESHWORK_TEST_HOLD_COMMITS={}", disk.display()), disk)
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

/// 200 ms and 2 s for each sync.
#[test]
fn a_disk_that_takes_seconds_to_sync_is_waited_for() {
    for delay in ["200000", "2000000"] {
        let node = Node::up(&["--slots", "0"]);
        let inject = format!("fsync,fdatasync:delay_enter={delay}");
        let Some(tracer) = Tracer::on(&node, &inject) else { return };
        let told: Vec<String> = (0..2).map(|_| submit(&node).unwrap()).collect();
        assert_eq!(node.ask(&["status"]).code, 0);
        drop(tracer);
        recovers(node.end(Signal::KILL).1, &told);
    }
}

/// A megabyte a second, for inputs of three.
#[test]
fn a_disk_that_takes_seconds_to_write_is_waited_for() {
    let name = "slow_disk::a_disk_that_takes_seconds_to_write_is_waited_for";
    if !is_inside(into_mount_namespace(), name) {
        return;
    }
    let Some(disk) = Disk::new() else { return };
    let Some(group) = Group::new("blkio") else { return };
    let home = tempfile::tempdir().unwrap();
    assert!(disk.mount(home.path()));
    let device = device(home.path());
    group.set("blkio.throttle.write_bps_device", format!("{device} 1000000"));
    let node = Node::up_in_after(home, &group.joining(), &["--slots", "0"]);
    let input = node.home.path().join("input");
    fs::write(&input, vec![b'x'; 1_000_000]).unwrap();
    let submit = ["submit", "text/upper", &format!("@{}", input.display())];
    let told: Vec<String> = thread::scope(|scope| {
        let submits: Vec<_> = (0..3).map(|_| scope.spawn(|| node.ask(&submit))).collect();
        assert_eq!(node.ask(&["status"]).code, 0);
        let id = |answer: Answer| {
            assert_eq!(answer.code, 0, "{answer:?}");
            answer.stdout.trim().to_owned()
        };
        submits.into_iter().map(|submit| id(submit.join().unwrap())).collect()
    });
    let written = group.text("blkio.throttle.io_service_bytes");
    let written = written.lines().find_map(|line| line.strip_prefix(&format!("{device} Write ")));
    assert!(written.unwrap().parse::<u64>().unwrap() > 3_000_000, "or the rig proves nothing");
    let home = recovers(node.end(Signal::KILL).1, &told).end(Signal::TERM).1;
    disk.unmount(home.path());
}

/// The numbers of the device that is mounted there.
fn device(at: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let at = at.to_str().unwrap();
    let mount = mounts.lines().find(|line| line.split(' ').nth(4) == Some(at));
    mount.and_then(|line| line.split(' ').nth(2)).unwrap().to_owned()
}

/// Groups of as many tasks as one request carries: some more than may wait for the disk.
const GROUPS: usize = 20;
const MEMBERS: u64 = 4_096;

/// Submits as many at once. `told` counts those that are answered.
fn submit_groups(socket: &Path, told: &AtomicUsize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(socket).unwrap();
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
    let queued = |node: &Node| {
        node.ask(&["status", "--json"]).json()["node"]["tasks"]["queued"].as_u64().unwrap()
    };
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
