//! Why tasks wait: in a list, in the counts, and as an event.

use super::*;
use crate::engine::{
    Observed,
    view::{TaskQuery, Waits},
};

/// A task that needs `cpus` CPUs. The workers of these tests have none.
fn needy(cpus: u32) -> Task {
    let mut task = task("text/a");
    task.requirements.cpus = cpus;
    task
}

/// The states that node 0 reports of a task in the pass in which it is submitted.
fn states_at_submission(net: &mut Net, task: Task) -> Vec<&'static str> {
    let id = task.id;
    let engine = &mut net.nodes[0].engine;
    engine.observe(Observed { tasks: true, messages: false });
    let mut effects = Vec::new();
    let input = Input::Submit { task: Box::new(task), targets: Vec::new(), token: Token(0) };
    engine.handle(input, net.now, &mut net.rng, &mut effects);
    engine.advance(net.now, &mut net.rng, &mut effects);
    engine.flush(net.now, &mut net.rng, &mut effects);
    let states = effects.iter().filter_map(|effect| match effect {
        Effect::TaskChanged { id: of, state, .. } if *of == id => Some(state.as_str()),
        _ => None,
    });
    states.collect()
}

#[test]
fn submission_is_reported_queued_only_if_it_waits() {
    let mut net = Net::connected(&[1]);
    // Opens the session with the worker.
    net.submit(task("text/a"));
    net.finish(1, output("x"));
    assert_eq!(states_at_submission(&mut net, task("text/a")), ["assigned"]);
    assert_eq!(states_at_submission(&mut net, needy(9)), ["queued"]);
    let unknown = Task { durability: Some(Durability::Memory), ..task("text/none") };
    assert_eq!(states_at_submission(&mut net, unknown), ["failed"]);
}

#[test]
fn waiting_tasks_are_counted_by_reason_with_the_oldest() {
    let mut net = Net::connected(&[1]);
    let no_worker = [9, 10].map(|cpus| net.submit(needy(cpus)));
    net.feed(1, Input::Drain { on: true });
    net.settle();
    let drained = net.submit(task("text/b"));
    let reasons: Vec<_> = net.nodes[0].engine.read(net.now).waits();
    let counted = |waits: &Waits| (waits.code, waits.tasks, waits.first.1);
    let expected = [("no_eligible_peer", 2, no_worker[0]), ("draining", 1, drained)];
    assert_eq!(reasons.iter().map(counted).collect::<Vec<_>>(), expected);
    assert!(reasons.iter().all(|waits| !waits.message.is_empty()));

    net.feed(1, Input::Drain { on: false });
    net.settle();
    assert_eq!(net.state(drained), "running", "it waits no longer");
    let reasons = net.nodes[0].engine.read(net.now).waits();
    assert_eq!(reasons.iter().map(counted).collect::<Vec<_>>(), expected[..1]);
}

#[test]
fn list_and_task_show_the_same_waiting_reason() {
    let mut net = Net::connected(&[1]);
    let tasks = [needy(9), task("text/a"), task("text/b")];
    let ids = tasks.map(|task| net.submit(task));
    let failed = crate::TaskFailure::new(crate::FailureCode::Handler, "no");
    net.finish(1, AttemptEnd::Failed(failed));
    let engine = &net.nodes[0].engine;
    let alone = ids.map(|id| engine.read(net.now).task(id).unwrap().waiting.map(|why| why.code));
    assert_eq!(alone, [Some("no_eligible_peer"), Some("backing_off"), None]);
    for task in engine.read(net.now).tasks(&TaskQuery::default()) {
        let task = task.here().unwrap();
        let at = ids.iter().position(|id| *id == task.id).unwrap();
        let why = task.waiting;
        assert_eq!(why.as_ref().map(|why| why.code), alone[at]);
        assert!(why.is_none_or(|why| why.peers.is_empty()), "a list names no peer");
    }
}
