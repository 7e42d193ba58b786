//! Restores from disk: tasks at their owner, results at the worker.

use std::time::Duration;

use super::*;
use crate::{FailureCode, Reason, TaskFailure, limits, task::RetryPolicy};

fn task_in_memory(handler: &str) -> Task {
    Task { durability: Some(Durability::Memory), ..task(handler) }
}

#[test]
fn restored_tasks_keep_their_ends_and_the_rest_run() {
    let mut net = Net::connected(&[1]);
    let done = net.submit(task("text/a"));
    net.finish(1, output("done"));
    let (running, waiting) = (net.submit(task("text/a")), net.submit(task("text/b")));
    let end = net.end(done);
    net.restart(0);
    assert_eq!(net.end(done), end, "the end stays the same");
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
        "including results for the earlier start of the owner"
    );
    net.restart(0);
    assert_eq!(net.state(waiting), "succeeded");
}

#[test]
fn memory_task_writes_nothing_and_ends_with_the_process() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task_in_memory("text/a"));
    assert!(net.nodes[0].records.is_empty() && net.nodes[1].records.is_empty());
    assert_eq!(net.nodes[0].replies.len(), 1, "accepted without a record");
    assert!(!net.nodes[1].running[0].2.durable);
    net.finish(1, output("done"));
    assert_eq!(net.nodes[0].ends_of(id).len(), 1);
    assert!(net.nodes[0].records.is_empty() && net.nodes[1].records.is_empty());
    net.restart(0);
    assert_eq!(net.state(id), "unknown");
}

#[test]
fn unacknowledged_result_survives_worker_restart() {
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
    assert!(net.nodes[1].running.is_empty(), "the attempt does not run again");
    net.pass(limits::ACK_DELAY);
    net.restart(1);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0, "released on disk as well");
}

#[test]
fn attempt_of_earlier_owner_start_is_stopped() {
    let mut net = Net::connected(&[2]);
    let id = net.submit(task("text/a"));
    let run = net.nodes[1].running[0].0;
    net.restart(0);
    net.connect(0, 1);
    net.pass(Duration::from_secs(2));
    assert_eq!(net.nodes[1].stopped, [run], "its owner no longer has this epoch");
    assert_eq!(net.nodes[1].running.len(), 2, "another attempt runs");
    net.finish(1, AttemptEnd::Cancelled);
    net.finish(1, output("x"));
    assert_eq!(net.state(id), "succeeded");
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().held, 0);
}

#[test]
fn unfinished_attempts_leave_no_records_at_the_worker() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let waiting = net.submit(task("text/a"));
    let reason = String::new();
    let by = crate::CancelledBy::Submitter;
    net.feed(0, Input::Cancel { id: waiting, by, reason, token: Token(9_999) });
    net.settle();
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().held, 1, "only the running attempt");
    net.feed(1, Input::Close);
    net.settle();
    assert!(net.nodes[1].records.is_empty(), "{:?}", net.nodes[1].records);
}

#[test]
fn restart_restores_keys_but_no_forgotten_tasks() {
    let mut net = Net::connected(&[1]);
    net.nodes[0].engine.node.config.keep_bytes = 64 * limits::ENDED_WEIGHT as u64;
    let keyed = Task { idempotency_key: Some("k".into()), ..task("text/a") };
    let first = net.submit(keyed.clone());
    net.finish(1, output("x"));
    net.restart(0);
    net.connect(0, 1);
    net.submit(Task { id: TaskId::from_bytes([7; 16]), ..keyed });
    assert_eq!(net.nodes[0].ends_of(first).len(), 2, "replies to both submissions");
    for _ in 0..100 {
        net.submit(task("text/a"));
        net.finish(1, output("x"));
    }
    assert_eq!(net.state(first), "forgotten");
    assert!((60..=64).contains(&net.nodes[0].ledger.len()));
    net.restart(0);
    assert_eq!(net.state(first), "forgotten");
}

#[test]
fn restoring_a_task_twice_is_a_conflict() {
    let mut net = Net::new(&[1]);
    let now = net.now;
    let engine = &mut net.nodes[0].engine;
    let restored = |task: Task| crate::engine::Restored {
        task: Box::new(task),
        targets: Vec::new(),
        submitted: now,
        story: None,
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

#[test]
fn task_that_crashes_its_node_fails_as_lost() {
    let mut net = Net::new(&[1]);
    let poison =
        Task { retry: RetryPolicy { crashes: 2, ..RetryPolicy::default() }, ..task("text/a") };
    let id = net.submit_to(1, poison, &[]);
    for start in 0..3 {
        assert_eq!(net.nodes[1].running.len(), 1, "start {start}");
        net.restart(1);
    }
    let [TaskEnd::Failed(failure)] = &net.nodes[1].ledger_ends(id)[..] else { panic!("one end") };
    assert_eq!(failure.code, FailureCode::Lost);
    assert_eq!(failure.worker.as_deref(), Some(&net.nodes[1].id));
    assert!(net.nodes[1].running.is_empty());
    net.restart(1);
    let view = net.nodes[1].engine.read(net.now).task(id).unwrap();
    assert_eq!((view.state.as_str(), view.attempts.len()), ("failed", 2), "{view:?}");
}

#[test]
fn restored_task_runs_once_its_start_is_persisted() {
    let mut net = Net::new(&[1]);
    let id = net.submit_to(1, task("text/a"), &[]);
    net.disk = false;
    net.restart(1);
    assert!(net.nodes[1].running.is_empty());
    let cancel = Input::Cancel {
        id,
        by: crate::CancelledBy::Submitter,
        reason: String::new(),
        token: Token(9_999),
    };
    net.feed(1, cancel);
    net.settle();
    assert!(net.nodes[1].stopped.is_empty(), "the attempt has not started");
    let tried = net.nodes[1].records.iter().any(|record| matches!(record, Record::Tried { .. }));
    assert!(tried, "{:?}", net.nodes[1].records);
    net.persist(1);
    assert_eq!((net.nodes[1].running.len(), net.nodes[1].stopped.len()), (1, 1));
}

#[test]
fn clean_stops_do_not_count_as_crashes() {
    let mut net = Net::new(&[1]);
    let fragile =
        Task { retry: RetryPolicy { crashes: 1, ..RetryPolicy::default() }, ..task("text/a") };
    let id = net.submit_to(1, fragile, &[]);
    for _ in 0..5 {
        net.feed(1, Input::Abandon);
        net.settle();
        net.finish(1, AttemptEnd::Cancelled);
        net.restart(1);
    }
    net.finish(1, output("x"));
    let view = net.nodes[1].engine.read(net.now).task(id).unwrap();
    assert_eq!(view.state.as_str(), "succeeded");
    // The first start left a record of the task, but no attempt.
    assert_eq!(view.attempts.last().unwrap().number, 5);
}

#[test]
fn attempts_are_counted_and_shown_across_restarts() {
    let mut net = Net::connected(&[1]);
    let retry = RetryPolicy { attempts: 3, backoff: Duration::ZERO, ..RetryPolicy::default() };
    let id = net.submit(Task { retry, ..task("text/a") });
    let failed = || AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "no luck"));
    let ended = |net: &Net| {
        let view = net.nodes[0].engine.read(net.now).task(id).unwrap();
        view.attempts.iter().filter(|attempt| attempt.end.is_some()).count()
    };
    net.pass(Duration::from_secs(1));
    for count in 1..=3 {
        // Attempts that the owner's previous start left at the worker do not count.
        while ended(&net) < count {
            net.finish(1, failed());
            net.pass(Duration::from_millis(1));
        }
        net.restart(0);
        net.connect(0, 1);
        assert_eq!(ended(&net), count);
    }
    assert_eq!(net.state(id), "failed", "three attempts over all starts");
    net.restart(0);
    let view = net.nodes[0].engine.read(net.now).task(id).unwrap();
    let shown: Vec<(u32, Duration, &str)> = view
        .attempts
        .iter()
        .map(|attempt| {
            let took = attempt.ended.unwrap().since(attempt.started);
            (attempt.number, took, attempt.end.as_deref().unwrap())
        })
        .collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert_eq!(shown[0], (1, Duration::from_secs(1), "handler: no luck"), "{shown:?}");
    assert_eq!(shown[2].2, "failed", "{shown:?}");
}

/// Records that wait for a slow disk are bounded in bytes, so the texts of workers must count.
#[test]
fn failure_messages_count_in_the_weight_of_records() {
    let mut net = Net::connected(&[1]);
    let retry = RetryPolicy { attempts: 2, backoff: Duration::ZERO, ..RetryPolicy::default() };
    net.submit(Task { retry, ..task("text/a") });
    let message = "x".repeat(1_000);
    for attempt in 1..=2 {
        net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, message.clone())));
        net.pass(Duration::from_millis(1));
        let record = net.nodes[0].records.last().unwrap();
        assert!(record.weight() >= attempt * 1_000, "{}: {record:?}", record.weight());
    }
    let kept = net.nodes[1].records.iter().find(|record| matches!(record, Record::Finished(_)));
    assert!(kept.unwrap().weight() >= 1_000);
}
