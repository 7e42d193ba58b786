//! Disks that fail (F-04 to F-06, F-09), and outputs that do (F-25): nothing is told that was
//! not done, the node ends as it should or works on, and what was told is there at the next start.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{
    Answer, Node, ask, eventually, into_mount_namespace, is_alive, is_inside, meshwork,
};

/// What comes between a node and its system calls, from now on.
struct Tracer(Child);

impl Tracer {
    /// None, and said so, where there is no strace or it may not look.
    fn on(node: &Node, inject: &str) -> Option<Self> {
        let pid = node.process.id();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={inject}")]);
        strace.args(["-p", &pid.to_string()]).stderr(Stdio::null());
        let Ok(child) = strace.spawn() else {
            crate::support::skip("there is no strace");
            return None;
        };
        let mut tracer = Self(child);
        let threads = format!("/proc/{pid}/task");
        let mut ended = false;
        eventually("all threads are traced", || {
            ended = tracer.0.try_wait().unwrap().is_some();
            let untraced = |thread: fs::DirEntry| {
                let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
                status.contains("TracerPid:\t0\n")
            };
            ended || !fs::read_dir(&threads).unwrap().any(|thread| untraced(thread.unwrap()))
        });
        if ended {
            crate::support::skip("strace may not trace");
            return None;
        }
        Some(tracer)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It may have ended with the node.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn submit(node: &Node) -> Option<String> {
    let answer = node.ask(&["submit", "text/upper", "kept"]);
    (answer.code == 0).then(|| answer.stdout.trim().to_owned())
}

/// That all of these are there at the next start.
fn recovers(home: TempDir, ids: &[String]) -> Node {
    let node = Node::up_in(home, &["--slots", "0"]);
    for id in ids {
        assert_eq!(node.ask(&["task", "show", id]).code, 0, "{id}");
    }
    node
}

/// F-05. A sync or a write that failed says nothing about what is on disk, so that nothing more is
/// told.
#[test]
fn a_sync_that_fails_ends_the_node_and_nothing_is_told() {
    const CALLS: [&str; 2] = ["fsync,fdatasync", "pwrite64"];
    for (call, when) in CALLS.into_iter().flat_map(|call| [(call, "1"), (call, "1+")]) {
        let mut node = Node::up(&["--slots", "0"]);
        let told = vec![submit(&node).unwrap()];
        let inject = format!("{call}:error=EIO:when={when}");
        let Some(tracer) = Tracer::on(&node, &inject) else { return };
        assert_eq!(submit(&node), None, "{inject}: it was not on disk");
        assert_eq!(node.process.wait().unwrap().code(), Some(1), "{inject}: as it is documented");
        drop(tracer);
        recovers(node.end_dead(), &told);
    }
}

/// F-05. What cannot be read is not taken for nothing.
#[test]
fn a_journal_that_cannot_be_read_starts_no_node() {
    let node = Node::up(&["--slots", "0"]);
    let told = vec![submit(&node).unwrap()];
    let home = node.end(Signal::KILL).1;
    let journal = home.path().join("journal.redb");
    for when in ["1", "3", "1+"] {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&journal);
        strace.args(["-e", &format!("inject=pread64:error=EIO:when={when}")]);
        let up = ["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
        let up = strace.arg(env!("CARGO_BIN_EXE_meshwork")).arg("--home").arg(home.path()).args(up);
        let Ok(answer) = up.output() else {
            crate::support::skip("there is no strace");
            return;
        };
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        if !said.contains("error: ") {
            crate::support::skip(&format!("strace may not trace: {said}"));
            return;
        }
        assert_eq!(answer.status.code(), Some(1), "{when}: {said}");
        assert!(said.contains("journal.redb"), "{when}: {said}");
    }
    recovers(home, &told);
}

/// F-06. Killed in the middle of what it writes, it is as it was after the last commit.
#[test]
fn a_commit_that_is_torn_never_was() {
    let mut home = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for call in 1..=6 {
        let node = Node::up_in(home, &["--slots", "0"]);
        told.extend(submit(&node));
        let inject = format!("pwrite64,write:signal=SIGKILL:when={call}");
        let inject =
            if call % 2 == 0 { inject } else { inject.replace("pwrite64,write", "pwrite64") };
        let Some(tracer) = Tracer::on(&node, &inject) else { return };
        while let Some(id) = submit(&node) {
            told.push(id);
        }
        eventually("it is killed", || !is_alive(node.process.id()));
        drop(tracer);
        home = recovers(node.end_dead(), &told).end(Signal::TERM).1;
    }
    assert!(told.len() >= 6);
}

fn mount(at: &TempDir, options: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(at.path());
    assert!(mount.status().unwrap().success());
}

const UP: [&str; 4] = ["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];

/// F-04. Wherever a first start runs out of space, the next one with space is a first start.
#[test]
fn a_first_start_on_a_full_disk_leaves_nothing_that_keeps_the_next_from_starting() {
    let name =
        "faults::a_first_start_on_a_full_disk_leaves_nothing_that_keeps_the_next_from_starting";
    if !is_inside(into_mount_namespace(), name) {
        return;
    }
    for pages in 0..4 {
        let disk = tempfile::tempdir().unwrap();
        mount(&disk, "size=16m");
        let home = tempfile::tempdir_in(disk.path()).unwrap();
        let filling = disk.path().join("filling");
        fs::write(&filling, vec![1; 17 << 20]).unwrap_err();
        let full = fs::metadata(&filling).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(&filling).unwrap();
        file.set_len(full - (pages << 12)).unwrap();
        drop(file);
        ask(home.path(), &UP).error(1, &["No space left"]);
        fs::remove_file(&filling).unwrap();
        let node = Node::up_in(home, &[]);
        assert_eq!(node.ask(&["run", "text/upper", "a"]).stdout, "A", "{pages} pages");
        // The disk goes with the namespace.
        drop(node);
        std::mem::forget(disk);
    }
}

/// F-09. It says which file cannot be written, and why.
#[test]
fn a_home_that_cannot_be_written_is_told_as_such() {
    let name = "faults::a_home_that_cannot_be_written_is_told_as_such";
    if !is_inside(into_mount_namespace(), name) {
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    mount(&disk, "size=16m");
    let (_, home) = Node::up_in(tempfile::tempdir_in(disk.path()).unwrap(), &[]).end(Signal::TERM);
    let journal = home.path().join("journal.redb");
    let chattr = |how: &str| Command::new("chattr").arg(how).arg(&journal).output();
    if chattr("+i").is_ok_and(|output| output.status.success()) {
        ask(home.path(), &UP).error(1, &["journal.redb", "not permitted"]);
        chattr("-i").unwrap();
    }
    mount(&disk, "remount,ro");
    ask(home.path(), &UP).error(1, &[home.path().to_str().unwrap(), "Read-only"]);
    mount(&disk, "remount,rw");
    assert_eq!(Node::up_in(home, &[]).ask(&["status"]).code, 0);
}

/// Whoever is nobody in particular.
const NOBODY: u32 = 65_534;
const AS_NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// A command of `meshwork` for which the rights of files count.
fn ask_as_nobody(home: &Path, args: &[&str]) -> Answer {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {AS_NOBODY} \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_meshwork")).args(args);
    command.env_remove("MESHWORK_LOG").env("MESHWORK_HOME", home).stdin(Stdio::null());
    Answer::of(command.output().unwrap())
}

/// F-09. What belongs to another user is told by its name, and left as it is.
#[test]
fn a_home_of_another_user_is_told_as_such() {
    let home = tempfile::tempdir().unwrap();
    let give = |path: &Path, to: u32| chown(path, Some(to), Some(to)).is_ok();
    if !give(home.path(), NOBODY) || ask_as_nobody(home.path(), &["version"]).code != 0 {
        crate::support::skip("it takes root, setpriv, and a build that others may run");
        return;
    }
    let as_nobody = format!("exec {AS_NOBODY} \"$0\" \"$@\"");
    let node = Node::up_in_after(home, &as_nobody, &["--slots", "0"]);
    let told = submit(&node).unwrap();
    let home = node.end(Signal::TERM).1;
    let at = |name: &str| home.path().join(name);
    let before = fs::read(at("journal.redb")).unwrap();
    for name in ["lock", "identity.key", "boot", "journal.redb", "journal.id"] {
        let file = at(name);
        assert!(give(&file, 0));
        ask_as_nobody(home.path(), &UP).error(1, &[file.to_str().unwrap(), "Permission denied"]);
        assert!(give(&file, NOBODY));
    }
    assert!(give(home.path(), 1));
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    ask_as_nobody(home.path(), &UP).error(1, &[home.path().to_str().unwrap(), "Permission denied"]);
    ask_as_nobody(home.path(), &["status"]).error(3, &["cannot reach", "belongs to another user"]);
    assert!(give(home.path(), NOBODY));
    assert_eq!(fs::read(at("journal.redb")).unwrap(), before, "not a byte");
    let node = Node::up_in_after(home, &as_nobody, &["--slots", "0"]);
    assert_eq!(node.ask(&["task", "show", &told]).code, 0);
}

/// F-25. A node whose log or output cannot be written works on.
#[test]
fn a_node_that_cannot_log_works_on() {
    let home = tempfile::tempdir().unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut up = meshwork(home.path());
    up.args(UP).args(["--json", "-vv"]).stdout(Stdio::piped()).stderr(full);
    let mut process = up.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // And nobody reads what follows.
    let node = Node { home, process, ready: serde_json::from_str(&line).unwrap() };
    let other = Node::up(&["--bootstrap", node.address()]);
    other.until_ready(node.text("peer"));
    assert_eq!(node.ask(&["run", "text/upper", "a"]).stdout, "A");
    let (status, _) = node.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
}
