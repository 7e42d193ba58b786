//! A task's progress is kept while its attempt runs, and dropped with its end.

use std::time::Duration;

use super::*;
use crate::{FailureCode, TaskFailure, engine::view::Progress, limits};

/// The oldest execution at a node reports its progress.
fn report(net: &mut Net, index: usize, fraction: f32, message: &str) {
    let (run, ..) = net.nodes[index].running[0];
    net.feed(index, Input::Progress { run, fraction, message: message.to_owned() });
    net.settle();
}

/// A task's progress, which must be the same in its view and in a list.
fn shown(net: &Net, id: TaskId) -> Option<(f32, String)> {
    let alone = net.view(id).unwrap().progress;
    let query = crate::engine::view::TaskQuery::default();
    for listed in net.nodes[0].engine.read(net.now).tasks(&query) {
        if let Some(listed) = listed.here().filter(|task| task.id == id) {
            assert_eq!(listed.progress, alone);
        }
    }
    alone.map(|Progress { fraction, message }| (fraction, message))
}

fn kept(net: &Net) -> usize {
    net.nodes[0].engine.sizes().progress
}

#[test]
fn latest_progress_is_shown_until_the_attempt_ends() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    assert_eq!(shown(&net, id), None);
    report(&mut net, 1, 0.25, "a quarter");
    report(&mut net, 1, 0.5, "half");
    assert_eq!(shown(&net, id), Some((0.5, "half".to_owned())));
    assert_eq!(kept(&net), 1);
    net.finish(1, output("x"));
    assert_eq!((shown(&net, id), kept(&net)), (None, 0));
}

#[test]
fn next_attempt_begins_without_progress() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    report(&mut net, 1, 0.5, "half");
    net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "no")));
    assert_eq!((shown(&net, id), kept(&net)), (None, 0));
    net.pass(Duration::from_secs(1));
    assert_eq!((net.state(id), shown(&net, id)), ("running", None));
}

#[test]
fn progress_is_dropped_with_lost_worker_or_cancel() {
    let mut net = Net::connected(&[1]);
    let lost = net.submit(task("text/a"));
    report(&mut net, 1, 0.5, "half");
    net.disconnect(0, 1);
    assert_eq!(kept(&net), 1, "the attempt may still run");
    net.pass(limits::LEASE);
    assert_eq!((shown(&net, lost), kept(&net)), (None, 0));

    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    report(&mut net, 1, 0.5, "half");
    let (by, reason) = (crate::CancelledBy::Submitter, String::new());
    net.feed(0, Input::Cancel { id, by, reason, token: Token(9_999) });
    report(&mut net, 1, 0.6, "it has not stopped yet");
    assert_eq!(kept(&net), 0);
}

#[test]
fn node_shows_progress_of_its_own_executions() {
    let mut net = Net::new(&[1]);
    let id = net.submit_to(1, task("text/a"), &[]);
    report(&mut net, 1, 1.0, "nearly");
    let view = net.nodes[1].engine.read(net.now).task(id).unwrap();
    assert_eq!(view.progress, Some(Progress { fraction: 1.0, message: "nearly".to_owned() }));
}

#[test]
fn progress_of_unknown_epochs_is_not_kept() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let worker = net.nodes[1].id;
    let progress = |number| {
        let epoch = crate::Epoch { boot: 1, number };
        ToOwner::Progress { epoch, fraction: 0.5, message: String::new() }
    };
    net.feed(0, Input::FromWorker { peer: worker, frames: (1..2_000).map(progress).collect() });
    assert_eq!(kept(&net), 1);
}
