//! Power cuts: the home is a file system of its own, which is shut down in the middle of submits as if
//! the machine had lost its power. What was answered is there afterwards.

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

use crate::support::{Node, into_mount_namespace, is_inside, signal};

/// As often as `MESHWORK_POWER_CUTS` says, else so often: each takes half a second.
const CUTS: usize = 4;
/// Answers before each cut.
const ANSWERS: usize = 30;
/// `FS_IOC_SHUTDOWN` without a flush of the log: nothing that is not on disk gets there any more.
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// A file system of its own, mounted where it is said.
struct Disk {
    image: std::path::PathBuf,
    _dir: TempDir,
}

impl Disk {
    /// Says why if there can be none.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let mut made = Command::new("mkfs.ext4");
        made.args(["-q", "-F"]).arg(&image);
        let disk = Self { image, _dir: dir };
        let python = Command::new("python3").arg("--version").output();
        if !made.status().is_ok_and(|status| status.success()) || python.is_err() {
            crate::support::skip("it takes mkfs.ext4 and python3");
            return None;
        }
        let trial = tempfile::tempdir().unwrap();
        if !disk.mount(trial.path()) {
            crate::support::skip("no file system can be mounted from a file");
            return None;
        }
        disk.unmount(trial.path());
        Some(disk)
    }

    fn mount(&self, at: &Path) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&self.image).arg(at);
        mount.output().is_ok_and(|output| output.status.success())
    }

    fn unmount(&self, at: &Path) {
        assert!(Command::new("umount").arg(at).status().unwrap().success());
    }

    fn cut(&self, at: &Path) {
        assert!(Command::new("python3").args(["-c", CUT]).arg(at).status().unwrap().success());
    }
}

/// Submits until it is told to stop, or the node answers no more; the ids that were answered.
fn submit(socket: &Path, over: &AtomicBool, told: &mpsc::SyncSender<()>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(socket);
        let mut ids = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let mut spec = TaskSpec::new("text/upper");
            spec.input = Some(Payload::of(Bytes::from(vec![b'x'; 500])));
            let asked =
                tokio::time::timeout(Duration::from_secs(2), client.submit(&spec, Duration::ZERO));
            let Ok(Ok(task)) = asked.await else { break };
            ids.push(task.id);
            told.try_send(()).ok();
        }
        ids
    })
}

/// Cuts the power so often; how many tasks were answered, and how many of these were lost.
fn lost(disk: &Disk, cuts: usize, shell: &str) -> (usize, usize) {
    let mut home = tempfile::tempdir().unwrap();
    let mut ids: Vec<String> = Vec::new();
    let mut lost = 0;
    for _ in 0..cuts {
        assert!(disk.mount(home.path()));
        let node = Node::up_in_after(home, shell, &["--slots", "0"]);
        let at = node.home.path().to_owned();
        let socket = node.text("socket").to_owned();
        let over = Arc::new(AtomicBool::new(false));
        let (told, answered) = mpsc::sync_channel(ANSWERS);
        let submitting = {
            let over = Arc::clone(&over);
            std::thread::spawn(move || submit(Path::new(&socket), &over, &told))
        };
        for _ in 0..ANSWERS {
            answered.recv().expect("it answers");
        }
        // Stopped first: whatever it has said, it said before the cut.
        signal(&node.process, Signal::STOP);
        disk.cut(&at);
        over.store(true, Ordering::Relaxed);
        home = node.end(Signal::KILL).1;
        ids.extend(submitting.join().unwrap());
        disk.unmount(home.path());

        assert!(disk.mount(home.path()));
        let node = Node::up_in_after(home, shell, &["--slots", "0"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let gone = runtime.block_on(async {
            let client = Client::new(Path::new(node.text("socket")));
            let mut gone = Vec::new();
            for id in &ids {
                if client.task(id).await.is_err() {
                    gone.push(id.clone());
                }
            }
            gone
        });
        lost += gone.len();
        ids.retain(|id| !gone.contains(id));
        home = node.end(Signal::TERM).1;
        disk.unmount(home.path());
    }
    (ids.len() + lost, lost)
}

#[test]
fn what_was_answered_survives_power_cuts() {
    if !is_inside(into_mount_namespace(), "power::what_was_answered_survives_power_cuts") {
        return;
    }
    let Some(disk) = Disk::new() else { return };
    let asked = std::env::var("MESHWORK_POWER_CUTS").ok().and_then(|cuts| cuts.parse().ok());
    let cuts = asked.unwrap_or(CUTS);
    let (answered, gone) = lost(&disk, cuts, "true");
    assert!(answered >= cuts * ANSWERS);
    assert_eq!(gone, 0, "of {answered} that were answered");
}

/// The same rig with a node that tells what it has not synced, or the rig would prove nothing.
#[test]
fn a_node_that_does_not_sync_loses_what_it_answered() {
    let name = "power::a_node_that_does_not_sync_loses_what_it_answered";
    if !is_inside(into_mount_namespace(), name) {
        return;
    }
    let Some(disk) = Disk::new() else { return };
    let (answered, gone) = lost(&disk, 1, "export MESHWORK_TEST_SKIP_FSYNC=1");
    assert!(gone > 0, "none of {answered}");
}
