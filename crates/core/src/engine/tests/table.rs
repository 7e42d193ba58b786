//! Every frame in every state of an attempt, at the worker and at the owner: the answer, and the
//! new state.

use std::time::Duration;

use super::*;
use crate::{CancelledBy, Epoch, Reason, frame::Credit, limits};

/// A peer outside the net: frames to it stay in the outbox.
fn stranger() -> PeerId {
    peer(77)
}

/// The frames that a node has sent to the stranger, by name.
fn sent(net: &mut Net, index: usize) -> Vec<String> {
    let sent = std::mem::take(&mut net.nodes[index].outbox);
    let words = |(_, frames): (PeerId, Frames)| match frames {
        Frames::ToOwner(frames) => frames.iter().filter_map(name_of_answer).collect::<Vec<_>>(),
        Frames::ToWorker(frames) => frames.iter().map(name_of_request).collect(),
    };
    sent.into_iter().flat_map(words).collect()
}

/// `None` for frames that do not concern one attempt, such as credit and heartbeats.
fn name_of_answer(frame: &ToOwner) -> Option<String> {
    Some(match frame {
        ToOwner::Accepted(_) => "accepted".to_owned(),
        ToOwner::Busy { retry_after, .. } if retry_after.is_zero() => "busy now".to_owned(),
        ToOwner::Busy { .. } => "busy".to_owned(),
        ToOwner::Refused { reason, .. } => reason.code().to_owned(),
        ToOwner::Result { end: AttemptEnd::Cancelled, .. } => "cancelled".to_owned(),
        ToOwner::Result { .. } => "result".to_owned(),
        _ => return None,
    })
}

fn name_of_request(frame: &ToWorker) -> String {
    let word = match frame {
        ToWorker::Assign(_) => "assign",
        ToWorker::Cancel(_) => "cancel",
        ToWorker::Ack(_) => "ack",
        ToWorker::Resume(_) => "resume",
        ToWorker::HandBack(_) => "hand back",
    };
    word.to_owned()
}

#[derive(Clone, Copy, Debug)]
enum AtWorker {
    Unknown,
    Waiting,
    Running,
    Finished,
    Forgotten,
}

const FIRST: Epoch = Epoch { boot: 5, number: 1 };
const SECOND: Epoch = Epoch { boot: 5, number: 2 };

fn order(epoch: Epoch) -> Box<Assignment> {
    Box::new(Assignment {
        epoch,
        task: TaskId::new(),
        attempt: 1,
        handler: "text/a".parse().unwrap(),
        input: Bytes::new().into(),
        params: BTreeMap::new(),
        limit: None,
        priority: 0,
        durable: false,
    })
}

fn send(net: &mut Net, frame: ToWorker) {
    net.feed(1, Input::FromOwner { peer: stranger(), frames: vec![frame] });
    net.settle();
}

/// A worker of one slot, and the epoch of the stranger's attempt in this state there.
fn worker_in(state: AtWorker) -> (Net, Epoch) {
    let mut net = Net::new(&[1]);
    let peer = stranger();
    net.feed(1, Input::Trust { peer, trusted: true });
    net.feed(1, Input::OwnerSession { peer });
    net.settle();
    if matches!(state, AtWorker::Unknown) {
        // The frame under test must not be the first of its session.
        send(&mut net, ToWorker::Ack(FIRST));
        return (net, FIRST);
    }
    send(&mut net, ToWorker::Assign(order(FIRST)));
    if matches!(state, AtWorker::Waiting) {
        send(&mut net, ToWorker::Assign(order(SECOND)));
        return (net, SECOND);
    }
    if !matches!(state, AtWorker::Running) {
        net.finish(1, output("x"));
    }
    if matches!(state, AtWorker::Forgotten) {
        send(&mut net, ToWorker::Ack(FIRST));
    }
    (net, FIRST)
}

/// A worker's answers to `assign`, `cancel`, `ack`, `resume` and `hand back` about an attempt.
const ANSWERS: [(AtWorker, [&str; 5]); 5] = [
    (AtWorker::Unknown, ["accepted", "not_found", "", "not_found", "not_found"]),
    (AtWorker::Waiting, ["accepted", "cancelled", "", "accepted", "busy now"]),
    // A cancel is answered by the end of the run, which comes later.
    (AtWorker::Running, ["accepted", "", "", "accepted", "accepted"]),
    (AtWorker::Finished, ["result", "result", "", "result", "result"]),
    (AtWorker::Forgotten, ["conflict", "not_found", "", "not_found", "not_found"]),
];

fn questions(epoch: Epoch) -> [ToWorker; 5] {
    [
        ToWorker::Assign(order(epoch)),
        ToWorker::Cancel(epoch),
        ToWorker::Ack(epoch),
        ToWorker::Resume(vec![epoch]),
        ToWorker::HandBack(epoch),
    ]
}

#[test]
fn worker_answers_every_frame_in_every_state() {
    for (state, row) in ANSWERS {
        for (at, answer) in row.into_iter().enumerate() {
            let (mut net, epoch) = worker_in(state);
            let frame = questions(epoch)[at].clone();
            let name = name_of_request(&frame);
            sent(&mut net, 1);
            send(&mut net, frame);
            assert_eq!(sent(&mut net, 1).join(","), answer, "{name}, attempt {state:?}");
            let stops = matches!(state, AtWorker::Running) && name == "cancel";
            let stopped = net.nodes[1].stopped.len();
            assert_eq!(stopped, usize::from(stops), "{name}, attempt {state:?}");
        }
    }
}

#[test]
fn finished_attempt_answers_each_question_with_its_result() {
    let (mut net, epoch) = worker_in(AtWorker::Finished);
    sent(&mut net, 1);
    for time in 0..3 {
        send(&mut net, ToWorker::Resume(vec![epoch]));
        send(&mut net, ToWorker::Cancel(epoch));
        assert_eq!(sent(&mut net, 1), ["result", "result"], "time {time}");
    }
}

#[test]
fn result_is_sent_once_when_a_session_begins() {
    let (mut net, epoch) = worker_in(AtWorker::Finished);
    let peer = stranger();
    net.feed(1, Input::OwnerSessionLost { peer });
    net.feed(1, Input::OwnerSession { peer });
    net.settle();
    sent(&mut net, 1);
    net.feed(1, Input::OwnerSessionLost { peer });
    net.feed(1, Input::OwnerSession { peer });
    // The owner asks before it has read the result that the worker sent by itself.
    send(&mut net, ToWorker::Resume(vec![epoch, SECOND]));
    assert_eq!(sent(&mut net, 1), ["result", "not_found"]);
    send(&mut net, ToWorker::Resume(vec![epoch]));
    assert_eq!(sent(&mut net, 1), ["result"], "a later question gets its own answer");
}

#[test]
fn attempt_handed_back_leaves_nothing_behind() {
    let (mut net, epoch) = worker_in(AtWorker::Waiting);
    send(&mut net, ToWorker::HandBack(epoch));
    assert_eq!(net.nodes[1].engine.accounts().held, 1, "only the running attempt");
    net.finish(1, output("x"));
    assert!(net.nodes[1].running.is_empty(), "the attempt handed back does not start");
    send(&mut net, ToWorker::Ack(FIRST));
    let accounts = net.nodes[1].engine.accounts();
    assert_eq!((accounts.held, accounts.unacked), (0, 0));
    sent(&mut net, 1);
    send(&mut net, ToWorker::Assign(order(epoch)));
    assert_eq!(sent(&mut net, 1), ["conflict"], "the same assignment does not run later either");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum AtOwner {
    /// Assigned, not answered yet.
    Sent,
    Accepted,
    /// The task was cancelled; the attempt has not ended.
    Cancelled,
    /// The attempt has ended.
    Late,
    /// The epoch was never assigned.
    NeverMade,
    /// The epoch is of a later boot, as after a start from an old copy of the disk.
    HigherBoot,
}

fn receive(net: &mut Net, frame: ToOwner) {
    net.feed(0, Input::FromWorker { peer: stranger(), frames: vec![frame] });
    net.settle();
}

/// An owner whose only worker is the stranger, its task, and the epoch to use.
fn owner_in(state: AtOwner) -> (Net, TaskId, Epoch) {
    let mut net = Net::new(&[]);
    let peer = stranger();
    net.feed(0, Input::Trust { peer, trusted: true });
    net.feed(0, Input::PeerReady { peer, advert: advert(1) });
    net.feed(0, Input::WorkerSession { peer });
    let id = net.submit(task("text/a"));
    receive(&mut net, ToOwner::Credit(Credit::for_slots(1, 4_096, Duration::ZERO)));
    let epoch = Epoch { boot: 1, number: 1 };
    let end = AttemptEnd::Output(Bytes::new().into());
    match state {
        AtOwner::Sent => {}
        AtOwner::Accepted => receive(&mut net, ToOwner::Accepted(epoch)),
        AtOwner::Cancelled => {
            let (by, reason, token) = (CancelledBy::Submitter, String::new(), Token(9));
            net.feed(0, Input::Cancel { id, by, reason, token });
            net.settle();
        }
        AtOwner::Late => receive(&mut net, ToOwner::Result { epoch, end, took: Duration::ZERO }),
        AtOwner::NeverMade => return (net, id, Epoch { boot: 1, number: 1_000 }),
        AtOwner::HigherBoot => return (net, id, Epoch { boot: 9, number: 1 }),
    }
    net.pass(limits::ACK_DELAY);
    (net, id, epoch)
}

type Answer = (&'static str, fn(Epoch) -> ToOwner);

fn answers_of_workers() -> [Answer; 7] {
    [
        ("accepted", ToOwner::Accepted),
        ("busy", |epoch| ToOwner::Busy { epoch, retry_after: Duration::from_secs(1) }),
        ("not_found", |epoch| ToOwner::Refused { epoch: Some(epoch), reason: Reason::NotFound }),
        ("conflict", |epoch| {
            let reason = Reason::Conflict { what: "epoch".to_owned() };
            ToOwner::Refused { epoch: Some(epoch), reason }
        }),
        ("shutting_down", |epoch| ToOwner::Refused {
            epoch: Some(epoch),
            reason: Reason::ShuttingDown,
        }),
        ("progress", |epoch| ToOwner::Progress { epoch, fraction: 0.5, message: String::new() }),
        ("result", |epoch| {
            let end = AttemptEnd::Output(Bytes::from_static(b"x").into());
            ToOwner::Result { epoch, end, took: Duration::ZERO }
        }),
    ]
}

#[test]
fn owner_handles_every_frame_in_every_state() {
    use AtOwner::{Accepted, Cancelled, HigherBoot, Late, NeverMade, Sent};
    // The state of the task, and the frames to the worker, for each frame in the order above.
    let open = ["running", "queued", "assigned assign", "queued", "queued", "", "succeeded ack"];
    for (state, task_is) in [
        (Sent, "assigned"),
        (Accepted, "running"),
        (Cancelled, "cancelled"),
        (Late, "succeeded"),
        (NeverMade, "assigned"),
        (HigherBoot, "assigned"),
    ] {
        for (at, (name, frame)) in answers_of_workers().into_iter().enumerate() {
            let (mut net, id, epoch) = owner_in(state);
            assert_eq!(net.state(id), task_is, "{state:?}");
            sent(&mut net, 0);
            receive(&mut net, frame(epoch));
            net.pass(limits::ACK_DELAY);
            let frames = sent(&mut net, 0).join(",");
            let found = format!("{} {frames}", net.state(id)).trim().to_owned();
            let expected = match (state, name) {
                (Sent | Accepted, "progress") => task_is.to_owned(),
                (Sent | Accepted, _) => open[at].to_owned(),
                (_, "accepted") => format!("{task_is} cancel"),
                (_, "result") => format!("{task_is} ack"),
                (_, _) => task_is.to_owned(),
            };
            assert_eq!(found, expected, "{name}, attempt {state:?}");
            assert_eq!(net.nodes[0].engine.owner.failures_of(&id), 0, "{name}, attempt {state:?}");
        }
    }
}
