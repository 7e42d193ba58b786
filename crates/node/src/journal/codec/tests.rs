//! Records are read as they were written.

use meshwork_core::engine::KeptResult;

use super::*;

fn round_trip(record: &Record) {
    let mut bytes = Vec::new();
    let up = Time::from_nanos(7_000_000);
    encode(record, up, &mut bytes);
    let (read_up, read) = decode(&bytes).unwrap();
    assert_eq!(&read, record);
    let keeps_it = matches!(record, Record::Ended { .. } | Record::Finished(_));
    assert_eq!(read_up, if keeps_it { up } else { Time::ZERO });
    for cut in 0..bytes.len() {
        // A truncated record must not cause a panic.
        decode(&bytes[..cut]);
    }
}

fn full_task() -> Task {
    Task {
        input: TaskInput::Bytes(Bytes::from_static(b"\0input")),
        params: [("a".to_owned(), "b".to_owned())].into(),
        requirements: Requirements {
            capabilities: vec!["gpu".to_owned()],
            labels: [("site".to_owned(), "attic".to_owned())].into(),
            cpus: 3,
            memory_bytes: 1 << 40,
            gpus: 2,
        },
        priority: -128,
        limits: TaskLimits {
            queue: None,
            attempt: Some(Duration::from_micros(1)),
            total: Some(Duration::from_secs(3_600)),
        },
        retry: RetryPolicy {
            attempts: 7,
            crashes: 9,
            backoff: Duration::from_micros(3),
            max_backoff: Duration::from_secs(70),
            hedge: true,
        },
        idempotency_key: Some("key".to_owned()),
        durability: Some(Durability::Disk),
        ..Task::new("debug/echo").unwrap()
    }
}

#[test]
fn tasks_are_read_as_they_were_written() {
    let targets = vec![PeerId::random(), PeerId::random()];
    round_trip(&Record::Submitted { task: Box::new(full_task()), targets });
    let plain = Task {
        input: TaskInput::Bytes(Bytes::new()),
        durability: Some(Durability::Disk),
        ..Task::default()
    };
    round_trip(&Record::Submitted { task: Box::new(plain), targets: Vec::new() });
    let group = GroupId::new();
    for member in [
        GroupMember { group, index: 0, last: false, max_fails: None },
        GroupMember { group, index: 9, last: true, max_fails: Some(0) },
    ] {
        let task = member.place(Task { idempotency_key: None, ..full_task() });
        round_trip(&Record::Submitted { task: Box::new(task), targets: Vec::new() });
    }
    let forgotten = EndCounts { succeeded: 1, failed: 2, cancelled: 3, expired: 4 };
    for (complete, max_fails) in [(false, None), (true, Some(0))] {
        for cancelled in [None, Some(Box::default()), Some("no need".into())] {
            let tally = GroupTally {
                id: group,
                received: 10,
                complete,
                max_fails,
                cancelled,
                forgotten,
                leaving: complete,
            };
            round_trip(&Record::Group(Box::new(tally)));
        }
    }
    round_trip(&Record::GroupForgotten { id: group });
    round_trip(&Record::Forgotten { id: TaskId::new() });
    round_trip(&Record::Released { owner: PeerId::random(), epoch: Epoch { boot: 9, number: 8 } });
}

#[test]
fn ends_are_read_as_they_were_written() {
    let mut failure = TaskFailure::new(FailureCode::Panicked, "oh");
    failure.exit = Some(3);
    let bare = failure.clone();
    failure.worker = Some(Box::new(PeerId::random()));
    let result = TaskResult {
        output: Bytes::from_static(b"out").into(),
        worker: PeerId::random(),
        attempt: 2,
        took: Duration::from_micros(5),
    };
    for end in [
        TaskEnd::Succeeded(result),
        TaskEnd::Failed(failure.clone()),
        TaskEnd::Failed(bare),
        TaskEnd::Cancelled { by: CancelledBy::Shutdown, reason: "why".to_owned() },
        TaskEnd::Cancelled { by: CancelledBy::Group, reason: "too many".to_owned() },
        TaskEnd::Cancelled { by: CancelledBy::Submitter, reason: String::new() },
        TaskEnd::Expired { limit: ExpiredLimit::Total },
    ] {
        round_trip(&Record::Ended {
            id: TaskId::new(),
            end: Box::new(end),
            story: Default::default(),
        });
    }
    for end in [
        AttemptEnd::Output(Bytes::from_static(b"out").into()),
        AttemptEnd::Failed(failure),
        AttemptEnd::Cancelled,
    ] {
        let (owner, task, took) = (PeerId::random(), TaskId::new(), Duration::from_micros(9));
        let epoch = Epoch { boot: 1, number: u64::MAX };
        round_trip(&Record::Finished(Box::new(KeptResult { owner, epoch, task, end, took })));
    }
}

#[test]
fn stories_are_read_as_they_were_written() {
    let past = |number| PastAttempt {
        number,
        peer: PeerId::random(),
        ago: Duration::from_micros(7),
        took: Duration::from_secs(3),
        end: "why".to_owned(),
    };
    let story =
        Story { attempts: 9, failures: 2, crashes: u32::MAX, latest: vec![past(8), past(9)] };
    round_trip(&Record::Tried { id: TaskId::new(), story: story.clone() });
    round_trip(&Record::Tried { id: TaskId::new(), story: Story::default() });
    let end = Box::new(TaskEnd::Expired { limit: ExpiredLimit::Queue });
    round_trip(&Record::Ended { id: TaskId::new(), end, story });
}

#[test]
fn end_without_a_story_is_read() {
    let id = TaskId::from_bytes([7; 16]);
    let mut old = vec![ENDED, 10, 16];
    old.extend([7; 16]);
    old.extend([16, 4, 58, 5]);
    old.extend(b"total");
    let end = Box::new(TaskEnd::Expired { limit: ExpiredLimit::Total });
    let record = Record::Ended { id, end, story: Story::default() };
    assert_eq!(decode(&old), Some((Time::ZERO, record)));
}

#[test]
fn invalid_bytes_are_no_record() {
    for bytes in [&[][..], &[0], &[9, 1, 2], &[SUBMITTED, 0xff], &[SUBMITTED], &[ENDED]] {
        assert_eq!(decode(bytes), None, "{bytes:?}");
    }
}

/// A task and a cancelled end as versions before groups wrote them.
#[test]
fn records_from_before_groups_and_hedging_are_read() {
    let bytes = |hex: &str| -> Vec<u8> {
        let digits: Vec<u8> =
            hex.bytes().map(|c| (c as char).to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    let id = TaskId::from_bytes([7; 16]);
    let mut task = Task { id, ..full_task() };
    task.retry.hedge = false;
    let submitted = Record::Submitted { task: Box::new(task), targets: Vec::new() };
    let (by, reason) = (CancelledBy::Shutdown, "why".to_owned());
    let ended = Record::Ended {
        id,
        end: Box::new(TaskEnd::Cancelled { by, reason }),
        story: Story::default(),
    };
    for (hex, record) in [(OLD_TASK, submitted), (OLD_END, ended)] {
        assert_eq!(decode(&bytes(hex)), Some((Time::ZERO, record)));
    }
}

const OLD_TASK: &str = "010a1007070707070707070707070707070707120564656275671a046563686f220600\
    696e7075742a060a016112016232036770753a0d0a047369746512056174746963400348808080808020500258ff01\
    68017080c8ceb40d7807800109880103900180bbb0219a01036b6579";
const OLD_END: &str = "020a1007070707070707070707070707070707100342037768795001";
