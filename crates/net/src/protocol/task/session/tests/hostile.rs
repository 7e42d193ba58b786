//! Peers that break the protocol or stall (S-07 to S-09, S-21).

use tokio::time::{Instant, sleep};

use super::*;

#[tokio::test(start_paused = true)]
async fn message_sent_byte_by_byte_runs_into_the_deadline() {
    let mut rig = as_worker();
    let began = Instant::now();
    let bytes = bytes_to_worker(&[assign(1, 1_000)]);
    let dripping = tokio::spawn(async move {
        for byte in bytes {
            if rig.peer.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(9)).await;
        }
        rig.peer
    });
    let (_, why, violation) = end(&mut rig.events).await;
    assert!(why.contains("not complete within 30s") && !violation, "{why}");
    assert_eq!(began.elapsed().as_secs(), limits::FRAME_TIMEOUT.as_secs());
    dripping.abort();
}

#[tokio::test(start_paused = true)]
async fn large_frame_has_the_same_deadline() {
    let mut rig = as_worker();
    let began = Instant::now();
    let bytes = bytes_to_worker(&[assign(1, 1 << 20)]);
    rig.peer.write_all(&bytes[..bytes.len() - 1]).await.unwrap();
    let (_, why, _) = end(&mut rig.events).await;
    assert!(why.contains("not complete"), "{why}");
    assert_eq!(began.elapsed().as_secs(), limits::FRAME_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn frames_that_end_in_time_never_hit_the_deadline() {
    let mut rig = as_worker();
    let bytes = bytes_to_worker(&[assign(1, 100)]);
    let (first, second) = bytes.split_at(20);
    // A frame is always incomplete, but each takes only 20 s.
    rig.peer.write_all(first).await.unwrap();
    for _ in 0..20 {
        sleep(Duration::from_secs(20)).await;
        rig.peer.write_all(second).await.unwrap();
        rig.peer.write_all(first).await.unwrap();
    }
    assert_eq!(frames_from_owner(&mut rig.events, 20).await, vec![assign(1, 100); 20]);
}

#[tokio::test(start_paused = true)]
async fn idle_session_stays_open() {
    let mut rig = as_worker();
    sleep(Duration::from_secs(24 * 3600)).await;
    rig.peer.write_all(&bytes_to_worker(&[assign(1, 1)])).await.unwrap();
    assert_eq!(frames_from_owner(&mut rig.events, 1).await, [assign(1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn frame_cut_by_the_end_of_the_stream_is_dropped() {
    for missing in [1, 40] {
        let mut rig = as_worker();
        let bytes = bytes_to_worker(&[assign(1, 64 * 1024)]);
        let cut = &bytes[..bytes.len() - missing];
        let (written, ()) = tokio::join!(
            async {
                rig.peer.write_all(cut).await?;
                rig.peer.close().await
            },
            tokio::task::yield_now(),
        );
        written.unwrap();
        assert_ends(rig, "in the middle of a message", false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn protocol_violations_end_the_session() {
    let four_gib = vec![0x80, 0x80, 0x80, 0x80, 0x10];
    let max = [vec![0xff; 9], vec![1]].concat();
    let credit = bytes_to_owner(&[ToOwner::Credit(Default::default())]);
    for (bytes, words) in [
        (four_gib, "a message of"),
        (max, "a message of"),
        (vec![0x80; 11], "malformed length"),
        (vec![0x85, 0], "malformed length"),
        (vec![0], "an empty message"),
        (credit, "wrong direction"),
        (vec![3, 0x0a, 9, 1], "longer than its message"),
        (vec![2, 0x0b, 0x0b], "wire type"),
        (b"GET / HTTP/1.1\r\n\r\n".repeat(5), "malformed"),
    ] {
        let mut rig = as_worker();
        // The frame before the violation is delivered, the one after it is not.
        let before = bytes_to_worker(&[assign(1, 10)]);
        rig.peer.write_all(&[before.clone(), bytes, before].concat()).await.unwrap();
        assert_eq!(frames_from_owner(&mut rig.events, 1).await, [assign(1, 10)]);
        assert_ends(rig, words, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn message_takes_effect_as_a_whole_or_not_at_all() {
    for before in [0, 1] {
        let mut rig = as_worker();
        let good: Vec<_> = (0..before).map(|n| assign(n, 10)).collect();
        // A batch of one valid assignment and one without a task.
        let message = bytes_to_worker(&[assign(9, 10)]);
        let mut broken = message.clone();
        broken.extend([0x12, 0]);
        broken[0] += 2;
        broken[2] += 2;
        rig.peer.write_all(&[bytes_to_worker(&good), broken].concat()).await.unwrap();
        assert_eq!(frames_from_owner(&mut rig.events, good.len()).await, good);
        assert_ends(rig, "a task id of other than 16 bytes", true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_kinds_are_answered_up_to_a_bound() {
    let mut rig = as_worker();
    let unknown = [5, 0xc2, 2, 2, 8, 1];
    rig.peer.write_all(&unknown.repeat(limits::UNKNOWN_KINDS)).await.unwrap();
    let answers = read_as_owner(&mut rig.peer, limits::UNKNOWN_KINDS).await;
    assert_eq!(answers.len(), limits::UNKNOWN_KINDS);
    rig.peer.write_all(&bytes_to_worker(&[assign(1, 1)])).await.unwrap();
    assert_eq!(frames_from_owner(&mut rig.events, 1).await.len(), 1);
    rig.peer.write_all(&unknown).await.unwrap();
    assert_ends(rig, "messages of unknown kinds", true).await;
}

#[tokio::test(start_paused = true)]
async fn unread_refusals_stop_the_reading() {
    let rig = as_worker();
    let Rig { session, events, last_seen, task, peer } = rig;
    let ToWorker::Assign(mut bad) = assign(1, 0) else { unreachable!() };
    bad.params.insert("x".repeat(65), String::new());
    // Their refusals exceed the pipe and the bound on waiting answers together.
    let bytes = bytes_to_worker(&vec![ToWorker::Assign(bad); 200_000]);
    let (read, mut write) = peer.split();
    let began = Instant::now();
    let writing = tokio::spawn(async move { write.write_all(&bytes).await.is_ok() });
    let rig = Rig { session, events, last_seen, task, peer: pipe().0 };
    assert_ends(rig, "has not read for 30s", false).await;
    assert_eq!(began.elapsed().as_secs(), limits::WRITE_TIMEOUT.as_secs());
    assert!(!writing.await.unwrap(), "the session read all although it could not answer");
    drop(read);
}
