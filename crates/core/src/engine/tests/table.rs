//! Every frame in every state of an attempt, at the worker and at the owner: the answer, and the
//! new state.

use std::time::Duration;

use super::*;
use crate::{CancelledBy, Epoch, Reason, frame::Credit, limits};

/// A node outside the net: frames to it stay in the outbox.
fn stranger() -> PeerId {
    peer(77)
}

/// The frames that a node has sent to the stranger, in short words.
fn sent(net: &mut Net, index: usize) -> Vec<String> {
    let sent = std::mem::take(&mut net.nodes[index].outbox);
    let words = |(_, frames): (PeerId, Frames)| match frames {
        Frames::ToOwner(frames) => frames.iter().filter_map(said_by_worker).collect::<Vec<_>>(),
        Frames::ToWorker(frames) => frames.iter().map(said_by_owner).collect(),
    };
    sent.into_iter().flat_map(words).collect()
}

/// Credit and heartbeats concern no single attempt.
fn said_by_worker(frame: &ToOwner) -> Option<String> {
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

fn said_by_owner(frame: &ToWorker) -> String {
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
        input: Bytes::new(),
        params: BTreeMap::new(),
        limit: None,
        priority: 0,
        durable: false,
    })
}

fn say(net: &mut Net, frame: ToWorker) {
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
        // The next frame is not the first of its session.
        say(&mut net, ToWorker::Ack(FIRST));
        return (net, FIRST);
    }
    say(&mut net, ToWorker::Assign(order(FIRST)));
    if matches!(state, AtWorker::Waiting) {
        say(&mut net, ToWorker::Assign(order(SECOND)));
        return (net, SECOND);
    }
    if !matches!(state, AtWorker::Running) {
        net.finish(1, output("x"));
    }
    if matches!(state, AtWorker::Forgotten) {
        say(&mut net, ToWorker::Ack(FIRST));
    }
    (net, FIRST)
}

/// A worker's answers to `assign`, `cancel`, `ack`, `resume` and `hand back` about an attempt.
const ANSWERS: [(AtWorker, [&str; 5]); 5] = [
    (AtWorker::Unknown, ["accepted", "not_found", "", "not_found", "not_found"]),
    (AtWorker::Waiting, ["accepted", "cancelled", "", "accepted", "busy now"]),
    // The end of a cancelled run is the answer.
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
            let name = said_by_owner(&frame);
            sent(&mut net, 1);
            say(&mut net, frame);
            assert_eq!(sent(&mut net, 1).join(","), answer, "{name} of one that is {state:?}");
            let stops = matches!(state, AtWorker::Running) && name == "cancel";
            let stopped = net.nodes[1].stopped.len();
            assert_eq!(stopped, usize::from(stops), "{name} of one that is {state:?}");
        }
    }
}

#[test]
fn finished_attempt_answers_each_question_with_its_result() {
    let (mut net, epoch) = worker_in(AtWorker::Finished);
    sent(&mut net, 1);
    for time in 0..3 {
        say(&mut net, ToWorker::Resume(vec![epoch]));
        say(&mut net, ToWorker::Cancel(epoch));
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
    // An owner asks before it has read what the worker reports by itself.
    say(&mut net, ToWorker::Resume(vec![epoch, SECOND]));
    assert_eq!(sent(&mut net, 1), ["result", "not_found"]);
    say(&mut net, ToWorker::Resume(vec![epoch]));
    assert_eq!(sent(&mut net, 1), ["result"], "a later question has its own answer");
}

#[test]
fn attempt_handed_back_leaves_nothing_behind() {
    let (mut net, epoch) = worker_in(AtWorker::Waiting);
    say(&mut net, ToWorker::HandBack(epoch));
    assert_eq!(net.nodes[1].engine.accounts().held, 1, "the one that runs");
    net.finish(1, output("x"));
    assert!(net.nodes[1].running.is_empty(), "it does not start");
    say(&mut net, ToWorker::Ack(FIRST));
    let accounts = net.nodes[1].engine.accounts();
    assert_eq!((accounts.held, accounts.unacked), (0, 0));
    sent(&mut net, 1);
    say(&mut net, ToWorker::Assign(order(epoch)));
    assert_eq!(sent(&mut net, 1), ["conflict"], "an assignment sent twice does not run either");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum AtOwner {
    /// Assigned, and not answered.
    Sent,
    Accepted,
    /// The task was cancelled; the attempt has not ended.
    Cancelled,
    /// The attempt has ended.
    Late,
    NeverMade,
    /// As after a start from an earlier state of the disk.
    HigherBoot,
}

fn hear(net: &mut Net, frame: ToOwner) {
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
    hear(&mut net, ToOwner::Credit(Credit::for_slots(1, 4_096, Duration::ZERO)));
    let epoch = Epoch { boot: 1, number: 1 };
    let end = AttemptEnd::Output(Bytes::new());
    match state {
        AtOwner::Sent => {}
        AtOwner::Accepted => hear(&mut net, ToOwner::Accepted(epoch)),
        AtOwner::Cancelled => {
            let (by, reason, token) = (CancelledBy::Submitter, String::new(), Token(9));
            net.feed(0, Input::Cancel { id, by, reason, token });
            net.settle();
        }
        AtOwner::Late => hear(&mut net, ToOwner::Result { epoch, end, took: Duration::ZERO }),
        AtOwner::NeverMade => return (net, id, Epoch { boot: 1, number: 1_000 }),
        AtOwner::HigherBoot => return (net, id, Epoch { boot: 9, number: 1 }),
    }
    net.pass(limits::ACK_DELAY);
    (net, id, epoch)
}

type Word = (&'static str, fn(Epoch) -> ToOwner);

fn words_of_workers() -> [Word; 7] {
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
            let end = AttemptEnd::Output(Bytes::from_static(b"x"));
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
        for (at, (name, frame)) in words_of_workers().into_iter().enumerate() {
            let (mut net, id, epoch) = owner_in(state);
            assert_eq!(net.state(id), task_is, "{state:?}");
            sent(&mut net, 0);
            hear(&mut net, frame(epoch));
            net.pass(limits::ACK_DELAY);
            let told = sent(&mut net, 0).join(",");
            let found = format!("{} {told}", net.state(id)).trim().to_owned();
            let expected = match (state, name) {
                (Sent | Accepted, "progress") => task_is.to_owned(),
                (Sent | Accepted, _) => open[at].to_owned(),
                (_, "accepted") => format!("{task_is} cancel"),
                (_, "result") => format!("{task_is} ack"),
                (_, _) => task_is.to_owned(),
            };
            assert_eq!(found, expected, "{name} of one that is {state:?}");
            assert_eq!(
                net.nodes[0].engine.owner.failures_of(&id),
                0,
                "{name} of one that is {state:?}"
            );
        }
    }
}
