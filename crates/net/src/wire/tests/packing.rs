//! How frames are packed into messages: which frames share one, and where the next begins.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use meshwork_core::{
    Assignment, AttemptEnd, Epoch, TaskId, ToOwner, ToWorker, limits as core_limits,
};

use super::{decode_to_owner, decode_to_worker, encode_to_owner, encode_to_worker, messages};
use crate::{
    limits,
    protocol::task::encode::Encoder,
    wire::{Message, WireError},
};

fn epoch(number: u64) -> Epoch {
    Epoch { boot: 3, number }
}

fn assign(number: u64, bytes: usize) -> ToWorker {
    ToWorker::Assign(Box::new(Assignment {
        epoch: epoch(number),
        task: TaskId::from_bytes([7; 16]),
        attempt: 1,
        handler: "debug/echo".parse().unwrap(),
        input: vec![b'x'; bytes].into(),
        params: BTreeMap::new(),
        limit: None,
        priority: 0,
        durable: false,
    }))
}

fn result(number: u64, bytes: usize) -> ToOwner {
    let end = AttemptEnd::Output(vec![b'y'; bytes].into());
    ToOwner::Result { epoch: epoch(number), end, took: Duration::from_micros(5) }
}

#[test]
fn consecutive_frames_of_a_kind_share_a_message() {
    let assigns: Vec<_> = (1_000..1_050).map(|n| assign(n, 128)).collect();
    assert_eq!(messages(&encode_to_worker(&assigns)).len(), 1);
    let results: Vec<_> = (1_000..1_050).map(|n| result(n, 128)).collect();
    assert_eq!(messages(&encode_to_owner(&results)).len(), 1);
}

#[test]
fn consecutive_epoch_in_a_list_takes_one_byte() {
    let accepted: Vec<_> =
        (1 << 40..(1 << 40) + 1_000).map(|n| ToOwner::Accepted(epoch(n))).collect();
    let stream = encode_to_owner(&accepted);
    assert!(stream.len() < 1_000 + 32, "{} bytes", stream.len());
    assert_eq!(decode_to_owner(&stream).unwrap().frames, accepted);
}

#[test]
fn handler_is_named_once_per_message() {
    let frames: Vec<_> = (0..10).map(|n| assign(n, 1)).collect();
    let stream = encode_to_worker(&frames);
    let times = stream.windows(10).filter(|part| part == b"debug/echo").count();
    assert_eq!(times, 1);
}

#[test]
fn new_kind_or_boot_begins_a_message_and_keeps_the_order() {
    let frames = vec![
        ToWorker::Ack(epoch(1)),
        ToWorker::Ack(epoch(2)),
        ToWorker::Cancel(epoch(3)),
        ToWorker::Ack(epoch(4)),
        ToWorker::Ack(Epoch { boot: 4, number: 1 }),
        assign(9, 3),
    ];
    let stream = encode_to_worker(&frames);
    assert_eq!(messages(&stream).len(), 5);
    assert_eq!(decode_to_worker(&stream).unwrap().frames, frames);
}

#[test]
fn resume_of_several_boots_becomes_several_messages() {
    let epochs = [1, 1, 2].map(|boot| Epoch { boot, number: 5 });
    let stream = encode_to_worker(&[ToWorker::Resume(epochs.to_vec())]);
    let frames = decode_to_worker(&stream).unwrap().frames;
    let expected = [ToWorker::Resume(epochs[..2].to_vec()), ToWorker::Resume(epochs[2..].to_vec())];
    assert_eq!(frames, expected);
}

#[test]
fn two_resumes_decode_as_two_frames() {
    let frames = [1, 2].map(|number| ToWorker::Resume(vec![epoch(number)]));
    assert_eq!(decode_to_worker(&encode_to_worker(&frames)).unwrap().frames, frames);
}

#[test]
fn long_list_is_split_at_the_receivers_bound() {
    let count = 2 * limits::BATCH_ENTRIES + 1;
    let accepted: Vec<_> = (0..count as u64).map(|n| ToOwner::Accepted(epoch(n))).collect();
    let stream = encode_to_owner(&accepted);
    assert_eq!(messages(&stream).len(), 3);
    assert_eq!(decode_to_owner(&stream).unwrap().frames, accepted);
}

#[test]
fn small_frames_do_not_share_a_message_with_large_ones() {
    let mut frames: Vec<_> = (0..1_000).map(|n| assign(n, 100)).collect();
    frames.insert(500, assign(5_000, core_limits::INLINE_BYTES));
    frames.insert(502, assign(5_001, core_limits::INLINE_BYTES));
    let stream = encode_to_worker(&frames);
    let all = messages(&stream);
    let large = all.iter().filter(|message| message.len() > core_limits::INLINE_BYTES).count();
    assert_eq!(large, 2);
    let small = all.iter().filter(|message| message.len() <= limits::BATCH_BYTES + 64).count();
    assert_eq!(small, all.len() - 2);
    assert!(all.iter().all(|message| message.len() <= limits::TASK_FRAME));
    assert_eq!(decode_to_worker(&stream).unwrap().frames, frames);
}

#[test]
fn largest_task_fits_into_a_frame() {
    let value = core_limits::PARAMS_BYTES / core_limits::PARAMS - core_limits::PARAM_NAME;
    let params = (0..core_limits::PARAMS)
        .map(|n| (format!("{n:0>width$}", width = core_limits::PARAM_NAME), "v".repeat(value)));
    let ToWorker::Assign(mut largest) = assign(u64::MAX, core_limits::INLINE_BYTES) else {
        unreachable!()
    };
    largest.params = params.collect();
    largest.limit = Some(core_limits::MAX_TIME_LIMIT);
    largest.priority = i8::MIN;
    largest.durable = true;
    largest.attempt = core_limits::MAX_ATTEMPTS;
    largest.epoch.boot = u32::MAX;
    let frames = [ToWorker::Assign(largest)];
    let stream = encode_to_worker(&frames);
    assert!(messages(&stream)[0].len() <= limits::TASK_FRAME);
    assert_eq!(decode_to_worker(&stream).unwrap().frames, frames);
}

#[test]
fn oversized_frame_is_an_error_and_not_sent() {
    let mut encoder = Encoder::default();
    encoder.push_to_owner(&result(1, 10)).unwrap();
    let error = encoder.push_to_owner(&result(2, limits::TASK_FRAME)).unwrap_err();
    assert!(matches!(error, WireError::TooLarge { limit: limits::TASK_FRAME, .. }));
    encoder.finish();
    assert_eq!(decode_to_owner(encoder.bytes()).unwrap().frames, [result(1, 10)]);
}

#[test]
fn payload_shares_its_buffer_only_if_it_fills_most_of_it() {
    let bytes = Bytes::from(vec![1; 100_000]);
    let message = Message::Own(bytes.clone());
    let most = message.keep(&bytes[..90_000]);
    assert_eq!(most.as_ptr(), bytes.as_ptr());
    let little = message.keep(&bytes[..1_000]);
    assert_ne!(little.as_ptr(), bytes.as_ptr());
    assert_eq!(little, bytes[..1_000]);
}

#[test]
fn short_time_limit_is_rounded_up_to_one_microsecond() {
    let ToWorker::Assign(mut short) = assign(1, 0) else { unreachable!() };
    short.limit = Some(Duration::from_nanos(1));
    let inbox = decode_to_worker(&encode_to_worker(&[ToWorker::Assign(short)])).unwrap();
    let ToWorker::Assign(read) = &inbox.frames[0] else { panic!("{inbox:?}") };
    assert_eq!(read.limit, Some(Duration::from_micros(1)));
}
