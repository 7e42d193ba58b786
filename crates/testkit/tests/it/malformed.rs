//! Malformed bytes in a session: S-08 to S-11 and S-21 on the task protocol.

use meshwork_core::{Accept, TaskId};
use meshwork_testkit::{
    Honest, Spec, TestNode,
    hostile::{
        Channel, Hostile,
        message::{
            AssignBatch, Assignment, Epochs, ToOwner, ToWorker, result::End, to_owner, to_worker,
        },
    },
    within,
};
use prost::Message;

use crate::support::{executions, field, output, prefixed, sleep, victim};

/// S-08, S-10, S-11: malformed messages end only the sender's connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_message_ends_the_connection() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let deltas = vec![1; 32_000];
    let attacks: Vec<(&str, Vec<u8>)> = vec![
        ("4 GiB", vec![0x80, 0x80, 0x80, 0x80, 0x10]),
        ("2^64 - 1", vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("not shortest", vec![0x85, 0x00, 1, 2, 3, 4, 5]),
        ("ten bytes", [vec![0xff; 9], vec![0x7f]].concat()),
        ("nothing", vec![0]),
        (
            "a message of a worker",
            ToOwner::from(to_owner::Kind::Accepted(Epochs::one(1, 1))).framed(),
        ),
        ("32,000 cancels", ToWorker::from(to_worker::Kind::Cancel(list(&deltas))).framed()),
        ("32,000 questions", ToWorker::from(to_worker::Kind::Resume(list(&deltas))).framed()),
        ("32,000 empty assignments", field(1, &[0x12, 0x00].repeat(32_000))),
        ("two kinds", [vec![4], vec![0x12, 0, 0x1a, 0]].concat()),
        ("groups in groups", prefixed(&[0x0b; 100_000])),
        ("a task id of three bytes", field(1, &[0x12, 5, 0x12, 3, 1, 2, 3])),
        ("a number for a batch", prefixed(&[0x08, 0x01])),
    ];
    honest
        .served_during(async {
            for (what, bytes) in &attacks {
                let hostile = Hostile::admitted(&victim).await;
                let mut session = hostile.session().await;
                // The victim may close before all bytes are written.
                session.write(bytes).await.ok();
                within(what, hostile.closed()).await;
            }
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// S-10, S-11: deep or repeated unknown fields cost nothing, and are allowed: a later version may
/// send them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_unknown_fields_are_ignored() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let hostile = Hostile::admitted(&victim).await;
    let mut nested = Vec::new();
    // Each level holds the one before it, up to the size of a frame.
    while nested.len() < 600_000 {
        let mut level = vec![0x7a];
        prost::encode_length_delimiter(nested.len(), &mut level).unwrap();
        level.extend_from_slice(&nested);
        nested = if nested.len() < 60_000 { level } else { level.repeat(2) };
    }
    let mut batch = AssignBatch::one(1, "debug/echo", "here").encode_to_vec();
    batch.extend_from_slice(&nested);
    honest
        .served_during(async {
            let mut session = hostile.session().await;
            session.write(&field(1, &batch)).await.unwrap();
            assert_eq!(result_of(&mut session).await, (1, b"here".to_vec()));
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// S-09: a message counts completely or not at all, and complete messages before it count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_message_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("executions");
    let spec = Spec { log: Some(log.clone()), ..Spec::worker(Accept::Anyone) };
    let victim = TestNode::start(spec).await;
    let honest = Honest::beside(&victim).await;

    let cut = AssignBatch::one(1, "debug/sleep", "");
    let cut = ToWorker::from(to_worker::Kind::Assign(cut)).framed();
    let mut half_bad = AssignBatch::one(3, "debug/sleep", "");
    half_bad.assignments.push(Assignment { task: vec![1, 2, 3].into(), ..Assignment::default() });
    let half_bad = ToWorker::from(to_worker::Kind::Assign(half_bad)).framed();
    let whole = AssignBatch::one(2, "debug/sleep", "");
    let whole_task = TaskId::from_bytes(whole.assignments[0].task[..].try_into().unwrap());
    let whole = ToWorker::from(to_worker::Kind::Assign(whole)).framed();

    honest
        .served_during(async {
            let hostile = Hostile::admitted(&victim).await;
            let mut session = hostile.session().await;
            session.write(&cut[..cut.len() - 1]).await.unwrap();
            session.close().await.unwrap();
            within("the end of the session", session.ended()).await;
            // A broken connection is not an offence, so the same peer may continue.
            let mut session = hostile.granted_session().await;
            session.write(&whole).await.unwrap();
            while !matches!(next_frame(&mut session).await, to_owner::Kind::Accepted(_)) {}
            session.write(&half_bad).await.unwrap();
            hostile.closed().await;
        })
        .await;
    // Accepted assignments are started before this one.
    let last = honest.node().submit(sleep(1), &[victim.id()]).await;
    let last_task = last.id();
    output(within("its end", last.end()).await.unwrap());
    assert_eq!(executions(&log), [whole_task.to_string(), last_task.to_string()]);
    honest.shutdown().await;
    victim.shutdown().await;
}

/// S-21: an unknown kind of a later version is answered, and the session stays; a flood ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_of_a_later_version_is_answered() {
    let victim = victim().await;
    let honest = Honest::beside(&victim).await;
    let hostile = Hostile::admitted(&victim).await;
    honest
        .served_during(async {
            let mut session = hostile.session().await;
            for kind in [8, 40, 63] {
                session.write(&field(kind, b"later")).await.unwrap();
                assert_eq!(unsupported(&mut session).await, kind);
            }
            let batch = AssignBatch::one(1, "debug/echo", "now");
            session.send(&ToWorker::from(to_worker::Kind::Assign(batch))).await.unwrap();
            assert_eq!(result_of(&mut session).await, (1, b"now".to_vec()));

            // The victim may close before all bytes are written.
            session.write(&field(40, b"later").repeat(10_000)).await.ok();
            hostile.closed().await;
        })
        .await;
    honest.shutdown().await;
    victim.shutdown().await;
}

/// The next frame from the worker.
async fn next_frame(session: &mut Channel) -> to_owner::Kind {
    session.recv::<ToOwner>().await.expect("the session lives").kind.expect("a kind known here")
}

/// The unknown kind that the worker reports next.
async fn unsupported(session: &mut Channel) -> u32 {
    loop {
        if let to_owner::Kind::Unsupported(unknown) = next_frame(session).await {
            return unknown.kind;
        }
    }
}

/// The next result: its attempt, and its output.
async fn result_of(session: &mut Channel) -> (u64, Vec<u8>) {
    loop {
        if let to_owner::Kind::Result(batch) = next_frame(session).await {
            let result = &batch.results[0];
            let Some(End::Output(output)) = &result.end else { panic!("{result:?}") };
            return (result.delta.cast_unsigned(), output.to_vec());
        }
    }
}

fn list(deltas: &[i64]) -> Epochs {
    Epochs { boot: 1, deltas: deltas.to_vec() }
}

trait Framed {
    fn framed(&self) -> Vec<u8>;
}

impl<M: Message> Framed for M {
    fn framed(&self) -> Vec<u8> {
        self.encode_length_delimited_to_vec()
    }
}
