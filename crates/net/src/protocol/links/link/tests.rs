//! A link over an in-memory pipe: frames pass, and every cause of its end.

use futures::AsyncWriteExt as _;
use libp2p::PeerId;
use tokio::io::{DuplexStream, duplex};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use super::*;
use crate::Clock;

struct End {
    say: mpsc::Sender<LinkFrame>,
    frames: mpsc::Receiver<LinkEvent>,
    running: tokio::task::JoinHandle<LinkEnd>,
}

fn link(stream: Compat<DuplexStream>) -> End {
    let (say, outbox) = mpsc::channel(4);
    let (events, frames) = mpsc::channel(4);
    let link = Link {
        peer: PeerId::random(),
        protocol: LinkProtocol::Health,
        outbox,
        answers: say.downgrade(),
        events,
        last_seen: Arc::new(LastSeen::new(Clock::new())),
        meter: Arc::default(),
    };
    End { say, frames, running: tokio::spawn(link.run(stream)) }
}

fn pipe() -> (Compat<DuplexStream>, Compat<DuplexStream>) {
    let (one, other) = duplex(1024);
    (one.compat(), other.compat())
}

fn echo(id: u64) -> LinkFrame {
    LinkFrame::Health(HealthFrame { id, body: HealthBody::Echo })
}

#[tokio::test]
async fn frames_pass_both_ways_until_one_side_is_dropped() {
    let (one, other) = pipe();
    let (mut one, mut other) = (link(one), link(other));
    for id in 1..100 {
        one.say.send(echo(id)).await.unwrap();
        other.say.send(echo(id)).await.unwrap();
        assert_eq!(one.frames.recv().await.unwrap().frame, echo(id));
        assert_eq!(other.frames.recv().await.unwrap().frame, echo(id));
    }
    drop(one.say);
    assert!(matches!(one.running.await.unwrap(), LinkEnd::Local));
    assert!(matches!(other.running.await.unwrap(), LinkEnd::Read(ReadError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn unfinished_frame_ends_the_link_but_idleness_does_not() {
    let (one, mut other) = pipe();
    let mut one = link(one);
    other.write_all(&[4, 8, 1, 0x12, 0]).await.unwrap();
    assert_eq!(one.frames.recv().await.unwrap().frame, echo(1));
    tokio::time::sleep(limits::LINK_TIMEOUT * 100).await;
    other.write_all(&[4, 8, 2, 0x12, 0]).await.unwrap();
    assert_eq!(one.frames.recv().await.unwrap().frame, echo(2));
    other.write_all(&[4, 8]).await.unwrap();
    assert!(matches!(one.running.await.unwrap(), LinkEnd::Read(ReadError::Slow(_))));
}

#[tokio::test]
async fn invalid_frame_is_a_violation() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0x7f];
    for bytes in [[1, 0xff].as_slice(), &huge, &[0]] {
        let (one, mut other) = pipe();
        let one = link(one);
        other.write_all(bytes).await.unwrap();
        let end = one.running.await.unwrap();
        assert!(end.is_violation(), "{bytes:?}: {end}");
    }
}

#[tokio::test]
async fn too_many_unknown_kinds_are_a_violation() {
    let (one, mut other) = pipe();
    let mut one = link(one);
    let reading = tokio::spawn(async move { while one.frames.recv().await.is_some() {} });
    for _ in 0..=limits::UNKNOWN_KINDS {
        // Field 40, empty.
        if other.write_all(&[3, 0xc2, 0x02, 0]).await.is_err() {
            break;
        }
    }
    assert!(one.running.await.unwrap().is_violation());
    reading.await.unwrap();
}

#[tokio::test]
async fn link_reads_no_question_without_room_for_its_answer() {
    let (one, mut other) = pipe();
    let mut one = link(one);
    let mut questions = Vec::new();
    // Nobody reads the answers, and the pipe cannot hold all questions.
    let asking = tokio::spawn(async move {
        for _ in 0..2_000 {
            if other.write_all(&[4, 8, 1, 0x12, 0]).await.is_err() {
                break;
            }
        }
        other
    });
    for _ in 0..4 {
        questions.push(one.frames.recv().await.unwrap());
    }
    tokio::task::yield_now().await;
    assert!(one.frames.try_recv().is_err(), "the outbox has no room for a fifth answer");
    let answered = HealthFrame { id: 1, body: HealthBody::Echoed };
    for question in questions {
        question.answer.unwrap().send(LinkFrame::Health(answered.clone()));
    }
    // The answers are written, and the outbox has room again.
    assert!(one.frames.recv().await.is_some());
    drop(one);
    asking.abort();
}
