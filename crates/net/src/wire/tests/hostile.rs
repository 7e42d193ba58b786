//! Messages of hostile peers (S-08 to S-11) and of newer ones (S-21).

use std::{collections::BTreeMap, mem::size_of, time::Duration};

use meshwork_core::{
    AttemptEnd, Epoch, FailureCode, Reason, TaskFailure, ToOwner, ToWorker, limits as core_limits,
};
use proptest::{collection::vec, prelude::*};
use prost::Message as _;

use super::{decode_to_owner, decode_to_worker, field, framed};
use crate::{
    limits,
    protocol::{
        hello::wire::{Hello, HelloReply},
        task::{
            decode::{Answer, Inbox, to_owner, to_worker},
            kind,
            names::Names,
        },
    },
    wire::{Message, WireError, generated as proto},
};

fn worker_reads(message: &[u8]) -> Result<Inbox<ToWorker>, WireError> {
    decode_to_worker(&framed(message))
}

fn owner_reads(message: &[u8]) -> Result<Inbox<ToOwner>, WireError> {
    decode_to_owner(&framed(message))
}

fn assign_message(edit: impl FnOnce(&mut proto::Assignment)) -> Vec<u8> {
    let mut assignment = proto::Assignment {
        delta: 5,
        task: vec![1; 16].into(),
        handler: "debug/echo".into(),
        ..Default::default()
    };
    edit(&mut assignment);
    let good = proto::Assignment {
        delta: 1,
        task: vec![2; 16].into(),
        handler: "debug/noop".into(),
        ..Default::default()
    };
    let assignments = vec![assignment, good];
    field(kind::ASSIGN, &proto::AssignBatch { boot: 1, assignments }.encode_to_vec())
}

/// Asserts that the first assignment is refused with `reason`, and that the second is accepted.
#[track_caller]
fn assert_refused(message: &[u8], reason: Reason) {
    let inbox = worker_reads(message).unwrap();
    assert_eq!(inbox.answers, [Answer::Refused(Epoch { boot: 1, number: 5 }, reason)]);
    assert!(
        matches!(&inbox.frames[..], [ToWorker::Assign(good)] if good.epoch.number == 6
            && good.handler.as_str() == "debug/noop"),
        "{inbox:?}"
    );
}

#[test]
fn tasks_out_of_bounds_are_refused_one_by_one() {
    let params = |count: usize, name: usize, value: usize| {
        assign_message(|a| {
            let entry = |n| (format!("{n:0>name$}"), "v".repeat(value));
            a.params = (0..count).map(entry).collect();
        })
    };
    let invalid = |detail: &str| Reason::InvalidTask { detail: detail.to_owned() };
    assert_refused(&params(33, 4, 0), invalid("params: at most 32 are allowed"));
    assert_refused(&params(1, 65, 0), invalid("params: a name has 1 to 64 bytes"));
    assert_refused(&params(1, 1, 4097), invalid("params: a value has at most 4096 bytes"));
    assert_refused(
        &assign_message(|a| a.params = BTreeMap::from([(String::new(), "v".into())])),
        invalid("params: a name has 1 to 64 bytes"),
    );
    assert_refused(
        &assign_message(|a| a.input = vec![0; core_limits::INLINE_BYTES + 1].into()),
        Reason::TooLarge { limit: core_limits::INLINE_BYTES as u64 },
    );
    assert_refused(
        &assign_message(|a| a.handler = "No Name\u{1b}".into()),
        Reason::UnknownHandler { handler: "No Name\u{fffd}".into() },
    );
}

#[test]
fn malformed_assignments_end_the_session() {
    for message in [
        assign_message(|a| a.task = vec![1; 15].into()),
        assign_message(|a| a.task = vec![].into()),
        assign_message(|a| a.handler.clear()),
        field(kind::ASSIGN, &field(2, &field(4, &[0xff, 0xfe]))),
        field(kind::ASSIGN, &[0x12, 0x7f]),
        field(kind::ASSIGN, &[0x10, 0x01]),
        vec![8, 1],
    ] {
        assert!(matches!(worker_reads(&message), Err(WireError::Malformed(_))), "{message:x?}");
    }
}

#[test]
fn wrong_direction_differs_from_an_unknown_kind() {
    let credit = field(kind::CREDIT, &proto::Credit::default().encode_to_vec());
    assert_eq!(worker_reads(&credit).unwrap_err(), WireError::WrongDirection(kind::CREDIT));
    let ack = field(kind::ACK, &[]);
    assert_eq!(owner_reads(&ack).unwrap_err(), WireError::WrongDirection(kind::ACK));
    // Also if the kind is of a later version.
    assert_eq!(worker_reads(&field(127, &[])).unwrap_err(), WireError::WrongDirection(127));
}

#[test]
fn unknown_kinds_are_answered_with_their_number() {
    assert_eq!(worker_reads(&field(63, b"new")).unwrap().answers, [Answer::Unsupported(63)]);
    assert_eq!(owner_reads(&field(127, b"new")).unwrap().answers, [Answer::Unsupported(127)]);
    assert_eq!(worker_reads(&field(2_000, b"")).unwrap().answers, [Answer::Unsupported(2_000)]);
    // A number instead of a message counts as an unknown kind.
    assert_eq!(worker_reads(&[62 << 3 & 0x7f | 0x80, 3, 9]).unwrap().answers.len(), 1);
}

#[test]
fn unknown_fields_are_ignored() {
    let mut ack = field(kind::ACK, &[8, 1, 0x12, 1, 10, 0x98, 6, 1]);
    ack.extend(field(1_000, b"later"));
    let inbox = worker_reads(&ack).unwrap();
    assert_eq!(inbox.frames, [ToWorker::Ack(Epoch { boot: 1, number: 5 })]);
    assert!(inbox.answers.is_empty());
}

#[test]
fn message_with_two_kinds_is_malformed() {
    let two = [field(kind::ACK, &[]), field(kind::CANCEL, &[])].concat();
    assert!(matches!(worker_reads(&two), Err(WireError::Malformed(_))));
}

#[test]
fn lists_may_be_unpacked_and_in_any_order() {
    let list = [&[0x10, 2][..], &[0x12, 2, 2, 4], &[8, 7], &[0x10, 1]].concat();
    let inbox = worker_reads(&field(kind::CANCEL, &list)).unwrap();
    let numbers = [1, 2, 4, 3].map(|number| ToWorker::Cancel(Epoch { boot: 7, number }));
    assert_eq!(inbox.frames, numbers);
}

#[test]
fn list_of_tiny_elements_is_counted_before_it_is_built() {
    let many = limits::BATCH_ENTRIES + 1;
    let too_many = |what| WireError::TooMany { what, limit: limits::BATCH_ENTRIES };
    let entries = [0x12, 0].repeat(many);
    assert_eq!(owner_reads(&field(kind::RESULT, &entries)).unwrap_err(), too_many("attempts"));
    assert_eq!(worker_reads(&field(kind::ASSIGN, &entries)).unwrap_err(), too_many("attempts"));
    let packed = field(2, &vec![0; many]);
    for list in [packed, [0x10, 0].repeat(many)] {
        assert_eq!(worker_reads(&field(kind::RESUME, &list)).unwrap_err(), too_many("epochs"));
        assert_eq!(owner_reads(&field(kind::ACCEPTED, &list)).unwrap_err(), too_many("epochs"));
    }
}

#[test]
fn advert_of_tiny_elements_is_cut_while_it_is_read() {
    let each = |number: u32, text: &dyn Fn(u32) -> Vec<u8>| -> Vec<u8> {
        (0..10_000).flat_map(|n| field(number, &text(n))).collect()
    };
    let name = |n| format!("x/{n}").into_bytes();
    let advert = [
        each(2, &name),
        each(3, &|n| n.to_string().into_bytes()),
        each(4, &|n| field(1, n.to_string().as_bytes())),
        [0x1a, 0].repeat(10_000),
    ]
    .concat();
    let hello = Hello::decode(&field(5, &advert)).unwrap();
    assert_eq!(hello.advert.handlers.len(), core_limits::ADVERT_HANDLERS);
    assert_eq!(hello.advert.capabilities.len(), core_limits::LABELS);
    assert_eq!(hello.advert.labels.len(), core_limits::LABELS);
}

#[test]
fn texts_from_peers_are_cut_and_cleaned() {
    let long = "\u{202e}\u{7}é".repeat(100_000);
    let advert = proto::Advert {
        name: long.clone(),
        handlers: vec!["Not A Name".into(), "text/stats".into()],
        slots: u32::MAX,
        ..Default::default()
    };
    let hello = proto::Hello { network: long.clone(), advert: Some(advert), ..Default::default() };
    let hello = Hello::decode(&hello.encode_to_vec()).unwrap();
    for text in [&hello.network, &hello.advert.name] {
        assert!(text.len() <= core_limits::LABEL_BYTES);
        assert!(text.starts_with("\u{fffd}\u{fffd}é"), "{text:?}");
    }
    assert_eq!(hello.advert.handlers.len(), 1);
    assert_eq!(hello.advert.capacity.slots, core_limits::CREDIT_TASKS);

    let failed = proto::Failure { code: 3, message: long.clone(), exit: 200 };
    let end = proto::attempt_result::End::Failed(failed);
    let results = vec![proto::AttemptResult { end: Some(end), ..Default::default() }];
    let batch = proto::ResultBatch { boot: 0, results }.encode_to_vec();
    let inbox = owner_reads(&field(kind::RESULT, &batch)).unwrap();
    let [ToOwner::Result { end: AttemptEnd::Failed(failure), .. }] = &inbox.frames[..] else {
        panic!("{inbox:?}")
    };
    assert_eq!((failure.code, failure.exit), (FailureCode::Panicked, None));
    assert!(failure.message.len() <= core_limits::MESSAGE_BYTES);

    let reason = proto::Reason { code: 12, detail: long, ..Default::default() };
    let Reason::Unsupported { what } = reason.into() else { panic!() };
    assert!(what.len() <= core_limits::MESSAGE_BYTES && !what.contains('\u{7}'));
}

#[test]
fn deep_nesting_uses_no_stack() {
    // Groups within groups, and messages within messages.
    let groups = [0x0b].repeat(100_000);
    assert!(matches!(worker_reads(&groups), Err(WireError::Malformed(_))));
    assert!(matches!(owner_reads(&field(kind::CREDIT, &groups)), Err(WireError::Malformed(_))));
    let mut nested = Vec::new();
    for _ in 0..1_000 {
        nested = field(9, &nested);
    }
    let inbox = owner_reads(&field(kind::HEARTBEAT, &nested)).unwrap();
    assert_eq!(inbox.frames.len(), 1);
    assert!(Hello::decode(&field(5, &groups)).is_err());
    assert!(HelloReply::decode(&groups).is_err());
}

#[test]
fn numbers_out_of_range_are_clamped() {
    for (sent, read) in [(f32::NAN, 0.0), (f32::INFINITY, 1.0), (-3.0, 0.0), (0.5, 0.5)] {
        let epoch = Some(proto::Epoch { boot: 1, number: 2 });
        let progress = proto::Progress { epoch, fraction: sent, message: String::new() };
        let inbox = owner_reads(&field(kind::PROGRESS, &progress.encode_to_vec())).unwrap();
        assert!(
            matches!(&inbox.frames[..], [ToOwner::Progress { fraction, .. }] if *fraction == read),
            "{inbox:?}"
        );
    }
    let message = assign_message(|a| a.priority = i32::MIN);
    let inbox = worker_reads(&message).unwrap();
    assert!(matches!(&inbox.frames[0], ToWorker::Assign(a) if a.priority == i8::MIN));
    let busy = proto::Busy { epoch: Some(proto::Epoch::default()), retry_after_ms: u64::MAX };
    let inbox = owner_reads(&field(kind::BUSY, &busy.encode_to_vec())).unwrap();
    let retry_after = Duration::from_millis(u64::MAX);
    assert_eq!(inbox.frames, [ToOwner::Busy { epoch: Epoch::default(), retry_after }]);
}

#[test]
fn codes_of_later_versions_have_a_safe_meaning() {
    let unknown = proto::Reason { code: 99, detail: "quota".into(), ..Default::default() };
    let what = "refusal code 99: quota".to_owned();
    assert_eq!(Reason::from(unknown.clone()), Reason::Unsupported { what });
    let later = proto::Reason { retry_after_ms: 70, ..unknown };
    assert_eq!(Reason::from(later), Reason::Busy { retry_after: Duration::from_millis(70) });
    let failure = TaskFailure::from(proto::Failure { code: 99, ..Default::default() });
    assert!(failure.is_retryable());
    let inbox = owner_reads(&field(kind::RESULT, &field(2, &field(9, b"blob")))).unwrap();
    assert!(matches!(
        &inbox.frames[..],
        [ToOwner::Result { end: AttemptEnd::Failed(failure), .. }] if failure.is_retryable()
    ));
    assert!(matches!(HelloReply::decode(&field(9, b"")).unwrap(), HelloReply::Refused(_)));
}

#[test]
fn owner_only_failure_codes_become_others_on_the_wire() {
    for (code, travels_as) in
        [(FailureCode::Lost, FailureCode::Handler), (FailureCode::Refused, FailureCode::Permanent)]
    {
        let failure = TaskFailure::new(code, "x");
        assert_eq!(TaskFailure::from(proto::Failure::from(&failure)).code, travels_as);
    }
}

/// Upper bound of the heap bytes of a decoded inbox.
fn weight<T>(inbox: &Inbox<T>, payload: impl Fn(&T) -> usize) -> usize {
    inbox.frames.capacity() * size_of::<T>()
        + inbox.frames.iter().map(payload).sum::<usize>()
        + inbox.answers.capacity() * size_of::<Answer>()
}

fn worker_weight(frame: &ToWorker) -> usize {
    match frame {
        ToWorker::Assign(a) => {
            a.input.weight() + a.params.iter().map(|(k, v)| k.len() + v.len() + 64).sum::<usize>()
        }
        ToWorker::Resume(epochs) => epochs.capacity() * size_of::<Epoch>(),
        ToWorker::Cancel(_) | ToWorker::Ack(_) | ToWorker::HandBack(_) => 0,
    }
}

fn owner_weight(frame: &ToOwner) -> usize {
    match frame {
        ToOwner::Result { end: AttemptEnd::Output(output), .. } => output.weight(),
        ToOwner::Result { end: AttemptEnd::Failed(failure), .. } => failure.message.capacity(),
        ToOwner::Progress { message, .. } => message.capacity(),
        ToOwner::Refused { .. }
        | ToOwner::Result { .. }
        | ToOwner::Credit(_)
        | ToOwner::Accepted(_)
        | ToOwner::Started(_)
        | ToOwner::Busy { .. }
        | ToOwner::Unsupported { .. }
        | ToOwner::Heartbeat { .. } => 0,
    }
}

/// Maximum heap bytes per received byte, including the spare capacity of vectors.
const AMPLIFICATION: usize = 400;

fn decode_both(message: &[u8]) -> Result<(), TestCaseError> {
    let message_of = |bytes: &[u8]| Message::Own(bytes.to_vec().into());
    let mut worker = Inbox::default();
    let worker_result = to_worker(&message_of(message), &mut Names::default(), &mut worker);
    let mut owner = Inbox::default();
    let owner_result = to_owner(&message_of(message), &mut owner);
    // No message is valid in both directions.
    prop_assert!(
        worker_result.is_err() || owner_result.is_err() || !worker.answers.is_empty(),
        "{message:x?}"
    );
    let allowed = AMPLIFICATION * (message.len() + 4);
    prop_assert!(weight(&worker, worker_weight) <= allowed);
    prop_assert!(weight(&owner, owner_weight) <= allowed);
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        decode_both(&bytes)?;
        Hello::decode(&bytes).ok();
        HelloReply::decode(&bytes).ok();
    }

    /// Random bytes as the body of each kind, which random messages rarely reach.
    #[test]
    fn any_bytes_of_a_kind_are_decoded_or_refused(
        number in 1..=80u32,
        bytes in vec(prop_oneof![Just(0x12), Just(0x0a), Just(2), any::<u8>()], 0..300),
    ) {
        decode_both(&field(number, &bytes))?;
        decode_both(&field(number, &field(2, &bytes)))?;
        decode_both(&field(number, &field(2, &field(6, &bytes))))?;
        Hello::decode(&field(5, &bytes)).ok();
    }

    /// A valid message with one changed byte.
    #[test]
    fn changed_messages_are_decoded_or_refused(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut message = assign_message(|a| {
            a.params = BTreeMap::from([("lines".into(), "10".into())]);
            a.input = b"some input".as_slice().into();
            a.limit_us = 1_000;
        });
        let at = at.index(message.len());
        message[at] = to;
        decode_both(&message)?;
    }
}
