//! A task's attempts as shown while they run, after their end, and after a restart.

use std::time::Duration;

use super::*;
use crate::{CancelledBy, FailureCode, RetryPolicy, TaskFailure, engine::owner::Owner, limits};

fn fail(net: &mut Net) {
    net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "no")));
}

/// Number, start, end and the first word of how it ended.
type Shown = (u32, Time, Option<Time>, Option<String>);

fn attempts(net: &Net, id: TaskId) -> Vec<Shown> {
    let view = net.nodes[0].engine.read(net.now).task(id).unwrap();
    let word = |end: String| end.split_whitespace().next().unwrap_or_default().to_owned();
    let all = view.attempts.into_iter();
    all.map(|made| (made.number, made.started, made.ended, made.end.map(word))).collect()
}

fn tried(times: u32) -> Task {
    let retry = RetryPolicy { attempts: times, backoff: Duration::ZERO, ..RetryPolicy::default() };
    Task { retry, ..task("text/a") }
}

#[test]
fn attempt_is_shown_from_its_assignment_to_its_end() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    let sent = net.now;
    assert_eq!(attempts(&net, id), [(1, sent, None, None)]);
    net.pass(Duration::from_millis(70));
    net.finish(1, output("x"));
    let succeeded = Some("succeeded".to_owned());
    assert_eq!(attempts(&net, id), [(1, sent, Some(net.now), succeeded.clone())]);
    net.restart(0);
    let [(1, _, Some(_), again)] = &attempts(&net, id)[..] else { panic!("one attempt") };
    assert_eq!(again, &succeeded);
}

#[test]
fn failed_attempts_are_shown_first_also_after_restart() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(tried(3));
    fail(&mut net);
    net.pass(Duration::from_millis(30));
    net.finish(1, output("x"));
    let before = attempts(&net, id);
    let ends: Vec<_> = before.iter().map(|made| (made.0, made.3.as_deref())).collect();
    assert_eq!(ends, [(1, Some("handler:")), (2, Some("succeeded"))]);
    net.restart(0);
    assert_eq!(attempts(&net, id), before, "each with its times");
}

#[test]
fn latest_attempts_are_shown_with_the_running_one() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(tried(20));
    let numbers = |net: &Net| attempts(net, id).iter().map(|made| made.0).collect::<Vec<_>>();
    for _ in 1..=10 {
        fail(&mut net);
        net.pass(Duration::from_millis(1));
    }
    assert_eq!(numbers(&net), [4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(attempts(&net, id).last().unwrap().2, None, "the last one runs");
    net.finish(1, output("x"));
    assert_eq!(numbers(&net).len(), limits::KEPT_ATTEMPTS);
    net.restart(0);
    assert_eq!(numbers(&net), [4, 5, 6, 7, 8, 9, 10, 11]);
}

/// Cancels a task whose end is not persisted.
fn cancel_unsafely(net: &mut Net, id: TaskId) {
    net.disk = false;
    let (by, reason) = (CancelledBy::Submitter, String::new());
    net.feed(0, Input::Cancel { id, by, reason, token: Token(9_999) });
    net.settle();
    assert_eq!(net.state(id), "running", "the end is not safe");
}

#[test]
fn ended_attempt_stays_ended_beside_an_unsafe_task_end() {
    let mut net = Net::connected(&[1, 1]);
    let id = net.submit(task("text/a"));
    let first = 1 + usize::from(net.nodes[1].running.is_empty());
    let (_, _, work) = net.nodes[first].running[0].clone();
    let busy = ToOwner::Busy { epoch: work.epoch, retry_after: Duration::from_secs(1) };
    net.feed(0, Input::FromWorker { peer: net.nodes[first].id, frames: vec![busy] });
    net.settle();
    let shown = attempts(&net, id);
    let is_open: Vec<bool> = shown.iter().map(|made| made.2.is_none()).collect();
    assert_eq!(is_open, [false, true], "{shown:?}");
    cancel_unsafely(&mut net, id);
    assert_eq!(attempts(&net, id), shown, "the unsafe end is not shown");
    net.persist(0);
    let ends: Vec<_> = attempts(&net, id).into_iter().filter_map(|made| made.3).collect();
    assert_eq!(ends, ["busy", "cancelled"]);
}

/// With a quarter of a million waiting tasks, the table is most of a node's memory.
#[test]
fn table_slot_of_a_task_is_small() {
    let bytes = Owner::bytes_of_a_task();
    assert!(bytes <= 304, "{bytes} bytes");
}
