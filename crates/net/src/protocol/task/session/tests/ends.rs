//! Every way in which a session ends, each told exactly once.

use meshwork_core::Reason;
use tokio::time::Instant;

use super::*;
use crate::protocol::task::session::refuse;

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_writes_what_waits_and_closes() {
    let mut rig = as_owner();
    // Far more than the pipe holds.
    let frames: Vec<_> = (0..5_000).map(|n| assign(n, 100)).collect();
    assert!(rig.session.send(&mut frames.clone()));
    drop(rig.session);
    assert_eq!(read_as_worker(&mut rig.peer, usize::MAX).await, frames);
    let (id, why, violation) = end(&mut rig.events).await;
    assert_eq!((id, why.as_str(), violation), (SessionId(2), "closed by this node", false));
    rig.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_peer_closes() {
    let mut rig = as_worker();
    rig.peer.write_all(&bytes_to_worker(&[assign(1, 10)])).await.unwrap();
    rig.peer.close().await.unwrap();
    // What came before the end is handed on before the end.
    assert_eq!(frames_from_owner(&mut rig.events, 1).await, [assign(1, 10)]);
    assert_ends(rig, "closed by the peer", false).await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_takes_no_more() {
    let mut rig = as_worker();
    rig.peer.close().await.unwrap();
    end(&mut rig.events).await;
    let mut frames = vec![result(1, 1)];
    assert!(!rig.session.send(&mut frames));
    assert!(frames.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_aborted_session_takes_no_more() {
    let rig = as_worker();
    rig.task.abort();
    assert!(rig.task.await.unwrap_err().is_cancelled());
    assert!(!rig.session.send(&mut vec![result(1, 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading() {
    let rig = as_owner();
    let began = Instant::now();
    assert!(rig.session.send(&mut vec![assign(1, 2 * PIPE)]));
    assert_ends(rig, "has not read for 30s", false).await;
    assert_eq!(began.elapsed().as_secs(), limits::WRITE_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_kept() {
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
async fn a_dropped_handle_does_not_wait_for_a_peer_that_does_not_read() {
    let mut rig = as_owner();
    assert!(rig.session.send(&mut vec![assign(1, 2 * PIPE)]));
    drop(rig.session);
    let (_, why, _) = end(&mut rig.events).await;
    assert!(why.contains("has not read"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox() {
    let rig = as_worker();
    let accepted = |n| ToOwner::Accepted(epoch(n as u64));
    assert!(rig.session.send(&mut (0..limits::OUTBOX).map(accepted).collect()));
    let mut more = vec![accepted(0)];
    assert!(!rig.session.send(&mut more), "no session has run: the outbox is full");
    assert!(more.is_empty());
    assert!(!rig.session.send(&mut vec![accepted(1)]), "nor is anything taken after that");
    assert_ends(rig, "65536 frames wait", false).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_fits_no_message() {
    let rig = as_worker();
    assert!(rig.session.send(&mut vec![result(1, limits::TASK_FRAME)]));
    assert_ends(rig, "cannot send: a message of", false).await;
}

#[tokio::test(start_paused = true)]
async fn the_node_has_stopped_listening() {
    let Rig { events, mut peer, task, session, .. } = as_worker();
    drop(events);
    peer.write_all(&bytes_to_worker(&[assign(1, 1)])).await.unwrap();
    task.await.unwrap();
    assert!(!session.send(&mut vec![result(1, 1)]));
}

#[tokio::test(start_paused = true)]
async fn the_stream_breaks() {
    let rig = as_owner();
    let Rig { session, events, last_seen, task, peer } = rig;
    drop(peer);
    assert!(session.send(&mut vec![assign(1, 1)]));
    let rig = Rig { session, events, last_seen, task, peer: pipe().0 };
    // The in-memory stream tells the end of its other half first.
    assert_ends(rig, "closed by the peer", false).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_an_owner() {
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
async fn a_refusal_does_not_wait_for_ever() {
    let began = Instant::now();
    let (here, mut there) = pipe();
    // Neither reads nor closes.
    there.write_all(b"anything").await.unwrap();
    refuse(here, Reason::ShuttingDown).await;
    assert_eq!(began.elapsed(), limits::REFUSE_TIMEOUT);
}
