//! Peers that send or ask for more than they may: S-05, S-06.

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

/// What one stream may have in flight at first.
const WINDOW: usize = 256 * 1024;
/// Streams that the attacker opens: with those of the victim as many as a connection may have.
const STREAMS: u32 = 120;
const MIB: usize = 1024 * 1024;

/// S-05: what lies unread at the victim is bounded by its windows: there comes a point at which the
/// attacker has no credit left on any stream, and gets no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_windows_stay_full() {
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

    // More streams than there may be, at once: costs the attacker its connection at most.
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

/// Negotiates a hello of 64 KiB, of which all is one field that nobody knows.
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

/// Uses all credit there is until there is none and none comes; how many bytes that took.
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
        // What the victim grants it grants before it answers.
        if !granted(frames, round, credit).await || sent == 0 {
            return taken;
        }
    }
    unreachable!()
}

/// Takes note of what was granted and broken off. False at the end of the connection.
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

/// S-05: a session whose owner does not read is not read either, once it has its share of answers
/// waiting; what else the owner says stays with the owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_not_read() {
    const TRIED: usize = 32 * MIB;
    /// Two windows, a message in work, and what the kernel holds.
    const TAKEN: usize = 4 * MIB;
    /// Honest tasks that pass without progress before it counts as none.
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
                honest.is_served().await;
            }
        };
        tokio::select! {
            biased;
            () = written => taken += refused.len(),
            () = patience => break,
        }
        assert!(taken < TRIED, "it takes all there is");
    }
    assert!(taken <= TAKEN, "{taken} bytes were taken");
    assert!(!hostile.is_closed());
    honest.is_served().await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// So many assignments in one message, each of which is to be answered with a refusal.
fn refusable(first: u64, count: usize) -> Vec<u8> {
    let mut batch = AssignBatch::one(first, "nothing", "");
    let mut next = batch.assignments[0].clone();
    next.delta = 1;
    batch.assignments.resize(count, next);
    ToWorker::from(to_worker::Kind::Assign(batch)).encode_length_delimited_to_vec()
}

/// S-06: who asks for much and reads nothing is answered, in the end, and what waits for it is
/// bounded: beyond its share it is told `busy`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_are_bounded() {
    /// Results that a worker keeps for one owner: 64 MiB, and the 16 MiB it may be given at once.
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

/// Takes the answers to `asked` assignments of 1 MiB; how many of them are results. The others are
/// `busy`.
async fn answers(session: &mut Channel, asked: usize) -> usize {
    let (mut results, mut refused) = (0, 0);
    while results + refused < asked {
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
