//! What is on disk comes back: tasks at their owner, results at the worker.

use std::time::Duration;

use super::*;
use crate::{Reason, limits};

fn memory(handler: &str) -> Task {
    Task { durability: Some(Durability::Memory), ..task(handler) }
}

#[test]
fn tasks_come_back_with_their_ends_and_those_without_run() {
    let mut net = Net::connected(&[1]);
    let done = net.submit(task("text/a"));
    net.finish(1, output("done"));
    let (running, waiting) = (net.submit(task("text/a")), net.submit(task("text/b")));
    let end = net.end(done);
    net.restart(0);
    assert_eq!(net.end(done), end, "an end never changes");
    assert_eq!((net.state(running), net.state(waiting)), ("queued", "queued"));
    net.connect(0, 1);
    for _ in 0..5 {
        net.pass(Duration::from_secs(2));
        while !net.nodes[1].running.is_empty() {
            net.finish(1, output("x"));
        }
    }
    assert_eq!((net.state(running), net.state(waiting)), ("succeeded", "succeeded"));
    net.pass(limits::ACK_DELAY);
    assert_eq!(
        net.nodes[1].engine.accounts().unacked,
        0,
        "also what was made for the earlier start"
    );
    assert!(net.nodes[0].misbehaved.is_empty(), "and nobody is blamed for it");
    net.restart(0);
    assert_eq!(net.state(waiting), "succeeded");
}

#[test]
fn what_was_not_to_outlive_the_process_does_not() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(memory("text/a"));
    assert!(net.nodes[0].records.is_empty() && net.nodes[1].records.is_empty());
    assert_eq!(net.nodes[0].replies.len(), 1, "accepted without a disk");
    assert!(!net.nodes[1].running[0].2.durable);
    net.finish(1, output("done"));
    assert_eq!(net.nodes[0].ends_of(id).len(), 1);
    assert!(net.nodes[0].records.is_empty() && net.nodes[1].records.is_empty());
    net.restart(0);
    assert_eq!(net.state(id), "unknown");
}

#[test]
fn a_result_outlives_its_worker_until_it_is_acknowledged() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    net.disconnect(0, 1);
    net.finish(1, output("made while apart"));
    net.restart(1);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1);
    net.pass(Duration::from_secs(2));
    net.connect(0, 1);
    let [TaskEnd::Succeeded(result)] = &net.nodes[0].ends_of(id)[..] else { panic!("one end") };
    assert_eq!(result.text(), Ok("made while apart"));
    assert!(net.nodes[1].running.is_empty(), "and nothing runs twice");
    net.pass(limits::ACK_DELAY);
    net.restart(1);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0, "released on disk as well");
}

#[test]
fn what_was_started_for_an_earlier_life_of_its_owner_is_stopped() {
    let mut net = Net::connected(&[2]);
    let id = net.submit(task("text/a"));
    let run = net.nodes[1].running[0].0;
    net.restart(0);
    net.connect(0, 1);
    net.pass(Duration::from_secs(2));
    assert_eq!(net.nodes[1].stopped, [run], "it would run for nobody");
    assert_eq!(net.nodes[1].running.len(), 2, "and another attempt runs");
    net.finish(1, AttemptEnd::Cancelled);
    net.finish(1, output("x"));
    assert_eq!(net.state(id), "succeeded");
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().held, 0);
}

#[test]
fn what_never_ran_leaves_nothing_on_the_worker_s_disk() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let waits = net.submit(task("text/a"));
    let reason = String::new();
    let by = crate::CancelledBy::Submitter;
    net.feed(0, Input::Cancel { id: waits, by, reason, token: Token(9_999) });
    net.settle();
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().held, 1, "the other one runs");
    net.feed(1, Input::Close);
    net.settle();
    assert!(net.nodes[1].records.is_empty(), "{:?}", net.nodes[1].records);
}

#[test]
fn what_is_forgotten_does_not_come_back_and_keys_do() {
    let mut net = Net::connected(&[1]);
    let keyed = Task { idempotency_key: Some("k".into()), ..task("text/a") };
    let first = net.submit(keyed.clone());
    net.finish(1, output("x"));
    net.restart(0);
    net.connect(0, 1);
    net.submit(Task { id: TaskId::from_bytes([7; 16]), ..keyed });
    assert_eq!(net.nodes[0].ends_of(first).len(), 2, "the earlier one, and its end");
    for _ in 0..100 {
        net.submit(task("text/a"));
        net.finish(1, output("x"));
    }
    assert_eq!(net.state(first), "unknown");
    assert_eq!(net.nodes[0].ledger.len(), 100);
    net.restart(0);
    assert_eq!(net.state(first), "unknown");
}

#[test]
fn what_cannot_be_taken_up_again_is_refused_by_name() {
    let mut net = Net::new(&[1]);
    let now = net.now;
    let engine = &mut net.nodes[0].engine;
    let restored = |task: Task| crate::engine::Restored {
        task: Box::new(task),
        targets: Vec::new(),
        submitted: now,
        ended: None,
    };
    let once = task("text/a");
    engine.restore(restored(once.clone()), now).unwrap();
    let twice = engine.restore(restored(once), now);
    assert!(matches!(twice, Err(Reason::Conflict { .. })));
    for _ in 1..1_000 {
        engine.restore(restored(task("text/a")), now).unwrap();
    }
    assert_eq!(engine.accounts().queued, 1_000);
}
