//! Hostile and broken fetchers.

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use prost::Message as _;
use tokio::time::Instant;
use tokio_util::compat::TokioAsyncReadCompatExt as _;

use super::{
    super::tests::{PIECE, Pipe, Rig, bytes, providing, serve},
    *,
};
use crate::wire::generated as proto;

fn pipes() -> (Pipe, Pipe) {
    let (one, other) = tokio::io::duplex(64 * 1024);
    (one.compat(), other.compat())
}

fn request(hash: BlobHash, size: u64, ranges: Vec<Groups>) -> Vec<u8> {
    Request { hash, size, ranges }.encode()
}

async fn reply(pipe: &mut Pipe) -> Reply {
    let message = wire::read_message(pipe, 600_000).await.unwrap();
    Reply::decode(message.into()).unwrap()
}

#[tokio::test]
async fn malformed_request_ends_the_stream_without_an_answer() {
    let ranges = |ranges: &[(u64, u64)]| {
        let range =
            |(first, count): &(u64, u64)| proto::GroupRange { first: *first, count: *count };
        let ranges = ranges.iter().map(range).collect();
        proto::BlobRequest { hash: vec![7; 32].into(), size: 20 * PIECE, ranges }.encode_to_vec()
    };
    let many: Vec<_> = (0..65).map(|number| (2 * number, 1)).collect();
    let short_hash = proto::BlobRequest { hash: vec![7; 31].into(), size: 1, ranges: Vec::new() };
    let cases = [
        ranges(&[]),
        ranges(&[(0, 0)]),
        ranges(&[(160, 1)]),
        ranges(&[(0, 161)]),
        ranges(&[(1, u64::MAX)]),
        ranges(&[(u64::MAX, 1)]),
        ranges(&[(0, 2), (1, 2)]),
        ranges(&[(0, 2), (2, 2)]),
        ranges(&[(4, 2), (0, 2)]),
        ranges(&[(4, 2), (4, 2)]),
        ranges(&many),
        short_hash.encode_to_vec(),
        vec![0xff; 20],
        vec![0; limits::BLOB_MESSAGE + 1],
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let (mut pipe, other) = pipes();
        let end = serve(other, move |_| panic!("case {number} reached the node"));
        wire::write_message(&mut pipe, &case).await.unwrap();
        let mut answer = Vec::new();
        pipe.read_to_end(&mut answer).await.unwrap();
        assert!(end.await.unwrap(), "case {number} is no violation");
        assert_eq!(answer, [], "case {number}");
    }
}

#[tokio::test]
async fn stream_that_ends_is_no_violation() {
    for sent in [&b""[..], &[40], &[40, 1, 2]] {
        let (mut pipe, other) = pipes();
        let end = serve(other, |_| panic!("there is no request"));
        pipe.write_all(sent).await.unwrap();
        drop(pipe);
        assert!(!end.await.unwrap());
    }
}

#[tokio::test]
async fn thousand_requests_at_once_are_served_one_by_one() {
    let rig = Rig::new();
    let wants: Vec<_> = (0..1_000_u32).map(|number| rig.store(&number.to_le_bytes())).collect();
    let (pipe, other) = pipes();
    let (end, mut events) = providing(other);
    let (mut reader, mut writer) = pipe.split();
    let store = rig.provider.clone();
    let node = async {
        for _ in 0..1_000 {
            let Some(BlobEvent::Requested(request)) = events.recv().await else { panic!() };
            assert!(events.try_recv().is_err(), "a second request before the first is answered");
            let source = store.source(&request.hash).unwrap();
            request.send(source);
        }
    };
    let asking = async {
        for want in &wants {
            let message = request(want.hash, want.size, std::iter::once(0..1).collect());
            wire::write_message(&mut writer, &message).await.unwrap();
        }
    };
    let reading = async {
        for number in 0..1_000_u32 {
            let message = wire::read_message(&mut reader, 100).await.unwrap();
            let expected = Reply::Piece(number.to_le_bytes().to_vec().into());
            assert_eq!(Reply::decode(message.into()).unwrap(), expected);
        }
    };
    tokio::join!(node, asking, reading);
    drop((reader, writer));
    assert!(!end.await.unwrap());
}

#[tokio::test]
async fn ranges_are_sent_as_pieces_in_their_order() {
    let rig = Rig::new();
    let want = rig.blob(3 * PIECE);
    let (mut pipe, other) = pipes();
    rig.serve(other);
    let message = request(want.hash, want.size, vec![2..4, 6..17, 23..24]);
    wire::write_message(&mut pipe, &message).await.unwrap();
    let mut partial = rig.partial(want);
    for piece in [2..4, 6..8, 8..16, 16..17, 23..24] {
        let Reply::Piece(encoded) = reply(&mut pipe).await else { panic!("no piece") };
        partial.add(&piece, &encoded).unwrap();
    }
    assert_eq!(partial.missing(9), vec![0..2, 4..6, 17..23]);
    assert_eq!(bytes(want.size).len() as u64, want.size);
}

#[tokio::test(start_paused = true)]
async fn fetcher_that_does_not_read_is_given_up() {
    let rig = Rig::new();
    let want = rig.blob(3 * PIECE);
    let (mut pipe, other) = pipes();
    let end = rig.serve(other);
    let message = request(want.hash, want.size, std::iter::once(0..24).collect());
    wire::write_message(&mut pipe, &message).await.unwrap();
    let begin = Instant::now();
    assert!(!end.await.unwrap());
    assert!(begin.elapsed() < limits::PIECE_TIMEOUT * 2, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn silent_fetcher_is_given_up() {
    let (_pipe, other) = pipes();
    let begin = Instant::now();
    assert!(!serve(other, |_| {}).await.unwrap());
    assert_eq!(begin.elapsed(), limits::BLOB_IDLE);
}

#[tokio::test(start_paused = true)]
async fn node_that_does_not_decide_is_busy() {
    let hash = BlobHash::of(b"x");
    let mut kept = Vec::new();
    for keeps in [false, true] {
        let (mut pipe, other) = pipes();
        let (_end, mut events) = providing(other);
        let message = request(hash, 1, std::iter::once(0..1).collect());
        wire::write_message(&mut pipe, &message).await.unwrap();
        let Some(BlobEvent::Requested(request)) = events.recv().await else { panic!() };
        if keeps {
            kept.push(request);
        } else {
            drop(request);
        }
        let busy = Reason::Busy { retry_after: limits::BLOB_RETRY };
        assert_eq!(reply(&mut pipe).await, Reply::Refused(busy));
    }
    // An answer that is too late has no effect.
    kept.into_iter().for_each(BlobRequest::refuse);
}

#[tokio::test]
async fn node_that_has_stopped_ends_the_stream() {
    let (mut pipe, other) = pipes();
    let (end, events) = providing(other);
    drop(events);
    let message = request(BlobHash::of(b"x"), 1, std::iter::once(0..1).collect());
    wire::write_message(&mut pipe, &message).await.unwrap();
    assert!(!end.await.unwrap());
}

#[tokio::test]
async fn requests_beyond_the_quota_wait() {
    let (pipe, other) = pipes();
    let _end = serve(other, BlobRequest::refuse);
    let (mut reader, mut writer) = pipe.split();
    let (burst, rate) = limits::BLOBS_ASKED;
    let asked = burst + rate;
    let begin = Instant::now();
    let asking = async {
        let message = request(BlobHash::of(b"x"), 1, std::iter::once(0..1).collect());
        for _ in 0..asked {
            wire::write_message(&mut writer, &message).await.unwrap();
        }
    };
    let reading = async {
        for _ in 0..asked {
            let message = wire::read_message(&mut reader, 100).await.unwrap();
            assert_eq!(Reply::decode(message.into()).unwrap(), Reply::Refused(Reason::NotFound));
        }
    };
    tokio::join!(asking, reading);
    assert!(begin.elapsed() > Duration::from_millis(900), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn refused_stream_gets_one_answer() {
    let (mut pipe, other) = pipes();
    let reason = Reason::Busy { retry_after: limits::BLOB_RETRY };
    let refusing = tokio::spawn(refuse(other, reason.clone()));
    assert_eq!(reply(&mut pipe).await, Reply::Refused(reason));
    drop(pipe);
    refusing.await.unwrap();
}
