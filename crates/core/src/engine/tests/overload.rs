//! More work than a node can do: priorities and owners get their share, each request is answered,
//! and tables stay within their bounds (W-12, W-13, W-16).

use std::time::Duration;

use rand::RngExt;

use super::*;
use crate::{CancelledBy, Epoch, FailureCode, Reason, RetryPolicy, TaskFailure, limits};

/// The number of starts after which each of `lanes` lanes got its turn at an owner and at a worker,
/// including attempts sent ahead.
fn fair(lanes: usize) -> usize {
    let turn = usize::try_from(limits::STARTS_BY_PRIORITY).unwrap() + 1;
    2 * (lanes + 1) * turn
}

/// Workers with short learned run times, which get many attempts ahead.
fn with_learned(slots: &[u32]) -> Net {
    let mut net = Net::connected(slots);
    for worker in 1..=slots.len() {
        for handler in ["text/a", "text/b", "text/c"] {
            net.submit_to(0, task(handler), &[worker]);
            let (run, _, _) = net.nodes[worker].running.remove(0);
            let took = Duration::from_millis(2);
            net.feed(worker, Input::Finished { run, end: output("x"), took });
            net.settle();
        }
    }
    net
}

/// Asserts that low-priority tasks among endless high-priority ones start within the bound.
fn starve(net: &mut Net, seed: u64) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let handlers = ["text/a", "text/b", "text/c"];
    let high = |dice: &mut SmallRng| {
        let priority = 127 - dice.random_range(0..3) as i8;
        Task { priority, ..task(handlers[dice.random_range(0..3)]) }
    };
    for _ in 0..40 {
        net.submit(high(&mut dice));
    }
    let mut low: Vec<TaskId> = Vec::new();
    for (number, priority) in [-128, -128, -127, -5, 0].into_iter().enumerate() {
        low.push(net.submit(Task { priority, ..task(handlers[(number + seed as usize) % 3]) }));
    }
    // Nine lanes of high priority, and one for each low one.
    let bound = fair(9 + low.len());
    let mut starts = 0;
    while !low.is_empty() {
        assert!(starts <= bound, "seed {seed}: {} wait after {starts} starts", low.len());
        let worker = 1 + starts % (net.nodes.len() - 1);
        // A new task arrives whenever one ends.
        let (run, _, work) = net.nodes[worker].running.remove(0);
        low.retain(|id| *id != work.task);
        let task = high(&mut dice);
        net.feed(0, Input::Submit { task: Box::new(task), targets: Vec::new(), token: Token(0) });
        let took = Duration::from_millis(2);
        net.feed(worker, Input::Finished { run, end: output("x"), took });
        net.settle();
        starts += 1;
    }
}

#[test]
fn no_priority_starves_at_its_owner() {
    for seed in 0..20 {
        // Few attempts wait at the worker, so the owner's order decides.
        starve(&mut Net::connected(&[1]), seed);
        starve(&mut Net::connected(&[2, 3]), seed);
    }
}

#[test]
fn no_priority_starves_at_the_worker() {
    for seed in 0..20 {
        starve(&mut with_learned(&[1]), seed);
        starve(&mut with_learned(&[2, 3]), seed);
    }
}

#[test]
fn worker_starts_the_lowest_priority_in_its_turn() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    let (run, owner, work) = net.nodes[1].running.remove(0);
    net.feed(1, Input::Finished { run, end: output("x"), took: Duration::ZERO });
    net.settle();
    // Disconnected: the owner did not make these attempts, and would cancel them.
    net.links.insert((0, 1), false);
    let mut number = 1;
    let mut send = |net: &mut Net, priority| {
        number += 1;
        let epoch = Epoch { boot: 1, number };
        let work = Assignment { epoch, priority, ..(*work).clone() };
        let frames = vec![ToWorker::Assign(Box::new(work))];
        net.feed(1, Input::FromOwner { peer: owner, frames });
    };
    for _ in 0..10 {
        send(&mut net, 127);
    }
    send(&mut net, -128);
    net.settle();
    let turn = usize::try_from(limits::STARTS_BY_PRIORITY).unwrap();
    for starts in 0.. {
        assert!(starts <= turn + 1, "after {starts} of higher priority");
        send(&mut net, 127);
        let (run, _, work) = net.nodes[1].running.remove(0);
        if work.priority == -128 {
            assert!(starts >= turn, "the low one waits for its turn");
            break;
        }
        net.feed(1, Input::Finished { run, end: output("x"), took: Duration::ZERO });
        net.settle();
    }
}

#[test]
fn lower_priorities_get_one_start_in_sixteen() {
    let mut net = Net::new(&[1]);
    for priority in [3, -7, 0] {
        for _ in 0..100 {
            net.submit(Task { priority, ..task("text/a") });
        }
    }
    net.connect(0, 1);
    let mut order = Vec::new();
    while !net.nodes[1].running.is_empty() {
        order.push(net.finish(1, output("x")).priority);
    }
    let others = order[..96].iter().filter(|priority| **priority != 3).count();
    assert!((4..=6).contains(&others), "{order:?}");
    let last = order.iter().rposition(|priority| *priority == 3).unwrap();
    assert!(last < 110, "{order:?}");
}

/// The number of starts that the modest owner's tasks wait for, at a worker with `slots` slots
/// where the other owner has far more.
fn modest(slots: u32, greedy: usize, at_once: usize) -> usize {
    // The second owner is node 2; the worker is node 1.
    let mut net = Net::new(&[slots, 0]);
    net.connect(0, 1);
    net.connect(2, 1);
    for _ in 0..greedy {
        net.submit_to(0, task("text/a"), &[1]);
    }
    let mut waits = 0;
    for _ in 0..10 {
        let mine: Vec<TaskId> =
            (0..at_once).map(|_| net.submit_to(2, task("text/a"), &[1])).collect();
        let mut open = mine.len();
        while open > 0 {
            let (run, _, work) = net.nodes[1].running.remove(0);
            open -= usize::from(mine.contains(&work.task));
            let took = Duration::from_millis(1);
            net.feed(1, Input::Finished { run, end: output("x"), took });
            net.settle();
            waits += 1;
        }
    }
    waits
}

#[test]
fn greedy_owner_at_most_doubles_the_wait_of_another() {
    for slots in [1, 4] {
        for at_once in [1, 20] {
            let alone = modest(slots, 0, at_once);
            let beside = modest(slots, 950, at_once);
            // Running attempts are not interrupted: once for each round.
            let running = 10 * slots as usize;
            assert!(beside <= 2 * alone + running, "{beside} for {alone}, {slots} slots");
        }
    }
}

#[test]
fn credit_is_shared_equally_regardless_of_demand() {
    let mut net = Net::new(&[8, 0]);
    net.connect(0, 1);
    net.connect(2, 1);
    for _ in 0..500 {
        net.submit_to(0, task("text/a"), &[1]);
    }
    net.submit_to(2, task("text/a"), &[1]);
    let credit = |owner: usize| {
        let engine = &net.nodes[1].engine;
        engine.worker.credit_of(engine.node.peers.key(&net.nodes[owner].id).unwrap())
    };
    assert_eq!(credit(0), credit(2));
    assert_eq!(credit(0).slots, 4);
    let of_modest = |net: &Net| {
        let modest = net.nodes[2].id;
        net.nodes[1].running.iter().position(|(_, owner, _)| *owner == modest)
    };
    while of_modest(&net).is_none() {
        net.finish(1, output("x"));
    }
    let at = of_modest(&net).unwrap();
    net.nodes[1].running.swap(0, at);
    net.finish(1, output("x"));
    let engine = &net.nodes[1].engine;
    let credit = engine.worker.credit_of(engine.node.peers.key(&net.nodes[0].id).unwrap());
    assert_eq!(credit.slots, 8, "all slots, once the other owner has no attempts");
}

/// A peer outside the net.
fn stranger(number: usize) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([7; 24]);
    bytes.extend((number as u64).to_be_bytes());
    PeerId::from_bytes(&bytes).unwrap()
}

/// An assignment with this input.
fn work(input: &'static str) -> Assignment {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a").with_input(input));
    (*net.nodes[1].running[0].2).clone()
}

fn assign(work: &Assignment, number: u64) -> ToWorker {
    let epoch = Epoch { boot: 1, number };
    ToWorker::Assign(Box::new(Assignment { epoch, ..work.clone() }))
}

/// Opens the session of an owner whose tasks have no measurable run time: only the number of tasks
/// limits its credit.
fn begin(net: &mut Net, number: usize) {
    let peer = stranger(number);
    net.feed(1, Input::OwnerSession { peer });
    net.settle();
    net.feed(1, Input::FromOwner { peer, frames: vec![assign(&work("x"), 0)] });
    net.settle();
    let running = &mut net.nodes[1].running;
    let at = running.iter().position(|(_, owner, _)| *owner == peer).unwrap();
    let (run, ..) = running.remove(at);
    net.feed(1, Input::Finished { run, end: output("x"), took: Duration::ZERO });
    let ack = ToWorker::Ack(Epoch { boot: 1, number: 0 });
    net.feed(1, Input::FromOwner { peer, frames: vec![ack] });
    net.settle();
    net.nodes[1].outbox.clear();
}

/// Takes and counts the answers to owners outside the net: accepted, busy, results, others.
fn answers(node: &mut Node) -> [usize; 4] {
    let mut counts = [0; 4];
    for (_, frames) in std::mem::take(&mut node.outbox) {
        let Frames::ToOwner(frames) = frames else { continue };
        for frame in frames {
            match frame {
                ToOwner::Accepted(_) => counts[0] += 1,
                ToOwner::Busy { retry_after, .. } => {
                    assert!(retry_after > Duration::ZERO);
                    counts[1] += 1;
                }
                ToOwner::Result { .. } => counts[2] += 1,
                ToOwner::Credit(_) | ToOwner::Heartbeat { .. } => {}
                _ => counts[3] += 1,
            }
        }
    }
    counts
}

#[test]
fn worker_answers_tenfold_load_within_its_bounds() {
    const OWNERS: usize = 64;
    let each = 10 * limits::HELD_ATTEMPTS / OWNERS;
    let mut net = Net::new(&[4]);
    let policy = AcceptPolicy::default().with("text", Accept::Anyone);
    net.feed(1, Input::Accept { policy });
    let work = work("x");
    for number in 0..OWNERS {
        begin(&mut net, number);
    }
    let (mut accepted, mut busy) = (0, 0);
    for chunk in 0..10 {
        for number in 0..OWNERS {
            let first = (chunk * each / 10) as u64;
            let frames = (first..first + each as u64 / 10).map(|n| assign(&work, n + 1)).collect();
            net.feed(1, Input::FromOwner { peer: stranger(number), frames });
        }
        net.settle();
        let [more, refused, results, others] = answers(&mut net.nodes[1]);
        assert_eq!((results, others), (0, 0));
        (accepted, busy) = (accepted + more, busy + refused);
        let reserved = OWNERS * limits::HELD_RESERVED as usize;
        assert!(net.nodes[1].engine.accounts().held <= limits::HELD_ATTEMPTS + reserved);
    }
    assert_eq!(accepted + busy, OWNERS * (each / 10) * 10, "each assignment is answered once");
    assert_eq!(accepted, net.nodes[1].engine.accounts().held);
    assert!(net.nodes[1].running.len() <= 4);
    for number in 0..OWNERS {
        let frames = (1..=each as u64).map(|number| ToWorker::Cancel(Epoch { boot: 1, number }));
        net.feed(1, Input::FromOwner { peer: stranger(number), frames: frames.collect() });
        let frames = (1..=each as u64).map(|number| ToWorker::Ack(Epoch { boot: 1, number }));
        net.feed(1, Input::FromOwner { peer: stranger(number), frames: frames.collect() });
    }
    while !net.nodes[1].running.is_empty() {
        net.finish(1, AttemptEnd::Cancelled);
    }
    let engine = &net.nodes[1].engine;
    assert!(engine.worker.held_and_unacked().0 <= 4, "only attempts that ran are left");
    assert!(engine.worker.owners_in_turn() == 0);
}

/// A worker that accepts work from everybody.
fn open_to_all(slots: u32) -> Net {
    let mut net = Net::new(&[slots]);
    let policy = AcceptPolicy::default().with("text", Accept::Anyone);
    net.feed(1, Input::Accept { policy });
    net
}

#[test]
fn owners_that_ignore_their_credit_lock_no_other_out() {
    let mut net = open_to_all(1);
    let work = work("x");
    let greedy = limits::HELD_ATTEMPTS / limits::CREDIT_TASKS as usize;
    for number in 0..=greedy {
        begin(&mut net, number);
    }
    for number in 0..greedy {
        let frames = (1..=limits::CREDIT_TASKS.into()).map(|n| assign(&work, n)).collect();
        net.feed(1, Input::FromOwner { peer: stranger(number), frames });
    }
    net.settle();
    assert_eq!(answers(&mut net.nodes[1])[..2], [limits::HELD_ATTEMPTS, 0], "the table is full");
    let modest = stranger(greedy);
    let reserved = u64::from(limits::HELD_RESERVED);
    let frames = (1..=reserved + 3).map(|n| assign(&work, n)).collect();
    net.feed(1, Input::FromOwner { peer: modest, frames });
    net.settle();
    assert_eq!(answers(&mut net.nodes[1])[..2], [reserved as usize, 3]);
}

/// Sends assignments with these numbers at once, and counts the answers: accepted, busy.
fn assign_many(net: &mut Net, work: &Assignment, numbers: std::ops::Range<u64>) -> [usize; 2] {
    let frames = numbers.map(|number| assign(work, number)).collect();
    net.feed(1, Input::FromOwner { peer: stranger(0), frames });
    net.settle();
    let [accepted, busy, _, others] = answers(&mut net.nodes[1]);
    assert_eq!(others, 0);
    [accepted, busy]
}

#[test]
fn owner_is_limited_to_the_bytes_of_its_credit() {
    let mut net = open_to_all(1);
    begin(&mut net, 0);
    let mut work = work("x");
    work.input = vec![0; limits::INLINE_BYTES].into();
    assert_eq!(assign_many(&mut net, &work, 1..21), [16, 4], "16 MiB at a MiB each");
}

#[test]
fn owner_that_acknowledges_nothing_gets_busy() {
    // The number of results that are kept, by count and by bytes.
    let by_count = 2 * u64::from(limits::CREDIT_TASKS);
    let by_bytes = (limits::UNACKED_BYTES / 4 / limits::INLINE_BYTES) as u64;
    for (bytes, most) in [(1, by_count), (limits::INLINE_BYTES, by_bytes)] {
        let mut net = open_to_all(limits::CREDIT_TASKS);
        net.feed(1, Input::OwnerSession { peer: stranger(0) });
        net.settle();
        let (work, result) = (work("x"), Bytes::from(vec![b'x'; bytes]));
        let step = most / 2;
        for first in [1, 1 + step] {
            let taken = assign_many(&mut net, &work, first..first + step);
            assert_eq!(taken, [step as usize, 0], "{bytes} bytes");
            for (run, _, _) in std::mem::take(&mut net.nodes[1].running) {
                let end = AttemptEnd::Output(result.clone().into());
                net.feed(1, Input::Finished { run, end, took: Duration::ZERO });
            }
            net.settle();
            net.nodes[1].outbox.clear();
        }
        let all = 1..=most;
        assert_eq!(assign_many(&mut net, &work, most + 1..most + 4), [0, 3], "{bytes} bytes");
        let frames = all.map(|number| ToWorker::Ack(Epoch { boot: 1, number })).collect();
        net.feed(1, Input::FromOwner { peer: stranger(0), frames });
        assert_eq!(assign_many(&mut net, &work, most + 4..most + 7), [3, 0], "it is served again");
    }
}

#[test]
fn tenfold_submissions_are_accepted_or_given_a_retry_time() {
    let mut net = Net::new(&[1]);
    let most = net.nodes[0].engine.node.config.max_owned;
    for number in 0..10 * most as u32 {
        let (task, targets) = (Box::new(task("text/a")), Vec::new());
        net.feed(0, Input::Submit { task, targets, token: Token(number) });
    }
    net.settle();
    let mut answered = vec![0; 10 * most];
    let mut accepted = 0;
    for (token, reply) in &net.nodes[0].replies {
        answered[token.0 as usize] += 1;
        match reply {
            Reply::Accepted { .. } => accepted += 1,
            Reply::Refused(Reason::QueueFull { retry_after }) => {
                assert!(*retry_after > Duration::ZERO);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(answered.iter().all(|answers| *answers == 1));
    assert_eq!((accepted, net.nodes[0].engine.accounts().queued), (most, most));
    net.connect(0, 1);
    net.finish(1, output("x"));
    let again = net.submit(task("text/a"));
    assert_ne!(net.state(again), "unknown", "the end of a task makes room");
}

#[test]
fn results_for_100000_tasks_of_vanished_owners_are_bounded() {
    const TASKS: usize = 100_000;
    let mut net = Net::new(&[1]);
    let policy = AcceptPolicy::default().with("text", Accept::Anyone);
    net.feed(1, Input::Accept { policy });
    net.nodes[1].engine.node.config.slots = 64;
    let work = work("x");
    let each = 25;
    for number in 0..TASKS / each {
        let peer = stranger(number);
        net.feed(1, Input::OwnerSession { peer });
        net.settle();
        let frames = (1..=each as u64).map(|n| assign(&work, n)).collect();
        net.feed(1, Input::FromOwner { peer, frames });
        net.settle();
        net.feed(1, Input::OwnerSessionLost { peer });
        net.feed(1, Input::PeerGone { peer });
        for (run, _, _) in std::mem::take(&mut net.nodes[1].running) {
            net.feed(1, Input::Finished { run, end: output("left"), took: Duration::ZERO });
        }
        net.settle();
        net.nodes[1].outbox.clear();
    }
    let engine = &net.nodes[1].engine;
    let accounts = engine.accounts();
    assert!(engine.node.peers.keys().len() <= limits::PEERS);
    assert!(engine.worker.held_and_unacked().1 <= limits::UNACKED_BYTES);
    assert!(accounts.unacked <= limits::PEERS * each, "by count");
    assert_eq!(accounts.unacked as u64 + accounts.dropped_results, TASKS as u64, "kept or counted");
    assert_eq!(net.nodes[1].ledger.len(), accounts.unacked, "the disk keeps no more");
    net.now = net.now + limits::KEEP_RESULTS;
    net.pass(Duration::from_secs(60));
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0, "by age");
    assert_eq!(
        (net.nodes[1].ledger.len(), net.nodes[1].engine.worker.held_and_unacked().1),
        (0, 0)
    );
}

/// Runs one pass of one node while the others do nothing.
fn act(net: &mut Net, index: usize) {
    let mut effects = Vec::new();
    let engine = &mut net.nodes[index].engine;
    engine.advance(net.now, &mut net.rng, &mut effects);
    engine.flush(net.now, &mut net.rng, &mut effects);
    net.carry_out(index, effects);
}

/// Brings a task into one of the states in which it can be cancelled.
fn bring(net: &mut Net, state: usize) -> TaskId {
    match state {
        // Waits: its target is not connected.
        0 => net.submit_to(0, task("text/b"), &[2]),
        // Assigned; the worker has not answered.
        1 => {
            let (task, targets) = (Box::new(task("text/a")), Vec::new());
            let id = task.id;
            net.feed(0, Input::Submit { task, targets, token: Token(0) });
            act(net, 0);
            id
        }
        // Runs, or waits at the worker.
        2 => net.submit(task("text/a")),
        // Rests after a failure.
        3 => {
            let retry = RetryPolicy { backoff: Duration::from_secs(3), ..RetryPolicy::default() };
            let id = net.submit(Task { retry, ..task("text/a") });
            net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "x")));
            id
        }
        // Has ended.
        4 => {
            let id = net.submit(task("text/a"));
            net.finish(1, output("x"));
            id
        }
        // Has ended, and the worker's result is on its way.
        _ => {
            let id = net.submit(task("text/a"));
            let (run, _, _) = net.nodes[1].running.remove(0);
            net.feed(1, Input::Finished { run, end: output("x"), took: Duration::ZERO });
            id
        }
    }
}

#[test]
fn cancel_storm_in_every_state_leaves_nothing_behind() {
    // Node 2 is a worker without connections.
    let mut net = Net::new(&[1, 1]);
    net.connect(0, 1);
    for round in 0..9_000 {
        let state = round % 6;
        let id = bring(&mut net, state);
        let token = Token(1_000_000 + round as u32);
        let by = CancelledBy::Submitter;
        net.feed(0, Input::Cancel { id, by, reason: String::new(), token });
        // The owner alone decides: it answers before any message from the worker.
        act(&mut net, 0);
        let reply = net.nodes[0].replies.iter().find(|(of, _)| *of == token);
        let Some((_, Reply::Ended { end, .. })) = reply else { panic!("state {state}: no answer") };
        let expected = if state == 4 { "succeeded" } else { "cancelled" };
        assert_eq!((end.state().as_str(), net.state(id)), (expected, expected), "state {state}");
        net.settle();
        while !net.nodes[1].running.is_empty() {
            net.finish(1, output("too late"));
        }
        let ends = net.nodes[0].ends_of(id);
        assert!(ends.iter().all(|end| *end == ends[0]), "state {state}: an end never changes");
        net.nodes[0].replies.clear();
    }
    net.pass(Duration::from_secs(10));
    let accounts = net.nodes[0].engine.accounts();
    assert_eq!((accounts.queued, accounts.running), (0, 0));
    let accounts = net.nodes[1].engine.accounts();
    assert_eq!((accounts.held, accounts.unacked), (0, 0));
    assert!(net.nodes[0].engine.node.timers.len() < 5_000, "stale timers are swept");
}
