//! Failing disks (F-04 to F-06, F-09) and failing outputs (F-25): a node never answers before its
//! work is on disk, ends with an error or works on, and has all accepted tasks at the next start.

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

/// An strace process that injects errors into a node's system calls.
struct Tracer(Child);

impl Tracer {
    /// Attaches to a node. `None`, with a recorded skip, if strace is missing or may not trace.
    fn on(node: &Node, inject: &str) -> Option<Self> {
        let pid = node.process.id();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={inject}")]);
        strace.args(["-p", &pid.to_string()]).stderr(Stdio::null());
        let Ok(child) = strace.spawn() else {
            crate::support::skip("needs strace");
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
        // The tracer may have ended with the node.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn submit(node: &Node) -> Option<String> {
    let answer = node.ask(&["submit", "text/upper", "kept"]);
    (answer.code == 0).then(|| answer.stdout.trim().to_owned())
}

/// Starts a node in `home`, and checks that it knows these tasks.
fn recovers(home: TempDir, ids: &[String]) -> Node {
    let node = Node::up_in(home, &["--slots", "0"]);
    for id in ids {
        assert_eq!(node.ask(&["task", "show", id]).code, 0, "{id}");
    }
    node
}

/// F-05. After a failed sync or write, the content of the disk is unknown: the node ends without
/// further answers.
#[test]
fn failed_sync_ends_the_node_without_an_answer() {
    const CALLS: [&str; 2] = ["fsync,fdatasync", "pwrite64"];
    for (call, when) in CALLS.into_iter().flat_map(|call| [(call, "1"), (call, "1+")]) {
        let mut node = Node::up(&["--slots", "0"]);
        let accepted = vec![submit(&node).unwrap()];
        let inject = format!("{call}:error=EIO:when={when}");
        let Some(tracer) = Tracer::on(&node, &inject) else { return };
        assert_eq!(submit(&node), None, "{inject}: the task is not on disk");
        assert_eq!(node.process.wait().unwrap().code(), Some(1), "{inject}: the documented code");
        drop(tracer);
        recovers(node.ended(), &accepted);
    }
}

/// F-05. An unreadable journal does not count as empty.
#[test]
fn node_does_not_start_with_an_unreadable_journal() {
    let node = Node::up(&["--slots", "0"]);
    let accepted = vec![submit(&node).unwrap()];
    let home = node.end(Signal::KILL).1;
    let journal = home.path().join("journal.redb");
    for when in ["1", "3", "1+"] {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&journal);
        strace.args(["-e", &format!("inject=pread64:error=EIO:when={when}")]);
        let up = ["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
        let up = strace.arg(env!("CARGO_BIN_EXE_meshwork")).arg("--home").arg(home.path()).args(up);
        let Ok(answer) = up.output() else {
            crate::support::skip("needs strace");
            return;
        };
        let stderr = String::from_utf8_lossy(&answer.stderr).into_owned();
        if !stderr.contains("error: ") {
            crate::support::skip(&format!("strace may not trace: {stderr}"));
            return;
        }
        assert_eq!(answer.status.code(), Some(1), "{when}: {stderr}");
        assert!(stderr.contains("journal.redb"), "{when}: {stderr}");
    }
    recovers(home, &accepted);
}

/// F-06. A node that is killed during a write starts with the state of the last commit.
#[test]
fn torn_commit_does_not_count() {
    let mut home = tempfile::tempdir().unwrap();
    let mut accepted = Vec::new();
    for call in 1..=6 {
        let node = Node::up_in(home, &["--slots", "0"]);
        accepted.extend(submit(&node));
        let inject = format!("pwrite64,write:signal=SIGKILL:when={call}");
        let inject =
            if call % 2 == 0 { inject } else { inject.replace("pwrite64,write", "pwrite64") };
        let Some(tracer) = Tracer::on(&node, &inject) else { return };
        while let Some(id) = submit(&node) {
            accepted.push(id);
        }
        eventually("it is killed", || !is_alive(node.process.id()));
        drop(tracer);
        home = recovers(node.ended(), &accepted).end(Signal::TERM).1;
    }
    assert!(accepted.len() >= 6);
}

fn mount(at: &TempDir, options: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(at.path());
    assert!(mount.status().unwrap().success());
}

const UP: [&str; 4] = ["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];

/// F-04. After a first start that ran out of space at any point, a start with space succeeds.
#[test]
fn first_start_on_a_full_disk_can_be_repeated() {
    let name = "faults::first_start_on_a_full_disk_can_be_repeated";
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
        // The namespace unmounts the disk when it ends.
        drop(node);
        std::mem::forget(disk);
    }
}

/// F-09. The error names the file that cannot be written, and why.
#[test]
fn error_names_the_unwritable_file_of_a_home() {
    let name = "faults::error_names_the_unwritable_file_of_a_home";
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

/// User id of `nobody`, for a user without rights.
const NOBODY: u32 = 65_534;
const AS_NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// Runs a `meshwork` command as a user that is subject to file permissions.
fn ask_as_nobody(home: &Path, args: &[&str]) -> Answer {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {AS_NOBODY} \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_meshwork")).args(args);
    command.env_remove("MESHWORK_LOG").env("MESHWORK_HOME", home).stdin(Stdio::null());
    Answer::of(command.output().unwrap())
}

/// F-09. The error names the file that belongs to another user; the file does not change.
#[test]
fn error_names_files_that_belong_to_another_user() {
    let home = tempfile::tempdir().unwrap();
    let give = |path: &Path, to: u32| chown(path, Some(to), Some(to)).is_ok();
    if !give(home.path(), NOBODY) || ask_as_nobody(home.path(), &["version"]).code != 0 {
        crate::support::skip("needs root, setpriv, and a build that other users may run");
        return;
    }
    let as_nobody = format!("exec {AS_NOBODY} \"$0\" \"$@\"");
    let node = Node::up_in_after(home, &as_nobody, &["--slots", "0"]);
    let accepted = submit(&node).unwrap();
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
    assert_eq!(fs::read(at("journal.redb")).unwrap(), before, "no byte has changed");
    let node = Node::up_in_after(home, &as_nobody, &["--slots", "0"]);
    assert_eq!(node.ask(&["task", "show", &accepted]).code, 0);
}

/// F-25. A node whose log or output cannot be written works on.
#[test]
fn node_without_a_writable_log_works_on() {
    let home = tempfile::tempdir().unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut up = meshwork(home.path());
    up.args(UP).args(["--json", "-vv"]).stdout(Stdio::piped()).stderr(full);
    let mut process = up.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // Standard output has no reader from here on.
    let node = Node { home, process, ready: serde_json::from_str(&line).unwrap() };
    let other = Node::up(&["--bootstrap", node.address()]);
    other.until_ready(node.text("peer"));
    assert_eq!(node.ask(&["run", "text/upper", "a"]).stdout, "A");
    let (status, _) = node.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
}
