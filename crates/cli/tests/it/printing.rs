//! F-25, on the side of whoever asks: standard output that cannot be written is told as such, and
//! nothing is lost by it.

use std::{
    fs::{File, OpenOptions},
    process::Stdio,
};

use crate::support::{Answer, Node, meshwork};

/// What a command says whose output goes to a full disk.
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
        let told = on_a_full_disk(&node, args);
        told.error(125, &[FULL, "its result is kept"]);
        let way = told.stderr.lines().find_map(|line| line.trim().strip_prefix("try:   meshwork "));
        let way: Vec<&str> = way.unwrap().split(' ').collect();
        assert_eq!(node.ask(&way).stdout, "A", "{told:?}");
    }
    let told = on_a_full_disk(&node, &["run", "text/upper", "b", "--json"]);
    assert_eq!(told.code, 125);
    assert!(told.stderr.contains(FULL), "{told:?}");
    assert_eq!(node.ask(&["task", "result", "last"]).stdout, "B");
}

#[test]
fn an_id_that_cannot_be_printed_is_told_with_the_error() {
    let node = Node::up(&[]);
    let told = on_a_full_disk(&node, &["submit", "text/upper", "a"]);
    told.error(1, &[FULL, "is accepted", "meshwork task show"]);
    let told = told.stderr.split("task ").nth(1).unwrap();
    let id = told.split(' ').next().unwrap();
    assert_eq!(node.ask(&["wait", id]).code, 0);
    assert_eq!(node.ask(&["task", "result", id]).stdout, "A");
}

/// More members than one request carries: none is left out because the id could not be printed.
#[test]
fn a_group_whose_id_cannot_be_printed_is_submitted_whole() {
    let node = Node::up(&[]);
    let submit = ["submit", "--array", "1-5000", "text/upper"];
    on_a_full_disk(&node, &submit).error(1, &[FULL, "of 5,000 tasks is accepted", "meshwork wait"]);
    assert_eq!(node.ask(&["wait", "last"]).code, 0);
    let group = node.ask(&["wait", "last", "--json"]).json();
    assert_eq!((&group["members"], &group["complete"]), (&5_000.into(), &true.into()));

    // Nobody reads it.
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
fn whatever_cannot_be_printed_is_an_error_and_no_panic() {
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
            let told = on_a_full_disk(&node, &[args, json].concat());
            let talks = ["peers", "wait"].contains(&args[0]);
            assert!(told.code == 1 || told.code == 125 || talks, "{args:?}: {told:?}");
            assert!(told.stderr.contains(FULL) || talks && json.is_empty(), "{args:?}: {told:?}");
            assert!(!told.stderr.contains("panicked"), "{told:?}");
        }
    }
    assert_eq!(node.ask(&["status"]).code, 0);
}
