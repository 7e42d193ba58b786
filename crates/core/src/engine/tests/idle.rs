//! Unfinished inputs that no attempt needs.

use super::{
    blobs::{SIZE, add, task_with},
    staging::{UNREACHABLE, connected, event, failed, fetched},
    *,
};
use crate::{BlobRef, CancelledBy, engine::BlobEvent, limits};

/// Half of the input of a task has arrived at node 1.
fn half_arrived(slots: &[u32]) -> (Net, BlobRef, TaskId) {
    let mut net = connected(slots);
    let input = add(&mut net, "in");
    let durable = Task { durability: Some(Durability::Disk), ..task_with(input) };
    let id = net.submit_to(0, durable, &[1]);
    event(&mut net, 1, BlobEvent::FetchProgress { hash: input.hash, bytes: SIZE / 2 });
    (net, input, id)
}

fn cancel(net: &mut Net, id: TaskId) {
    let (by, reason) = (CancelledBy::Submitter, "enough".to_owned());
    net.feed(0, Input::Cancel { id, by, reason, token: Token(99) });
    net.settle();
    assert_eq!(net.state(id), "cancelled");
    assert_eq!(net.nodes[1].fetching, [], "no more bytes travel");
}

fn reserved(net: &Net) -> u64 {
    net.nodes[1].engine.blob_space().reserved
}

#[test]
fn owner_that_starts_again_sends_only_the_rest() {
    let (mut net, input, id) = half_arrived(&[1]);
    net.restart(0);
    failed(&mut net, 1, UNREACHABLE);
    net.connect(0, 1);
    let (owner, worker) = (net.nodes[0].id, net.nodes[1].id);
    net.feed(0, Input::PeerSpeaks { peer: worker, version: 2 });
    net.settle();
    net.pass(limits::SESSION_RETRY);
    assert_eq!(net.nodes[1].fetching, [(input, owner)]);
    assert_eq!(net.nodes[1].dropped, [], "what has arrived is still there");
    fetched(&mut net, 1);
    net.finish(1, output("x"));
    assert_eq!(net.state(id), "succeeded");
    assert_eq!(reserved(&net), 0);
}

#[test]
fn part_of_a_cancelled_input_stays_for_a_while() {
    let (mut net, input, id) = half_arrived(&[1]);
    cancel(&mut net, id);
    net.pass(limits::IDLE_FETCH - Duration::from_millis(1));
    assert_eq!((net.nodes[1].dropped.len(), reserved(&net)), (0, SIZE));
    net.pass(Duration::from_millis(1));
    assert_eq!(net.nodes[1].dropped, [input.hash]);
    assert_eq!(reserved(&net), 0);
}

#[test]
fn next_task_with_the_same_input_continues() {
    let (mut net, input, id) = half_arrived(&[1]);
    cancel(&mut net, id);
    let again = net.submit_to(0, task_with(input), &[1]);
    assert_eq!(net.nodes[1].fetching, [(input, net.nodes[0].id)]);
    assert_eq!(net.nodes[1].dropped, []);
    fetched(&mut net, 1);
    net.finish(1, output("x"));
    assert_eq!((net.state(again), reserved(&net)), ("succeeded", 0));
}

#[test]
fn another_input_takes_the_space_of_what_nothing_needs() {
    let (mut net, input, id) = half_arrived(&[1]);
    cancel(&mut net, id);
    net.nodes[1].engine.set_blob_budget(SIZE + SIZE / 2);
    let other = add(&mut net, "other");
    net.submit_to(0, task_with(other), &[1]);
    assert_eq!(net.nodes[1].dropped, [input.hash]);
    assert_eq!(net.nodes[1].fetching, [(other, net.nodes[0].id)]);
    assert_eq!(reserved(&net), SIZE);
}

#[test]
fn end_of_a_stopped_transfer_that_comes_late_changes_nothing() {
    let (mut net, input, id) = half_arrived(&[1]);
    cancel(&mut net, id);
    event(&mut net, 1, BlobEvent::FetchFailed { hash: input.hash, fault: UNREACHABLE });
    net.pass(limits::FETCH_REST_MOST);
    assert_eq!(net.nodes[1].fetching, [], "nothing needs it");
    net.pass(limits::IDLE_FETCH);
    assert_eq!(reserved(&net), 0);
}

#[test]
fn few_parts_are_kept() {
    let most = limits::IDLE_FETCHES;
    let mut net = connected(&[64]);
    let ids: Vec<TaskId> = (0..most + 4)
        .map(|number| {
            let input = add(&mut net, &format!("input {number}"));
            let id = net.submit(task_with(input));
            event(&mut net, 1, BlobEvent::FetchProgress { hash: input.hash, bytes: 1 });
            id
        })
        .collect();
    for id in ids {
        let (by, reason) = (CancelledBy::Submitter, "enough".to_owned());
        net.feed(0, Input::Cancel { id, by, reason, token: Token(99) });
        net.settle();
    }
    assert_eq!((net.nodes[1].fetching.len(), net.nodes[1].dropped.len()), (0, 4));
    assert_eq!(reserved(&net), most as u64 * SIZE);
    net.pass(limits::IDLE_FETCH);
    assert_eq!(reserved(&net), 0);
}
