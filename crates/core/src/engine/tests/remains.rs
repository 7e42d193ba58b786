//! What transfers of an earlier start have left on disk.

use super::{
    blobs::{SIZE, add, blob, request, task_with},
    staging::connected,
    *,
};
use crate::{BlobHash, engine::BlobRequest, limits};

/// A worker with room for two inputs, whose earlier start has left half of each of these.
fn with_remains(texts: &[&str]) -> Net {
    let mut net = connected(&[4]);
    net.nodes[1].engine.set_blob_budget(2 * SIZE + SIZE / 2);
    let remains: Vec<(BlobHash, u64)> =
        texts.iter().map(|text| (blob(text).hash, SIZE / 2)).collect();
    let now = net.now;
    net.nodes[1].engine.set_remains(remains, now);
    net
}

fn reserved(net: &Net) -> u64 {
    net.nodes[1].engine.blob_space().reserved
}

#[test]
fn transfer_that_goes_on_counts_once() {
    let mut net = with_remains(&["in", "other"]);
    assert_eq!(reserved(&net), SIZE);
    let input = add(&mut net, "in");
    net.submit_to(0, task_with(input), &[1]);
    assert_eq!(net.nodes[1].fetching.len(), 1);
    assert_eq!(reserved(&net), SIZE + SIZE / 2);
    assert!(!net.nodes[1].remains_dropped);
}

#[test]
fn remains_give_way_to_what_is_needed() {
    let mut net = with_remains(&["one", "two"]);
    for text in ["a", "b"] {
        let input = add(&mut net, text);
        net.submit_to(0, task_with(input), &[1]);
    }
    assert_eq!(net.nodes[1].fetching.len(), 2);
    assert_eq!(reserved(&net), 2 * SIZE);
    assert!(net.nodes[1].remains_dropped);
}

#[test]
fn remains_leave_after_their_time() {
    let mut net = with_remains(&["one"]);
    net.pass(limits::REMAINS - Duration::from_millis(1));
    assert_eq!((reserved(&net), net.nodes[1].remains_dropped), (SIZE / 2, false));
    net.pass(Duration::from_millis(1));
    assert_eq!((reserved(&net), net.nodes[1].remains_dropped), (0, true));
}

#[test]
fn remains_leave_no_more_room_than_there_is() {
    let mut net = connected(&[1]);
    net.nodes[0].engine.set_blob_budget(SIZE);
    let now = net.now;
    net.nodes[0].engine.set_remains([(blob("old").hash, SIZE)], now);
    assert!(request(&mut net, BlobRequest::Reserve { bytes: 2 * SIZE }).is_err());
    request(&mut net, BlobRequest::Reserve { bytes: SIZE }).unwrap();
    assert!(net.nodes[0].remains_dropped);
    assert_eq!(net.nodes[0].engine.blob_space().reserved, SIZE);
}
