//! Tests of the ways of blob streams.

use std::time::Duration;

use super::*;
use crate::event::Direction;

fn id(number: usize) -> ConnectionId {
    ConnectionId::new_unchecked(number)
}

fn inbound(number: usize) -> Connection {
    let address = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    Connection::new(id(number), Direction::Inbound, address, None)
}

fn dialled(number: usize) -> Connection {
    Connection::for_blobs(id(number), "/ip4/127.0.0.1/tcp/1".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn fetch_waits_for_a_dial_and_shares_after_that() {
    let mut beside = Beside::default();
    let begin = Instant::now();
    assert_eq!(beside.route(begin), Route::Dial);
    beside.on_dialling(id(1), begin);
    assert_eq!(beside.route(begin), Route::Wait);
    assert_eq!(beside.route(begin + limits::BLOB_DIAL_WAIT), Route::Shared);
    assert!(!beside.on_dialled(dialled(2)), "another dial");
    assert!(beside.on_dialled(dialled(1)));
    assert_eq!(beside.route(begin), Route::Wait, "the peer has not accepted our hello");
    beside.get_mut(id(1)).unwrap().on_accepted();
    assert_eq!(beside.route(begin + limits::BLOB_DIAL_WAIT), Route::Open(id(1)));
    assert_eq!(beside.on_closed(id(1), begin), Some(Seat::Own));
    assert_eq!(beside.route(begin), Route::Dial, "it was closed because it was idle");
}

#[tokio::test(start_paused = true)]
async fn peer_that_cannot_be_dialled_is_left_alone_for_a_while() {
    let begin = Instant::now();
    let mut refused = Beside::default();
    refused.on_dialling(id(1), begin);
    refused.on_dial_failed(id(2), begin);
    assert_eq!(refused.route(begin), Route::Wait, "another dial failed");
    refused.on_dial_failed(id(1), begin);
    let mut never_accepted = Beside::default();
    never_accepted.on_dialling(id(1), begin);
    never_accepted.on_dialled(dialled(1));
    never_accepted.on_closed(id(1), begin);
    for mut beside in [refused, never_accepted] {
        assert_eq!(beside.route(begin), Route::Shared);
        assert_eq!(beside.route(begin + limits::BLOB_REDIAL), Route::Dial);
        // The peer may be able to dial this node.
        beside.add(inbound(3));
        assert_eq!(beside.route(begin), Route::Shared);
        assert_eq!(beside.take_for_blobs(id(3)), None);
        assert_eq!(beside.route(begin), Route::Open(id(3)));
    }
}

#[tokio::test(start_paused = true)]
async fn newer_connection_for_blobs_replaces_the_peers_older_one() {
    let mut beside = Beside::default();
    assert!(beside.add(inbound(1)) && beside.add(inbound(2)));
    assert!(!beside.add(inbound(3)), "too many without a hello");
    assert_eq!(beside.take_for_blobs(id(1)), None);
    assert_eq!(beside.take_for_blobs(id(2)), Some(id(1)));
    assert_eq!((beside.seat(id(2)), beside.seat(id(1))), (Some(Seat::Theirs), None));
    assert_eq!(beside.take_for_blobs(id(2)), None, "said twice");
    assert_eq!(beside.seat(id(2)), Some(Seat::Theirs));
}

#[tokio::test(start_paused = true)]
async fn connections_for_blobs_from_before_a_restart_are_found() {
    let mut beside = Beside::default();
    beside.on_dialling(id(1), Instant::now());
    beside.on_dialled(dialled(1));
    tokio::time::advance(Duration::from_secs(1)).await;
    let restart = Instant::now();
    tokio::time::advance(Duration::from_secs(1)).await;
    beside.add(inbound(2));
    beside.take_for_blobs(id(2));
    assert_eq!(beside.for_blobs_before(restart), [id(1)]);
    assert_eq!(beside.take_all(), [id(1), id(2)]);
    assert_eq!(beside.iter().count(), 0);
}
