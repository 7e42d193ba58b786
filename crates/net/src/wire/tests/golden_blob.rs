//! The vectors of the blob protocol; see [`super::golden`].

use std::time::Duration;

use meshwork_core::{BlobHash, Reason};

use super::{framed, golden::assert_golden};
use crate::protocol::blob::wire::{Reply, Request};

#[test]
fn blob_requests_match_their_vectors() {
    let hash = BlobHash::of(b"to be");
    let whole = Request { hash, size: 5, ranges: std::iter::once(0..1).collect() };
    let rest = Request { hash, size: 300 << 16, ranges: vec![2..3, 10..300] };
    for (name, request) in [("blob-request", whole), ("blob-request-rest", rest)] {
        let message = request.encode();
        assert_golden(name, &framed(&message));
        assert_eq!(Request::decode(&message).unwrap(), request, "{name}");
    }
}

#[test]
fn blob_replies_match_their_vectors() {
    let busy = Reason::Busy { retry_after: Duration::from_millis(250) };
    let replies = [
        ("blob-piece", Reply::Piece("to be".into())),
        ("blob-piece-empty", Reply::Piece("".into())),
        ("blob-not-found", Reply::Refused(Reason::NotFound)),
        ("blob-busy", Reply::Refused(busy)),
    ];
    for (name, reply) in replies {
        let message = reply.encode();
        assert_golden(name, &framed(&message));
        assert_eq!(Reply::decode(message.into()).unwrap(), reply, "{name}");
    }
}
