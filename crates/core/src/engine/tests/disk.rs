//! A node with a full disk accepts no durable task and loses no accepted one.

use std::time::Duration;

use super::*;
use crate::{Reason, limits};

fn memory(handler: &str) -> Task {
    Task { durability: Some(Durability::Memory), ..task(handler) }
}

fn fill(net: &mut Net, node: usize, full: bool) {
    net.feed(node, Input::Disk { full });
    net.settle();
}

#[test]
fn full_disk_refuses_durable_tasks_except_known_ones() {
    let mut net = Net::connected(&[1]);
    let keyed = Task { idempotency_key: Some("k".into()), ..task("text/a") };
    let known = net.submit(keyed.clone());
    fill(&mut net, 0, true);
    net.submit(task("text/a"));
    let (_, refused) = net.nodes[0].replies.last().unwrap();
    let retry_after = limits::DISK_FULL_RETRY;
    assert_eq!(*refused, Reply::Refused(Reason::DiskFull { retry_after }));
    net.submit(Task { id: TaskId::from_bytes([7; 16]), ..keyed });
    let (_, again) = net.nodes[0].replies.last().unwrap();
    assert_eq!(*again, Reply::Accepted { id: known }, "it is on disk already");
    let id = net.submit(memory("text/b"));
    net.finish(1, output("x"));
    net.finish(1, output("x"));
    assert_eq!((net.state(known), net.state(id)), ("succeeded", "succeeded"));
    fill(&mut net, 0, false);
    let id = net.submit(task("text/a"));
    assert_eq!(net.state(id), "running");
}

#[test]
fn durable_tasks_avoid_worker_with_full_disk() {
    let mut net = Net::connected(&[1, 1]);
    fill(&mut net, 1, true);
    for _ in 0..4 {
        let id = net.submit(task("text/a"));
        net.pass(Duration::from_millis(10));
        assert_eq!((net.state(id), net.nodes[1].running.len()), ("running", 0));
        net.finish(2, output("x"));
    }
    assert!(net.nodes[1].records.is_empty());
}

#[test]
fn durable_task_waits_for_space_at_only_worker() {
    let mut net = Net::connected(&[1]);
    let taken = net.submit(task("text/a"));
    fill(&mut net, 1, true);
    let waits = net.submit(task("text/b"));
    let passes = net.submit(memory("text/c"));
    // The worker ends the accepted task and tries to write its result.
    net.finish(1, output("x"));
    assert_eq!(net.state(taken), "succeeded");
    for _ in 0..5 {
        net.pass(limits::DISK_FULL_RETRY);
        while !net.nodes[1].running.is_empty() {
            net.finish(1, output("x"));
        }
    }
    assert_eq!((net.state(waits), net.state(passes)), ("queued", "succeeded"));
    assert_eq!(net.nodes[1].records.len(), 2, "only records of the accepted task");
    fill(&mut net, 1, false);
    net.pass(2 * limits::DISK_FULL_RETRY);
    net.finish(1, output("x"));
    assert_eq!(net.state(waits), "succeeded");
}

#[test]
fn node_with_full_disk_finishes_its_own_tasks() {
    let mut net = Net::new(&[1]);
    let id = net.submit_to(1, task("text/a"), &[]);
    let next = net.submit_to(1, task("text/a"), &[]);
    fill(&mut net, 1, true);
    net.finish(1, output("x"));
    net.finish(1, output("x"));
    for id in [id, next] {
        let view = net.nodes[1].engine.read(net.now).task(id).unwrap();
        assert_eq!(view.state.as_str(), "succeeded");
    }
}
