//! Framing: the messages do not depend on the pieces in which bytes arrive, and announced lengths
//! allocate no memory.

use futures::{executor::block_on, io::Cursor};
use proptest::{collection::vec, prelude::*};

use super::{Decoder, ReadError, WireError, prefix, read_message, write_message};
use crate::limits;

const LIMIT: usize = limits::TASK_FRAME;

fn feed(decoder: &mut Decoder, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, WireError> {
    let mut messages = Vec::new();
    loop {
        while let Some(message) = decoder.next()? {
            messages.push(message.bytes().to_vec());
        }
        if bytes.is_empty() {
            return Ok(messages);
        }
        let space = decoder.space();
        assert!(!space.is_empty(), "neither a message nor space");
        let count = space.len().min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        decoder.advance(count);
        bytes = &bytes[count..];
    }
}

fn error_of(bytes: &[u8]) -> WireError {
    feed(&mut Decoder::new(LIMIT), bytes).unwrap_err()
}

#[test]
fn hostile_lengths_are_refused_before_the_message_is_read() {
    let too_large = |length| WireError::TooLarge { length, limit: LIMIT };
    // 4 GiB; u64::MAX; one above the limit.
    assert!(matches!(error_of(&[0x80, 0x80, 0x80, 0x80, 0x10]), WireError::TooLarge { .. }));
    let mut max = [0xff; 10];
    max[9] = 1;
    assert!(matches!(error_of(&max), WireError::TooLarge { .. }));
    let above = (LIMIT + 1) as u64;
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(above, &mut bytes);
    assert_eq!(error_of(&bytes), too_large(above));
    // Zero; zero and five, each in more bytes than needed; more than ten bytes.
    assert_eq!(error_of(&[0]), WireError::Empty);
    assert_eq!(error_of(&[0x80, 0]), WireError::Length);
    assert_eq!(error_of(&[0x85, 0]), WireError::Length);
    assert_eq!(error_of(&[0x80; 10]), WireError::Length);
    assert_eq!(error_of(&[0x80; 11]), WireError::Length);
    // Five, if the bits beyond 64 were dropped.
    let beyond = [&[0x85][..], &[0x80; 8], &[2]].concat();
    assert_eq!(error_of(&beyond), WireError::Length);
}

#[test]
fn incomplete_length_waits_for_more_bytes() {
    for bytes in [&[][..], &[0x80], &[0x80, 0x80]] {
        assert!(prefix(bytes, LIMIT).unwrap().is_none());
    }
    let limit = feed(&mut Decoder::new(3), &[3, 1, 2, 3]).unwrap();
    assert_eq!(limit, [[1, 2, 3]]);
}

#[test]
fn memory_grows_with_arrived_bytes_not_with_announced_length() {
    let mut announced = Vec::new();
    prost::encoding::encode_varint(LIMIT as u64, &mut announced);
    let mut decoder = Decoder::new(LIMIT);
    assert!(feed(&mut decoder, &announced).unwrap().is_empty());
    let mut received = 0;
    while received < LIMIT {
        let space = decoder.space().len();
        assert!(space <= received.max(limits::READ_BLOCK), "{space} bytes after {received}");
        decoder.advance(1_000.min(space));
        received += 1_000.min(space);
        if received < LIMIT {
            assert!(decoder.next().unwrap().is_none());
        }
    }
    assert_eq!(decoder.next().unwrap().unwrap().bytes().len(), LIMIT);
    assert!(!decoder.is_partial());
}

#[test]
fn incomplete_message_is_partial() {
    let mut decoder = Decoder::new(LIMIT);
    let bytes = [vec![0x80, 0x80, 4], vec![7; 64 * 1024 - 1]].concat();
    assert!(feed(&mut decoder, &bytes).unwrap().is_empty());
    assert!(decoder.is_partial());
}

#[test]
fn read_message_consumes_exactly_one_message() {
    let mut stream = Vec::new();
    block_on(write_message(&mut stream, b"hello")).unwrap();
    stream.extend(b"trailing");
    let mut stream = Cursor::new(stream);
    assert_eq!(block_on(read_message(&mut stream, 5)).unwrap(), b"hello");
    assert_eq!(stream.position(), 6);

    let read = |bytes: &[u8]| block_on(read_message(&mut Cursor::new(bytes), 5)).unwrap_err();
    assert!(matches!(read(&[]), ReadError::Closed));
    assert!(matches!(read(&[0x80]), ReadError::Io(_)));
    assert!(matches!(read(&[5, 1, 2]), ReadError::Io(_)));
    let too_large = WireError::TooLarge { length: 6, limit: 5 };
    assert!(matches!(read(&[6]), ReadError::Wire(error) if error == too_large));
    assert!(read(&[5, 1]).is_retryable() && !read(&[0]).is_retryable());
}

proptest! {
    #[test]
    fn messages_do_not_depend_on_the_pieces_they_arrive_in(
        lengths in vec(prop_oneof![1..200usize, 65_000..66_000usize, 100_000..300_000usize], 1..8),
        pieces in vec(1..90_000usize, 1..8),
    ) {
        let messages: Vec<Vec<u8>> =
            lengths.iter().enumerate().map(|(n, length)| vec![n as u8; *length]).collect();
        let mut stream = Vec::new();
        for message in &messages {
            block_on(write_message(&mut stream, message)).unwrap();
        }
        let mut decoder = Decoder::new(LIMIT);
        let mut read = Vec::new();
        let mut pieces = pieces.into_iter().cycle();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(pieces.next().unwrap().min(rest.len()));
            read.extend(feed(&mut decoder, piece).unwrap());
            rest = later;
        }
        prop_assert!(!decoder.is_partial());
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn any_bytes_are_cut_into_messages_or_refused(bytes in vec(any::<u8>(), 0..2_000)) {
        let mut decoder = Decoder::new(LIMIT);
        if let Ok(messages) = feed(&mut decoder, &bytes) {
            let taken: usize = messages.iter().map(Vec::len).sum();
            prop_assert!(taken <= bytes.len());
        }
    }
}
