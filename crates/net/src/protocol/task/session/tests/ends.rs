//! Every cause that ends a session; each end is reported exactly once.

use meshwork_core::Reason;
use tokio::time::Instant;

use super::*;
use crate::protocol::task::session::refuse;

#[tokio::test(start_paused = true)]
async fn dropped_handle_writes_queued_frames_and_closes() {
    let mut rig = as_owner();
    // Far more bytes than the pipe holds.
    let frames: Vec<_> = (0..5_000).map(|n| assign(n, 100)).collect();
    assert!(rig.session.send(&mut frames.clone()));
    drop(rig.session);
    assert_eq!(read_as_worker(&mut rig.peer, usize::MAX).await, frames);
    let (id, why, violation) = end(&mut rig.events).await;
    assert_eq!((id, why.as_str(), violation), (SessionId(2), "closed by this node", false));
    rig.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn peer_closes_after_its_frames_are_delivered() {
    let mut rig = as_worker();
    rig.peer.write_all(&bytes_to_worker(&[assign(1, 10)])).await.unwrap();
    rig.peer.close().await.unwrap();
    // Frames that arrived before the end are delivered before it.
    assert_eq!(frames_from_owner(&mut rig.events, 1).await, [assign(1, 10)]);
    assert_ends(rig, "closed by the peer", false).await;
}

#[tokio::test(start_paused = true)]
async fn closed_session_accepts_no_frames() {
    let mut rig = as_worker();
    rig.peer.close().await.unwrap();
    end(&mut rig.events).await;
    let mut frames = vec![result(1, 1)];
    assert!(!rig.session.send(&mut frames));
    assert!(frames.is_empty());
}

#[tokio::test(start_paused = true)]
async fn aborted_session_accepts_no_frames() {
    let rig = as_worker();
    rig.task.abort();
    assert!(rig.task.await.unwrap_err().is_cancelled());
    assert!(!rig.session.send(&mut vec![result(1, 1)]));
}

#[tokio::test(start_paused = true)]
async fn peer_that_stops_reading_ends_the_session() {
    let rig = as_owner();
    let began = Instant::now();
    assert!(rig.session.send(&mut vec![assign(1, 2 * PIPE)]));
    assert_ends(rig, "has not read for 30s", false).await;
    assert_eq!(began.elapsed().as_secs(), limits::WRITE_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn slow_reader_keeps_its_session() {
    let mut rig = as_owner();
    let frame = assign(1, 10 * PIPE);
    assert!(rig.session.send(&mut vec![frame.clone()]));
    let mut bytes = vec![0; bytes_to_worker(std::slice::from_ref(&frame)).len()];
    for part in bytes.chunks_mut(PIPE) {
        tokio::time::sleep(limits::WRITE_TIMEOUT / 2).await;
        rig.peer.read_exact(part).await.unwrap();
    }
    assert_eq!(bytes, bytes_to_worker(&[frame]));
    assert!(rig.session.send(&mut vec![assign(2, 1)]));
}

#[tokio::test(start_paused = true)]
async fn dropped_handle_waits_only_until_the_write_timeout() {
    let mut rig = as_owner();
    assert!(rig.session.send(&mut vec![assign(1, 2 * PIPE)]));
    drop(rig.session);
    let (_, why, _) = end(&mut rig.events).await;
    assert!(why.contains("has not read"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn full_outbox_ends_the_session() {
    let rig = as_worker();
    let accepted = |n| ToOwner::Accepted(epoch(n as u64));
    assert!(rig.session.send(&mut (0..limits::OUTBOX).map(accepted).collect()));
    let mut more = vec![accepted(0)];
    assert!(!rig.session.send(&mut more), "the session has not run yet, so the outbox is full");
    assert!(more.is_empty());
    assert!(!rig.session.send(&mut vec![accepted(1)]), "later frames are refused too");
    assert_ends(rig, "65536 frames wait", false).await;
}

#[tokio::test(start_paused = true)]
async fn oversized_own_frame_ends_the_session() {
    let rig = as_worker();
    assert!(rig.session.send(&mut vec![result(1, limits::TASK_FRAME)]));
    assert_ends(rig, "cannot send: a message of", false).await;
}

#[tokio::test(start_paused = true)]
async fn session_ends_when_the_node_drops_its_receiver() {
    let Rig { events, mut peer, task, session, .. } = as_worker();
    drop(events);
    peer.write_all(&bytes_to_worker(&[assign(1, 1)])).await.unwrap();
    task.await.unwrap();
    assert!(!session.send(&mut vec![result(1, 1)]));
}

#[tokio::test(start_paused = true)]
async fn broken_stream_ends_the_session() {
    let rig = as_owner();
    let Rig { session, events, last_seen, task, peer } = rig;
    drop(peer);
    assert!(session.send(&mut vec![assign(1, 1)]));
    let rig = Rig { session, events, last_seen, task, peer: pipe().0 };
    // The in-memory stream reports the end of its other half before the write error.
    assert_ends(rig, "closed by the peer", false).await;
}

#[tokio::test(start_paused = true)]
async fn refusal_reaches_the_owner() {
    let (here, there) = pipe();
    let mut rig = as_owner_on((here, pipe().0), 8);
    let reason = Reason::NotAdmitted { detail: "no hello yet".to_owned() };
    let refusing = tokio::spawn(refuse(there, reason.clone()));
    assert!(rig.session.send(&mut vec![assign(1, 10)]));
    let frames = frames_from_worker(&mut rig.events, 1).await;
    assert_eq!(frames, [ToOwner::Refused { epoch: None, reason }]);
    assert_ends(rig, "closed by the peer", false).await;
    refusing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refusal_to_a_peer_that_does_not_read_times_out() {
    let began = Instant::now();
    let (here, mut there) = pipe();
    // The peer neither reads nor closes.
    there.write_all(b"anything").await.unwrap();
    refuse(here, Reason::ShuttingDown).await;
    assert_eq!(began.elapsed(), limits::REFUSE_TIMEOUT);
}
