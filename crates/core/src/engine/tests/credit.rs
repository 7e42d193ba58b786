//! Back-pressure: credit in tasks, bytes and time; fairness between owners.

use std::time::Duration;

use super::*;
use crate::limits;

#[test]
fn unknown_run_time_allows_one_attempt_ahead() {
    let mut net = Net::connected(&[2]);
    for _ in 0..20 {
        net.submit(task("text/a"));
    }
    assert_eq!(net.nodes[0].engine.load(&peer(1)).assigned, 3, "2 slots and one ahead");
    assert_eq!(net.nodes[0].engine.accounts().queued, 17, "the rest waits at the owner");
}

#[test]
fn short_tasks_are_sent_ahead_and_long_ones_are_not() {
    let mut net = Net::connected(&[2]);
    let learn = |net: &mut Net, took| {
        net.submit(task("text/a"));
        let (run, _, _) = net.nodes[1].running.remove(0);
        net.feed(1, Input::Finished { run, end: output("x"), took });
        net.settle();
    };
    learn(&mut net, Duration::from_millis(5));
    for _ in 0..100 {
        net.submit(task("text/a"));
    }
    // 50 ms for each of two slots, at 5 ms a task.
    let assigned = net.nodes[0].engine.load(&peer(1)).assigned;
    assert!((18..=21).contains(&assigned), "{assigned}");

    let mut net = Net::connected(&[2]);
    learn(&mut net, Duration::from_secs(1));
    for _ in 0..10 {
        net.submit(task("text/a"));
    }
    assert_eq!(net.nodes[0].engine.load(&peer(1)).assigned, 2, "one attempt per slot");
}

/// Both sides forget learned run times with the session; otherwise a restarted owner would exceed
/// its credit.
#[test]
fn restarted_owner_gets_the_initial_credit() {
    let mut net = Net::connected(&[2]);
    net.submit(task("text/a"));
    let (run, _, _) = net.nodes[1].running.remove(0);
    net.feed(1, Input::Finished { run, end: output("x"), took: Duration::from_secs(1) });
    net.settle();
    net.restart(0);
    net.connect(0, 1);
    for _ in 0..10 {
        net.submit(task("text/a"));
    }
    assert_eq!(net.nodes[0].engine.load(&peer(1)).assigned, 3, "2 slots and one ahead again");
}

#[test]
fn assigned_bytes_are_bounded() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let (run, _, _) = net.nodes[1].running.remove(0);
    net.feed(1, Input::Finished { run, end: output("x"), took: Duration::from_nanos(1) });
    net.settle();
    let big = Bytes::from(vec![0; limits::INLINE_BYTES]);
    for _ in 0..20 {
        net.submit(task("text/a").with_input(big.clone()));
    }
    assert_eq!(net.nodes[0].engine.load(&peer(1)).assigned, 16, "16 MiB at a MiB each");
}

#[test]
fn owner_that_ignores_its_credit_gets_busy() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let (run, owner, work) = net.nodes[1].running.remove(0);
    net.feed(1, Input::Finished { run, end: output("x"), took: Duration::ZERO });
    net.settle();
    net.links.insert((0, 1), false);
    let frames = (10..10 + u64::from(limits::CREDIT_TASKS) + 5)
        .map(|number| {
            let epoch = crate::Epoch { boot: 1, number };
            ToWorker::Assign(Box::new(Assignment { epoch, ..(*work).clone() }))
        })
        .collect();
    net.feed(1, Input::FromOwner { peer: owner, frames });
    net.settle();
    let busy = net.nodes[1]
        .outbox
        .iter()
        .flat_map(|(_, frames)| match frames {
            Frames::ToOwner(frames) => frames.as_slice(),
            Frames::ToWorker(_) => &[],
        })
        .filter(|frame| matches!(frame, ToOwner::Busy { .. }))
        .count();
    assert_eq!(busy, 5, "the credit has 4,096 tasks");
}

#[test]
fn owners_take_turns() {
    let mut net = Net::new(&[1, 0]);
    net.connect(0, 1);
    net.connect(2, 1);
    for _ in 0..3 {
        net.submit_to(0, task("text/a"), &[1]);
        net.submit_to(2, task("text/a"), &[1]);
    }
    let mut order = Vec::new();
    while !net.nodes[1].running.is_empty() {
        order.push(net.nodes[1].running[0].1);
        net.finish(1, output("x"));
    }
    assert_eq!(order.len(), 6);
    for pair in order[..4].chunks(2) {
        assert_ne!(pair[0], pair[1], "{order:?}");
    }
}

#[test]
fn tasks_spread_over_workers() {
    let mut net = Net::connected(&[2, 2, 2]);
    for _ in 0..9 {
        net.submit(task("text/a"));
    }
    let loads: Vec<u32> =
        (1..=3).map(|worker| net.nodes[0].engine.load(&peer(worker)).assigned).collect();
    assert_eq!(loads, [3, 3, 3]);
}

#[test]
fn many_classes_all_get_their_turn() {
    let mut net = Net::new(&[1]);
    for priority in 0..100u32 {
        let mut needy = task("text/a");
        needy.requirements.cpus = 1 + priority;
        net.submit(needy);
    }
    let last = net.submit(task("text/b"));
    net.connect(0, 1);
    net.pass(Duration::from_millis(1));
    assert_eq!(net.state(last), "running", "behind more classes than one pass examines");
}
