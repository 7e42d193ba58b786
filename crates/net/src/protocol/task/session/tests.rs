//! Sessions on an in-memory stream, with an honest or a hostile peer on the other side.

use std::{sync::Arc, time::Duration};

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::PeerId;
use meshwork_core::{Assignment, AttemptEnd, Epoch, TaskId, ToOwner, ToWorker};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use super::{Session, SessionEvent, SessionId, Wiring, owner_session, worker_session};
use crate::{
    clock::{Clock, LastSeen},
    limits,
    protocol::task::{
        decode::{Inbox, to_owner, to_worker},
        encode::Encoder,
        names::Names,
    },
    wire::Decoder,
};

mod ends;
mod hostile;
mod traffic;

/// Longer than every time limit of a session.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Bytes that the in-memory stream holds in each direction.
const PIPE: usize = 64 * 1024;

type Stream = Compat<tokio::io::DuplexStream>;

/// A session under test, and the peer's half of its stream.
struct Rig<T> {
    session: Session<T>,
    events: mpsc::Receiver<SessionEvent>,
    last_seen: Arc<LastSeen>,
    task: JoinHandle<bool>,
    peer: Stream,
}

fn pipe() -> (Stream, Stream) {
    let (here, there) = tokio::io::duplex(PIPE);
    (here.compat(), there.compat())
}

fn wiring(id: SessionId, events: mpsc::Sender<SessionEvent>, last_seen: Arc<LastSeen>) -> Wiring {
    Wiring { peer: PeerId::random(), id, events, last_seen, meter: Arc::default() }
}

/// This node is the worker; the test plays the owner.
fn as_worker() -> Rig<ToOwner> {
    let (here, peer) = pipe();
    let (events, received) = mpsc::channel(limits::FRAME_BATCHES);
    let last_seen = Arc::new(LastSeen::new(Clock::new()));
    let seen = Arc::clone(&last_seen);
    let (session, run) = owner_session(here, wiring(SessionId(1), events, seen));
    Rig { session, events: received, last_seen, task: tokio::spawn(run), peer }
}

/// This node is the owner; the test plays the worker.
fn as_owner() -> Rig<ToWorker> {
    as_owner_on(pipe(), limits::FRAME_BATCHES)
}

fn as_owner_on((here, peer): (Stream, Stream), batches: usize) -> Rig<ToWorker> {
    let (events, received) = mpsc::channel(batches);
    let last_seen = Arc::new(LastSeen::new(Clock::new()));
    let seen = Arc::clone(&last_seen);
    let (session, run) = worker_session(here, wiring(SessionId(2), events, seen));
    Rig { session, events: received, last_seen, task: tokio::spawn(run), peer }
}

/// The next event. Fails the test after [`PATIENCE`], which passes at once because the clock is
/// paused.
async fn next(events: &mut mpsc::Receiver<SessionEvent>) -> Option<SessionEvent> {
    timeout(PATIENCE, events.recv()).await.expect("no event arrives")
}

/// Receives at least `count` frames.
async fn frames_from_owner(
    events: &mut mpsc::Receiver<SessionEvent>,
    count: usize,
) -> Vec<ToWorker> {
    let mut all = Vec::new();
    while all.len() < count {
        match next(events).await {
            Some(SessionEvent::FromOwner { frames, .. }) => all.extend(frames),
            other => panic!("{other:?} after {} frames", all.len()),
        }
    }
    all
}

async fn frames_from_worker(
    events: &mut mpsc::Receiver<SessionEvent>,
    count: usize,
) -> Vec<ToOwner> {
    let mut all = Vec::new();
    while all.len() < count {
        match next(events).await {
            Some(SessionEvent::FromWorker { frames, .. }) => all.extend(frames),
            other => panic!("{other:?} after {} frames", all.len()),
        }
    }
    all
}

/// The end of a session, which must be the next and the last event.
async fn end(events: &mut mpsc::Receiver<SessionEvent>) -> (SessionId, String, bool) {
    let end = match next(events).await {
        Some(SessionEvent::WorkerClosed { id, why, violation, .. }) => (id, why, violation),
        Some(SessionEvent::OwnerClosed { id, why, violation, .. }) => (id, why, violation),
        other => panic!("{other:?} instead of the end"),
    };
    assert!(next(events).await.is_none(), "an event after the end");
    end
}

/// Asserts that a session ends with a reason that contains `words`, as a violation or not.
async fn assert_ends<T>(mut rig: Rig<T>, words: &str, is_violation: bool) {
    let (_, why, violation) = end(&mut rig.events).await;
    assert!(why.contains(words), "{why}");
    assert_eq!(violation, is_violation, "{why}");
    rig.task.await.unwrap();
}

fn epoch(number: u64) -> Epoch {
    Epoch { boot: 1, number }
}

fn assign(number: u64, bytes: usize) -> ToWorker {
    ToWorker::Assign(Box::new(Assignment {
        epoch: epoch(number),
        task: TaskId::from_bytes([9; 16]),
        attempt: 1,
        handler: "debug/echo".parse().unwrap(),
        input: vec![number as u8; bytes].into(),
        params: Default::default(),
        limit: None,
        priority: 0,
        durable: false,
    }))
}

fn result(number: u64, bytes: usize) -> ToOwner {
    let end = AttemptEnd::Output(vec![number as u8; bytes].into());
    ToOwner::Result { epoch: epoch(number), end, took: Duration::from_micros(3) }
}

fn bytes_to_worker(frames: &[ToWorker]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for frame in frames {
        encoder.push_to_worker(frame).unwrap();
    }
    encoder.finish();
    encoder.bytes().to_vec()
}

fn bytes_to_owner(frames: &[ToOwner]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for frame in frames {
        encoder.push_to_owner(frame).unwrap();
    }
    encoder.finish();
    encoder.bytes().to_vec()
}

/// Reads a worker's frames from this stream, until there are `count` or the stream ends.
async fn read_as_owner(peer: &mut Stream, count: usize) -> Vec<ToOwner> {
    let mut inbox = Inbox::default();
    let mut decoder = Decoder::new(limits::TASK_FRAME);
    while inbox.frames.len() < count {
        let read =
            timeout(PATIENCE, peer.read(decoder.space())).await.expect("no bytes arrive").unwrap();
        if read == 0 {
            break;
        }
        decoder.advance(read);
        while let Some(message) = decoder.next().unwrap() {
            to_owner(&message, &mut inbox).unwrap();
        }
    }
    inbox.frames
}

async fn read_as_worker(peer: &mut Stream, count: usize) -> Vec<ToWorker> {
    let (mut inbox, mut names) = (Inbox::default(), Names::default());
    let mut decoder = Decoder::new(limits::TASK_FRAME);
    while inbox.frames.len() < count {
        let read =
            timeout(PATIENCE, peer.read(decoder.space())).await.expect("no bytes arrive").unwrap();
        if read == 0 {
            break;
        }
        decoder.advance(read);
        while let Some(message) = decoder.next().unwrap() {
            to_worker(&message, &mut names, &mut inbox).unwrap();
        }
    }
    inbox.frames
}
