//! A node drains, closes, or abandons its attempts.

use std::time::Duration;

use super::{Input, Net, advert, output, peer, task};
use crate::{
    AttemptEnd, CancelledBy, Durability, Reason, Task, TaskEnd, TaskId, ToOwner,
    engine::{Reply, Token, view::Obstacle},
    frame::Credit,
    limits::{self, ACK_DELAY},
};

fn in_memory() -> Task {
    Task { durability: Some(Durability::Memory), ..task("text/a") }
}

#[test]
fn draining_worker_hands_back_waiting_and_finishes_running() {
    let mut net = Net::connected(&[1, 1]);
    let ids: Vec<TaskId> = (0..4).map(|_| net.submit(task("text/a"))).collect();
    net.feed(1, Input::Drain { on: true });
    net.settle();
    assert!(net.nodes[1].stopped.is_empty());
    net.finish(1, output("x"));
    for _ in 0..3 {
        net.finish(2, output("x"));
    }
    assert!(ids.iter().all(|id| net.state(*id) == "succeeded"));
    net.pass(ACK_DELAY);
    assert!(net.nodes[1].engine.is_at_rest());
}

#[test]
fn draining_worker_gets_no_assignments() {
    let mut net = Net::connected(&[1]);
    net.feed(1, Input::Drain { on: true });
    net.settle();
    let id = net.submit(task("text/a"));
    net.pass(Duration::from_secs(60));
    assert_eq!(net.state(id), "queued");
    let why = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    let worker = net.nodes[1].id;
    assert!(why.peers.contains(&(worker, Obstacle::Draining)), "{why:?}");
    net.feed(1, Input::Drain { on: false });
    net.settle();
    assert_eq!(net.state(id), "running");
}

#[test]
fn draining_owner_still_places_its_tasks() {
    let mut net = Net::connected(&[1]);
    net.feed(0, Input::Drain { on: true });
    let id = net.submit(task("text/a"));
    net.finish(1, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn closing_owner_places_nothing_but_receives_results() {
    let mut net = Net::connected(&[1]);
    let sent = net.submit(task("text/a"));
    net.disconnect(0, 1);
    let waits = net.submit(task("text/a"));
    net.feed(0, Input::Close);
    net.submit(task("text/a"));
    let (_, last) = net.nodes[0].replies.last().unwrap();
    assert_eq!(*last, Reply::Refused(Reason::ShuttingDown));
    net.connect(0, 1);
    net.finish(1, output("x"));
    assert_eq!(net.state(sent), "succeeded");
    assert_eq!(net.state(waits), "queued");
    // Tasks that could be placed do not keep the driver awake.
    net.feed(0, Input::PeerReady { peer: net.nodes[1].id, advert: advert(1) });
    net.settle();
    assert!(net.nodes[0].engine.next_timer().is_none_or(|at| at > net.now));
    net.feed(0, Input::Drain { on: false });
    net.settle();
    assert_eq!(net.state(waits), "queued", "ending a drain does not reopen a closing node");
}

#[test]
fn waiting_reason_at_closing_owner_is_shutting_down() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    net.submit(task("text/a"));
    let waits = net.submit(task("text/a"));
    let (peer, frames) = (
        net.nodes[1].id,
        vec![ToOwner::Credit(Credit { tasks: 9, slots: 9, bytes: 1_000, ..Credit::default() })],
    );
    net.feed(0, Input::Close);
    net.feed(0, Input::FromWorker { peer, frames });
    net.settle();
    let why = net.nodes[0].engine.read(net.now).task(waits).unwrap().waiting.unwrap();
    assert_eq!((why.code, why.next_try), ("shutting_down", None));
    assert!(why.peers.contains(&(peer, Obstacle::Stopping)), "{why:?}");
}

#[test]
fn closing_owner_places_no_leftovers_of_earlier_pass() {
    let mut net = Net::connected(&[1_000]);
    let worker = net.nodes[1].id;
    // Opens the session.
    net.submit(task("text/a"));
    net.finish(1, output("x"));
    let more = 10;
    for number in 0..limits::PLACEMENT_CLASSES + more {
        // Each task has a different class, and one pass does not examine all classes.
        let targets = vec![worker, peer(u8::try_from(100 + number).unwrap())];
        let task = Box::new(task("text/a"));
        net.feed(0, Input::Submit { task, targets, token: Token(0) });
    }
    let mut effects = Vec::new();
    net.nodes[0].engine.advance(net.now, &mut net.rng, &mut effects);
    net.feed(0, Input::Close);
    net.settle();
    let accounts = net.nodes[0].engine.accounts();
    assert_eq!((accounts.running, accounts.queued), (limits::PLACEMENT_CLASSES, more));
}

#[test]
fn abandoning_owner_cancels_memory_tasks_only() {
    let mut net = Net::connected(&[2]);
    let (memory, disk) = (net.submit(in_memory()), net.submit(task("text/a")));
    net.feed(0, Input::Abandon);
    net.settle();
    let ends = net.nodes[0].ends_of(memory);
    assert!(
        matches!(&ends[..], [TaskEnd::Cancelled { by: CancelledBy::Shutdown, .. }]),
        "{ends:?}"
    );
    assert_eq!(net.nodes[1].stopped.len(), 1, "the attempt at the cancelled task");
    assert!(!net.nodes[0].engine.cancels_confirmed());
    let cancelled = net.nodes[1].running.iter().position(|(_, _, work)| work.task == memory);
    net.nodes[1].running.swap(0, cancelled.unwrap());
    net.finish(1, AttemptEnd::Cancelled);
    assert!(net.nodes[0].engine.cancels_confirmed());
    assert_eq!(net.state(disk), "running");
    net.restart(0);
    net.connect(0, 1);
    assert_eq!(net.state(disk), "running");
}

#[test]
fn abandoning_worker_hands_back_running_attempts() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    net.feed(1, Input::Abandon);
    net.settle();
    assert!(!net.nodes[1].engine.is_at_rest());
    assert_eq!(net.nodes[1].stopped.len(), 1);
    net.finish(1, AttemptEnd::Cancelled);
    net.pass(ACK_DELAY);
    assert!(net.nodes[1].engine.is_at_rest());
    assert_eq!(net.state(id), "queued", "queued at once, not when the lease ends");
}

#[test]
fn node_rests_once_connected_owners_have_their_results() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    net.disk = false;
    net.feed(1, Input::Close);
    net.finish(1, output("x"));
    assert!(!net.nodes[1].engine.is_at_rest(), "the owner has not persisted the result");
    net.disconnect(0, 1);
    assert!(net.nodes[1].engine.is_at_rest(), "disconnected owners are not waited for");
}

#[test]
fn cancel_stops_attempt_at_draining_worker() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    net.feed(1, Input::Drain { on: true });
    net.settle();
    let cancel =
        Input::Cancel { id, by: CancelledBy::Submitter, reason: String::new(), token: Token(99) };
    net.feed(0, cancel);
    net.settle();
    assert_eq!(net.nodes[1].stopped.len(), 1);
    net.finish(1, AttemptEnd::Cancelled);
    assert_eq!(net.state(id), "cancelled");
}
