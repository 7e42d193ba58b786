//! Room for the inputs of attempts: who may reserve how much of it.

use super::{
    blobs::{SIZE, add, blob, task_with},
    staging::{connected, event, fetched, two_owners},
    *,
};
use crate::{
    Accept, AcceptPolicy, CancelledBy,
    engine::{BlobEvent, BlobRequest, NewBlob},
};

#[test]
fn second_task_with_the_same_input_needs_no_more_room() {
    let mut net = connected(&[2]);
    net.nodes[1].engine.set_blob_budget(SIZE * 3 / 2);
    let input = add(&mut net, "in");
    let ids = [net.submit(task_with(input)), net.submit(task_with(input))];
    assert_eq!(net.nodes[1].fetching.len(), 1);
    assert_eq!(ids.map(|id| net.state(id)), ["running"; 2], "none was refused");
    fetched(&mut net, 1);
    net.finish(1, output("first"));
    net.finish(1, output("second"));
    assert_eq!(ids.map(|id| net.state(id)), ["succeeded"; 2]);
}

#[test]
fn stranger_reserves_only_a_part_of_the_space() {
    let mut net = connected(&[8]);
    net.nodes[1].engine.set_blob_budget(10 * SIZE);
    let policy = AcceptPolicy::default().with("text", Accept::Anyone);
    let owner = net.nodes[0].id;
    net.feed(1, Input::Accept { policy });
    net.feed(1, Input::Trust { peer: owner, trusted: false });
    net.settle();
    let inputs = ["a", "b", "c", "d"].map(|text| add(&mut net, text));
    let ids = inputs.map(|input| net.submit(task_with(input)));
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 2 * SIZE);
    for _ in 0..4 {
        fetched(&mut net, 1);
        net.finish(1, output("done"));
        net.pass(Duration::from_secs(10));
    }
    assert_eq!(ids.map(|id| net.state(id)), ["succeeded"; 4], "the others wait for their turn");
}

#[test]
fn strangers_share_their_part_of_the_space() {
    let mut net = two_owners();
    net.nodes[1].engine.set_blob_budget(4 * SIZE);
    let policy = AcceptPolicy::default().with("text", Accept::Anyone);
    net.feed(1, Input::Accept { policy });
    for owner in [0, 2] {
        let peer = net.nodes[owner].id;
        net.feed(1, Input::Trust { peer, trusted: false });
    }
    let first = add(&mut net, "a");
    net.submit_to(0, task_with(first), &[1]);
    let second = blob("b");
    let new = NewBlob { hash: second.hash, size: SIZE, serial: 1, links: Vec::new() };
    let request = BlobRequest::Store { blobs: vec![new], reserved: 0 };
    net.feed(2, Input::Blobs { request, token: Token(5) });
    net.submit_to(2, task_with(second), &[1]);
    assert_eq!(net.nodes[1].fetching, [(first, net.nodes[0].id)]);
    let trusted = net.nodes[2].id;
    net.feed(1, Input::Trust { peer: trusted, trusted: true });
    net.pass(Duration::from_secs(30));
    assert_eq!(net.nodes[1].fetching.len(), 2, "a trusted owner has the rest");
}

#[test]
fn trusted_owner_may_use_all_of_the_space() {
    let mut net = connected(&[8]);
    net.nodes[1].engine.set_blob_budget(4 * SIZE + SIZE / 2);
    for text in ["a", "b", "c", "d"] {
        let input = add(&mut net, text);
        net.submit(task_with(input));
    }
    assert_eq!(net.nodes[1].engine.blob_space().reserved, 4 * SIZE);
}

#[test]
fn unfinished_inputs_of_strangers_count_also_after_a_cancel() {
    let mut net = connected(&[8]);
    net.nodes[1].engine.set_blob_budget(4 * SIZE);
    let policy = AcceptPolicy::default().with("text", Accept::Anyone);
    let owner = net.nodes[0].id;
    net.feed(1, Input::Accept { policy });
    net.feed(1, Input::Trust { peer: owner, trusted: false });
    net.settle();
    for text in ["a", "b", "c"] {
        let input = add(&mut net, text);
        let id = net.submit(task_with(input));
        event(&mut net, 1, BlobEvent::FetchProgress { hash: input.hash, bytes: 1 });
        let (by, reason) = (CancelledBy::Submitter, "enough".to_owned());
        net.feed(0, Input::Cancel { id, by, reason, token: Token(99) });
        net.settle();
    }
    assert_eq!(net.nodes[1].engine.blob_space().reserved, SIZE, "a quarter");
}
