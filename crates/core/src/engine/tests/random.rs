//! Random histories: every accepted task ends exactly once.

use std::collections::BTreeSet;

use rand::RngExt;

use super::*;
use crate::{CancelledBy, FailureCode, TaskFailure, TaskState, engine::view::TaskQuery};

/// Plays a random history on an owner and three workers, then lets everything finish.
fn play(seed: u64) {
    let mut net = Net::connected(&[1, 2, 3]);
    net.rng = SmallRng::seed_from_u64(seed);
    // Small enough that some ended tasks are archived, and large enough that none is forgotten.
    net.nodes[0].engine.node.config.keep_bytes = 320 * crate::limits::ENDED_WEIGHT as u64;
    let mut dice = SmallRng::seed_from_u64(!seed);
    let mut ids = Vec::new();
    let mut restarted = false;
    for _ in 0..300 {
        let node = dice.random_range(1..4);
        match dice.random_range(0..100) {
            0..35 => {
                // No node has `text/none`: a task for it fails as soon as it is submitted.
                let mut task = task(["text/a", "text/b", "text/none"][dice.random_range(0..3)]);
                task.retry.hedge = dice.random_range(0..2) == 0;
                ids.push(net.submit(task));
            }
            35..75 if !net.nodes[node].running.is_empty() => {
                let end = match dice.random_range(0..10) {
                    0 => AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "x")),
                    _ => output("x"),
                };
                net.finish(node, end);
            }
            75..80 => net.disconnect(0, node),
            80..90 => net.connect(0, node),
            90..91 => net.restart(node),
            91..92 => {
                net.restart(0);
                restarted = true;
            }
            92..95 if !ids.is_empty() => {
                let id = ids[dice.random_range(0..ids.len())];
                let by = CancelledBy::Submitter;
                net.feed(0, Input::Cancel { id, by, reason: String::new(), token: Token(9_999) });
                net.settle();
            }
            _ => net.pass(Duration::from_millis(dice.random_range(0..8_000))),
        }
        check(&net);
    }
    for _ in 0..10_000 {
        if net.nodes[0].engine.accounts().queued + net.nodes[0].engine.accounts().running == 0 {
            break;
        }
        for node in 1..4 {
            net.connect(0, node);
            while !net.nodes[node].running.is_empty() {
                net.finish(node, output("x"));
            }
        }
        net.pass(Duration::from_secs(1));
    }
    net.pass(crate::limits::ACK_DELAY);
    check_ends(&net, &ids, restarted, seed);
    check(&net);
    for node in 1..4 {
        let accounts = net.nodes[node].engine.accounts();
        assert_eq!((accounts.held, accounts.unacked), (0, 0), "seed {seed}: none is held");
    }
}

/// Each task has one end, and its waiting caller has one answer unless the owner was restarted.
fn check_ends(net: &Net, ids: &[TaskId], restarted: bool, seed: u64) {
    let reported: Vec<TaskId> = net.nodes[0]
        .replies
        .iter()
        .filter_map(|(token, reply)| match reply {
            Reply::Ended { id, .. } if *token != Token(9_999) => Some(*id),
            _ => None,
        })
        .collect();
    let distinct: BTreeSet<TaskId> = reported.iter().copied().collect();
    assert_eq!(distinct.len(), reported.len(), "seed {seed}: an end was reported twice");
    // Callers of a restarted owner get no answer; their tasks still end.
    assert!(restarted || reported.len() == ids.len(), "seed {seed}: an end was not reported");
    for id in ids {
        let state = net.state(*id);
        let ended = ["succeeded", "failed", "cancelled", "expired"].contains(&state);
        assert!(ended, "seed {seed}: {id} is {state}");
    }
}

/// Checks the invariants that hold after every step.
fn check(net: &Net) {
    for node in &net.nodes {
        let accounts = node.engine.accounts();
        check_counts(net, &node.engine);
        assert_eq!(node.engine.worker.unfinished(), accounts.held);
        node.engine.owner.check();
    }
    check_explanations(net);
}

/// The counts of queued and running tasks match the list of tasks.
fn check_counts(net: &Net, engine: &Engine) {
    let all = TaskQuery { limit: usize::MAX, ..TaskQuery::default() };
    let here = engine.read(net.now).tasks(&all).into_iter().filter_map(Known::here);
    let states: Vec<TaskState> = here.map(|task| task.state).collect();
    let count = |names: &[&str]| states.iter().filter(|s| names.contains(&s.as_str())).count();
    let accounts = engine.accounts();
    assert_eq!(accounts.queued, count(&["queued"]));
    assert_eq!(accounts.running, count(&["assigned", "running"]));
}

/// Each of the first three waiting tasks names every known peer once, with the reason why it does
/// not run there.
fn check_explanations(net: &Net) {
    let engine = &net.nodes[0].engine;
    let known: BTreeSet<PeerId> = engine.node.peers.iter().map(|(_, peer)| *peer.id).collect();
    let queued = TaskQuery { states: vec!["queued".to_owned()], limit: 3, ..TaskQuery::default() };
    for task in engine.read(net.now).tasks(&queued) {
        let task = task.here().unwrap();
        let why = engine.read(net.now).task(task.id).unwrap().waiting.unwrap();
        let named: BTreeSet<PeerId> = why.peers.iter().map(|(peer, _)| *peer).collect();
        assert_eq!((named.len(), named), (why.peers.len(), known.clone()), "{why:?}");
    }
}

#[test]
fn every_task_ends_exactly_once_in_random_histories() {
    for seed in 0..200 {
        play(seed);
    }
}
