//! Frames between honest peers.

use super::*;

#[tokio::test(start_paused = true)]
async fn frames_pass_both_ways_between_two_sessions() {
    let (here, there) = pipe();
    let mut owner = as_owner_on((here, pipe().0), 64);
    let (events, mut worker_events) = mpsc::channel(64);
    let last_seen = Arc::clone(&owner.last_seen);
    let (worker, run) = owner_session(there, wiring(SessionId(7), events, last_seen));
    let run = tokio::spawn(run);

    let mut work: Vec<_> = (0..3_000).map(|n| assign(n, 100)).collect();
    work.insert(1_000, assign(9_000, 1 << 20));
    work.insert(1_001, assign(9_001, 1 << 20));
    work.push(ToWorker::Resume(vec![epoch(1), epoch(5)]));
    assert!(owner.session.send(&mut work.clone()));
    assert_eq!(frames_from_owner(&mut worker_events, work.len()).await, work);

    let mut answers: Vec<_> = (0..3_000).map(|n| ToOwner::Accepted(epoch(n))).collect();
    answers.extend((0..3_000).map(|n| result(n, 64)));
    answers.push(result(9_000, 1 << 20));
    assert!(worker.send(&mut answers.clone()));
    assert_eq!(frames_from_worker(&mut owner.events, answers.len()).await, answers);

    drop(owner.session);
    let (id, why, violation) = end(&mut worker_events).await;
    assert_eq!((id, why.as_str(), violation), (SessionId(7), "closed by the peer", false));
    run.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn send_empties_the_vector_and_keeps_the_order() {
    let mut rig = as_owner();
    let mut expected = Vec::new();
    for batch in 0..20 {
        let mut frames: Vec<_> = (0..batch).map(|n| assign(100 * batch + n, 10)).collect();
        expected.extend(frames.clone());
        assert!(rig.session.send(&mut frames));
        assert!(frames.is_empty());
        if batch % 5 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(read_as_worker(&mut rig.peer, expected.len()).await, expected);
}

#[tokio::test(start_paused = true)]
async fn frames_that_arrive_together_are_one_batch() {
    let mut rig = as_worker();
    let before = rig.last_seen.get();
    tokio::time::advance(Duration::from_secs(3)).await;
    let frames: Vec<_> = (0..100).map(|n| assign(n, 100)).collect();
    rig.peer.write_all(&bytes_to_worker(&frames)).await.unwrap();
    match rig.events.recv().await {
        Some(SessionEvent::FromOwner { frames: received, .. }) => assert_eq!(received, frames),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.last_seen.get() - before, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn batches_to_the_consumer_are_bounded() {
    let mut rig = as_owner();
    let accepted: Vec<_> = (0..20_000).map(|n| ToOwner::Accepted(epoch(n))).collect();
    rig.peer.write_all(&bytes_to_owner(&accepted)).await.unwrap();
    let mut received = 0;
    while received < accepted.len() {
        let Some(SessionEvent::FromWorker { frames, .. }) = rig.events.recv().await else {
            panic!("ended after {received}")
        };
        assert!(frames.len() < limits::FRAMES_PER_EVENT + limits::BATCH_ENTRIES);
        received += frames.len();
    }
}

#[tokio::test(start_paused = true)]
async fn slow_consumer_stops_the_peer_and_loses_nothing() {
    let mut rig = as_owner_on(pipe(), 1);
    let results: Vec<_> = (0..10_000).map(|n| result(n, 100)).collect();
    let bytes = bytes_to_owner(&results);
    let mut writing = Box::pin(rig.peer.write_all(&bytes));
    let blocked = timeout(Duration::from_secs(120), &mut writing).await;
    assert!(blocked.is_err(), "the session read a megabyte although nobody consumes it");
    // Two minutes are longer than every timeout, but this node was slow, not the peer.
    let (written, received) =
        tokio::join!(writing, frames_from_worker(&mut rig.events, results.len()));
    written.unwrap();
    assert_eq!(received, results);
}

#[tokio::test(start_paused = true)]
async fn frames_around_an_unknown_kind_are_handled() {
    let mut rig = as_worker();
    let mut bytes = bytes_to_worker(&[ToWorker::Ack(epoch(1))]);
    // Kind 40 of a later version.
    bytes.extend([5, 0xc2, 2, 2, 8, 1]);
    bytes.extend(bytes_to_worker(&[ToWorker::Ack(epoch(2))]));
    rig.peer.write_all(&bytes).await.unwrap();
    let frames = frames_from_owner(&mut rig.events, 2).await;
    assert_eq!(frames, [ToWorker::Ack(epoch(1)), ToWorker::Ack(epoch(2))]);
    let answer = read_as_owner(&mut rig.peer, 1).await;
    assert_eq!(answer, [ToOwner::Unsupported { kind: 40 }]);
}

#[tokio::test(start_paused = true)]
async fn owner_answers_unknown_kinds_too() {
    let mut rig = as_owner();
    // Kind 100 of a later version.
    rig.peer.write_all(&[5, 0xa2, 6, 2, 8, 1]).await.unwrap();
    let mut answer = [0; 5];
    rig.peer.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [4, 0x2a, 2, 8, 100]);
}

#[tokio::test(start_paused = true)]
async fn more_answers_than_the_bound_are_all_sent() {
    let mut rig = as_worker();
    let ToWorker::Assign(mut bad) = assign(5, 0) else { unreachable!() };
    bad.params.insert(String::new(), String::new());
    // All arrive at once; no later byte wakes the session.
    let count = 2_400;
    assert!(count > 2 * limits::ANSWERS);
    let bytes = bytes_to_worker(&vec![ToWorker::Assign(bad); count]);
    assert!(bytes.len() < PIPE);
    rig.peer.write_all(&bytes).await.unwrap();
    assert_eq!(read_as_owner(&mut rig.peer, count).await.len(), count);
}

#[tokio::test(start_paused = true)]
async fn assignment_out_of_bounds_is_refused_by_the_session() {
    let mut rig = as_worker();
    let ToWorker::Assign(mut bad) = assign(5, 1) else { unreachable!() };
    bad.params.insert("x".repeat(65), String::new());
    let frames = [assign(4, 1), ToWorker::Assign(bad), assign(6, 1)];
    rig.peer.write_all(&bytes_to_worker(&frames)).await.unwrap();
    let good = frames_from_owner(&mut rig.events, 2).await;
    assert_eq!(good, [frames[0].clone(), frames[2].clone()]);
    let answer = read_as_owner(&mut rig.peer, 1).await;
    assert!(
        matches!(&answer[..], [ToOwner::Refused { epoch: Some(e), reason }]
            if *e == epoch(5) && reason.code() == "invalid_task"),
        "{answer:?}"
    );
}
