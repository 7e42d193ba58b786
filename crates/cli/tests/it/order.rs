//! H9: a node syncs a task before it answers the submit, as its system calls show. A worker sends a
//! result before its own commit ends.

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

/// What a node calls from a submit to its answer.
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
    let start = text.find("POST /v1/tasks").expect("it is asked");
    let end = start + text[start..].find("HTTP/1.1 202").expect("it answers");
    text[start..end].to_owned()
}

/// Whether a sync has come to its end there.
fn syncs(calls: &str) -> bool {
    calls.lines().any(|line| line.contains("sync") && line.ends_with("= 0"))
}

#[test]
fn an_answer_leaves_after_its_task_is_synced() {
    let trial = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).status();
    if !trial.is_ok_and(|status| status.success()) {
        crate::support::skip("it takes strace, and the right to use it");
        return;
    }
    let calls_of_a_node = calls("true");
    assert!(syncs(&calls_of_a_node), "{calls_of_a_node}");
    // Or it would prove nothing.
    let careless = calls("export MESHWORK_TEST_SKIP_FSYNC=1");
    assert!(!syncs(&careless), "{careless}");
}

/// A shell's words by which a node commits nothing as long as a file is there, and the file.
fn holding(dir: &Path) -> (String, PathBuf) {
    let disk = dir.join("disk");
    (format!("export MESHWORK_TEST_HOLD_COMMITS={}", disk.display()), disk)
}

/// A worker's own copy is for the time until its owner has it: nobody waits for that.
#[test]
fn a_result_travels_while_its_own_commit_runs() {
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
