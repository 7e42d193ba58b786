//! Lost connections, leases, epochs and resume.

use std::time::Duration;

use super::*;
use crate::{
    Epoch, FailureCode, RetryPolicy,
    frame::{Credit, epoch_hash},
    limits,
};

const LEASE: Duration = Duration::from_secs(15);

#[test]
fn lost_connection_ends_no_attempt_before_its_lease() {
    let mut net = Net::connected(&[1, 1]);
    let id = net.submit_to(0, task("text/a"), &[1, 2]);
    let worker = if net.nodes[1].running.is_empty() { 2 } else { 1 };
    let other = 3 - worker;
    net.disconnect(0, worker);
    net.pass(LEASE - Duration::from_secs(1));
    assert_eq!(net.state(id), "running");
    assert!(net.nodes[other].running.is_empty());
    net.pass(Duration::from_secs(2));
    assert_eq!(net.nodes[other].running[0].2.attempt, 2, "the other worker has attempt 2");

    // The first attempt was alive; its late result changes nothing.
    net.finish(worker, output("first"));
    net.connect(0, worker);
    assert_eq!(net.state(id), "running");
    assert_eq!(net.nodes[0].engine.accounts().late, 1);
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[worker].engine.accounts().unacked, 0, "late results are acknowledged too");
    net.finish(other, output("second"));
    let [TaskEnd::Succeeded(result)] = &net.nodes[0].ends_of(id)[..] else { panic!("one end") };
    assert_eq!((result.text(), result.attempt), (Ok("second"), 2));
}

#[test]
fn result_made_while_disconnected_is_delivered() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    net.disconnect(0, 1);
    net.finish(1, output("kept"));
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1);
    net.pass(Duration::from_secs(5));
    net.connect(0, 1);
    assert_eq!(net.state(id), "succeeded");
    assert_eq!(net.nodes[0].engine.accounts().late, 0, "delivered once, by offer or by resume");
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0);
}

#[test]
fn attempt_continues_across_a_reconnect() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    net.disconnect(0, 1);
    net.pass(Duration::from_secs(5));
    net.connect(0, 1);
    net.pass(Duration::from_secs(60));
    assert_eq!(net.state(id), "running", "heartbeats keep the lease");
    assert_eq!(net.nodes[1].running.len(), 1, "the same attempt runs once");
    net.finish(1, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn attempt_unknown_to_restarted_worker_is_sent_again() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    net.restart(1);
    net.pass(Duration::from_secs(2));
    net.connect(0, 1);
    assert_eq!(net.nodes[1].running.len(), 1, "another attempt replaces the unknown one");
    assert_eq!(net.nodes[1].running[0].2.attempt, 2);
    net.finish(1, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn task_that_crashes_its_workers_fails_as_lost() {
    let mut net = Net::connected(&[1]);
    let retry = RetryPolicy { crashes: 2, ..RetryPolicy::default() };
    let id = net.submit(Task { retry, ..task("text/a") });
    for _ in 0..2 {
        net.restart(1);
        net.pass(Duration::from_secs(2));
        net.connect(0, 1);
    }
    let Some(TaskEnd::Failed(failure)) = net.end(id) else { panic!("it must end") };
    assert_eq!(failure.code, FailureCode::Lost);
}

#[test]
fn restarted_owner_ignores_results_of_earlier_start() {
    let mut net = Net::connected(&[1]);
    net.submit(Task { durability: Some(Durability::Memory), ..task("text/a") });
    net.restart(0);
    net.connect(0, 1);
    let id = net.submit(task("text/b"));
    net.finish(1, output("of the past"));
    assert_eq!(net.nodes[0].engine.accounts().succeeded, 0);
    net.finish(1, output("now"));
    assert_eq!(net.state(id), "succeeded");
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0);
}

#[test]
fn silent_worker_loses_its_lease_and_gets_no_tasks() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    // The worker is suspended like a stopped process and sends no heartbeat.
    net.now = net.now + LEASE + Duration::from_secs(1);
    net.feed(0, Input::Tick);
    assert_eq!(net.nodes[0].engine.load(&peer(1)).assigned, 0);
    assert_eq!(net.state(id), "queued");
    let mut effects = Vec::new();
    net.nodes[0].engine.advance(net.now, &mut net.rng, &mut effects);
    assert_eq!(net.state(id), "queued", "a silent worker gets no assignment");
    // The worker continues.
    net.pass(Duration::from_secs(6));
    assert_ne!(net.state(id), "queued");
}

#[test]
fn differing_heartbeat_causes_a_resume() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    let epoch = Epoch { boot: 1, number: 1 };
    let worker = net.nodes[1].id;
    let same = ToOwner::Heartbeat { seen: epoch, count: 1, hash: epoch_hash(epoch) };
    net.feed(0, Input::FromWorker { peer: worker, frames: vec![same] });
    let none = ToOwner::Heartbeat { seen: epoch, count: 0, hash: 0 };
    net.disconnect(0, 1);
    net.nodes[0].outbox.clear();
    net.feed(0, Input::FromWorker { peer: worker, frames: vec![none] });
    let mut effects = Vec::new();
    net.nodes[0].engine.flush(net.now, &mut net.rng, &mut effects);
    let resume = Effect::ToWorker { peer: worker, frames: vec![ToWorker::Resume(vec![epoch])] };
    assert_eq!(effects, [resume], "only the differing heartbeat causes a question");
    assert_eq!(net.state(id), "running");
}

#[test]
fn worker_with_rare_heartbeats_keeps_its_attempt() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    // The owner's lease ends long before the first heartbeat, which comes after five seconds.
    net.nodes[0].engine.node.config.lease = Duration::from_secs(3);
    let worker = net.nodes[1].id;
    net.restart_lease(0, worker);
    net.pass(Duration::from_secs(60));
    assert_eq!(net.state(id), "running");
    assert_eq!(net.nodes[1].running.len(), 1, "the attempt runs once");
}

#[test]
fn busy_answers_leave_no_timers_behind() {
    let mut net = Net::connected(&[1, 1]);
    let worker = net.nodes[1].id;
    for number in 1..=200 {
        net.submit_to(0, task("text/a"), &[1]);
        let epoch = Epoch { boot: 1, number };
        let frame = ToOwner::Busy { epoch, retry_after: Duration::from_millis(1) };
        net.feed(0, Input::FromWorker { peer: worker, frames: vec![frame] });
        net.pass(Duration::from_millis(2));
    }
    net.pass(Duration::from_secs(60));
    let timers = net.nodes[0].engine.node.timers.len();
    assert!(timers <= 202, "one per waiting task and a few: {timers}");
}

#[test]
fn returning_worker_stops_an_attempt_given_up() {
    let mut net = Net::connected(&[1, 1]);
    let id = net.submit_to(0, task("text/a"), &[1, 2]);
    let worker = if net.nodes[1].running.is_empty() { 2 } else { 1 };
    let run = net.nodes[worker].running[0].0;
    net.disconnect(0, worker);
    net.pass(LEASE + Duration::from_secs(1));
    assert_eq!(net.nodes[3 - worker].running.len(), 1, "the other worker runs the task");
    assert!(net.nodes[worker].stopped.is_empty());
    net.connect(0, worker);
    net.pass(Duration::from_secs(2));
    assert_eq!(net.nodes[worker].stopped, [run]);
    net.finish(worker, AttemptEnd::Cancelled);
    assert_eq!(net.state(id), "running", "the other attempt continues");
}

#[test]
fn silent_worker_with_a_new_session_gets_tasks_at_once() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    net.now = net.now + LEASE + Duration::from_secs(1);
    net.feed(0, Input::Tick);
    let mut effects = Vec::new();
    net.nodes[0].engine.advance(net.now, &mut net.rng, &mut effects);
    assert_eq!(net.state(id), "queued", "a silent worker gets no assignment");
    net.feed(0, Input::WorkerSessionLost { peer: peer(1) });
    net.feed(0, Input::WorkerSession { peer: peer(1) });
    let credit = Credit { slots: 1, tasks: 8, ..Credit::default() };
    net.feed(0, Input::FromWorker { peer: peer(1), frames: vec![ToOwner::Credit(credit)] });
    net.nodes[0].engine.advance(net.now, &mut net.rng, &mut effects);
    assert_eq!(net.state(id), "assigned");
}
