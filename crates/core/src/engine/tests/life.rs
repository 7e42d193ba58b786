//! From submission to end: tasks are accepted, placed, run, retried, and end exactly once.

use std::time::Duration;

use super::*;
use crate::{
    CancelledBy, ExpiredLimit, FailureCode, Reason, RetryPolicy, TaskFailure, TaskLimits,
    TaskState, engine::view::Obstacle, limits,
};

fn failure(code: FailureCode) -> AttemptEnd {
    AttemptEnd::Failed(TaskFailure::new(code, "no"))
}

#[test]
fn task_runs_at_worker_and_its_result_comes_back() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    assert_eq!(net.state(id), "running");
    assert_eq!(net.nodes[1].running[0].1, net.nodes[0].id, "the handler sees the owner");
    net.finish(1, output("done"));
    let [TaskEnd::Succeeded(result)] = &net.nodes[0].ends_of(id)[..] else { panic!("one end") };
    assert_eq!(result.text(), Ok("done"));
    assert_eq!(result.worker, net.nodes[1].id);
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0, "the worker may forget it");
    assert_eq!(net.nodes[0].engine.accounts().succeeded, 1);
}

#[test]
fn node_runs_its_own_tasks_without_a_peer() {
    let mut net = Net::new(&[2]);
    let id = net.submit_to(1, task("text/a"), &[]);
    net.finish(1, output("here"));
    assert_eq!(net.nodes[1].ends_of(id).len(), 1);
}

#[test]
fn nothing_is_reported_before_it_is_persisted() {
    let mut net = Net::connected(&[1]);
    net.disk = false;
    let id = net.submit(task("text/a"));
    assert!(net.nodes[0].replies.is_empty(), "accepted means persisted");
    let [Record::Submitted { task, targets }] = &net.nodes[0].records[..] else { panic!("one") };
    assert_eq!((task.id, targets.len()), (id, 0));
    net.finish(1, output("done"));
    assert!(net.nodes[0].replies.is_empty());
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1, "not acknowledged before it is safe");
    let shown = net.nodes[0].engine.read(net.now).task(id).unwrap();
    assert_eq!((net.state(id), shown.end, shown.ended), ("running", None, None));
    assert_eq!(shown.attempts[0].end, None);
    assert_eq!(net.nodes[0].engine.accounts().running, 1);
    net.disk = true;
    net.feed(0, Input::Persisted { seq: crate::engine::Seq(1) });
    assert_eq!(net.nodes[0].replies.len(), 1, "only the first batch is persisted");
    net.feed(0, Input::Persisted { seq: crate::engine::Seq(9) });
    net.settle();
    assert_eq!(net.nodes[0].ends_of(id).len(), 1);
    assert_eq!((net.state(id), net.nodes[0].engine.accounts().running), ("succeeded", 0));
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0);
}

#[test]
fn end_of_queued_task_is_hidden_until_persisted() {
    let mut net = Net::new(&[0]);
    net.disk = false;
    let id = net.submit_to(0, task("text/a"), &[]);
    let cancel = Input::Cancel {
        id,
        by: CancelledBy::Submitter,
        reason: String::new(),
        token: Token(9_999),
    };
    net.feed(0, cancel);
    net.settle();
    assert_eq!((net.state(id), net.end(id)), ("queued", None));
    net.feed(0, Input::Persisted { seq: crate::engine::Seq(9) });
    assert_eq!(net.state(id), "cancelled");
}

#[test]
fn tasks_go_only_to_trusted_peers_and_say_why_they_wait() {
    let mut net = Net::connected(&[1]);
    let worker = net.nodes[1].id;
    net.feed(0, Input::Trust { peer: worker, trusted: false });
    let id = net.submit(task("text/a"));
    assert_eq!(net.state(id), "queued");
    let waiting = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    assert_eq!(waiting.code, "no_eligible_peer");
    assert!(waiting.peers.contains(&(worker, Obstacle::NotTrusted)));
    net.feed(0, Input::Trust { peer: worker, trusted: true });
    net.settle();
    assert_eq!(net.state(id), "running", "trust takes effect at once");
}

#[test]
fn target_needs_no_trust_and_its_refusal_fails_the_task() {
    let mut net = Net::connected(&[1]);
    let (owner, worker) = (net.nodes[0].id, net.nodes[1].id);
    net.feed(0, Input::Trust { peer: worker, trusted: false });
    net.feed(1, Input::Trust { peer: owner, trusted: false });
    let id = net.submit_to(0, task("text/a"), &[1]);
    let Some(TaskEnd::Failed(failure)) = net.end(id) else { panic!("refused by its only target") };
    assert_eq!(failure.code, FailureCode::Refused);
    assert_eq!(failure.worker.as_deref(), Some(&worker));
    assert!(failure.message.contains("not_accepted"), "{failure}");
}

#[test]
fn accept_policy_change_takes_effect_at_once() {
    let mut net = Net::connected(&[1]);
    let accept = |who| Input::Accept { policy: AcceptPolicy::default().with("text", who) };
    let refused = |net: &mut Net| {
        let id = net.submit_to(0, task("text/a"), &[1]);
        net.end(id).is_some_and(|end| format!("{end:?}").contains("not_accepted"))
    };
    net.feed(1, accept(Accept::Nobody));
    assert!(refused(&mut net), "the trusted owner is refused");
    net.feed(1, accept(Accept::Listed));
    assert!(!refused(&mut net));
}

#[test]
fn unknown_operation_fails_the_task() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/nope"));
    let Some(TaskEnd::Failed(failure)) = net.end(id) else { panic!("an unknown operation fails") };
    assert_eq!(failure.code, FailureCode::UnknownHandler);
    assert!(failure.message.contains("a, b, c"), "the message lists the operations: {failure}");
    let id = net.submit_to(0, task("text/nope"), &[1]);
    let Some(TaskEnd::Failed(failure)) = net.end(id) else { panic!("its target refuses it") };
    assert_eq!(failure.code, FailureCode::UnknownHandler);
}

#[test]
fn failures_are_retried_with_backoff_until_the_last() {
    let mut net = Net::connected(&[1]);
    let retry = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
    let id = net.submit(Task { retry, ..task("text/a") });
    net.finish(1, failure(FailureCode::Handler));
    assert_eq!(net.state(id), "queued");
    assert!(net.nodes[1].running.is_empty(), "the task backs off first");
    let waiting = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    assert_eq!(waiting.code, "backing_off");
    net.pass(Duration::from_millis(200));
    net.finish(1, failure(FailureCode::Handler));
    assert_eq!(net.state(id), "failed");
    let view = net.nodes[0].engine.read(net.now).task(id).unwrap();
    assert_eq!(view.attempts.len(), 2);
    assert_eq!(net.nodes[0].ends_of(id).len(), 1);
}

#[test]
fn permanent_failure_is_not_retried() {
    for code in [FailureCode::Permanent, FailureCode::BadInput, FailureCode::BadParameter] {
        let mut net = Net::connected(&[1]);
        let id = net.submit(task("text/a"));
        net.finish(1, failure(code));
        assert_eq!(net.state(id), "failed");
    }
}

#[test]
fn each_time_limit_expires_the_task_by_its_name() {
    let second = Some(Duration::from_secs(1));
    let none = TaskLimits { queue: None, attempt: None, total: None };
    let expired = |net: &Net, id| match net.end(id) {
        Some(TaskEnd::Expired { limit }) => limit,
        other => panic!("{other:?}"),
    };

    let mut net = Net::new(&[1]);
    let id = net.submit(Task { limits: TaskLimits { queue: second, ..none }, ..task("text/a") });
    net.pass(Duration::from_secs(2));
    assert_eq!(expired(&net, id), ExpiredLimit::Queue);

    let mut net = Net::connected(&[1]);
    let id = net.submit(Task { limits: TaskLimits { total: second, ..none }, ..task("text/a") });
    net.pass(Duration::from_secs(2));
    assert_eq!(expired(&net, id), ExpiredLimit::Total);
    assert_eq!(net.nodes[1].stopped.len(), 1, "the handler is stopped");

    let mut net = Net::connected(&[1]);
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let limits = TaskLimits { attempt: second, ..none };
    let id = net.submit(Task { limits, retry, ..task("text/a") });
    assert_eq!(net.nodes[1].running[0].2.limit, second, "the worker measures it");
    net.pass(Duration::from_secs(10));
    assert_eq!(expired(&net, id), ExpiredLimit::Attempt, "even if the worker does not end it");
}

#[test]
fn cancel_ends_a_task_in_every_state() {
    let cancel = |net: &mut Net, id| {
        let reason = "enough".to_owned();
        let by = CancelledBy::Submitter;
        net.feed(0, Input::Cancel { id, by, reason, token: Token(99) });
        net.settle();
    };
    let mut net = Net::new(&[1]);
    let queued = net.submit(task("text/a"));
    cancel(&mut net, queued);
    assert_eq!(net.state(queued), "cancelled");
    net.connect(0, 1);
    assert!(net.nodes[1].running.is_empty(), "it is never placed");

    let running = net.submit(task("text/a"));
    cancel(&mut net, running);
    assert_eq!(net.state(running), "cancelled");
    assert_eq!(net.nodes[1].stopped, [net.nodes[1].running[0].0], "the handler is stopped");
    net.finish(1, output("too late"));
    assert_eq!(net.state(running), "cancelled", "an end never changes");
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0, "the worker may forget its result");

    cancel(&mut net, running);
    assert_eq!(net.nodes[0].ends_of(running).len(), 3, "submitter, first and second cancel");
    let unknown = TaskId::from_bytes([9; 16]);
    cancel(&mut net, unknown);
    assert_eq!(net.nodes[0].replies.last().unwrap().1, Reply::Refused(Reason::NotFound));
}

#[test]
fn same_id_or_key_is_the_same_task_or_a_conflict() {
    let mut net = Net::new(&[1]);
    let first = Task { idempotency_key: Some("k".into()), ..task("text/a") };
    let id = net.submit(first.clone());
    net.submit(first.clone());
    net.submit(Task { id: TaskId::from_bytes([7; 16]), ..first.clone() });
    net.submit(Task { id: TaskId::from_bytes([8; 16]), ..first.clone() }.with_input("another"));
    net.submit(Task { idempotency_key: None, ..first.clone() });
    net.submit(Task { idempotency_key: None, ..first }.with_param("n", 1));
    let replies: Vec<&Reply> = net.nodes[0].replies.iter().map(|(_, reply)| reply).collect();
    let same = Reply::Accepted { id };
    assert_eq!(replies[..3], [&same, &same, &same]);
    assert!(matches!(replies[3], Reply::Refused(Reason::Conflict { .. })));
    assert_eq!(replies[4], &same, "by its id");
    assert!(matches!(replies[5], Reply::Refused(Reason::Conflict { .. })));
    assert_eq!(net.nodes[0].engine.accounts().queued, 1);
}

#[test]
fn key_conflict_names_the_options_that_differ() {
    let mut net = Net::new(&[1]);
    let first = Task { idempotency_key: Some("k".into()), ..task("text/a") };
    net.submit(first.clone());
    let with = |change: fn(&mut Task)| {
        let mut task = first.clone();
        change(&mut task);
        task
    };
    for (changed, named) in [
        (with(|task| task.limits.attempt = Some(Duration::from_secs(1))), "time limits"),
        (with(|task| task.limits.queue = None), "time limits"),
        (with(|task| task.limits.total = Some(Duration::from_secs(1))), "time limits"),
        (with(|task| task.retry.attempts = 9), "retries"),
        (with(|task| task.retry.hedge = true), "retries"),
        (with(|task| task.priority = 1), "priority"),
        (with(|task| task.requirements.cpus = 1), "requirements"),
        (with(|task| task.durability = Some(Durability::Memory)), "durability"),
        (with(|task| task.operation = "b".into()), "handler, input or parameters"),
    ] {
        net.submit(changed);
        let (_, reply) = net.nodes[0].replies.last().unwrap();
        let Reply::Refused(Reason::Conflict { what }) = reply else { panic!("{named}: {reply:?}") };
        assert_eq!(what, &format!("idempotency key \"k\" (with other {named})"));
    }
    net.submit_to(0, first.clone(), &[1]);
    let (_, reply) = net.nodes[0].replies.last().unwrap();
    assert!(matches!(reply, Reply::Refused(Reason::Conflict { what }) if what.contains("targets")));
    net.submit(with(|task| task.durability = Some(Durability::Disk)));
    let (_, reply) = net.nodes[0].replies.last().unwrap();
    assert_eq!(reply, &Reply::Accepted { id: first.id }, "disk is the default");
}

#[test]
fn full_queue_refuses_submissions() {
    let mut net = Net::new(&[1]);
    for _ in 0..1_001 {
        net.submit(task("text/a"));
    }
    let retry_after = limits::QUEUE_FULL_RETRY;
    let refused = Reply::Refused(Reason::QueueFull { retry_after });
    assert_eq!(net.nodes[0].replies.last().unwrap().1, refused);
}

#[test]
fn higher_priority_runs_first_and_equals_in_order() {
    let mut net = Net::new(&[1]);
    let submit = |net: &mut Net, handler, priority| {
        net.submit(Task { priority, ..task(handler) });
    };
    for (handler, priority) in [("text/a", 0), ("text/b", 5), ("text/a", 0), ("text/b", -5)] {
        submit(&mut net, handler, priority);
    }
    net.connect(0, 1);
    let mut order = Vec::new();
    while !net.nodes[1].running.is_empty() {
        let work = net.finish(1, output("x"));
        order.push((work.handler.to_string(), work.priority));
    }
    let order: Vec<(&str, i8)> = order.iter().map(|(name, p)| (name.as_str(), *p)).collect();
    assert_eq!(order, [("text/b", 5), ("text/a", 0), ("text/a", 0), ("text/b", -5)]);
}

#[test]
fn requirements_filter_peers() {
    let mut net = Net::connected(&[1]);
    let mut needy = task("text/a");
    needy.requirements.gpus = 1;
    let id = net.submit(needy);
    let waiting = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    let worker = net.nodes[1].id;
    assert!(waiting.peers.iter().any(|(peer, obstacle)| *peer == worker
        && matches!(obstacle, Obstacle::Requirement { what: "gpus", .. })));
    let mut with_gpu = advert(1);
    with_gpu.capacity.gpus = 1;
    net.feed(0, Input::PeerReady { peer: worker, advert: with_gpu });
    net.settle();
    assert_eq!(net.state(id), "running");
}

#[test]
fn target_that_refused_is_asked_again_after_an_offer() {
    let mut net = Net::connected(&[1, 1]);
    let (owner, first) = (net.nodes[0].id, net.nodes[1].id);
    net.disconnect(0, 2);
    net.feed(1, Input::Trust { peer: owner, trusted: false });
    let id = net.submit_to(0, task("text/a"), &[1, 2]);
    assert_eq!(net.state(id), "queued", "the other target may still take it");
    net.feed(1, Input::Trust { peer: owner, trusted: true });
    net.feed(0, Input::PeerReady { peer: first, advert: advert(1) });
    net.settle();
    assert_eq!(net.state(id), "running");
}

/// A task waits for a handler of a peer that left; later tasks of its class end at submission. They
/// change neither the counts nor the lane of the waiting task.
#[test]
fn unknown_handlers_do_not_disturb_waiting_tasks() {
    let mut net = Net::new(&[1]);
    let peer = net.nodes[1].id;
    let mut with_none = advert(1);
    with_none.handlers.insert("text/none".parse().unwrap());
    net.feed(0, Input::PeerReady { peer, advert: with_none.clone() });
    let waiting = net.submit(task("text/none"));
    net.feed(0, Input::PeerGone { peer });
    for ended in 1..100 {
        net.submit(task("text/none"));
        let accounts = net.nodes[0].engine.accounts();
        assert_eq!((accounts.queued, accounts.running, accounts.failed), (1, 0, ended));
    }
    net.connect(0, 1);
    net.feed(0, Input::PeerReady { peer, advert: with_none });
    net.settle();
    let view = net.nodes[0].engine.read(net.now).task(waiting).unwrap();
    assert!(!view.attempts.is_empty() || view.state != TaskState::Queued, "{view:?}");
}

#[test]
fn targets_of_waiting_tasks_are_absent_until_they_are_ready() {
    let mut net = Net::new(&[1, 1]);
    assert!(net.nodes[0].engine.read(net.now).absent_targets(8).is_empty());
    let first = net.submit_to(0, task("text/a"), &[1]);
    net.submit_to(0, task("text/b"), &[1, 2]);
    let ids = [net.nodes[1].id, net.nodes[2].id];
    assert_eq!(net.nodes[0].engine.read(net.now).absent_targets(8), ids);
    assert_eq!(
        net.nodes[0].engine.read(net.now).absent_targets(1),
        ids[..1],
        "at most one, as requested"
    );
    net.connect(0, 2);
    net.settle();
    assert_eq!(net.nodes[0].engine.read(net.now).absent_targets(8), ids[..1]);
    net.connect(0, 1);
    net.settle();
    assert!(net.nodes[0].engine.read(net.now).absent_targets(8).is_empty());
    net.disconnect(0, 1);
    net.pass(limits::LEASE * 4);
    assert_eq!(net.state(first), "queued");
    assert_eq!(
        net.nodes[0].engine.read(net.now).absent_targets(8),
        ids[..1],
        "it waits for its worker again"
    );
}
