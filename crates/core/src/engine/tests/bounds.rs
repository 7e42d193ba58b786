//! Tables, counts and timers stay within bounds despite hostile peers and unlucky timing.

use std::time::Duration;

use super::*;
use crate::{CancelledBy, Epoch, FailureCode, Reason, TaskFailure, limits};

fn epoch(number: u64) -> Epoch {
    Epoch { boot: 1, number }
}

#[test]
fn cancel_before_a_late_timer_keeps_other_tasks_queued() {
    let mut net = Net::connected(&[1]);
    let resting = net.submit(task("text/a"));
    let failure = TaskFailure::new(FailureCode::Handler, "x");
    net.finish(1, AttemptEnd::Failed(failure));
    assert_eq!(net.state(resting), "queued");
    net.disconnect(0, 1);
    let waiting = net.submit(task("text/a"));
    // The backoff is over, but its timer has not fired yet.
    net.now = net.now + Duration::from_secs(600);
    let (by, reason) = (CancelledBy::Submitter, String::new());
    net.feed(0, Input::Cancel { id: resting, by, reason, token: Token(9) });
    assert_eq!(net.nodes[0].engine.accounts().queued, 1);
    net.settle();
    net.connect(0, 1);
    net.pass(Duration::from_secs(2));
    assert_eq!(net.state(waiting), "running");
}

#[test]
fn absurd_run_times_do_not_overflow() {
    let mut net = Net::connected(&[4]);
    net.submit(task("text/a"));
    let worker = net.nodes[1].id;
    let result = ToOwner::Result { epoch: epoch(1), end: output("x"), took: Duration::MAX };
    net.feed(0, Input::FromWorker { peer: worker, frames: vec![result] });
    for _ in 0..4 {
        net.submit(task("text/a"));
    }
    assert_eq!(net.nodes[0].engine.accounts().running, 4);
}

#[test]
fn repeated_unsupported_frames_leave_few_timers() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let worker = net.nodes[1].id;
    for _ in 0..1_000 {
        let frames = vec![ToOwner::Unsupported { kind: 99 }];
        net.feed(0, Input::FromWorker { peer: worker, frames });
        net.now = net.now + Duration::from_millis(1);
    }
    assert!(net.nodes[0].engine.node.timers.len() < 10);
    let next = net.submit(task("text/b"));
    net.finish(1, output("x"));
    net.pass(limits::MAX_RETRY_AFTER - Duration::from_secs(2));
    assert_eq!(net.state(next), "queued");
    net.pass(Duration::from_secs(4));
    assert_eq!(net.state(next), "running", "the latest pause counts");
}

#[test]
fn repeated_differing_heartbeats_cause_one_resume() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let worker = net.nodes[1].id;
    let differs = || ToOwner::Heartbeat { seen: epoch(1), count: 7, hash: 7 };
    let frames = (0..100).map(|_| differs()).collect();
    net.feed(0, Input::FromWorker { peer: worker, frames });
    let mut effects = Vec::new();
    net.nodes[0].engine.flush(net.now, &mut net.rng, &mut effects);
    let resume = vec![ToWorker::Resume(vec![epoch(1)])];
    assert_eq!(effects, [Effect::ToWorker { peer: worker, frames: resume }]);
}

#[test]
fn assign_and_cancel_pairs_leave_nothing_behind() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let (_, owner, work) = net.nodes[1].running[0].clone();
    for number in 2..2_000 {
        let epoch = epoch(number);
        let assign = ToWorker::Assign(Box::new(Assignment { epoch, ..(*work).clone() }));
        let frames = vec![assign, ToWorker::Cancel(epoch), ToWorker::Ack(epoch)];
        net.feed(1, Input::FromOwner { peer: owner, frames });
    }
    let engine = &net.nodes[1].engine;
    let key = engine.node.peers.key(&owner).unwrap();
    assert!(engine.worker.line_is_empty(key));
    assert!(engine.worker.owners_in_turn() <= 1);
    assert_eq!(engine.worker.held_and_unacked(), (1, 0));
}

#[test]
fn unknown_peers_that_disconnect_leave_no_trace() {
    let mut net = Net::connected(&[1]);
    let before = net.nodes[0].engine.node.peers.version();
    for seed in 100..200 {
        net.feed(0, Input::OwnerSessionLost { peer: peer(seed) });
        net.feed(0, Input::PeerGone { peer: peer(seed) });
    }
    assert_eq!(net.nodes[0].engine.node.peers.keys().len(), 2);
    assert_eq!(net.nodes[0].engine.node.peers.version(), before);
}

#[test]
fn target_is_asked_although_it_refused_the_handler() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let worker = net.nodes[1].id;
    let reason = Reason::UnknownHandler { handler: "text/a".to_owned() };
    let refused = ToOwner::Refused { epoch: Some(epoch(1)), reason };
    net.feed(0, Input::FromWorker { peer: worker, frames: vec![refused] });
    net.settle();
    let before = net.nodes[0].engine.load(&worker).assigned;
    net.submit_to(0, task("text/a"), &[1]);
    assert_eq!(net.nodes[0].engine.load(&worker).assigned, before + 1);
}

#[test]
fn closing_owner_acknowledges_at_once() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    net.finish(1, output("x"));
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1, "the acknowledgement may wait a little");
    net.feed(0, Input::Close);
    net.settle();
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0);
}

#[test]
fn vanished_owners_do_not_lock_others_out() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let work = net.nodes[1].running[0].2.clone();
    net.finish(1, output("x"));
    let owner = |number: usize| {
        let mut bytes = vec![0, 36, 8, 1, 18, 32];
        bytes.extend([7; 24]);
        bytes.extend((number as u64).to_be_bytes());
        PeerId::from_bytes(&bytes).unwrap()
    };
    let policy = AcceptPolicy::default().with("text", Accept::Anyone);
    net.feed(1, Input::Accept { policy });
    for number in 0..limits::PEERS + 10 {
        let peer = owner(number);
        net.feed(1, Input::OwnerSession { peer });
        net.settle();
        let assign = ToWorker::Assign(work.clone());
        net.feed(1, Input::FromOwner { peer, frames: vec![assign] });
        net.settle();
        assert_eq!(net.nodes[1].running.len(), 1, "owner {number} is served");
        // The owner disconnects without its result.
        net.feed(1, Input::OwnerSessionLost { peer });
        net.feed(1, Input::PeerGone { peer });
        net.finish(1, output("x"));
    }
    let accounts = net.nodes[1].engine.accounts();
    assert!(accounts.dropped_results >= 10, "dropped results are counted");
    assert!(accounts.unacked <= limits::PEERS);
}

#[test]
fn one_tick_fires_a_bounded_number_of_timers() {
    let mut net = Net::new(&[]);
    let more = 10;
    net.nodes[0].engine.node.config.max_owned = 2 * limits::TICK_TIMERS;
    for _ in 0..limits::TICK_TIMERS + more {
        let mut task = task("text/a");
        task.limits.queue = Some(Duration::from_secs(1));
        let targets = vec![peer(9)];
        net.feed(0, Input::Submit { task: Box::new(task), targets, token: Token(0) });
    }
    net.now = net.now + Duration::from_secs(2);
    net.feed(0, Input::Tick);
    let engine = &net.nodes[0].engine;
    assert_eq!(engine.accounts().queued, more);
    assert!(engine.next_timer().is_some_and(|at| at <= net.now), "the next tick is due");
    net.feed(0, Input::Tick);
    assert_eq!(net.nodes[0].engine.accounts().queued, 0);
}
