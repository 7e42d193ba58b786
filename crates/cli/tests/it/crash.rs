//! Nodes that end at each point of a task's way, as if they were killed there, and are started again:
//! nothing that was answered is lost, nothing ends twice (F-01).

use std::{os::unix::process::ExitStatusExt as _, process::Stdio, sync::Mutex, thread};

use rustix::process::Signal;

use crate::{
    pair::{Given, Pair, Side, echo, sleep},
    support::{Node, meshwork},
};

mod rounds;

/// Each place once: where, and what the task that passes it is.
const POINTS: [(Side, &str, Kind); 37] = [
    (Side::Owner, "submit", Kind::Done),
    (Side::Owner, "submit-committing", Kind::Done),
    (Side::Owner, "submit-committed", Kind::Done),
    (Side::Owner, "submit-answer", Kind::Done),
    (Side::Owner, "chosen", Kind::Done),
    (Side::Owner, "offered", Kind::Done),
    (Side::Owner, "accepted-came", Kind::Done),
    (Side::Owner, "heartbeat-came", Kind::Done),
    (Side::Owner, "result-came", Kind::Done),
    // That of the longest, which is looked at all the time.
    (Side::Owner, "end-committing:4", Kind::Done),
    (Side::Owner, "end-committed", Kind::Done),
    (Side::Owner, "ack-sent", Kind::Done),
    (Side::Owner, "end-answer", Kind::Done),
    (Side::Worker, "offer-came", Kind::Done),
    (Side::Worker, "offer-taken", Kind::Done),
    (Side::Worker, "accepting", Kind::Done),
    (Side::Worker, "accept-sent", Kind::Done),
    (Side::Worker, "start", Kind::Done),
    (Side::Worker, "running", Kind::Done),
    (Side::Worker, "ended", Kind::Done),
    (Side::Worker, "result-committing", Kind::Done),
    (Side::Worker, "result-committed", Kind::Done),
    (Side::Worker, "result-sent", Kind::Done),
    (Side::Worker, "ack-came", Kind::Done),
    (Side::Worker, "released", Kind::Done),
    (Side::Worker, "removed", Kind::Done),
    (Side::Owner, "cancel", Kind::Cancelled),
    (Side::Owner, "result-came", Kind::Cancelled),
    (Side::Owner, "end-committing", Kind::Cancelled),
    (Side::Owner, "end-committed", Kind::Cancelled),
    (Side::Owner, "ack-sent", Kind::Cancelled),
    (Side::Owner, "end-answer", Kind::Cancelled),
    (Side::Worker, "cancel-came", Kind::Cancelled),
    (Side::Worker, "ended", Kind::Cancelled),
    (Side::Worker, "result-committed", Kind::Cancelled),
    (Side::Worker, "result-sent", Kind::Cancelled),
    (Side::Worker, "ack-came", Kind::Cancelled),
];

/// Pairs of nodes at a time: they wait more than they work.
const LANES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Tasks that are let to their ends.
    Done,
    /// One that would never end, and is cancelled.
    Cancelled,
}

#[test]
fn whoever_ends_anywhere_no_task_is_lost_and_none_ends_twice() {
    let points = Mutex::new(POINTS.iter());
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((side, point, kind)) = { points.lock().unwrap().next() } {
                    ends_at(*side, point, *kind);
                }
            });
        }
    });
}

fn ends_at(side: Side, point: &str, kind: Kind) {
    let order = format!("export MESHWORK_CRASH_AT={point}");
    let mut pair = match side {
        Side::Owner => Pair::up(&order, "true"),
        Side::Worker | Side::Third => Pair::up("true", &order),
    };
    let caller = pair.caller();
    let tasks: Vec<Given> = match kind {
        Kind::Done => vec![echo("a"), sleep("b", 1_200), echo("c"), sleep("d", 100)],
        Kind::Cancelled => vec![sleep("a", 30_000)],
    };
    let ids: Vec<String> = thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let ids: Vec<String> = tasks.iter().map(|task| caller.submit(task)).collect();
            if kind == Kind::Cancelled {
                caller.until(&ids[0], "running");
                assert_eq!(caller.cancel(&ids[0]).state, "cancelled".into());
            } else {
                // Sees each end as early as anybody can.
                ids.iter().for_each(|id| drop(caller.until(id, "succeeded")));
            }
            ids
        });
        let (status, home) = pair.gone(side, point);
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{point}");
        let (told, name) = (pair.told(side), point.split(':').next().unwrap());
        assert!(told.ends_with(&format!("crash point {name}\n")), "{point}: {told}");
        pair.start(side, home, "true");
        calling.join().expect("all is answered")
    });
    for (task, id) in tasks.iter().zip(&ids) {
        match kind {
            Kind::Done => caller.check(task, id),
            Kind::Cancelled => assert_eq!(caller.submit(task), *id, "{point}"),
        }
    }
    pair.at_rest();
    // Once more, after all that may come late has come.
    for id in &ids {
        caller.until(id, if kind == Kind::Done { "succeeded" } else { "cancelled" });
    }
    let executions = pair.executions();
    for (task, id) in tasks.iter().zip(&ids).filter(|(task, _)| task.is_counted()) {
        let times = executions.get(id).copied().unwrap_or_default();
        // What is cancelled may not have begun.
        let least = usize::from(kind == Kind::Done);
        assert!((least..=2).contains(&times), "{point}: {times} times: {task:?}");
    }
}

/// Twice between what counts its starts: the file and the marker beside it.
#[test]
fn a_node_that_is_killed_while_it_starts_starts_again() {
    let node = Node::up(&["--slots", "0"]);
    let id = node.ask(&["submit", "text/upper", "kept"]).stdout.trim().to_owned();
    let (_, home) = node.end(Signal::KILL);
    for _ in 0..3 {
        let mut start = meshwork(home.path());
        start.args(["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]);
        start.env("MESHWORK_CRASH_AT", "counted").stdin(Stdio::null());
        let ended = start.output().unwrap();
        assert_eq!(ended.status.signal(), Some(Signal::ABORT.as_raw()), "{ended:?}");
    }
    let node = Node::up_in(home, &["--slots", "0"]);
    assert_eq!(node.ask(&["task", "show", &id]).code, 0);
}
