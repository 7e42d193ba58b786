//! Every kind of frame decodes to what was encoded, with both decoders.

use std::time::Duration;

use bytes::Bytes;
use meshwork_core::{
    Advert, Assignment, AttemptEnd, BlobForm, BlobHash, BlobRef, Capacity, Epoch, FailureCode,
    HandlerName, Payload, Reason, TaskFailure, TaskId, ToOwner, ToWorker, frame::Credit,
};
use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
};

use super::{
    decode_to_owner, decode_to_worker, encode_to_owner, encode_to_worker, messages, reference,
};
use crate::protocol::hello::wire::{ConnectionPurpose, Hello, HelloReply};

proptest! {
    #[test]
    fn owner_frames_decode_to_what_was_encoded(frames in vec(to_worker(), 0..40)) {
        let stream = encode_to_worker(&frames);
        let inbox = decode_to_worker(&stream).unwrap();
        prop_assert_eq!(&inbox.frames, &frames);
        prop_assert!(inbox.answers.is_empty());
        let slowly: Vec<_> = messages(&stream).iter().flat_map(|m| reference::to_worker(m)).collect();
        prop_assert_eq!(slowly, frames);
    }

    #[test]
    fn worker_frames_decode_to_what_was_encoded(frames in vec(to_owner(), 0..40)) {
        let stream = encode_to_owner(&frames);
        let inbox = decode_to_owner(&stream).unwrap();
        prop_assert_eq!(&inbox.frames, &frames);
        prop_assert!(inbox.answers.is_empty());
        let slowly: Vec<_> = messages(&stream).iter().flat_map(|m| reference::to_owner(m)).collect();
        prop_assert_eq!(slowly, frames);
    }

    #[test]
    fn hello_decodes_to_what_was_encoded(hello in hello()) {
        prop_assert_eq!(Hello::decode(&hello.encode()).unwrap(), hello);
    }

    #[test]
    fn hello_reply_decodes_to_what_was_encoded(reason in reason()) {
        for reply in [HelloReply::Admitted, HelloReply::Refused(reason)] {
            prop_assert_eq!(HelloReply::decode(&reply.encode()).unwrap(), reply);
        }
    }
}

/// Epochs with few boots and small numbers, so that batches form; and extreme ones.
fn epoch() -> impl Strategy<Value = Epoch> {
    let boot = prop_oneof![4 => 0..3u32, 1 => any::<u32>()];
    let number = prop_oneof![4 => 0..100u64, 1 => any::<u64>()];
    (boot, number).prop_map(|(boot, number)| Epoch { boot, number })
}

fn handler() -> impl Strategy<Value = HandlerName> {
    prop_oneof![
        4 => Just("text/word-count".to_owned()),
        1 => "[a-z0-9._-]{1,60}/[a-z0-9._-]{1,60}",
    ]
    .prop_map(|name| name.parse().unwrap())
}

fn payload() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..200),
        1 => vec(any::<u8>(), 60_000..70_000),
    ]
    .prop_map(Bytes::from)
}

fn blob() -> impl Strategy<Value = BlobRef> {
    let form = prop_oneof![
        any::<bool>().prop_map(|executable| (BlobForm::File { executable }, 0)),
        (1..=16_777_216u32).prop_map(|list| (BlobForm::Folder, list)),
    ];
    (any::<[u8; 32]>(), 0..=meshwork_core::limits::BLOB_BYTES, form).prop_map(
        |(hash, size, (form, list))| BlobRef { hash: BlobHash::from_bytes(hash), size, form, list },
    )
}

/// Bytes or a blob.
fn either() -> impl Strategy<Value = Payload> {
    prop_oneof![
        3 => payload().prop_map(Payload::from),
        1 => blob().prop_map(Payload::from),
    ]
}

fn micros() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_micros)
}

fn millis() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_millis)
}

fn text() -> impl Strategy<Value = String> {
    "[ -~äß語]{0,60}"
}

prop_compose! {
    fn assignment()(
        epoch in epoch(),
        task in any::<[u8; 16]>(),
        attempt in 1..5u32,
        handler in handler(),
        input in either(),
        params in btree_map("[a-z]{1,64}", "\\PC{0,100}", 0..4),
        limit in option::of((1..=u64::MAX).prop_map(Duration::from_micros)),
        priority in any::<i8>(),
        durable in any::<bool>(),
    ) -> Assignment {
        let task = TaskId::from_bytes(task);
        Assignment { epoch, task, attempt, handler, input, params, limit, priority, durable }
    }
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    let resume = (any::<u32>(), vec(any::<u64>(), 1..50)).prop_map(|(boot, numbers)| {
        ToWorker::Resume(numbers.into_iter().map(|number| Epoch { boot, number }).collect())
    });
    prop_oneof![
        4 => assignment().prop_map(|work| ToWorker::Assign(Box::new(work))),
        2 => epoch().prop_map(ToWorker::Cancel),
        2 => epoch().prop_map(ToWorker::Ack),
        2 => epoch().prop_map(ToWorker::HandBack),
        1 => resume,
    ]
}

fn failure() -> impl Strategy<Value = TaskFailure> {
    let code = prop_oneof![
        Just(FailureCode::Handler),
        Just(FailureCode::Permanent),
        Just(FailureCode::Panicked),
        Just(FailureCode::BadParameter),
        Just(FailureCode::BadInput),
        Just(FailureCode::UnknownHandler),
        Just(FailureCode::OutputTooLarge),
        Just(FailureCode::TimedOut),
        Just(FailureCode::InputTooLarge),
        Just(FailureCode::InputLost),
        Just(FailureCode::NoSpace),
    ];
    (code, text(), option::of(1..=123u8))
        .prop_map(|(code, message, exit)| TaskFailure { exit, ..TaskFailure::new(code, message) })
}

fn end() -> impl Strategy<Value = AttemptEnd> {
    prop_oneof![
        4 => either().prop_map(AttemptEnd::Output),
        1 => failure().prop_map(AttemptEnd::Failed),
        1 => Just(AttemptEnd::Cancelled),
    ]
}

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        text().prop_map(|detail| Reason::NotAdmitted { detail }),
        (text(), text()).prop_map(|(ours, theirs)| Reason::WrongNetwork { ours, theirs }),
        text().prop_map(|detail| Reason::IncompatibleVersion { detail }),
        (text(), text()).prop_map(|(family, accepts)| Reason::NotAccepted { family, accepts }),
        text().prop_map(|handler| Reason::UnknownHandler { handler }),
        any::<u64>().prop_map(|limit| Reason::TooLarge { limit }),
        millis().prop_map(|retry_after| Reason::QueueFull { retry_after }),
        millis().prop_map(|retry_after| Reason::DiskFull { retry_after }),
        millis().prop_map(|retry_after| Reason::Busy { retry_after }),
        Just(Reason::ShuttingDown),
        text().prop_map(|what| Reason::Conflict { what }),
        text().prop_map(|detail| Reason::Denied { detail }),
        text().prop_map(|what| Reason::Unsupported { what }),
        Just(Reason::NotFound),
        text().prop_map(|detail| Reason::InvalidTask { detail }),
    ]
}

fn to_owner() -> impl Strategy<Value = ToOwner> {
    let credit = (any::<u32>(), any::<u32>(), any::<u64>(), micros())
        .prop_map(|(slots, tasks, bytes, time)| Credit { slots, tasks, bytes, time });
    prop_oneof![
        1 => credit.prop_map(ToOwner::Credit),
        4 => epoch().prop_map(ToOwner::Accepted),
        2 => epoch().prop_map(ToOwner::Started),
        1 => (epoch(), millis()).prop_map(|(epoch, retry_after)| ToOwner::Busy { epoch, retry_after }),
        1 => (option::of(epoch()), reason())
            .prop_map(|(epoch, reason)| ToOwner::Refused { epoch, reason }),
        1 => any::<u32>().prop_map(|kind| ToOwner::Unsupported { kind }),
        1 => (epoch(), 0.0..=1.0f32, text())
            .prop_map(|(epoch, fraction, message)| ToOwner::Progress { epoch, fraction, message }),
        4 => (epoch(), end(), micros())
            .prop_map(|(epoch, end, took)| ToOwner::Result { epoch, end, took }),
        1 => (epoch(), any::<u32>(), any::<u64>())
            .prop_map(|(seen, count, hash)| ToOwner::Heartbeat { seen, count, hash }),
    ]
}

prop_compose! {
    fn advert()(
        name in text(),
        handlers in btree_set(handler(), 0..10),
        capabilities in btree_set("[a-z]{0,64}", 0..10),
        labels in btree_map("[a-z]{0,64}", "[a-z]{0,64}", 0..10),
        slots in 0..=4096u32,
        (cpus, memory_bytes, gpus) in any::<(u32, u64, u32)>(),
    ) -> Advert {
        let capacity = Capacity { slots, cpus, memory_bytes, gpus };
        // Cuts a name whose letters take too many bytes.
        Advert { name, handlers, capabilities, labels, capacity }.clamped()
    }
}

prop_compose! {
    fn hello()(
        (min_version, max_version, seq) in any::<(u32, u32, u64)>(),
        (instance, copied, purposes) in any::<(u64, bool, bool)>(),
        purpose in prop_oneof![
            Just(ConnectionPurpose::Tasks),
            Just(ConnectionPurpose::Blobs),
            (2..1_000_u32).prop_map(ConnectionPurpose::Unknown),
        ],
        network in "[a-z0-9-]{1,64}",
        advert in advert(),
    ) -> Hello {
        Hello {
            min_version,
            max_version,
            network,
            seq,
            advert,
            instance,
            copied,
            purpose,
            purposes,
        }
    }
}
