//! Power cuts: the home is on a separate file system, which the test shuts down during submits as if
//! the machine had lost its power. Tasks that were accepted exist afterwards.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use meshwork_api::{Client, Payload, TaskSpec};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Node, into_mount_namespace, is_inside, number, signal};

/// Default number of power cuts, half a second each; `MESHWORK_POWER_CUTS` overrides it.
const CUTS: usize = 4;
/// Answers before each cut.
const ANSWERS: usize = 30;
/// `FS_IOC_SHUTDOWN` without a flush of the log: unsynced data is lost.
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// A file system in a file, for mounting.
pub(crate) struct Disk {
    image: std::path::PathBuf,
    _dir: TempDir,
}

impl Disk {
    /// Creates a file system of this size. Skips the test with a reason if that is impossible.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        let mut made = Command::new("mkfs.ext4");
        made.args(["-q", "-F"]).arg(&image);
        let disk = Self { image, _dir: dir };
        let python = Command::new("python3").arg("--version").output();
        if !made.status().is_ok_and(|status| status.success()) || python.is_err() {
            crate::support::skip("needs mkfs.ext4 and python3");
            return None;
        }
        let trial = tempfile::tempdir().unwrap();
        if !disk.mount(trial.path(), "loop") {
            crate::support::skip("no file system can be mounted from a file");
            return None;
        }
        disk.unmount(trial.path());
        Some(disk)
    }

    pub(crate) fn mount(&self, at: &Path, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", options]).arg(&self.image).arg(at);
        mount.output().is_ok_and(|output| output.status.success())
    }

    pub(crate) fn unmount(&self, at: &Path) {
        assert!(Command::new("umount").arg(at).status().unwrap().success());
    }

    pub(crate) fn cut(&self, at: &Path) {
        assert!(Command::new("python3").args(["-c", CUT]).arg(at).status().unwrap().success());
    }
}

/// Submits tasks until `over` is set or the node does not answer. Returns the accepted ids.
fn submit(socket: &Path, over: &AtomicBool, accepted: &mpsc::SyncSender<()>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(socket);
        let mut ids = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let mut spec = TaskSpec::new("text/upper");
            spec.input = Some(Payload::of(Bytes::from(vec![b'x'; 500])));
            let submission =
                tokio::time::timeout(Duration::from_secs(2), client.submit(&spec, Duration::ZERO));
            let Ok(Ok(task)) = submission.await else { break };
            ids.push(task.id);
            accepted.try_send(()).ok();
        }
        ids
    })
}

/// Cuts the power `cuts` times. Returns the number of accepted tasks, and how many of them are lost.
fn lost(disk: &Disk, cuts: usize, shell: &str) -> (usize, usize) {
    let mut home = tempfile::tempdir().unwrap();
    let mut ids: Vec<String> = Vec::new();
    let mut lost = 0;
    for _ in 0..cuts {
        assert!(disk.mount(home.path(), "loop"));
        let node = Node::up_in_after(home, shell, &["--slots", "0"]);
        let at = node.home.path().to_owned();
        let socket = node.text("socket").to_owned();
        let over = Arc::new(AtomicBool::new(false));
        let (sender, accepted) = mpsc::sync_channel(ANSWERS);
        let submitting = {
            let over = Arc::clone(&over);
            std::thread::spawn(move || submit(Path::new(&socket), &over, &sender))
        };
        for _ in 0..ANSWERS {
            accepted.recv().expect("it answers");
        }
        // The node is suspended first, so that it does not answer after the cut.
        signal(&node.process, Signal::STOP);
        disk.cut(&at);
        over.store(true, Ordering::Relaxed);
        home = node.end(Signal::KILL).1;
        ids.extend(submitting.join().unwrap());
        disk.unmount(home.path());

        assert!(disk.mount(home.path(), "loop"));
        let node = Node::up_in_after(home, shell, &["--slots", "0"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lost_ids = runtime.block_on(async {
            let client = Client::new(Path::new(node.text("socket")));
            let mut lost_ids = Vec::new();
            for id in &ids {
                if client.task(id).await.is_err() {
                    lost_ids.push(id.clone());
                }
            }
            lost_ids
        });
        lost += lost_ids.len();
        ids.retain(|id| !lost_ids.contains(id));
        home = node.end(Signal::TERM).1;
        disk.unmount(home.path());
    }
    (ids.len() + lost, lost)
}

#[test]
fn accepted_tasks_survive_power_cuts() {
    if !is_inside(into_mount_namespace(), "power::accepted_tasks_survive_power_cuts") {
        return;
    }
    let Some(disk) = Disk::new(64 << 20) else { return };
    let cuts = number("MESHWORK_POWER_CUTS").unwrap_or(CUTS);
    let (accepted, lost_tasks) = lost(&disk, cuts, "true");
    assert!(accepted >= cuts * ANSWERS);
    assert_eq!(lost_tasks, 0, "of {accepted} accepted tasks");
}

/// Checks that the test detects a loss, with a node that answers before it syncs.
#[test]
fn node_without_sync_loses_accepted_tasks() {
    let name = "power::node_without_sync_loses_accepted_tasks";
    if !is_inside(into_mount_namespace(), name) {
        return;
    }
    let Some(disk) = Disk::new(64 << 20) else { return };
    let (accepted, lost_tasks) = lost(&disk, 1, "export MESHWORK_TEST_SKIP_FSYNC=1");
    assert!(lost_tasks > 0, "none of {accepted}");
}
