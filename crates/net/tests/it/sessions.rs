//! Sessions between two nodes.

use std::time::Duration;

use bytes::Bytes;
use meshwork_core::{AttemptEnd, Epoch, PeerId, ToOwner, ToWorker};
use meshwork_net::{NetEvent, Session, SessionEvent};

use crate::support::{Node, QUIC, TCP, pair};

async fn worker_session(owner: &mut Node, worker: PeerId) -> Session<ToWorker> {
    assert!(owner.handle.open_session(worker));
    owner
        .event(|event| match event {
            NetEvent::WorkerSession { peer, session } if peer == worker => Some(session),
            NetEvent::WorkerSessionFailed { why, .. } => panic!("{why}"),
            _ => None,
        })
        .await
}

async fn owner_session(worker: &mut Node, owner: PeerId) -> Session<ToOwner> {
    worker
        .event(|event| match event {
            NetEvent::OwnerSession { peer, session } if peer == owner => Some(session),
            _ => None,
        })
        .await
}

fn epoch(number: u64) -> Epoch {
    Epoch { boot: 1, number }
}

#[tokio::test]
async fn frames_pass_both_ways() {
    for listen in [TCP, QUIC] {
        let (mut owner, mut worker) = pair(listen).await;
        let (owner_id, worker_id) = (owner.id(), worker.id());
        let to_worker = worker_session(&mut owner, worker_id).await;
        let to_owner = owner_session(&mut worker, owner_id).await;
        assert_eq!((to_worker.peer(), to_owner.peer()), (worker_id, owner_id));
        let cancels: Vec<_> = (1..=1_000).map(|n| ToWorker::Cancel(epoch(n))).collect();
        assert!(to_worker.send(&mut cancels.clone()));
        let mut arrived = Vec::new();
        while arrived.len() < cancels.len() {
            let SessionEvent::FromOwner { peer, frames } = worker.session_event().await else {
                panic!("expected frames");
            };
            assert_eq!(peer, owner_id);
            arrived.extend(frames);
        }
        assert_eq!(arrived, cancels);
        let result = ToOwner::Result {
            epoch: epoch(1),
            end: AttemptEnd::Output(Bytes::from(vec![7; 100_000]).into()),
            took: Duration::from_millis(3),
        };
        assert!(to_owner.send(&mut vec![result.clone()]));
        let SessionEvent::FromWorker { peer, frames } = owner.session_event().await else {
            panic!("expected frames");
        };
        assert_eq!((peer, frames), (worker_id, vec![result]));
        // Dropping one handle closes the session at both nodes.
        let id = to_owner.id();
        drop(to_worker);
        let event = worker.session_event().await;
        assert!(
            matches!(event, SessionEvent::OwnerClosed { peer, id: which, violation: false, .. }
                if peer == owner_id && which == id),
            "{event:?}"
        );
        let event = owner.session_event().await;
        assert!(matches!(event, SessionEvent::WorkerClosed { violation: false, .. }), "{event:?}");
    }
}

#[tokio::test]
async fn both_can_be_owner_and_worker_at_once() {
    let (mut first, mut second) = pair(TCP).await;
    let (a, b) = (first.id(), second.id());
    let _first_owns = worker_session(&mut first, b).await;
    let _second_works = owner_session(&mut second, a).await;
    let _second_owns = worker_session(&mut second, a).await;
    let _first_works = owner_session(&mut first, b).await;
    assert_eq!(first.handle.counters().sessions, 2);
    assert_eq!(second.handle.counters().sessions, 2);
}

#[tokio::test]
async fn session_can_be_replaced() {
    let (mut owner, mut worker) = pair(TCP).await;
    let (owner_id, worker_id) = (owner.id(), worker.id());
    let old = worker_session(&mut owner, worker_id).await;
    let old_at_worker = owner_session(&mut worker, owner_id).await;
    let new = worker_session(&mut owner, worker_id).await;
    let new_at_worker = owner_session(&mut worker, owner_id).await;
    assert!(new.id() > old.id());
    assert!(new_at_worker.id() > old_at_worker.id());
    drop((old, old_at_worker));
    assert!(new.send(&mut vec![ToWorker::Ack(epoch(9))]));
    loop {
        match worker.session_event().await {
            SessionEvent::FromOwner { frames, .. } => {
                assert_eq!(frames, [ToWorker::Ack(epoch(9))]);
                break;
            }
            SessionEvent::OwnerClosed { id, .. } => assert!(id < new_at_worker.id()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn session_with_unconnected_peer_fails_with_reason() {
    let mut node = Node::listening(TCP).await;
    assert!(node.handle.open_session(PeerId::random()));
    let why = node
        .event(|event| match event {
            NetEvent::WorkerSessionFailed { why, .. } => Some(why),
            _ => None,
        })
        .await;
    assert_eq!(why, "not connected");
}

#[tokio::test]
async fn sessions_end_with_the_connection() {
    let (mut owner, mut worker) = pair(TCP).await;
    let (owner_id, worker_id) = (owner.id(), worker.id());
    let _to_worker = worker_session(&mut owner, worker_id).await;
    let _to_owner = owner_session(&mut worker, owner_id).await;
    worker.stop().await;
    let event = owner.session_event().await;
    assert!(matches!(event, SessionEvent::WorkerClosed { .. }), "{event:?}");
    owner.disconnected(worker_id).await;
}
