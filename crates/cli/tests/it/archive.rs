//! Ended tasks in the archive: after a kill, and after they are forgotten.

use std::fs;

use rustix::process::Signal;

use crate::support::{Answer, Node, ask};

/// Number of members: more than fit into one volume.
const LINES: usize = 10_000;

fn lines(node: &Node, count: usize) -> String {
    let path = node.home.path().join("lines");
    let lines: String = (0..count).map(|number| format!("line {number}\n")).collect();
    fs::write(&path, lines).unwrap();
    path.display().to_string()
}

fn submitted(answer: &Answer) -> String {
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.stdout.trim().to_owned()
}

#[test]
fn archived_results_and_keys_outlive_a_kill() {
    let node = Node::up(&[]);
    let keyed = ["submit", "text/upper", "bill", "--key", "k1"];
    let first = submitted(&node.ask(&keyed));
    assert_eq!(node.ask(&["wait", &first]).code, 0);
    let path = lines(&node, LINES);
    let id = submitted(&node.ask(&["submit", "--each-line", &path, "text/upper"]));
    let results = node.ask(&["wait", &id, "--results"]);
    assert_eq!((results.code, results.stdout.lines().count()), (0, LINES), "{}", results.stderr);
    assert_eq!(submitted(&node.ask(&keyed)), first, "it is in the archive by now");
    let home = node.end(Signal::KILL).1;
    assert!(fs::read_dir(home.path().join("ended")).unwrap().next().is_some());

    let node = Node::up_in(home, &[]);
    let again = node.ask(&["wait", &id, "--results"]);
    assert_eq!((again.code, &again.stdout), (0, &results.stdout), "{}", again.stderr);
    assert_eq!(submitted(&node.ask(&keyed)), first);
    assert_eq!(node.ask(&["task", "result", &first]).stdout, "BILL");
    let counts = node.ask(&["status", "--json"]).json();
    assert_eq!(counts["node"]["tasks"]["succeeded"], LINES + 1, "also from before the kill");
    let verified = node.end(Signal::TERM).1;
    assert_eq!(ask(verified.path(), &["store", "verify"]).code, 0);
}

#[test]
fn forgotten_group_is_answered_as_forgotten() {
    let node = Node::up(&["--keep-results-max", "4MiB"]);
    let path = lines(&node, 3_000);
    let submit = || submitted(&node.ask(&["submit", "--each-line", &path, "text/upper"]));
    let first = submit();
    assert_eq!(node.ask(&["wait", &first, "--results"]).stdout.lines().count(), 3_000);
    let second = submit();
    let answer = node.ask(&["wait", &second, "--results"]);
    assert_eq!((answer.code, answer.stdout.lines().count()), (0, 3_000), "{}", answer.stderr);
    for verb in [&["wait", &first, "--results"][..], &["wait", &first], &["task", "result", &first]]
    {
        let answer = node.ask(verb);
        assert!(answer.code != 0 && answer.stdout.is_empty(), "{verb:?}: {answer:?}");
        assert!(answer.stderr.contains("forgotten"), "{verb:?}: {answer:?}");
    }
    let home = node.end(Signal::KILL).1;
    let node = Node::up_in(home, &["--keep-results-max", "4MiB"]);
    assert!(node.ask(&["wait", &first]).stderr.contains("forgotten"));
    assert_eq!(node.ask(&["wait", &second, "--results"]).stdout.lines().count(), 3_000);
    node.end(Signal::TERM);
}
