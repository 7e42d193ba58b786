use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn request() -> impl Strategy<Value = Request> {
    let steps = prop::collection::vec((1..1_000_u64, 1..1_000_u64), 1..=limits::BLOB_RANGES);
    (any::<[u8; 32]>(), steps, 0..1_000_000_u64).prop_map(|(hash, steps, more)| {
        let mut at = 0;
        let range = |(gap, length): (u64, u64)| {
            let start = at + gap;
            at = start + length;
            start..at
        };
        let ranges: Vec<_> = steps.into_iter().map(range).collect();
        Request { hash: BlobHash::from_bytes(hash), size: at * 65_536 + more, ranges }
    })
}

proptest! {
    #[test]
    fn request_is_read_as_it_was_written(request in request()) {
        let message = request.encode();
        prop_assert!(message.len() <= limits::BLOB_MESSAGE, "{} bytes", message.len());
        prop_assert_eq!(Request::decode(&message).unwrap(), request);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let request = Request::decode(&bytes);
        prop_assert!(request.is_err() || request.unwrap().ranges.len() <= limits::BLOB_RANGES);
        // The result does not matter here.
        Reply::decode(bytes.into()).ok();
    }
}

#[test]
fn longest_request_fits_into_its_message() {
    let last = u64::MAX / 65_536;
    let ranges: Vec<_> =
        (0..limits::BLOB_RANGES as u64).map(|n| last - 200 + 2 * n..last - 199 + 2 * n).collect();
    let request = Request { hash: BlobHash::of(b""), size: u64::MAX, ranges };
    let message = request.encode();
    assert!(message.len() <= limits::BLOB_MESSAGE, "{} bytes", message.len());
    assert_eq!(Request::decode(&message).unwrap(), request);
}

#[test]
fn piece_is_written_in_place_as_by_the_schema() {
    for length in [0, 1, 127, 128, 70_000, 525_000] {
        let encoded = vec![3; length];
        let message = Reply::Piece(encoded.clone().into()).encode();
        let mut expected = Vec::new();
        encode_varint(message.len() as u64, &mut expected);
        expected.extend_from_slice(&message);
        let mut framed = Vec::new();
        begin_piece(&mut framed, length);
        assert!(framed.len() <= limits::PIECE_HEAD);
        framed.extend_from_slice(&encoded);
        assert_eq!(framed, expected);
        assert_eq!(Reply::decode(message.into()).unwrap(), Reply::Piece(encoded.into()));
    }
}

#[test]
fn longest_refusal_fits_into_its_message() {
    let detail = "ä".repeat(2_000);
    let reasons = [
        Reason::Denied { detail: detail.clone() },
        Reason::WrongNetwork { ours: detail.clone(), theirs: detail },
        Reason::Busy { retry_after: Duration::MAX },
    ];
    for reason in reasons {
        assert!(Reply::Refused(reason).encode().len() <= limits::BLOB_MESSAGE);
    }
}
