//! H9: what is answered was on disk before, seen from the system calls.

use std::{fs, process::Command};

use rustix::process::Signal;

use crate::support::Node;

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
        println!("not tested here: it takes strace, and the right to use it");
        return;
    }
    let calls_of_a_node = calls("true");
    assert!(syncs(&calls_of_a_node), "{calls_of_a_node}");
    // Or it would prove nothing.
    let careless = calls("export MESHWORK_TEST_SKIP_FSYNC=1");
    assert!(!syncs(&careless), "{careless}");
}
