//! How long what is over is kept, and that nobody else pays for it.

use std::time::Duration;

use rand::RngExt;

use super::*;
use crate::{FailureCode, GroupId, GroupMember, TaskFailure, limits};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What should be known of a task that has ended.
struct Ended {
    id: TaskId,
    at: Time,
    bytes: usize,
}

/// The latest that are young enough, few enough and small enough.
fn kept(all: &[Ended], node: &EngineConfig, now: Time) -> Vec<TaskId> {
    let mut bytes = 0;
    let mut kept: Vec<TaskId> = all
        .iter()
        .rev()
        .take(node.max_ended)
        .take_while(|task| {
            bytes += task.bytes;
            bytes <= node.max_ended_bytes && task.at + node.keep_results > now
        })
        .map(|task| task.id)
        .collect();
    kept.reverse();
    kept
}

/// A random history of tasks that end, with time between them.
fn play(seed: u64) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut net = Net::connected(&[1]);
    let keep = Duration::from_secs(60);
    let config = &mut net.nodes[0].engine.config;
    (config.keep_results, config.max_ended, config.max_ended_bytes) = (keep, 20, 500);
    let mut all: Vec<Ended> = Vec::new();
    for _ in 0..200 {
        match dice.random_range(0..10) {
            0..6 => {
                let id = net.submit(task("text/a"));
                let bytes = dice.random_range(0..60);
                net.finish(1, AttemptEnd::Output(vec![b'x'; bytes].into()));
                all.push(Ended { id, at: net.now, bytes });
            }
            _ => net.pass(Duration::from_millis(dice.random_range(0..30_000))),
        }
        let expected = kept(&all, &net.nodes[0].engine.config, net.now);
        let known: Vec<TaskId> = all
            .iter()
            .map(|task| task.id)
            .filter(|id| net.nodes[0].engine.task(*id, net.now).is_some())
            .collect();
        assert_eq!(known, expected, "seed {seed}");
        assert_eq!(net.nodes[0].ledger.len(), known.len(), "seed {seed}: on disk as well");
    }
    net.pass(keep);
    assert_eq!(net.nodes[0].ledger.len(), 0, "seed {seed}: nothing is kept for ever");
}

#[test]
fn what_has_ended_is_kept_as_long_as_it_may_and_no_longer() {
    for seed in 0..100 {
        play(seed);
    }
}

#[test]
fn a_task_that_ended_before_a_restart_is_as_old_as_it_is() {
    let mut net = Net::connected(&[2]);
    // The first of them ends last.
    let (slow, quick) = (net.submit(task("text/a")), net.submit(task("text/a")));
    net.nodes[1].running.swap(0, 1);
    net.finish(1, output("quick"));
    net.pass(DAY);
    net.finish(1, output("slow"));
    net.restart(0);
    assert_eq!((net.state(slow), net.state(quick)), ("succeeded", "succeeded"));
    net.pass(limits::KEEP_RESULTS - DAY);
    assert_eq!((net.state(slow), net.state(quick)), ("succeeded", "unknown"));
    net.pass(DAY);
    assert_eq!(net.state(slow), "unknown");
    assert_eq!(net.nodes[0].ledger.len(), 0);
}

#[test]
fn a_result_that_nobody_comes_for_expires_also_over_a_restart() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    net.disconnect(0, 1);
    net.finish(1, output("made while apart"));
    net.pass(DAY);
    net.restart(1);
    net.pass(limits::KEEP_RESULTS - DAY - DAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1, "it may still come");
    net.pass(DAY + Duration::from_secs(10));
    let accounts = net.nodes[1].engine.accounts();
    assert_eq!((accounts.unacked, accounts.dropped_results), (0, 1));
    assert_eq!(net.nodes[1].ledger.len(), 0, "on disk as well");
    assert_eq!(net.nodes[1].engine.held.unacked_bytes, 0);
}

#[test]
fn a_result_is_kept_for_an_owner_that_is_here_whatever_its_age() {
    let mut net = Net::connected(&[1]);
    net.nodes[1].engine.config.keep_results = Duration::from_secs(1);
    net.submit(task("text/a"));
    let owner = net.nodes[0].id;
    let run = net.nodes[1].running.remove(0).0;
    // The owner has not been able to write it down yet.
    net.disk = false;
    net.feed(1, Input::Finished { run, end: output("x"), took: Duration::ZERO });
    net.settle();
    net.pass(DAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1);
    net.feed(1, Input::OwnerSessionLost { peer: owner });
    net.pass(Duration::from_secs(10));
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0);
}

#[test]
fn the_oldest_of_whoever_left_most_make_room() {
    // Owner 0 has left little; owner 5 is here, and has not been able to write its results down yet.
    let mut net = Net::new(&[0, 0, 0, 0, 0, 64]);
    let worker = 6;
    let large = Bytes::from(vec![b'x'; limits::INLINE_BYTES]);
    let per_owner = limits::UNACKED_BYTES / 4 / limits::INLINE_BYTES;
    let mut made: [Vec<u64>; 6] = Default::default();
    for owner in [0, 1, 2, 3, 4, 5] {
        net.connect(owner, worker);
        let tasks = if owner == 0 { 3 } else { per_owner };
        for _ in 0..tasks {
            net.submit_to(owner, task("text/a"), &[worker]);
        }
        if owner == 5 {
            net.disk = false;
        } else {
            net.disconnect(owner, worker);
        }
        while !net.nodes[worker].running.is_empty() {
            let work = net.finish(worker, AttemptEnd::Output(large.clone()));
            made[owner].push(work.epoch.number);
        }
    }
    let engine = &net.nodes[worker].engine;
    let accounts = engine.accounts();
    assert!(engine.held.unacked_bytes <= limits::UNACKED_BYTES);
    let most = limits::UNACKED_BYTES / limits::INLINE_BYTES;
    assert!(accounts.unacked >= most - 2, "no more was dropped than had to be");
    let all: usize = made.iter().map(Vec::len).sum();
    assert_eq!(accounts.dropped_results, (all - accounts.unacked) as u64);
    let left = |owner: usize| -> Vec<u64> {
        let peer = engine.peers.get(engine.peers.key(&net.nodes[owner].id).unwrap()).unwrap();
        peer.owner.held.iter().map(|(epoch, _)| epoch.number).collect()
    };
    assert_eq!(left(0), made[0], "who left little keeps it");
    assert_eq!(left(5), made[5], "who is here keeps it");
    for (owner, made) in made.iter().enumerate().take(5).skip(1) {
        let left = left(owner);
        assert!(!left.is_empty(), "owner {owner} is left some");
        assert!(made.ends_with(&left), "owner {owner}: the latest are left: {left:?}");
    }
}

#[test]
fn members_of_groups_that_failed_are_forgotten_by_age_as_well() {
    let mut net = Net::connected(&[1]);
    let member = GroupMember { group: GroupId::new(), index: 0, last: true, max_fails: None };
    let member = member.place(task("text/a"));
    let id = member.id;
    let (tasks, targets) = (vec![member], Vec::new());
    net.feed(0, Input::SubmitGroup { tasks, targets, token: Token(0) });
    net.settle();
    net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Permanent, "no")));
    net.pass(limits::KEEP_RESULTS - DAY);
    assert_eq!(net.state(id), "failed", "it may still be asked about");
    net.pass(DAY);
    assert_eq!(net.state(id), "unknown");
    assert_eq!(net.nodes[0].ledger.len(), 0, "on disk as well");
}
