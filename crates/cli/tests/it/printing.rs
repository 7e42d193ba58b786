//! F-25 for commands: a failed write to standard output is reported, and no result is lost.

use std::{
    fs::{File, OpenOptions},
    process::Stdio,
};

use crate::support::{Answer, Node, meshwork};

/// The answer of a command whose output goes to a full disk.
fn on_a_full_disk(node: &Node, args: &[&str]) -> Answer {
    let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = meshwork(node.home.path());
    let output = command.args(args).stdin(Stdio::null()).stdout(full).output();
    Answer::of(output.unwrap())
}

const FULL: &str = "cannot write to standard output: No space left";

#[test]
fn a_result_that_cannot_be_printed_is_kept() {
    let node = Node::up(&[]);
    for args in [&["run", "text/upper", "a"][..], &["run", "text/upper", "a", "-q"]] {
        let answer = on_a_full_disk(&node, args);
        answer.error(125, &[FULL, "its result is kept"]);
        let mut lines = answer.stderr.lines();
        let hint = lines.find_map(|line| line.trim().strip_prefix("try:   meshwork "));
        let hint: Vec<&str> = hint.unwrap().split(' ').collect();
        assert_eq!(node.ask(&hint).stdout, "A", "{answer:?}");
    }
    let answer = on_a_full_disk(&node, &["run", "text/upper", "b", "--json"]);
    assert_eq!(answer.code, 125);
    assert!(answer.stderr.contains(FULL), "{answer:?}");
    assert_eq!(node.ask(&["task", "result", "last"]).stdout, "B");
}

#[test]
fn error_of_an_unprintable_id_contains_the_id() {
    let node = Node::up(&[]);
    let answer = on_a_full_disk(&node, &["submit", "text/upper", "a"]);
    answer.error(1, &[FULL, "is accepted", "meshwork task show"]);
    let rest = answer.stderr.split("task ").nth(1).unwrap();
    let id = rest.split(' ').next().unwrap();
    assert_eq!(node.ask(&["wait", id]).code, 0);
    assert_eq!(node.ask(&["task", "result", id]).stdout, "A");
}

/// The group needs several requests: all are sent although the id cannot be printed.
#[test]
fn a_group_whose_id_cannot_be_printed_is_submitted_whole() {
    let node = Node::up(&[]);
    let submit = ["submit", "--array", "1-5000", "text/upper"];
    on_a_full_disk(&node, &submit).error(1, &[FULL, "of 5,000 tasks is accepted", "meshwork wait"]);
    assert_eq!(node.ask(&["wait", "last"]).code, 0);
    let group = node.ask(&["wait", "last", "--json"]).json();
    assert_eq!((&group["members"], &group["complete"]), (&5_000.into(), &true.into()));

    // A pipe without a reader.
    let mut command = meshwork(node.home.path());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.args(submit).stdin(Stdio::null()).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let second = node.ask(&["wait", "last", "--json"]).json();
    assert_ne!(second["id"], group["id"]);
    assert_eq!((&second["members"], &second["complete"]), (&5_000.into(), &true.into()));
}

#[test]
fn full_standard_output_is_an_error_and_no_panic() {
    let node = Node::up(&[]);
    assert_eq!(node.ask(&["run", "text/upper", "a"]).code, 0);
    for args in [
        &["status"][..],
        &["task", "list", "--all"],
        &["task", "show", "last"],
        &["task", "result", "last"],
        &["task", "explain", "last"],
        &["peers", "list"],
        &["handlers"],
        &["wait", "last"],
        &["metrics"],
        &["version"],
        &["completions", "bash"],
        &["--help"],
        &["run", "-h"],
    ] {
        for json in [&[][..], &["--json"]] {
            let answer = on_a_full_disk(&node, &[args, json].concat());
            // Without JSON, these verbs may print on standard error only.
            let may_succeed = ["peers", "wait"].contains(&args[0]);
            assert!([1, 125].contains(&answer.code) || may_succeed, "{args:?}: {answer:?}");
            let is_reported = answer.stderr.contains(FULL);
            assert!(is_reported || may_succeed && json.is_empty(), "{args:?}: {answer:?}");
            assert!(!answer.stderr.contains("panicked"), "{answer:?}");
        }
    }
    assert_eq!(node.ask(&["status"]).code, 0);
}
