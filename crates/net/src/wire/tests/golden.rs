//! The vectors of `tests/golden/vectors.txt`: every kind of message, byte for byte. They are part
//! of the protocol's description; a changed vector is a change of the protocol.

use std::{collections::BTreeMap, time::Duration};

use libp2p::identity::Keypair;
use meshwork_core::{
    Advert, Assignment, AttemptEnd, BlobForm, BlobHash, BlobRef, Capacity, Epoch, FailureCode,
    PeerQuery, Reason, TaskFailure, TaskId, ToOwner, ToWorker, discovery::leads::PeerAdvert,
    frame::Credit,
};

use super::{
    decode_to_owner, decode_to_worker, encode_to_owner, encode_to_worker, framed, messages,
};
use crate::protocol::{
    discovery::wire::{DiscoveryReply, DiscoveryRequest, SignedAdvert},
    hello::wire::{ConnectionPurpose, Hello, HelloReply},
    task::{decode::Answer, encode::Encoder, kind},
};

const VECTORS: &str = include_str!("../../../tests/golden/vectors.txt");

fn vector(name: &str) -> Vec<u8> {
    let line = VECTORS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let hex = line.unwrap_or_else(|| panic!("no vector {name}")).replace(' ', "");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
pub(super) fn assert_golden(name: &str, stream: &[u8]) {
    assert_eq!(hex(stream), hex(&vector(name)), "{name}: {}", hex(stream));
}

fn epoch(number: u64) -> Epoch {
    Epoch { boot: 3, number }
}

fn program() -> BlobRef {
    BlobRef::file(BlobHash::of(b"#!/bin/sh"), 9, true)
}

/// A folder with a list of 300 bytes and files of five million.
fn folder() -> BlobRef {
    let hash = BlobHash::of(b"list");
    BlobRef { hash, size: 5_000_000, form: BlobForm::Folder, list: 300 }
}

fn from_owner() -> Vec<(&'static str, Vec<ToWorker>)> {
    let assign_of = |number, last, input, params, limit, priority| {
        ToWorker::Assign(Box::new(Assignment {
            epoch: epoch(number),
            task: TaskId::from_bytes([
                0x01, 0x93, 0x5a, 0x00, 0x00, 0x00, 0x7a, 0xbc, 0x80, 0, 0, 0, 0, 0, 0, last,
            ]),
            attempt: u32::from(last),
            handler: "text/top-words".parse().unwrap(),
            input,
            params,
            limit,
            priority,
            durable: false,
        }))
    };
    let assign = |number, last, params, limit, priority| {
        assign_of(number, last, "to be".into(), params, limit, priority)
    };
    let assign_files = |number, last, input: BlobRef| {
        assign_of(number, last, input.into(), BTreeMap::new(), None, 0)
    };
    let params = BTreeMap::from([("count".to_owned(), "10".to_owned())]);
    let limited = assign(301, 2, params, Some(Duration::from_millis(1_500)), -1);
    vec![
        ("assign", vec![assign(300, 1, BTreeMap::new(), None, 0), limited]),
        ("assign-files", vec![assign_files(300, 1, program()), assign_files(301, 1, folder())]),
        ("cancel", vec![ToWorker::Cancel(epoch(300))]),
        ("ack", vec![ToWorker::Ack(epoch(300)), ToWorker::Ack(epoch(301))]),
        ("hand-back", vec![ToWorker::HandBack(epoch(301)), ToWorker::HandBack(epoch(300))]),
        ("resume", vec![ToWorker::Resume(vec![epoch(301), epoch(299)])]),
    ]
}

fn from_worker() -> Vec<(&'static str, Vec<ToOwner>)> {
    let took = Duration::from_micros(1_234);
    let result = |number, end| ToOwner::Result { epoch: epoch(number), end, took };
    let failure =
        TaskFailure { exit: Some(7), ..TaskFailure::new(FailureCode::Permanent, "no such word") };
    let credit =
        Credit { slots: 4, tasks: 4_096, bytes: 16 << 20, time: Duration::from_millis(50) };
    let retry_after = Duration::from_millis(250);
    let accepts = Reason::NotAccepted { family: "text".into(), accepts: "listed".into() };
    vec![
        ("credit", vec![ToOwner::Credit(credit)]),
        ("accepted", vec![ToOwner::Accepted(epoch(300)), ToOwner::Accepted(epoch(301))]),
        ("started", vec![ToOwner::Started(epoch(300)), ToOwner::Started(epoch(301))]),
        ("busy", vec![ToOwner::Busy { epoch: epoch(300), retry_after }]),
        ("refused", vec![ToOwner::Refused { epoch: Some(epoch(300)), reason: accepts }]),
        (
            "refused-session",
            vec![ToOwner::Refused {
                epoch: None,
                reason: Reason::NotAdmitted { detail: "no hello".into() },
            }],
        ),
        ("unsupported", vec![ToOwner::Unsupported { kind: 9 }]),
        (
            "progress",
            vec![ToOwner::Progress { epoch: epoch(300), fraction: 0.5, message: "half".into() }],
        ),
        (
            "result",
            vec![
                result(300, AttemptEnd::Output("2".into())),
                result(301, AttemptEnd::Failed(failure)),
                result(299, AttemptEnd::Cancelled),
            ],
        ),
        ("result-files", vec![result(300, AttemptEnd::Output(folder().into()))]),
        (
            "heartbeat",
            vec![ToOwner::Heartbeat { seen: epoch(301), count: 2, hash: 0x0123_4567_89ab_cdef }],
        ),
    ]
}

fn hello() -> Hello {
    let advert = Advert {
        name: "attic".into(),
        handlers: ["text/stats", "text/upper"].map(|name| name.parse().unwrap()).into(),
        capabilities: ["ffmpeg".to_owned()].into(),
        labels: [("room".to_owned(), "attic".to_owned())].into(),
        capacity: Capacity { slots: 4, cpus: 8, memory_bytes: 1 << 34, gpus: 1 },
    };
    Hello {
        min_version: 1,
        max_version: 1,
        network: "home".into(),
        seq: 2,
        advert,
        instance: 0,
        copied: false,
        purpose: ConnectionPurpose::Tasks,
        purposes: false,
    }
}

#[test]
fn task_messages_match_their_vectors() {
    for (name, frames) in from_owner() {
        assert_golden(name, &encode_to_worker(&frames));
        assert_eq!(decode_to_worker(&vector(name)).unwrap().frames, frames, "{name}");
    }
    for (name, frames) in from_worker() {
        assert_golden(name, &encode_to_owner(&frames));
        assert_eq!(decode_to_owner(&vector(name)).unwrap().frames, frames, "{name}");
    }
    let mut encoder = Encoder::default();
    encoder.unsupported(kind::OWNER_UNSUPPORTED, 99);
    assert_golden("unsupported-to-worker", encoder.bytes());
    let inbox = decode_to_worker(&vector("unsupported-to-worker")).unwrap();
    assert!(inbox.frames.is_empty() && inbox.answers.is_empty());
}

#[test]
fn hello_messages_match_their_vectors() {
    assert_golden("hello", &framed(&hello().encode()));
    assert_eq!(Hello::decode(&messages(&vector("hello"))[0]).unwrap(), hello());
    let copied = Hello { instance: 300, copied: true, ..hello() };
    assert_golden("hello-copied", &framed(&copied.encode()));
    assert_eq!(Hello::decode(&messages(&vector("hello-copied"))[0]).unwrap(), copied);
    let (purpose, advert) = (ConnectionPurpose::Blobs, Advert::default());
    let blobs = Hello { purpose, advert, instance: 300, purposes: true, ..hello() };
    assert_golden("hello-blobs", &framed(&blobs.encode()));
    assert_eq!(Hello::decode(&messages(&vector("hello-blobs"))[0]).unwrap(), blobs);
    let refused = Reason::WrongNetwork { ours: "home".into(), theirs: "work".into() };
    for (name, reply) in [
        ("hello-reply-admitted", HelloReply::Admitted),
        ("hello-reply-refused", HelloReply::Refused(refused)),
    ] {
        assert_golden(name, &framed(&reply.encode()));
        assert_eq!(HelloReply::decode(&messages(&vector(name))[0]).unwrap(), reply);
    }
}

/// The advert of the key whose secret is 32 bytes of 7. Ed25519 signatures are deterministic.
fn advert() -> SignedAdvert {
    let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
    let content = PeerAdvert {
        peer: key.public().to_peer_id(),
        seq: (3 << 32) + 1,
        age: Duration::from_millis(1_500),
        life: Duration::from_secs(600),
        addresses: vec!["/ip4/192.0.2.1/tcp/4101".parse().unwrap()],
        advert: hello().advert,
    };
    SignedAdvert::sign(&key, "home", content).unwrap()
}

#[test]
fn discovery_messages_match_their_vectors() {
    assert!(advert().is_genuine());
    let query = PeerQuery {
        handler: "text/upper".parse().ok(),
        labels: [("room".to_owned(), "attic".to_owned())].into(),
        free_cpus: 1.5,
        free_memory_bytes: 1 << 30,
        limit: 3,
        ..PeerQuery::capability("ffmpeg")
    };
    let request = DiscoveryRequest { known: vec![advert()], query: Some(Ok(query)) };
    assert_golden("discovery-request", &framed(&request.encode()));
    let heard = DiscoveryRequest::decode(&messages(&vector("discovery-request"))[0]);
    assert_eq!(heard, Ok(request));
    let detail = "limit: 0; from 1 to 64".to_owned();
    for (name, reply) in [
        ("discovery-reply", DiscoveryReply::Known(vec![advert()])),
        ("discovery-reply-refused", DiscoveryReply::Refused(Reason::InvalidMessage { detail })),
    ] {
        assert_golden(name, &framed(&reply.encode()));
        assert_eq!(DiscoveryReply::decode(&messages(&vector(name))[0]), Ok(reply));
    }
}

#[test]
fn messages_of_later_versions_are_answered_or_understood() {
    let inbox = decode_to_worker(&vector("later-kind")).unwrap();
    assert_eq!(inbox.answers, [Answer::Unsupported(63)]);
    let inbox = decode_to_worker(&vector("later-field")).unwrap();
    assert_eq!(inbox.frames, [ToWorker::Cancel(epoch(300))]);
}
