//! Peers that send or request more than allowed: S-05, S-06.

use std::collections::BTreeMap;

use meshwork_testkit::{
    Honest,
    hostile::{
        Channel, Frames, HELLO, Header, Hostile, frame,
        message::{AssignBatch, ToOwner, ToWorker, result::End, to_owner, to_worker},
    },
    within,
};

use prost::Message;

use crate::support::victim;

/// Initial window of a stream, in bytes.
const WINDOW: usize = 256 * 1024;
/// Streams that the attacker opens: with the victim's streams, the maximum of a connection.
const STREAMS: u32 = 120;
const MIB: usize = 1024 * 1024;

/// S-05: the windows bound the unread bytes at the victim: at some point the attacker has no credit
/// left on any stream, and gets no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_with_full_windows_gets_no_more_credit() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let (taken, mut frames) = honest
        .served_during(async {
            let mut frames = Frames::connect(&victim.address()).await;
            let mut credit: BTreeMap<u32, usize> = BTreeMap::new();
            for stream in (0..STREAMS).map(|number| 2 * number + 1) {
                let opening = opening();
                frames.write(&frame(Header::SYN, stream, &opening)).await.unwrap();
                credit.insert(stream, WINDOW - opening.len());
            }
            let taken = within("full windows", fill(&mut frames, &mut credit)).await;
            (taken, frames)
        })
        .await;
    let most = STREAMS as usize * WINDOW + 8 * MIB;
    assert!(taken <= most, "{taken} bytes were taken, of {most}");

    // Too many streams at once cost the attacker its connection at most.
    honest
        .served_during(async {
            for stream in (STREAMS..16 * STREAMS).map(|number| 2 * number + 1) {
                if frames.write(&frame(Header::SYN, stream, &[])).await.is_err() {
                    break;
                }
            }
            within("an answer or the end", frames.answers(7)).await;
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// Negotiates a hello of 64 KiB that consists of one unknown field.
fn opening() -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in ["/multistream/1.0.0", HELLO] {
        bytes.push(u8::try_from(line.len() + 1).unwrap());
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend([0x80, 0x80, 0x04]);
    bytes.extend([0x7a, 0xfc, 0xff, 0x03]);
    bytes
}

/// Sends until all credit is used and no more arrives. Returns the number of bytes sent.
async fn fill(frames: &mut Frames, credit: &mut BTreeMap<u32, usize>) -> usize {
    let data = vec![0; 16 * 1024];
    let mut taken = 0;
    for round in 1.. {
        let mut sent = 0;
        for (stream, left) in credit.iter_mut() {
            while *left > 0 {
                let part = data.len().min(*left);
                if frames.write(&frame(0, *stream, &data[..part])).await.is_err() {
                    return taken;
                }
                *left -= part;
                sent += part;
            }
        }
        taken += sent;
        // The victim grants credit before it answers the ping.
        if !granted(frames, round, credit).await || sent == 0 {
            return taken;
        }
    }
    unreachable!()
}

/// Records credit and resets from the victim. Returns false at the end of the connection.
async fn granted(frames: &mut Frames, number: u32, credit: &mut BTreeMap<u32, usize>) -> bool {
    let ping =
        Header { kind: Header::PING, flags: Header::SYN, length: number, ..Header::default() };
    frames.head(ping).await.ok();
    while let Some((header, _)) = frames.next().await {
        if header.kind == Header::PING && header.flags == Header::ACK {
            return true;
        }
        if header.flags & (Header::RST | Header::FIN) != 0 {
            credit.remove(&header.stream);
        } else if header.kind == Header::WINDOW_UPDATE
            && let Some(left) = credit.get_mut(&header.stream)
        {
            *left += header.length as usize;
        }
    }
    false
}

/// S-05: a worker stops reading a session whose owner does not read its answers; further frames
/// stay with the owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owner_that_does_not_read_is_not_read() {
    const TRIED: usize = 32 * MIB;
    /// Two windows, one message in processing, and the kernel's buffers.
    const TAKEN: usize = 4 * MIB;
    /// Honest tasks that must pass without progress before the session counts as stuck.
    const PATIENCE: usize = 400;
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let hostile = Hostile::admitted(&victim).await;
    let mut session = hostile.session().await;
    let mut taken = 0;
    for first in (1..).step_by(1_000) {
        let refused = refusable(first, 1_000);
        let written = async {
            session.write(&refused).await.expect("being slow is no fault");
        };
        let patience = async {
            for _ in 0..PATIENCE {
                honest.assert_served().await;
            }
        };
        tokio::select! {
            biased;
            () = written => taken += refused.len(),
            () = patience => break,
        }
        assert!(taken < TRIED, "the worker reads everything");
    }
    assert!(taken <= TAKEN, "{taken} bytes were taken");
    assert!(!hostile.is_closed());
    honest.assert_served().await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// A message with `count` assignments, each of which the worker must refuse.
fn refusable(first: u64, count: usize) -> Vec<u8> {
    let mut batch = AssignBatch::one(first, "nothing", "");
    let mut next = batch.assignments[0].clone();
    next.delta = 1;
    batch.assignments.resize(count, next);
    ToWorker::from(to_worker::Kind::Assign(batch)).encode_length_delimited_to_vec()
}

/// S-06: an owner that requests much and reads nothing is answered eventually, and its waiting
/// answers are bounded: above its share it receives `busy`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_answers_are_bounded() {
    /// MiB of results that a worker keeps for one owner: 64, and 16 that may be assigned at once.
    const KEPT: usize = 80;
    const ASKED: usize = 160;
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let hostile = Hostile::admitted(&victim).await;
    let mut session = hostile.session().await;
    honest
        .served_during(async {
            for number in 1..=ASKED {
                let input = vec![1; MIB];
                let batch = AssignBatch::one(u64::try_from(number).unwrap(), "debug/echo", input);
                session.send(&ToWorker::from(to_worker::Kind::Assign(batch))).await.unwrap();
            }
        })
        .await;
    let results = honest.served_during(answers(&mut session, ASKED)).await;
    assert!((1..=KEPT).contains(&results), "{results} MiB were kept");
    honest.shutdown().await;
    victim.shutdown().await;
}

/// Reads the answers to so many assignments of 1 MiB. Returns the number of results; the other
/// answers are `busy`.
async fn answers(session: &mut Channel, assignments: usize) -> usize {
    let (mut results, mut refused) = (0, 0);
    while results + refused < assignments {
        let frame = session.recv::<ToOwner>().await.expect("the session lives");
        match frame.kind {
            Some(to_owner::Kind::Result(batch)) => {
                let full =
                    |end: &Option<End>| matches!(end, Some(End::Output(o)) if o.len() == MIB);
                assert!(batch.results.iter().all(|result| full(&result.end)));
                results += batch.results.len();
            }
            Some(to_owner::Kind::Busy(_)) => refused += 1,
            _ => {}
        }
    }
    results
}
