//! Lying peers: rows P-18, P-19, X-04, X-05, X-09, X-10, X-12, W-14, W-16 of the threat model.

use std::time::Duration;

use super::*;
use crate::{CancelledBy, Epoch, Reason, frame::Credit, limits};

const FIRST: Epoch = Epoch { boot: 1, number: 1 };

fn result(epoch: Epoch, text: &'static str) -> ToOwner {
    ToOwner::Result { epoch, end: output(text), took: Duration::ZERO }
}

/// One frame of each kind that a worker can send about an attempt.
fn all_of(epoch: Epoch) -> Vec<ToOwner> {
    vec![
        ToOwner::Accepted(epoch),
        ToOwner::Busy { epoch, retry_after: Duration::ZERO },
        ToOwner::Refused { epoch: Some(epoch), reason: Reason::NotFound },
        ToOwner::Progress { epoch, fraction: 0.5, message: String::new() },
        result(epoch, "evil"),
        ToOwner::Heartbeat { seen: epoch, count: 7, hash: 7 },
    ]
}

#[test]
fn frames_about_attempts_of_other_workers_are_ignored() {
    let mut net = Net::connected(&[1, 1]);
    let id = net.submit_to(0, task("text/a"), &[1]);
    let liar = net.nodes[2].id;
    for frame in all_of(FIRST) {
        net.feed(0, Input::FromWorker { peer: liar, frames: vec![frame] });
        net.settle();
        assert_eq!(net.state(id), "running");
    }
    net.finish(1, output("honest"));
    let Some(TaskEnd::Succeeded(result)) = net.end(id) else { panic!() };
    assert_eq!(result.text(), Ok("honest"));
}

#[test]
fn second_result_never_replaces_the_first() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    let worker = net.nodes[1].id;
    let frames = vec![result(FIRST, "first"), result(FIRST, "second")];
    net.feed(0, Input::FromWorker { peer: worker, frames });
    net.settle();
    let [TaskEnd::Succeeded(result)] = &net.nodes[0].ends_of(id)[..] else { panic!("one end") };
    assert_eq!(result.text(), Ok("first"));
    assert_eq!(net.nodes[0].engine.accounts().late, 1);
}

#[test]
fn endless_busy_is_clamped_to_one_minute() {
    let mut net = Net::connected(&[1, 1]);
    let id = net.submit_to(0, task("text/a"), &[1, 2]);
    let (busy, other) = if net.nodes[1].running.is_empty() { (2, 1) } else { (1, 2) };
    let frame = ToOwner::Busy { epoch: FIRST, retry_after: Duration::MAX };
    let peer = net.nodes[busy].id;
    net.feed(0, Input::FromWorker { peer, frames: vec![frame] });
    net.settle();
    assert_eq!(net.nodes[other].running.len(), 1, "the next worker runs the task");
    assert_eq!(net.state(id), "running");
    let next = net.submit_to(0, task("text/b"), &[busy]);
    net.pass(Duration::from_secs(59));
    assert_eq!(net.state(next), "queued");
    net.pass(Duration::from_secs(2));
    assert_ne!(net.state(next), "queued", "the pause is at most a minute");
}

#[test]
fn owner_reaches_only_its_own_attempts() {
    let mut net = Net::connected(&[1, 0]);
    net.connect(2, 1);
    let id = net.submit(task("text/a"));
    let stranger = net.nodes[2].id;
    for frame in [ToWorker::Cancel(FIRST), ToWorker::Ack(FIRST), ToWorker::Resume(vec![FIRST])] {
        net.feed(1, Input::FromOwner { peer: stranger, frames: vec![frame] });
    }
    net.settle();
    assert!(net.nodes[1].stopped.is_empty());
    net.finish(1, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn same_assignment_of_two_owners_is_two_attempts() {
    let mut net = Net::connected(&[2, 0]);
    net.connect(2, 1);
    let id = net.submit(task("text/a"));
    let (_, _, work) = net.nodes[1].running[0].clone();
    let other = net.nodes[2].id;
    net.feed(1, Input::Trust { peer: other, trusted: true });
    net.feed(1, Input::OwnerSession { peer: other });
    net.settle();
    net.feed(1, Input::FromOwner { peer: other, frames: vec![ToWorker::Assign(work)] });
    net.settle();
    assert_eq!(net.nodes[1].running.len(), 2);
    net.disconnect(0, 1);
    net.disconnect(2, 1);
    net.finish(1, output("x"));
    net.finish(1, output("x"));
    assert_eq!(net.nodes[1].engine.accounts().unacked, 2);
    net.feed(1, Input::FromOwner { peer: other, frames: vec![ToWorker::Ack(FIRST)] });
    net.settle();
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1);
    net.connect(0, 1);
    net.pass(limits::SESSION_RETRY);
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn assignment_sent_twice_runs_once() {
    let mut net = Net::connected(&[2]);
    net.submit(task("text/a"));
    let (_, owner, work) = net.nodes[1].running[0].clone();
    let again = || Input::FromOwner { peer: owner, frames: vec![ToWorker::Assign(work.clone())] };
    net.feed(1, again());
    net.settle();
    assert_eq!(net.nodes[1].running.len(), 1);
    net.finish(1, output("x"));
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0);
    net.feed(1, again());
    net.settle();
    assert!(net.nodes[1].running.is_empty(), "an acknowledged attempt is not repeated either");
}

#[test]
fn assignment_from_before_restart_is_not_run_again() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let (_, owner, work) = net.nodes[1].running[0].clone();
    net.disconnect(0, 1);
    net.finish(1, output("x"));
    net.restart(1);
    net.connect(0, 1);
    net.pass(limits::SESSION_RETRY + limits::ACK_DELAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0, "its owner has the result");
    net.feed(1, Input::FromOwner { peer: owner, frames: vec![ToWorker::Assign(work)] });
    net.settle();
    assert!(net.nodes[1].running.is_empty());
}

#[test]
fn refused_assignments_are_answered_with_the_reason() {
    let mut net = Net::connected(&[1]);
    let owner = net.nodes[0].id;
    net.submit(task("text/a"));
    let work = net.nodes[1].running[0].2.clone();
    net.disconnect(0, 1);
    net.connect(0, 1);
    // The answers to a peer outside the net stay in the outbox.
    let stranger = peer(77);
    net.feed(1, Input::PeerReady { peer: stranger, advert: advert(1) });
    net.feed(1, Input::OwnerSession { peer: stranger });
    let mut unknown = work.clone();
    unknown.handler = "text/nope".parse().unwrap();
    let cases = [(false, work.clone(), "not_accepted"), (true, unknown, "unknown_handler")];
    for (number, (trusted, work, code)) in cases.into_iter().enumerate() {
        net.feed(1, Input::Trust { peer: stranger, trusted });
        let epoch = Epoch { boot: 5, number: number as u64 };
        let frames = vec![ToWorker::Assign(Box::new(Assignment { epoch, ..*work }))];
        net.nodes[1].outbox.clear();
        net.feed(1, Input::FromOwner { peer: stranger, frames });
        net.settle();
        let codes: Vec<&str> = net.nodes[1]
            .outbox
            .iter()
            .filter_map(|(_, frames)| match frames {
                Frames::ToOwner(frames) => Some(frames),
                Frames::ToWorker(_) => None,
            })
            .flatten()
            .filter_map(|frame| match frame {
                ToOwner::Refused { epoch: of, reason } if *of == Some(epoch) => Some(reason.code()),
                _ => None,
            })
            .collect();
        assert_eq!(codes, [code]);
    }
    assert_ne!(owner, stranger);
}

#[test]
fn cancel_storm_leaves_nothing_behind() {
    let mut net = Net::connected(&[1]);
    for _ in 0..5_000 {
        let id = net.submit(task("text/a"));
        let reason = String::new();
        let by = CancelledBy::Submitter;
        net.feed(0, Input::Cancel { id, by, reason, token: Token(0) });
        net.settle();
        while !net.nodes[1].running.is_empty() {
            net.finish(1, AttemptEnd::Cancelled);
        }
    }
    let accounts = net.nodes[0].engine.accounts();
    assert_eq!((accounts.queued, accounts.running, accounts.cancelled), (0, 0, 5_000));
    assert_eq!(net.nodes[1].engine.accounts().held, 0);
    assert!(net.nodes[0].engine.node.timers.len() < 4_000, "stale timers are swept");
}

#[test]
fn absurd_credit_is_clamped() {
    let mut net = Net::connected(&[1]);
    let worker = net.nodes[1].id;
    net.submit(task("text/a"));
    let all = Credit { slots: u32::MAX, tasks: u32::MAX, bytes: u64::MAX, time: Duration::MAX };
    // Answers to assignments beyond its credit do not arrive.
    net.links.insert((0, 1), false);
    net.feed(0, Input::FromWorker { peer: worker, frames: vec![ToOwner::Credit(all)] });
    for _ in 0..50 {
        net.submit(task("text/a"));
    }
    assert_eq!(net.nodes[0].engine.accounts().running, 51, "its tasks and slots allow for them");
    let big = Bytes::from(vec![0; limits::INLINE_BYTES]);
    for _ in 0..20 {
        net.submit(task("text/a").with_input(big.clone()));
    }
    assert_eq!(net.nodes[0].engine.accounts().running, 51 + 15, "the credit is at most 16 MiB");
}

#[test]
fn replayed_result_of_old_epoch_is_ignored() {
    let mut net = Net::connected(&[2]);
    let (id, worker) = (net.submit(task("text/a")), net.nodes[1].id);
    let failure = crate::TaskFailure::new(crate::FailureCode::Handler, "x");
    net.finish(1, AttemptEnd::Failed(failure));
    net.pass(Duration::from_secs(5));
    let second = net.nodes[1].running[0].2.epoch;
    assert!(second > FIRST, "a new attempt of the same task at the same worker");
    let other = net.submit(task("text/b"));
    for _ in 0..3 {
        net.feed(0, Input::FromWorker { peer: worker, frames: vec![result(FIRST, "replayed")] });
        net.settle();
    }
    assert_eq!((net.state(id), net.state(other)), ("running", "running"));
    assert_eq!(net.nodes[0].engine.accounts().late, 3);
    net.feed(0, Input::FromWorker { peer: worker, frames: vec![result(second, "new")] });
    net.settle();
    let Some(TaskEnd::Succeeded(result)) = net.end(id) else { panic!() };
    assert_eq!(result.text(), Ok("new"));
    assert_eq!(net.state(other), "running");
}

#[test]
fn result_after_the_end_is_acknowledged_and_ignored() {
    let second = Some(Duration::from_secs(1));
    let a_second = crate::TaskLimits { total: second, ..crate::TaskLimits::default() };
    for state in ["expired", "cancelled"] {
        let mut net = Net::connected(&[1]);
        let id = net.submit(Task { limits: a_second, ..task("text/a") });
        if state == "cancelled" {
            let by = CancelledBy::Submitter;
            net.feed(0, Input::Cancel { id, by, reason: String::new(), token: Token(9) });
            net.settle();
        } else {
            net.pass(Duration::from_secs(2));
        }
        assert_eq!(net.state(id), state);
        net.finish(1, output("late"));
        assert_eq!(net.state(id), state, "an end never changes");
        let ends = net.nodes[0].ends_of(id);
        assert!(ends.iter().all(|end| end.state().as_str() == state), "{ends:?}");
        assert_eq!(net.nodes[0].engine.accounts().succeeded, 0);
        net.pass(limits::ACK_DELAY);
        assert_eq!(net.nodes[1].engine.accounts().unacked, 0, "the worker has released the result");
    }
}

#[test]
fn repeated_result_is_acknowledged_each_time() {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task("text/a"));
    let worker = net.nodes[1].id;
    for time in 1..=3 {
        net.feed(0, Input::FromWorker { peer: worker, frames: vec![result(FIRST, "once")] });
        let mut effects = Vec::new();
        net.nodes[0].engine.flush(net.now, &mut net.rng, &mut effects);
        net.carry_out(0, std::mem::take(&mut effects));
        // The acknowledgement is lost with the connection; the worker sends its result again.
        net.links.insert((0, 1), false);
        net.pass(limits::ACK_DELAY);
        let acks = std::mem::take(&mut net.nodes[0].outbox);
        let acks = acks.iter().filter(|(_, frames)| {
            matches!(frames, Frames::ToWorker(frames) if frames.contains(&ToWorker::Ack(FIRST)))
        });
        assert_eq!(acks.count(), 1, "time {time}");
        net.links.insert((0, 1), true);
    }
    assert_eq!(net.state(id), "succeeded");
    assert_eq!(net.nodes[0].ends_of(id).len(), 1);
    assert_eq!(net.nodes[0].engine.accounts().late, 2);
}
