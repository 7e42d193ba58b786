//! Inputs that a worker does not get, or that are damaged there.

use super::{
    blobs::{SIZE, add, blob, task_with},
    staging::{UNREACHABLE, connected, event, failed, fetched},
    *,
};
use crate::{
    FailureCode, RetryPolicy, TaskFailure, TaskLimits,
    engine::{BlobEvent, BlobRequest, NewBlob},
    limits,
};

fn input_lost() -> AttemptEnd {
    AttemptEnd::Failed(TaskFailure::new(FailureCode::InputLost, "its file is gone"))
}

/// The code of a failed task.
fn code(end: &TaskEnd) -> Option<FailureCode> {
    match end {
        TaskEnd::Failed(failure) => Some(failure.code),
        TaskEnd::Succeeded(_) | TaskEnd::Cancelled { .. } | TaskEnd::Expired { .. } => None,
    }
}

#[test]
fn damaged_copy_at_a_worker_is_fetched_again() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    fetched(&mut net, 1);
    event(&mut net, 1, BlobEvent::Lost { hash: input.hash });
    net.finish(1, input_lost());
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[0].id)]);
    fetched(&mut net, 1);
    net.finish(1, output("done"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn copy_that_a_worker_lost_costs_no_try_of_the_task() {
    let mut net = connected(&[1]);
    let first = net.submit(task("text/a"));
    let input = add(&mut net, "in");
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let id = net.submit(Task { retry, ..task_with(input) });
    fetched(&mut net, 1);
    // The attempt waits for the slot, and its input goes meanwhile.
    event(&mut net, 1, BlobEvent::Lost { hash: input.hash });
    net.finish(1, output("first"));
    net.finish(1, input_lost());
    assert_eq!(net.state(id), "running", "its owner still has the input");
    fetched(&mut net, 1);
    net.finish(1, output("done"));
    assert_eq!((net.state(first), net.state(id)), ("succeeded", "succeeded"));
}

#[test]
fn worker_whose_copies_are_always_damaged_does_not_hold_a_task_for_ever() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    for _ in 0..20 {
        if !net.nodes[1].fetching.is_empty() {
            fetched(&mut net, 1);
            event(&mut net, 1, BlobEvent::Lost { hash: input.hash });
            net.finish(1, input_lost());
        }
        net.pass(Duration::from_secs(30));
    }
    assert_eq!(net.end(id).as_ref().and_then(code), Some(FailureCode::Lost));
}

#[test]
fn input_that_is_damaged_at_its_owner_is_lost() {
    let mut net = connected(&[1]);
    let input = blob("in");
    let new = NewBlob { hash: input.hash, size: SIZE, serial: 1, links: Vec::new() };
    let request = BlobRequest::Store { blobs: vec![new], reserved: 0 };
    net.feed(1, Input::Blobs { request, token: Token(1_000_000) });
    let id = net.submit_to(1, task_with(input), &[1]);
    event(&mut net, 1, BlobEvent::Lost { hash: input.hash });
    net.finish(1, input_lost());
    let ends = net.nodes[1].ends_of(id);
    let is_lost = |end: &TaskEnd| code(end) == Some(FailureCode::InputLost);
    assert!(ends.iter().any(is_lost), "{ends:?}");
}

#[test]
fn input_that_its_owner_never_sends_is_a_lost_attempt() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let id = net.submit(task_with(input));
    for _ in 0..limits::FETCH_TRIES {
        failed(&mut net, 1, UNREACHABLE);
        net.pass(limits::FETCH_REST_MOST);
    }
    assert_eq!(net.view(id).unwrap().attempts.len(), 1, "it may still come");
    failed(&mut net, 1, UNREACHABLE);
    assert_eq!(net.nodes[1].engine.blob_space().reserved, SIZE, "of the next fetch alone");
    net.pass(limits::FETCH_REST_MOST);
    assert_eq!(net.view(id).unwrap().attempts.len(), 2);
    fetched(&mut net, 1);
    net.finish(1, output("done"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn owner_that_missed_the_start_learns_of_it_with_the_next_session() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    let limits = TaskLimits { attempt: Some(Duration::from_secs(5)), ..TaskLimits::default() };
    net.submit(Task { limits, ..task_with(input) });
    net.disconnect(0, 1);
    fetched(&mut net, 1);
    assert_eq!(net.nodes[1].running.len(), 1);
    net.connect(0, 1);
    net.settle();
    net.pass(Duration::from_secs(13));
    net.pass(Duration::from_secs(13));
    assert_eq!(net.nodes[1].stopped.len(), 1, "twice its limit and the grace are over");
}
