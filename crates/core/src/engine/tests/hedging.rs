//! Hedges: second attempts beside attempts that take unusually long.

use rand::RngExt;

use super::*;
use crate::{
    CancelledBy, FailureCode, GroupId, GroupMember, RetryPolicy, TaskFailure, TaskState,
    engine::Observed, limits,
};

const USUAL: Duration = Duration::from_millis(100);

fn hedged() -> Task {
    Task { retry: RetryPolicy { hedge: true, ..RetryPolicy::default() }, ..task("text/a") }
}

/// An owner that has learned the run time [`USUAL`] for `text/a`, and some workers.
fn learned(slots: &[u32]) -> Net {
    let mut net = Net::connected(slots);
    for _ in 0..limits::TAIL_LEAST {
        net.submit(task("text/a"));
        net.pass(USUAL);
        let worker = busy(&net)[0];
        net.finish(worker, output("x"));
    }
    net
}

/// The workers of all executions; one with several appears several times.
fn busy(net: &Net) -> Vec<usize> {
    let workers = 0..net.nodes.len();
    workers.flat_map(|index| vec![index; net.nodes[index].running.len()]).collect()
}

/// A net as in [`learned`], a task that takes unusually long, its first and its second worker.
fn late() -> (Net, TaskId, usize, usize) {
    let mut net = learned(&[1, 1]);
    let id = net.submit(hedged());
    let first = busy(&net)[0];
    net.pass(USUAL * 2);
    assert_eq!(busy(&net).len(), 2, "it has a second attempt");
    (net, id, first, 3 - first)
}

fn failed(code: FailureCode) -> AttemptEnd {
    AttemptEnd::Failed(TaskFailure::new(code, "it failed"))
}

/// An attempt: its number, its worker, and how it ended.
type Made = (u32, PeerId, Option<String>);

fn made(net: &Net, id: TaskId) -> Vec<Made> {
    let view = net.nodes[0].engine.read(net.now).task(id).unwrap();
    view.attempts.into_iter().map(|made| (made.number, made.peer, made.end)).collect()
}

fn has_stopped(net: &Net, worker: usize) -> bool {
    let running: Vec<RunId> = net.nodes[worker].running.iter().map(|(run, ..)| *run).collect();
    running.iter().all(|run| net.nodes[worker].stopped.contains(run))
}

#[test]
fn faster_hedge_ends_the_task_and_stops_first_attempt() {
    let (mut net, id, first, second) = late();
    assert_eq!(net.state(id), "running");
    net.finish(second, output("second"));
    let [TaskEnd::Succeeded(result)] = &net.nodes[0].ends_of(id)[..] else { panic!("one end") };
    assert_eq!((result.text(), result.attempt), (Ok("second"), 2));
    assert_eq!(result.worker, net.nodes[second].id);
    assert!(has_stopped(&net, first));
    let given_up = "given up: another attempt was faster".to_owned();
    let both = [
        (1, net.nodes[first].id, Some(given_up)),
        (2, net.nodes[second].id, Some("succeeded".to_owned())),
    ];
    assert_eq!(made(&net, id), both);

    // Later messages about the slower attempt change nothing, and its worker may forget it.
    net.finish(first, output("first"));
    assert_eq!(net.nodes[0].ends_of(id).len(), 1);
    net.pass(limits::ACK_DELAY);
    assert_eq!(net.nodes[first].engine.accounts().unacked, 0);
    assert_eq!(net.nodes[0].ledger_ends(id).len(), 1);
}

#[test]
fn faster_first_attempt_ends_the_task_and_stops_hedge() {
    let (mut net, id, first, second) = late();
    net.finish(first, output("first"));
    let [TaskEnd::Succeeded(result)] = &net.nodes[0].ends_of(id)[..] else { panic!("one end") };
    assert_eq!((result.text(), result.attempt), (Ok("first"), 1));
    assert!(has_stopped(&net, second));
    assert_eq!(net.nodes[0].engine.accounts().second_attempts, 1);
    let before = made(&net, id);
    assert_eq!(before.len(), 2);
    net.restart(0);
    assert_eq!(made(&net, id), before, "a restart keeps both attempts");
}

#[test]
fn task_without_hedge_option_gets_no_hedge() {
    let mut net = learned(&[1, 1]);
    let mut timed = task("text/a");
    // The attempt limit sets a timer, which must not hedge the task.
    timed.limits.attempt = Some(USUAL * 90);
    net.submit(timed);
    net.pass(USUAL * 100);
    assert_eq!(busy(&net).len(), 1);
    assert_eq!(net.nodes[0].engine.accounts().second_attempts, 0);
}

#[test]
fn hedging_waits_for_enough_run_times() {
    let mut net = Net::connected(&[2, 2]);
    let id = net.submit(hedged());
    net.pass(USUAL * 100);
    assert_eq!(busy(&net).len(), 1, "the run time is unknown");
    let slow = busy(&net)[0];
    for _ in 0..limits::TAIL_LEAST {
        net.submit_to(0, task("text/a"), &[3 - slow]);
        net.pass(USUAL);
        net.finish(3 - slow, output("x"));
    }
    // The task was sent before its run time was known, and is examined repeatedly.
    net.pass(USUAL * 300);
    assert_eq!(busy(&net), [1, 2]);
    net.finish(3 - slow, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn hedge_is_sent_only_to_a_free_slot() {
    let mut net = learned(&[1, 1]);
    let other = net.submit(task("text/b"));
    let id = net.submit(hedged());
    let (with_other, with_it) = {
        let runs = |node: usize| net.nodes[node].running[0].2.task;
        if runs(1) == other { (1, 2) } else { (2, 1) }
    };
    net.pass(USUAL * 100);
    assert_eq!(busy(&net).len(), 2);
    assert_eq!(net.nodes[with_other].engine.accounts().held, 1, "no hedge waits there");
    // A slot is taken as soon as it is free.
    net.finish(with_other, output("x"));
    assert_eq!(net.nodes[with_other].running[0].2.task, id);
    assert_eq!(net.nodes[with_it].running[0].2.task, id);
}

#[test]
fn queued_tasks_go_before_hedges() {
    let mut net = learned(&[1]);
    let id = net.submit(hedged());
    net.pass(USUAL * 2);
    while net.nodes[0].engine.accounts().queued == 0 {
        net.submit(task("text/a"));
    }
    let fresh = Node::new(2, 1, 1, net.now, Duration::ZERO);
    net.nodes.push(fresh);
    net.trust_all(0);
    net.trust_all(2);
    net.connect(0, 2);
    assert_eq!(net.nodes[2].running.len(), 1);
    assert_ne!(net.nodes[2].running[0].2.task, id);
}

#[test]
fn hedge_runs_only_at_targets() {
    let mut net = learned(&[1, 1]);
    net.submit_to(0, hedged(), &[1]);
    net.pass(USUAL * 100);
    assert_eq!(busy(&net), [1]);
}

#[test]
fn failed_attempt_leaves_task_to_other_attempt() {
    let (mut net, id, first, second) = late();
    net.finish(first, failed(FailureCode::Handler));
    assert_eq!(net.state(id), "running");
    assert_eq!(net.nodes[second].running.len(), 1, "the other attempt continues");
    assert!(net.nodes[second].stopped.is_empty());
    net.finish(second, output("x"));
    let Some(TaskEnd::Succeeded(result)) = net.end(id) else { panic!("it must succeed") };
    assert_eq!(result.attempt, 2);
}

#[test]
fn hedged_task_fails_after_its_last_attempt() {
    let (mut net, id, first, second) = late();
    net.finish(first, failed(FailureCode::Handler));
    net.finish(second, failed(FailureCode::Handler));
    net.pass(Duration::from_secs(1));
    // The third attempt takes unusually long by now, so a fourth runs beside it.
    assert_eq!(busy(&net), [1, 2]);
    net.finish(1, failed(FailureCode::Handler));
    assert_eq!(net.state(id), "running");
    net.finish(2, failed(FailureCode::Handler));
    assert_eq!(net.state(id), "failed");
    assert_eq!(made(&net, id).len(), 4);
}

#[test]
fn permanent_failure_ends_both_attempts() {
    let (mut net, id, first, second) = late();
    net.finish(second, failed(FailureCode::BadInput));
    assert_eq!(net.state(id), "failed");
    assert!(has_stopped(&net, first));
    let ends: Vec<Option<String>> = made(&net, id).into_iter().map(|(.., end)| end).collect();
    let given_up = "given up: another attempt has failed for good";
    assert_eq!(ends, [Some(given_up.to_owned()), Some("failed".to_owned())]);
}

#[test]
fn lost_worker_leaves_task_to_other_attempt() {
    for loses_first in [true, false] {
        let (mut net, id, first, second) = late();
        let (lost, left) = if loses_first { (first, second) } else { (second, first) };
        net.disconnect(0, lost);
        net.pass(Duration::from_secs(20));
        assert_eq!(net.state(id), "running");
        assert_eq!(busy(&net).len(), 2, "no third attempt while one of two has its lease");
        net.connect(0, lost);
        net.finish(left, output("x"));
        assert_eq!(net.state(id), "succeeded");
        net.finish(lost, output("late"));
        assert_eq!(net.nodes[0].ends_of(id).len(), 1);
    }
}

#[test]
fn task_is_queued_again_after_losing_both_attempts() {
    let (mut net, id, first, second) = late();
    for worker in [first, second] {
        net.restart(worker);
    }
    net.pass(Duration::from_secs(20));
    assert_eq!(net.state(id), "queued");
    net.connect(0, second);
    net.finish(second, output("x"));
    let Some(TaskEnd::Succeeded(result)) = net.end(id) else { panic!("it must succeed") };
    assert_eq!(result.attempt, 3);
}

#[test]
fn handed_back_attempt_leaves_task_to_other_attempt() {
    let (mut net, id, first, second) = late();
    net.finish(second, AttemptEnd::Cancelled);
    assert_eq!(net.state(id), "running");
    net.finish(first, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn cancel_stops_both_attempts() {
    let (mut net, id, first, second) = late();
    let by = CancelledBy::Submitter;
    net.feed(0, Input::Cancel { id, by, reason: String::new(), token: Token(77) });
    net.settle();
    assert_eq!(net.state(id), "cancelled");
    assert!(has_stopped(&net, first) && has_stopped(&net, second));
}

#[test]
fn total_limit_stops_both_attempts() {
    let mut net = learned(&[1, 1]);
    let mut timed = hedged();
    timed.limits.total = Some(USUAL * 10);
    let id = net.submit(timed);
    net.pass(USUAL * 2);
    assert_eq!(busy(&net), [1, 2]);
    net.pass(USUAL * 9);
    assert_eq!(net.state(id), "expired");
    assert!(has_stopped(&net, 1) && has_stopped(&net, 2));
}

#[test]
fn attempt_over_its_limit_leaves_task_to_other_attempt() {
    let mut net = learned(&[1, 1]);
    let mut timed = hedged();
    timed.limits.attempt = Some(USUAL * 30);
    let id = net.submit(timed);
    let first = busy(&net)[0];
    // The second attempt is sent a second after the first, when a slot becomes free.
    let other = net.submit(task("text/b"));
    net.pass(USUAL * 10);
    let at = net.nodes[3 - first].running.iter().position(|(.., work)| work.task == other);
    assert_eq!(at, Some(0));
    net.finish(3 - first, output("x"));
    assert_eq!(net.nodes[3 - first].running[0].2.task, id);
    net.pass(USUAL * 60 + limits::ATTEMPT_GRACE - USUAL * 5);
    assert_eq!(net.state(id), "running");
    assert!(has_stopped(&net, first));
    net.finish(3 - first, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn restarted_owner_keeps_hedge_option() {
    let (mut net, id, ..) = late();
    net.restart(0);
    for worker in [1, 2] {
        net.connect(0, worker);
        net.nodes[worker].running.retain(|(.., work)| work.epoch.boot > 1);
    }
    net.pass(Duration::from_secs(30));
    assert_ne!(net.state(id), "unknown");
    assert!(net.nodes[0].engine.owner.hedge_and_crashes(&id).0);
}

#[test]
fn member_with_two_attempts_counts_as_one_running() {
    let mut net = learned(&[1, 1]);
    let group = GroupId::new();
    let member = GroupMember { group, index: 0, last: true, max_fails: None };
    let tasks = vec![member.place(hedged())];
    net.feed(0, Input::SubmitGroup { tasks, targets: Vec::new(), token: Token(77) });
    net.settle();
    net.pass(USUAL * 2);
    assert_eq!(busy(&net), [1, 2]);
    let view = net.nodes[0].engine.read(net.now).group(group).unwrap();
    assert_eq!((view.queued, view.running, view.workers), (0, 1, 2));
}

/// The list of tasks that wait for a free slot can hold outdated entries and duplicates.
#[test]
fn lateness_of_lost_attempt_does_not_hedge_the_next() {
    for late_again in [false, true] {
        let mut net = learned(&[1, 1, 1]);
        let others = [net.submit(task("text/b")), net.submit(task("text/b"))];
        let id = net.submit(hedged());
        let runs = |net: &Net, node: usize| net.nodes[node].running.first().map(|run| run.2.task);
        let first = (1..4).find(|node| runs(&net, *node) == Some(id)).unwrap();
        net.pass(USUAL * 2);
        net.restart(first);
        net.connect(0, first);
        net.pass(Duration::from_secs(2));
        assert_eq!(net.nodes[first].running[0].2.attempt, 2);
        if !late_again {
            net.restart(first);
            net.connect(0, first);
        }
        for node in (1..4).filter(|node| *node != first) {
            assert!(others.contains(&runs(&net, node).unwrap()));
            net.finish(node, output("x"));
        }
        let at: Vec<usize> = (1..4).filter(|node| runs(&net, *node) == Some(id)).collect();
        assert_eq!(at.len(), if late_again { 2 } else { 1 }, "{at:?}");
    }
}

/// If only successful attempts counted in the percentile, it would fall, and the share of hedged
/// tasks would rise.
#[test]
fn share_of_hedged_tasks_stays_stable() {
    let mut net = learned(&[4, 4]);
    let mut dice = SmallRng::seed_from_u64(3);
    // A long tail: half take more than 100 ms, one in twenty more than a second.
    let mut takes = move || Duration::from_millis((50.0 / dice.random_range(0.01..1.0)) as u64);
    let mut hedges = 0;
    for _ in 0..3_000 {
        let id = net.submit(hedged());
        let first = busy(&net)[0];
        let mut ends = vec![(net.now + takes(), first)];
        while net.state(id) == "running" {
            net.pass(Duration::from_millis(5));
            let second = busy(&net).into_iter().find(|worker| *worker != first);
            if let Some(second) = second.filter(|_| ends.len() == 1) {
                ends.push((net.now + takes(), second));
                hedges += 1;
            }
            if let Some((_, worker)) = ends.iter().find(|(end, _)| *end <= net.now) {
                net.finish(*worker, output("x"));
            }
        }
        for worker in busy(&net) {
            net.finish(worker, AttemptEnd::Cancelled);
        }
    }
    assert!((75..300).contains(&hedges), "{hedges} of 3,000");
}

/// Attempts that hang do not raise the percentile, even if they are more than 5 %.
#[test]
fn hanging_attempts_do_not_delay_later_hedges() {
    let mut net = learned(&[4, 4]);
    let mut longest = Duration::ZERO;
    for round in 0..2_000 {
        let id = net.submit(hedged());
        let began = net.now;
        let first = busy(&net)[0];
        if round % 5 == 0 {
            // The first attempt hangs and never answers.
            while busy(&net).len() < 2 {
                net.pass(Duration::from_millis(5));
            }
            let second = busy(&net).into_iter().find(|worker| *worker != first).unwrap();
            net.pass(USUAL);
            net.finish(second, output("x"));
            net.finish(first, AttemptEnd::Cancelled);
        } else {
            net.pass(USUAL);
            net.finish(first, output("x"));
        }
        assert_eq!(net.state(id), "succeeded");
        longest = longest.max(net.now.since(began));
    }
    assert!(longest < USUAL * 3, "{longest:?}");
}

#[test]
fn observed_change_names_the_successful_attempt() {
    let (mut net, id, _, second) = late();
    net.nodes[0].engine.observe(Observed { tasks: true, messages: false });
    let (peer, epoch) = (net.nodes[second].id, net.nodes[second].running[0].2.epoch);
    let result = ToOwner::Result { epoch, end: output("x"), took: USUAL };
    let mut effects = Vec::new();
    let input = Input::FromWorker { peer, frames: vec![result] };
    net.nodes[0].engine.handle(input, net.now, &mut net.rng, &mut effects);
    let state = TaskState::Running { peer, epoch };
    let [Effect::TaskChanged { id: changed, state: now, end: None, .. }] = &effects[..] else {
        panic!("the end is not reported before it is safe: {effects:?}")
    };
    assert_eq!((changed, now), (&id, &state));
}

#[test]
fn both_attempts_are_shown_open_until_the_end_is_safe() {
    let (mut net, id, _, second) = late();
    let open = made(&net, id);
    net.disk = false;
    net.finish(second, output("second"));
    assert_eq!(made(&net, id), open);
    net.persist(0);
    assert!(made(&net, id).iter().all(|(_, _, end)| end.is_some()));
}
