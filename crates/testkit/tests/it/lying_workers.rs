//! Workers that lie: P-19, and S-08 to S-11 from their side. The engine's tests hold.

use meshwork_core::TaskState;
use meshwork_node::NetworkEvent;
use meshwork_testkit::{
    TestNet, TestNode, Wiring,
    hostile::{
        Channel, Hostile,
        message::{
            Busy, Credit, Epoch, Epochs, Heartbeat, Progress, Reason, Refused, ResultBatch,
            ToOwner, ToWorker, to_owner, to_worker,
        },
    },
    panics, within,
};

use crate::support::{Gate, field, output, task};

/// P-19: an attempt at one worker cannot be ended by another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_cannot_end_the_attempt_of_another() {
    let gate = Gate::new();
    let mut net = TestNet::start(Wiring { workers: 0, ..Wiring::default() }).await;
    let spec = net.worker_spec(&Wiring::default(), 1);
    let worker = TestNode::start_with(spec, |builder| builder.handler(gate.handler())).await;
    net.admit(&worker).await;
    net.workers.push(worker.clone());
    let owner = &net.owner;
    let theirs = owner.submit(task("text/gate").with_input("real"), &[worker.id()]).await;
    let epoch = owner
        .task_until(theirs.id(), "the task runs", |view| match view.state {
            TaskState::Running { epoch, .. } => Some(epoch),
            _ => None,
        })
        .await;
    let theirs_epoch = Epoch { boot: epoch.boot, number: epoch.number };

    let mut hostile = Hostile::worker(owner, 4, &["text/upper"]).await;
    let own = owner.submit(task("text/upper").with_input("a"), &[hostile.id()]).await;
    let own_id = own.id();
    let mut session = hostile.next_session().await;
    let own_epoch = first_order(&mut session).await;
    let mut events = owner.manager().subscribe();
    for kind in messages_about(theirs_epoch) {
        say(&mut session, kind).await;
    }
    acknowledged(&mut session, epoch.number, 1).await;
    say(&mut session, to_owner::Kind::Result(ResultBatch::one(own_epoch, b"own"))).await;
    assert_eq!(output(own.end().await.unwrap()), "own");
    // No event of the other task was reported.
    loop {
        match events.next().await.expect("it runs") {
            NetworkEvent::TaskChanged { id, state, .. } if id == own_id => {
                assert_eq!(state, TaskState::Succeeded);
                break;
            }
            NetworkEvent::TaskChanged { id, .. } | NetworkEvent::TaskProgress { id, .. } => {
                panic!("an event of {id}")
            }
            _ => {}
        }
    }

    let state = owner.task(theirs.id()).await.state;
    assert!(matches!(state, TaskState::Running { peer, .. } if peer == worker.id()), "{state}");
    gate.open_one();
    assert_eq!(output(theirs.end().await.unwrap()), "real");
    panics::assert_none();
    net.shutdown().await;
}

/// Every kind of message that a worker can send about an attempt; the result last.
fn messages_about(epoch: Epoch) -> Vec<to_owner::Kind> {
    let list = Epochs::one(epoch.boot, epoch.number);
    let reason = Some(Reason { code: Reason::NOT_FOUND, ..Reason::default() });
    vec![
        to_owner::Kind::Accepted(list),
        to_owner::Kind::Busy(Busy { epoch: Some(epoch), retry_after_ms: 0 }),
        to_owner::Kind::Refused(Refused { epoch: Some(epoch), reason }),
        to_owner::Kind::Progress(Progress {
            epoch: Some(epoch),
            fraction: 0.5,
            message: "half".to_owned(),
        }),
        to_owner::Kind::Heartbeat(Heartbeat { seen: Some(epoch), count: 1, hash: 0 }),
        to_owner::Kind::Result(ResultBatch::one(epoch, b"forged")),
    ]
}

/// S-08, S-10, S-11 from a worker: they end the connection, and change nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_answer_ends_the_connection() {
    let net = TestNet::start(Wiring::default()).await;
    let owner = &net.owner;
    let attacks: Vec<(&str, Vec<u8>)> = vec![
        ("4 GiB", vec![0x80, 0x80, 0x80, 0x80, 0x10]),
        ("nothing", vec![0]),
        ("a message of an owner", field(2, &[0x08, 1])),
        ("32,000 empty results", field(70, &[0x12, 0x00].repeat(32_000))),
        (
            "32,000 acceptances",
            field(65, &[&[0x08, 1], [0x10, 2].repeat(32_000).as_slice()].concat()),
        ),
        ("groups in groups in a refusal", field(67, &[0x1b; 60_000])),
        ("a busy that names nothing", field(66, &[0x10, 1])),
        ("text that is not UTF-8", field(69, &[0x0a, 2, 0x08, 1, 0x1a, 2, 0xff, 0xfe])),
        ("a credit of three bytes in place of a number", field(64, &[0x0a, 3, 1, 2, 3])),
    ];
    for (what, bytes) in attacks {
        let mut hostile = Hostile::worker(owner, 4, &["text/upper"]).await;
        let handle = owner.submit(task("text/upper").with_input("a"), &[hostile.id()]).await;
        let mut session = hostile.next_session().await;
        first_order(&mut session).await;
        // The owner may close before all bytes are written.
        session.write(&bytes).await.ok();
        within(what, hostile.closed()).await;
        assert!(!owner.task(handle.id()).await.state.is_terminal(), "{what} has ended a task");
        handle.cancel().await.unwrap();
        is_served(&net).await;
    }
    net.shutdown().await;
}

/// Grants credit, and receives the first assignment.
async fn first_order(session: &mut Channel) -> Epoch {
    say(session, to_owner::Kind::Credit(Credit::some())).await;
    loop {
        if let to_worker::Kind::Assign(batch) = next_frame(session).await {
            let number = batch.assignments[0].delta.cast_unsigned();
            return Epoch { boot: batch.boot, number };
        }
    }
}

/// Receives `count` acknowledgements of this attempt.
async fn acknowledged(session: &mut Channel, number: u64, count: usize) {
    let mut acknowledgements = 0;
    while acknowledgements < count {
        match next_frame(session).await {
            to_worker::Kind::Ack(list) => {
                assert!(list.numbers().all(|acknowledged| acknowledged == number), "{list:?}");
                acknowledgements += list.deltas.len();
            }
            // The answer to the acceptance that came too late.
            to_worker::Kind::Cancel(_) => {}
            other => panic!("not an acknowledgement: {other:?}"),
        }
    }
    assert_eq!(acknowledgements, count);
}

async fn say(session: &mut Channel, kind: to_owner::Kind) {
    session.send(&ToOwner::from(kind)).await.expect("the session lives");
}

/// The next frame from the owner.
async fn next_frame(session: &mut Channel) -> to_worker::Kind {
    session.recv::<ToWorker>().await.expect("the session lives").kind.expect("a kind known here")
}

/// Checks that the owner still uses the honest worker.
async fn is_served(net: &TestNet) {
    let targets = [net.workers[0].id()];
    let end = net.owner.run(task("text/upper").with_input("honest"), &targets).await;
    assert_eq!(output(end), "HONEST");
    panics::assert_none();
}
