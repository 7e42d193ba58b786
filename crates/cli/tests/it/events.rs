//! `events`: the events of a node, also after a reconnect.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Stdio},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Node, eventually, meshwork, signal};

/// A running and connected `meshwork events`.
struct Following {
    process: Process,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    /// Starts the command. Its event types must include `task.assigned`.
    fn start(node: &Node, args: &[&str]) -> Self {
        let process = meshwork(node.home.path())
            .arg("events")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut process = Process(process);
        let mut lines = BufReader::new(process.0.stdout.take().expect("a pipe")).lines();
        // It is connected once it reports a task; until then, submit one task after the other.
        let connected = std::thread::spawn(move || {
            lines.next().expect("a line").expect("UTF-8");
            lines
        });
        eventually("it is connected", || {
            assert_eq!(node.ask(&["run", "debug/noop", "-q"]).code, 0);
            connected.is_finished()
        });
        Self { process, lines: connected.join().expect("lines") }
    }

    /// Reads lines up to the first that contains `wanted`, and returns that one.
    fn until(&mut self, wanted: &str) -> String {
        for line in self.lines.by_ref() {
            let line = line.expect("UTF-8");
            if line.contains(wanted) {
                return line;
            }
        }
        panic!("it ended before {wanted:?}")
    }

    fn end(mut self) {
        signal(&self.process.0, Signal::INT);
        assert_eq!(self.process.0.wait().expect("it ends").code(), Some(130));
    }
}

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_task_is_followed_until_ctrl_c() {
    let node = Node::up(&[]);
    let mut json = Following::start(&node, &["--json", "--type", "task."]);
    let mut text = Following::start(&node, &["--type", "task.assigned,task.failed"]);
    let failed = node.ask(&["submit", "debug/fail", "-p", "permanent=true"]).stdout;
    let id = failed.trim();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|kind| kind != "task.failed") {
        let event: Value = serde_json::from_str(&json.until(id)).unwrap();
        assert!(event["id"].is_u64() && event["at"].is_string(), "{event}");
        seen.push(event["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen.first().unwrap(), "task.assigned", "{seen:?}");
    let line = text.until(&format!("task.failed\t{id}"));
    assert_eq!(line.split('\t').count(), 4, "{line}");
    json.end();
    text.end();
}

#[test]
fn events_of_a_restarted_node_follow_after_a_gap() {
    let node = Node::up(&[]);
    let mut events = Following::start(&node, &["--json", "--type", "task.assigned"]);
    let (status, home) = node.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    let node = Node::up_in(home, &[]);
    // The number of missed events is unknown.
    let gap: Value = serde_json::from_str(&events.until("\"gap\"")).unwrap();
    assert_eq!(gap.get("missed"), None);
    let id = node.ask(&["submit", "debug/noop"]).stdout;
    events.until(id.trim());
    events.end();
}

#[test]
fn unknown_event_type_is_refused() {
    let node = Node::up(&[]);
    node.ask(&["events", "--type", "task.done"]).error(2, &["task.done", "task.failed"]);
}
