//! Credit over a distance, and attempts handed back for a free worker.

use std::time::Duration;

use super::*;
use crate::{Epoch, Reason, frame::Credit, limits};

const LONG: Duration = Duration::from_secs(1);

/// Node `at` has measured its round trip to `other`.
fn measure(net: &mut Net, at: usize, other: usize, ms: u64) {
    let peer = net.nodes[other].id;
    for _ in 0..2 {
        let round_trip = Some(Duration::from_millis(ms));
        net.feed(at, Input::PeerMeasured { peer, round_trip, usage: None });
    }
    net.settle();
}

/// Ends the oldest execution at a node with this run time.
fn finish_after(net: &mut Net, index: usize, took: Duration) {
    let (run, _, _) = net.nodes[index].running.remove(0);
    net.feed(index, Input::Finished { run, end: output("x"), took });
    net.settle();
}

/// Makes node 0 learn that `text/a` takes a second at node `index`.
fn teach(net: &mut Net, index: usize) {
    net.submit_to(0, task("text/a"), &[index]);
    finish_after(net, index, LONG);
    net.pass(limits::ACK_DELAY);
}

fn assigned(net: &Net, index: u8) -> u32 {
    net.nodes[0].engine.load(&peer(index)).assigned
}

/// How the ended attempts at a task ended.
fn story(net: &Net, id: TaskId) -> Vec<String> {
    let view = net.nodes[0].engine.read(net.now).task(id).unwrap();
    view.attempts.into_iter().filter_map(|made| made.end).collect()
}

/// Worker 1 has one slot and runs a task of a second while another waits; worker 2 is free. Returns
/// the waiting task.
fn one_waits_and_one_is_free(net: &mut Net) -> TaskId {
    teach(net, 1);
    measure(net, 1, 0, 200);
    net.submit(task("text/a"));
    let id = net.submit(task("text/a"));
    assert_eq!(assigned(net, 1), 2, "one attempt waits at worker 1");
    net.connect(0, 2);
    id
}

#[test]
fn distant_worker_gets_attempts_for_the_round_trip() {
    let mut net = Net::connected(&[2]);
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 900);
    for _ in 0..20 {
        net.submit(task("text/a"));
    }
    assert_eq!(assigned(&net, 1), 4, "one attempt waits for each slot");
    assert_eq!(net.nodes[1].running.len(), 2);
}

#[test]
fn session_with_a_distant_worker_opens_before_any_task() {
    for (ms, trusted, open) in [(0, true, false), (100, true, true), (100, false, false)] {
        let mut net = Net::new(&[1]);
        let (owner, worker) = (net.nodes[0].id, net.nodes[1].id);
        net.feed(0, Input::Trust { peer: worker, trusted });
        net.connect(0, 1);
        measure(&mut net, 0, 1, ms);
        let engine = &net.nodes[1].engine;
        let key = engine.node.peers.key(&owner).unwrap();
        assert_eq!(engine.worker.has_session(key), open, "{ms} ms, trusted: {trusted}");
    }
}

#[test]
fn round_trip_measured_by_the_owner_gives_no_credit() {
    let mut net = Net::connected(&[2]);
    teach(&mut net, 1);
    measure(&mut net, 0, 1, 900);
    for _ in 0..20 {
        net.submit(task("text/a"));
    }
    assert_eq!(assigned(&net, 1), 2);
}

#[test]
fn waiting_attempt_moves_to_a_free_worker() {
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    let id = one_waits_and_one_is_free(&mut net);
    assert_eq!((net.nodes[1].running.len(), net.nodes[2].running.len()), (1, 1));
    assert!(net.nodes[1].stopped.is_empty());
    finish_after(&mut net, 2, LONG);
    assert_eq!(net.state(id), "succeeded");
    assert_eq!(story(&net, id), ["handed back for a free worker", "succeeded"]);
    finish_after(&mut net, 1, LONG);
    assert!(net.nodes.iter().all(|node| node.running.is_empty()), "each ran once");
}

#[test]
fn waiting_attempt_stays_where_it_starts_sooner() {
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 200);
    // A hand-back takes longer than a task.
    measure(&mut net, 0, 1, 1_500);
    net.submit(task("text/a"));
    net.submit(task("text/a"));
    net.connect(0, 2);
    net.pass(Duration::from_millis(500));
    assert_eq!((assigned(&net, 1), assigned(&net, 2)), (2, 0));
}

#[test]
fn task_of_unknown_run_time_moves_after_waiting() {
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    net.submit(task("text/a"));
    let id = net.submit(task("text/a"));
    assert_eq!(assigned(&net, 1), 2, "one attempt is sent ahead");
    net.connect(0, 2);
    net.pass(2 * limits::HAND_BACK_PAUSE);
    assert_eq!(net.nodes[2].running.len(), 1);
    finish_after(&mut net, 2, LONG);
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn attempts_asked_back_do_not_exceed_free_slots() {
    let mut net = Net::new(&[4, 1]);
    net.connect(0, 1);
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 200);
    for _ in 0..8 {
        net.submit(task("text/a"));
    }
    assert_eq!(assigned(&net, 1), 8);
    net.connect(0, 2);
    net.pass(10 * limits::HAND_BACK_PAUSE);
    assert_eq!((assigned(&net, 1), assigned(&net, 2)), (7, 1));
    finish_after(&mut net, 2, LONG);
    assert_eq!((assigned(&net, 1), assigned(&net, 2)), (6, 1), "a free slot gets the next one");
}

#[test]
fn started_attempt_stays_and_is_asked_back_once() {
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    // The worker starts the second attempt before its owner knows.
    net.links.insert((0, 2), false);
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 200);
    net.submit(task("text/a"));
    let id = net.submit(task("text/a"));
    let epoch = net.nodes[1].running[0].2.epoch;
    let second = Epoch { number: epoch.number + 1, ..epoch };
    net.links.insert((0, 1), false);
    finish_after(&mut net, 1, LONG);
    net.connect(0, 2);
    let asks = |net: &mut Net| {
        let sent = std::mem::take(&mut net.nodes[0].outbox);
        let asks = |(_, frames): &(PeerId, Frames)| match frames {
            Frames::ToWorker(frames) => frames.contains(&ToWorker::HandBack(second)),
            Frames::ToOwner(_) => false,
        };
        sent.iter().filter(|sent| asks(sent)).count()
    };
    assert_eq!(asks(&mut net), 1);
    net.links.insert((0, 1), true);
    let (owner, worker) = (net.nodes[0].id, net.nodes[1].id);
    net.feed(1, Input::FromOwner { peer: owner, frames: vec![ToWorker::HandBack(second)] });
    net.settle();
    assert_eq!(net.nodes[1].running.len(), 1, "the attempt continues");
    net.links.insert((0, 1), false);
    net.pass(10 * limits::HAND_BACK_PAUSE);
    assert_eq!(asks(&mut net), 0);
    net.links.insert((0, 1), true);
    let frame = ToOwner::Result { epoch: second, end: output("x"), took: LONG };
    net.feed(0, Input::FromWorker { peer: worker, frames: vec![frame] });
    net.settle();
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn worker_without_hand_back_keeps_its_attempts() {
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    let worker = net.nodes[1].id;
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 200);
    net.submit(task("text/a"));
    let id = net.submit(task("text/a"));
    // The question does not reach worker 1, which answers as a version without hand-back.
    net.links.insert((0, 1), false);
    net.connect(0, 2);
    net.nodes[0].outbox.clear();
    let frames = vec![ToOwner::Unsupported { kind: ToWorker::HAND_BACK }];
    net.feed(0, Input::FromWorker { peer: worker, frames });
    net.pass(10 * limits::HAND_BACK_PAUSE);
    assert!(net.nodes[0].outbox.is_empty(), "the question is not repeated");
    net.links.insert((0, 1), true);
    let other = net.submit(task("text/b"));
    finish_after(&mut net, 2, LONG);
    assert_eq!(net.state(other), "succeeded", "the free slot was not reserved for an answer");
    for _ in 0..2 {
        finish_after(&mut net, 1, LONG);
    }
    assert_eq!(net.state(id), "succeeded");
    net.submit_to(0, task("text/a"), &[1]);
    assert_eq!(net.nodes[1].running.len(), 1, "the worker still gets tasks");
}

#[test]
fn worker_must_answer_first_hand_back_before_the_next() {
    let mut net = Net::new(&[2, 1, 1]);
    net.connect(0, 1);
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 200);
    for _ in 0..4 {
        net.submit(task("text/a"));
    }
    net.links.insert((0, 1), false);
    let questions = |net: &mut Net| {
        let sent = std::mem::take(&mut net.nodes[0].outbox);
        let frames = sent.into_iter().flat_map(|(_, frames)| match frames {
            Frames::ToWorker(frames) => frames,
            Frames::ToOwner(_) => Vec::new(),
        });
        frames.filter(|frame| matches!(frame, ToWorker::HandBack(_))).count()
    };
    net.connect(0, 2);
    assert_eq!(questions(&mut net), 1);
    net.connect(0, 3);
    net.pass(10 * limits::HAND_BACK_PAUSE);
    assert_eq!(questions(&mut net), 0, "one question at a time");
    let peer = net.nodes[1].id;
    let epoch = net.nodes[1].running[0].2.epoch;
    let epoch = Epoch { number: epoch.number + 3, ..epoch };
    let frames = vec![ToOwner::Busy { epoch, retry_after: Duration::ZERO }];
    net.feed(0, Input::FromWorker { peer, frames });
    net.settle();
    assert_eq!(questions(&mut net), 1, "the worker has answered");
}

#[test]
fn hand_back_lost_with_the_session_is_not_a_crash() {
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    let owner = net.nodes[0].id;
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 200);
    net.submit(task("text/a"));
    let id = net.submit(task("text/a"));
    let epoch = net.nodes[1].running[0].2.epoch;
    let second = Epoch { number: epoch.number + 1, ..epoch };
    net.links.insert((0, 1), false);
    net.connect(0, 2);
    net.feed(1, Input::FromOwner { peer: owner, frames: vec![ToWorker::HandBack(second)] });
    net.settle();
    net.links.insert((0, 1), true);
    net.disconnect(0, 1);
    net.connect(0, 1);
    net.pass(limits::SESSION_RETRY);
    assert_eq!(net.nodes[2].running.len(), 1);
    let owner = &net.nodes[0].engine.owner;
    assert_eq!(owner.hedge_and_crashes(&id).1, 0);
    assert_eq!(story(&net, id), ["handed back for a free worker"]);
    assert_eq!(net.nodes[0].engine.owner.reserved_and_asked_back(), (0, 0));
    assert_eq!(assigned(&net, 1), 1);
}

#[test]
fn hand_back_question_lost_with_session_is_asked_again() {
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 200);
    net.submit(task("text/a"));
    let id = net.submit(task("text/a"));
    net.links.insert((0, 1), false);
    net.connect(0, 2);
    net.links.insert((0, 1), true);
    net.disconnect(0, 1);
    net.connect(0, 1);
    net.pass(limits::SESSION_RETRY);
    assert_eq!((net.nodes[1].running.len(), net.nodes[2].running.len()), (1, 1));
    finish_after(&mut net, 2, LONG);
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn task_with_a_target_is_not_moved() {
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    teach(&mut net, 1);
    measure(&mut net, 1, 0, 200);
    for _ in 0..2 {
        net.submit_to(0, task("text/a"), &[1]);
    }
    net.connect(0, 2);
    net.pass(10 * limits::HAND_BACK_PAUSE);
    assert_eq!((assigned(&net, 1), assigned(&net, 2)), (2, 0));
}

/// The answers of worker 1 to an owner outside the net, by code.
fn answers(net: &mut Net, frames: Vec<ToWorker>) -> Vec<String> {
    net.nodes[1].outbox.clear();
    net.feed(1, Input::FromOwner { peer: peer(77), frames });
    net.settle();
    let sent = std::mem::take(&mut net.nodes[1].outbox);
    let word = |frame: &ToOwner| match frame {
        ToOwner::Accepted(_) => Some("accepted".to_owned()),
        ToOwner::Busy { .. } => Some("busy".to_owned()),
        ToOwner::Refused { reason, .. } => Some(reason.code().to_owned()),
        _ => None,
    };
    sent.iter()
        .flat_map(|(_, frames)| match frames {
            Frames::ToOwner(frames) => frames.iter().filter_map(word).collect::<Vec<_>>(),
            Frames::ToWorker(_) => Vec::new(),
        })
        .collect()
}

/// A worker with `slots` slots and a session of an owner outside the net.
fn worker_of_a_stranger(slots: u32, trusted: bool) -> Net {
    let mut net = Net::new(&[slots]);
    net.feed(1, Input::Trust { peer: peer(77), trusted });
    net.feed(1, Input::OwnerSession { peer: peer(77) });
    net.settle();
    net
}

fn orders(numbers: std::ops::Range<u64>) -> Vec<ToWorker> {
    let order = |number| {
        ToWorker::Assign(Box::new(Assignment {
            epoch: Epoch { boot: 5, number },
            task: TaskId::new(),
            attempt: 1,
            handler: "text/a".parse().unwrap(),
            input: Bytes::new().into(),
            params: BTreeMap::new(),
            limit: None,
            priority: 0,
            durable: false,
        }))
    };
    numbers.map(order).collect()
}

fn count(answers: &[String], code: &str) -> usize {
    answers.iter().filter(|answer| *answer == code).count()
}

#[test]
fn assignments_beyond_the_credit_slots_get_busy() {
    let mut net = worker_of_a_stranger(2, true);
    let answers = answers(&mut net, orders(1..11));
    assert_eq!((count(&answers, "accepted"), count(&answers, "busy")), (3, 7), "2 slots, 1 ahead");
}

#[test]
fn assignments_beyond_the_credit_time_get_busy() {
    let mut net = worker_of_a_stranger(2, true);
    answers(&mut net, orders(1..2));
    finish_after(&mut net, 1, Duration::from_millis(10));
    let answers = answers(&mut net, orders(2..200));
    let accepted = count(&answers, "accepted");
    assert_eq!(accepted + count(&answers, "busy"), 198);
    // 100 ms at 10 ms each, and as much again because the estimate of an owner can lag behind.
    assert!((10..=20).contains(&accepted), "{accepted}");
}

#[test]
fn smaller_credit_applies_after_a_grace_period() {
    let mut net = worker_of_a_stranger(4, true);
    answers(&mut net, orders(1..2));
    // A second owner has an attempt now and gets half of the slots.
    net.connect(0, 1);
    net.submit(task("text/a"));
    let late = answers(&mut net, orders(2..5));
    assert_eq!(count(&late, "busy"), 0, "{late:?}");
    net.now = net.now + limits::CREDIT_GRACE;
    let later = answers(&mut net, orders(5..7));
    assert_eq!(count(&later, "busy"), 2, "{later:?}");
}

#[test]
fn untrusted_owner_gets_an_answer_but_no_slots() {
    let mut net = worker_of_a_stranger(4, false);
    let granted = |net: &Net| {
        let engine = &net.nodes[1].engine;
        let key = engine.node.peers.key(&peer(77)).unwrap();
        engine.worker.credit_of(key)
    };
    assert_eq!((granted(&net).slots, granted(&net).time), (0, Duration::ZERO));
    assert_eq!(granted(&net).tasks, 1, "for one assignment, which is refused");
    assert_eq!(answers(&mut net, orders(1..3)), ["not_accepted", "not_accepted"]);
    net.feed(1, Input::Trust { peer: peer(77), trusted: true });
    net.settle();
    assert_eq!(granted(&net).slots, 4, "trust takes effect at once");
    net.feed(1, Input::Trust { peer: peer(77), trusted: false });
    net.settle();
    assert_eq!(granted(&net).slots, 0);
}

#[test]
fn task_for_a_refusing_target_fails_with_the_reason() {
    let mut net = Net::connected(&[1]);
    let owner = net.nodes[0].id;
    net.feed(1, Input::Trust { peer: owner, trusted: false });
    net.settle();
    let id = net.submit_to(0, task("text/a"), &[1]);
    let Some(TaskEnd::Failed(failure)) = net.end(id) else { panic!("{}", net.state(id)) };
    assert!(failure.message.contains("not_accepted"), "{failure}");
    assert!(net.nodes[1].running.is_empty());
}

#[test]
fn credit_for_a_pretended_distance_is_bounded() {
    let mut net = worker_of_a_stranger(4, true);
    let round_trip = Some(Duration::from_secs(3_600));
    for _ in 0..2 {
        net.feed(1, Input::PeerMeasured { peer: peer(77), round_trip, usage: None });
    }
    net.settle();
    let answers = answers(&mut net, orders(1..10_000));
    // The bound for a second of tasks with unknown run time.
    assert!(count(&answers, "accepted") <= 4 * (1 + 2 * 100), "{}", count(&answers, "accepted"));
    // Another owner still gets its turn.
    net.connect(0, 1);
    net.submit(task("text/b"));
    for _ in 0..2 {
        net.finish(1, output("x"));
    }
    assert!(net.nodes[1].running.iter().any(|(_, owner, _)| *owner == net.nodes[0].id));
}

#[test]
fn conflict_sends_the_task_to_another_worker() {
    let mut net = Net::connected(&[1, 1]);
    let id = net.submit(task("text/a"));
    let (at, other) = if net.nodes[1].running.is_empty() { (2, 1) } else { (1, 2) };
    let epoch = net.nodes[at].running[0].2.epoch;
    let reason = Reason::Conflict { what: format!("epoch {epoch}") };
    let frames = vec![ToOwner::Refused { epoch: Some(epoch), reason }];
    let peer = net.nodes[at].id;
    net.feed(0, Input::FromWorker { peer, frames });
    net.settle();
    assert_eq!(net.state(id), "running");
    assert_eq!(net.nodes[other].running.len(), 1);
}

#[test]
fn credit_time_is_proportional_to_slots() {
    let near = Credit::for_slots(4, 10, Duration::ZERO);
    assert_eq!(near.time, 4 * limits::CREDIT_TIME);
}
