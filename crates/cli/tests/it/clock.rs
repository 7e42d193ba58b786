//! Clocks that are wrong, differ, or are set while tasks run: F-14, F-15. Tasks do not depend on
//! them.

use std::{fs, path::PathBuf, process::Command};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    pair::{Given, Pair, Side, sleep},
    support::Node,
};

const YEAR: u64 = 365 * 24 * 3600;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// F-15: the worker's machine has run for years longer than the owner's.
#[test]
fn node_counts_its_uptime_from_its_own_start() {
    let enter = |seconds: u64| {
        let clocks = format!("--monotonic={seconds} --boottime={seconds}");
        format!("unshare --time --fork --kill-child {clocks} --")
    };
    let trial = Command::new("sh").args(["-c", &format!("{} true", enter(YEAR))]).output().unwrap();
    if !trial.status.success() {
        crate::support::skip(&format!(
            "no time namespace: {}",
            String::from_utf8_lossy(&trial.stderr)
        ));
        return;
    }
    for seconds in [YEAR, 100 * YEAR] {
        let worker = format!("exec {} \"$0\" \"$@\"", enter(seconds));
        let pair = Pair::up("true", &worker);
        let caller = pair.caller();
        let given = sleep("far", 600);
        let id = caller.submit(&given);
        caller.check(&given, &id);
        let uptime = pair.node(Side::Worker).ask(&["status", "--json"]).json();
        let uptime = uptime["node"]["uptime_ms"].as_u64().unwrap() / 1_000;
        assert!(uptime < 600, "since the start of the node, not of the machine: {uptime} s");
        assert_eq!(pair.executions()[&id], 1);
        pair.at_rest();
    }
}

/// F-14: while tasks run and one waits, a clock is set forward a day, back an hour, and stopped.
#[test]
fn changed_clock_disturbs_no_task_or_peer() {
    let Some(clocks) = Clocks::new() else { return };
    let shell = |side: Side| clocks.shell(side);
    let mut pair = Pair::up(&shell(Side::Owner), &shell(Side::Worker));
    let caller = pair.caller();
    // The total limit of an hour is not longer than any step.
    let given: Vec<Given> =
        (0..4).map(|n| sleep(&format!("task {n}"), 1_500).with_deadline()).collect();
    let ids: Vec<String> = given.iter().map(|given| caller.submit(given)).collect();
    let waits = ["submit", "text/upper", "x", "--capability", "none", "--deadline", "1h"];
    let waits = pair.node(Side::Owner).ask(&waits).stdout.trim().to_owned();
    caller.until(&ids[0], "running");
    let before = caller.until(&waits, "queued").submitted_at;

    clocks.step(Side::Owner, DAY);
    let later = caller.submit(&sleep("later", 0));
    let stepped = caller.until(&later, "succeeded").submitted_at - before;
    assert!(stepped.num_seconds() < 60, "times count from the start of the node: {stepped}");
    clocks.step(Side::Worker, -HOUR);
    for (given, id) in given.iter().zip(&ids) {
        caller.check(given, id);
        assert_eq!(pair.executions()[id], 1, "no attempt was lost");
    }
    caller.until(&waits, "queued");
    for side in [Side::Owner, Side::Worker] {
        let peers = pair.node(side).ask(&["peers", "--json"]).json();
        assert_eq!(peers["items"][0]["state"], "ready", "{peers}");
    }

    // An owner that restarts with an earlier time knows its tasks, and works.
    let restart = |mut pair: Pair, seconds: i64| {
        clocks.step(Side::Owner, seconds);
        let (_, home) = pair.take(Side::Owner).end(Signal::TERM);
        pair.start(Side::Owner, home, &shell(Side::Owner));
        pair
    };
    pair = restart(pair, -HOUR);
    for (given, id) in given.iter().zip(&ids) {
        caller.check(given, id);
    }
    for side in [Side::Owner, Side::Worker] {
        clocks.stop(side, before.timestamp());
    }
    for name in ["again", "and again"] {
        let again = sleep(name, 100);
        caller.check(&again, &caller.submit(&again));
    }
    assert_eq!(caller.cancel(&waits).state, "cancelled".into());
    pair.at_rest();
    // The journal recorded the wall clock, which was a day ahead at that submit.
    pair = restart(pair, 2 * DAY);
    let stepped = caller.until(&later, "succeeded").submitted_at - before;
    assert!(stepped.num_hours() >= 23, "{stepped}");
    pair.at_rest();
}

/// The time of day of an owner and of a worker.
struct Clocks(TempDir);

impl Clocks {
    /// Builds the library that sets the clocks, with the C compiler that the workspace needs anyway.
    fn new() -> Option<Self> {
        let clocks = Self(tempfile::tempdir().unwrap());
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/clock/set.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(clocks.library()).arg(source);
        if compiler.status().is_ok_and(|status| status.success()) {
            return Some(clocks);
        }
        crate::support::skip("needs a C compiler named cc");
        None
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("set.so")
    }

    fn file(&self, side: Side) -> PathBuf {
        self.0.path().join(format!("{side:?}"))
    }

    /// The shell command that makes a node use its test clock.
    fn shell(&self, side: Side) -> String {
        let (library, file) = (self.library(), self.file(side));
        format!("export LD_PRELOAD={} SET_CLOCK_FILE={}", library.display(), file.display())
    }

    /// Sets a clock `seconds` after the true time; negative: before it.
    fn step(&self, side: Side, seconds: i64) {
        self.write(side, &seconds.to_string());
    }

    /// Stops a clock at this time.
    fn stop(&self, side: Side, at: i64) {
        self.write(side, &format!("={at}"));
    }

    /// Replaces the file atomically, because a node may read it at any time.
    fn write(&self, side: Side, text: &str) {
        let (new, file) = (self.file(side).with_extension("new"), self.file(side));
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
    }
}

/// A machine without a battery may start with any time and get the right one later. Until then its
/// API does not answer, because the HTTP library cannot write such a date.
#[test]
fn worker_with_its_clock_before_1970_keeps_results() {
    let Some(clocks) = Clocks::new() else { return };
    let year_1960 = -315_619_200;
    let shell = clocks.shell(Side::Worker);
    clocks.stop(Side::Worker, year_1960);
    let worker = ["--name", "bee", "--accept", "anyone"];
    let bee = Node::up_after(&shell, &worker);
    let id = bee.text("peer").to_owned();
    let ant = Node::up(&["--slots", "0", "--bootstrap", bee.address()]);
    ant.until_ready(&id);
    assert_eq!(ant.ask(&["run", "text/upper", "a", "--on", &id]).stdout, "A");
    let (_, home) = bee.end(Signal::KILL);
    let bee =
        Node::up_in_after(home, &shell, &[&worker[..], &["--bootstrap", ant.address()]].concat());
    assert_eq!(ant.ask(&["run", "text/upper", "b", "--on", &id]).stdout, "B");
    clocks.step(Side::Worker, 0);
    assert_eq!(bee.ask(&["status"]).code, 0);
    assert_eq!(bee.end(Signal::TERM).0.code(), Some(0));
}
