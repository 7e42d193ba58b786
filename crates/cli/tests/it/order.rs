//! H9: a node syncs a task before it answers the submit, checked by its system calls. A worker sends
//! a result before its own commit ends.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;

use crate::{
    pair::{Pair, echo},
    support::Node,
};

/// The system calls of a node from a submit to its answer.
fn calls(shell: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let calls = "read,recvfrom,write,writev,sendto,sendmsg,fsync,fdatasync";
    let traced = format!("strace -f -qq -o {} -e trace={calls}", trace.display());
    let node =
        Node::up_after(&format!("{shell} && exec {traced} \"$0\" \"$@\""), &["--slots", "0"]);
    let answer = node.ask(&["submit", "text/upper", "a"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(node.ask(&["down"]).code, 0);
    node.end(Signal::CONT);
    let text = fs::read_to_string(&trace).unwrap();
    let start = text.find("POST /v1/tasks").expect("the request arrives");
    let end = start + text[start..].find("HTTP/1.1 202").expect("it answers");
    text[start..end].to_owned()
}

/// Whether a sync has succeeded in these calls.
fn syncs(calls: &str) -> bool {
    calls.lines().any(|line| line.contains("sync") && line.ends_with("= 0"))
}

#[test]
fn submit_is_answered_after_the_task_is_synced() {
    let trial = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).status();
    if !trial.is_ok_and(|status| status.success()) {
        crate::support::skip("needs strace, and the right to use it");
        return;
    }
    let calls_of_a_node = calls("true");
    assert!(syncs(&calls_of_a_node), "{calls_of_a_node}");
    // Checks that the test detects a missing sync.
    let unsynced = calls("export MESHWORK_TEST_SKIP_FSYNC=1");
    assert!(!syncs(&unsynced), "{unsynced}");
}

/// The shell command that makes a node's commits wait while a file exists, and the file.
fn holding(dir: &Path) -> (String, PathBuf) {
    let disk = dir.join("disk");
    (format!("export MESHWORK_TEST_HOLD_COMMITS={}", disk.display()), disk)
}

/// A worker keeps a result only until its owner has it, so the result does not wait for its disk.
#[test]
fn result_is_sent_before_its_own_commit_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (shell, disk) = holding(dir.path());
    let pair = Pair::up("true", &shell);
    let caller = pair.caller();
    fs::write(&disk, "").unwrap();
    let given = echo("given");
    caller.check(&given, &caller.submit(&given));
    fs::remove_file(&disk).unwrap();
    pair.at_rest();
}
