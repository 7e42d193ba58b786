//! Blobs that were lost, that several peers have, and that two outputs race for.

use super::{
    blobs::{SIZE, add, blob, output_blob, task_with},
    staging::{UNREACHABLE, connected, event, failed, fetched, two_owners},
    *,
};
use crate::{
    BlobForm, BlobRef, FailureCode, Payload, RetryPolicy, TaskFailure,
    engine::{BlobEvent, BlobRequest, FetchFault, NewBlob},
    limits,
};

fn stored(text: &str) -> BlobRequest {
    let new = NewBlob { hash: blob(text).hash, size: SIZE, serial: 1, links: Vec::new() };
    BlobRequest::Store { blobs: vec![new], reserved: 0 }
}

/// As [`two_owners`]; both have the blob.
fn two_owners_with(text: &str) -> (Net, BlobRef) {
    let mut net = two_owners();
    let input = add(&mut net, text);
    net.feed(2, Input::Blobs { request: stored(text), token: Token(5) });
    net.settle();
    (net, input)
}

#[test]
fn copy_that_a_worker_lost_is_fetched_again() {
    let mut net = connected(&[1]);
    let input = add(&mut net, "in");
    net.submit(task_with(input));
    fetched(&mut net, 1);
    net.finish(1, output("x"));
    event(&mut net, 1, BlobEvent::Lost { hash: input.hash });
    let id = net.submit(task_with(input));
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[0].id)], "it believes nothing old");
    fetched(&mut net, 1);
    net.finish(1, output("x"));
    assert_eq!(net.state(id), "succeeded");
}

#[test]
fn same_bytes_with_another_bit_are_not_fetched_again() {
    let mut net = connected(&[4]);
    let input = add(&mut net, "in");
    let program = BlobRef { form: BlobForm::File { executable: true }, ..input };
    net.submit(task_with(input));
    fetched(&mut net, 1);
    net.submit(task_with(program));
    assert_eq!((net.nodes[1].fetching.len(), net.nodes[1].running.len()), (0, 2));
}

#[test]
fn silent_owner_does_not_hold_up_another() {
    let (mut net, input) = two_owners_with("shared");
    net.submit_to(0, task_with(input), &[1]);
    net.submit_to(2, task_with(input), &[1]);
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[0].id)]);
    failed(&mut net, 1, UNREACHABLE);
    net.pass(limits::FETCH_REST);
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[2].id)]);
    fetched(&mut net, 1);
    assert_eq!(net.nodes[1].running.len(), 1);
    assert_eq!(net.nodes[1].running[0].1, net.nodes[2].id);
    assert_eq!(
        net.nodes[1].fetching,
        [(input, net.nodes[0].id)],
        "its bytes are still to be shown"
    );
}

#[test]
fn first_of_two_outputs_that_is_complete_here_wins() {
    let mut net = connected(&[1, 1]);
    let hedged = || {
        let retry = RetryPolicy { hedge: true, ..RetryPolicy::default() };
        Task { retry, ..task("text/a") }
    };
    let usual = Duration::from_millis(100);
    for _ in 0..limits::TAIL_LEAST {
        net.submit(task("text/a"));
        net.pass(usual);
        let at = if net.nodes[1].running.is_empty() { 2 } else { 1 };
        net.finish(at, output("x"));
    }
    let id = net.submit(hedged());
    let first = if net.nodes[1].running.is_empty() { 2 } else { 1 };
    net.pass(usual * 2);
    assert_eq!(net.nodes[3 - first].running.len(), 1, "it has a second attempt");
    net.finish(first, output_blob(blob("first")));
    net.finish(3 - first, output_blob(blob("second")));
    assert_eq!((net.state(id), net.nodes[0].fetching.len()), ("running", 2));
    // The one that ended later is complete earlier.
    net.nodes[0].fetching.swap(0, 1);
    assert_eq!(fetched(&mut net, 0), blob("second"));
    let Some(TaskEnd::Succeeded(result)) = net.end(id) else { panic!("{:?}", net.end(id)) };
    assert_eq!(result.output, Payload::from(blob("second")));
    assert_eq!(net.nodes[0].fetching, [], "the other is not fetched to its end");
    assert_eq!(net.nodes[0].engine.blob_space().reserved, 0);
    net.pass(limits::ACK_DELAY);
    for worker in [1, 2] {
        assert_eq!(net.nodes[worker].engine.accounts().unacked, 0, "node {worker}");
    }
}

#[test]
fn blobs_do_not_use_up_the_credit_in_bytes() {
    let mut net = connected(&[64]);
    let count = 2 * limits::CREDIT_BYTES / SIZE;
    for number in 0..count {
        let input = add(&mut net, &format!("input {number}"));
        net.submit(task_with(input));
    }
    assert_eq!(net.nodes[1].fetching.len() as u64, count);
}

#[test]
fn next_input_is_fetched_only_while_there_is_room() {
    let mut net = connected(&[1]);
    // What a blob takes on disk is a little more than its bytes.
    net.nodes[1].engine.set_blob_budget(2 * SIZE + SIZE / 2);
    let ids: Vec<TaskId> = (0..4)
        .map(|number| {
            let input = add(&mut net, &format!("input {number}"));
            net.submit(task_with(input))
        })
        .collect();
    let mut done = 0;
    for _ in 0..200 {
        assert!(net.nodes[1].fetching.len() <= 2, "{:?}", net.nodes[1].fetching);
        let space = net.nodes[1].engine.blob_space();
        assert!(space.used + space.reserved <= space.budget, "{space:?}");
        if !net.nodes[1].fetching.is_empty() {
            fetched(&mut net, 1);
        } else if !net.nodes[1].running.is_empty() {
            net.finish(1, output("x"));
            done += 1;
        } else if done == ids.len() {
            break;
        } else {
            net.pass(limits::BLOB_LEASE);
        }
    }
    assert!(ids.iter().all(|id| net.state(*id) == "succeeded"), "{done} ended");
}

#[test]
fn wrong_bytes_of_one_owner_do_not_stop_another() {
    let (mut net, input) = two_owners_with("shared");
    net.submit_to(0, task_with(input), &[1]);
    net.submit_to(2, task_with(input), &[1]);
    for _ in 0..2 {
        failed(&mut net, 1, FetchFault::Wrong);
        net.pass(limits::FETCH_REST);
    }
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[2].id)]);
    fetched(&mut net, 1);
    assert_eq!(net.nodes[1].running.len(), 1);
    assert_eq!(net.nodes[0].engine.accounts().failed, 1);
}

/// Asserts that a task says which node had no space, and that it is placed again.
fn assert_rests_for_space(net: &Net, id: TaskId, who: &str) {
    let waiting = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    assert_eq!(waiting.code, "backing_off");
    let text = waiting.message;
    assert!(text.contains(who) && text.contains("placed again"), "{text}");
}

#[test]
fn owner_without_space_for_an_output_says_so() {
    let mut net = connected(&[1]);
    let id = net.submit(task("text/a"));
    net.finish(1, output_blob(blob("large")));
    failed(&mut net, 0, FetchFault::NoSpace);
    assert_rests_for_space(&net, id, "this node had no space");
    net.pass(2 * limits::FAULT_REST);
    let failure = TaskFailure::new(FailureCode::Handler, "no");
    net.finish(1, AttemptEnd::Failed(failure));
    let waiting = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    assert_eq!(waiting.message, "the task failed and rests before its next attempt");
}

#[test]
fn worker_without_space_costs_the_task_no_try() {
    let mut net = connected(&[1, 1]);
    let input = add(&mut net, "in");
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let id = net.submit(Task { retry, ..task_with(input) });
    let fetching = |net: &Net| if net.nodes[1].fetching.is_empty() { 2 } else { 1 };
    // Its disk does not take the input, and then, there or elsewhere, not the output.
    let at = fetching(&net);
    failed(&mut net, at, FetchFault::NoSpace);
    assert_eq!(net.state(id), "queued");
    assert_rests_for_space(&net, id, "the worker had no space");
    net.pass(2 * limits::FAULT_REST);
    let at = fetching(&net);
    fetched(&mut net, at);
    let full = TaskFailure::new(FailureCode::NoSpace, "the disk is full");
    net.finish(at, AttemptEnd::Failed(full));
    assert_eq!(net.state(id), "queued");
    net.pass(2 * limits::FAULT_REST);
    if net.nodes[at].running.is_empty() && !net.nodes[3 - at].fetching.is_empty() {
        fetched(&mut net, 3 - at);
    }
    let at = if net.nodes[1].running.is_empty() { 2 } else { 1 };
    net.finish(at, output("x"));
    assert_eq!(net.state(id), "succeeded");
}
