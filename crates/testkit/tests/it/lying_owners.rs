//! Owners that name the attempts of others: P-18, P-19.

use meshwork_core::{Accept, TaskState};
use meshwork_testkit::{
    Honest, Spec, TestNode,
    hostile::{
        Channel, Hostile,
        message::{AssignBatch, Epoch, Epochs, Reason, ToOwner, ToWorker, to_owner, to_worker},
    },
};

use crate::support::{Gate, output, task};

/// P-18, P-19: an attempt belongs to the owner that assigned it. A message about it from another
/// owner is answered as for an attempt that does not exist, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_of_other_owners_are_unknown() {
    let gate = Gate::new();
    let spec = Spec::worker(Accept::Anyone);
    let victim = TestNode::start_with(spec, |builder| builder.handler(gate.handler())).await;
    let honest = Honest::beside(&victim).await;
    let owner = honest.node();
    let theirs = owner.submit(task("text/gate").with_input("theirs"), &[victim.id()]).await;
    let epoch = owner
        .task_until(theirs.id(), "the honest task runs", |view| match view.state {
            TaskState::Running { epoch, .. } => Some(epoch),
            _ => None,
        })
        .await;

    let hostile = Hostile::admitted(&victim).await;
    let mut session = hostile.session().await;
    honest
        .served_during(async {
            for number in [epoch.number, 999_999] {
                let about = Epoch { boot: epoch.boot, number };
                let list = Epochs::one(about.boot, about.number);
                for kind in [to_worker::Kind::Cancel(list.clone()), to_worker::Kind::Resume(list)] {
                    session.send(&ToWorker::from(kind.clone())).await.unwrap();
                    let (refused, code) = refusal(&mut session).await;
                    assert_eq!((refused, code), (Some(about), Reason::NOT_FOUND), "{kind:?}");
                }
                // This needs no answer: the next answer is to the next message.
                let ack = to_worker::Kind::Ack(Epochs::one(about.boot, about.number));
                session.send(&ToWorker::from(ack)).await.unwrap();
            }
            // Its own attempt with the same epoch is a separate one.
            let batch = AssignBatch::one(epoch.number, "debug/echo", "mine");
            session.send(&ToWorker::from(to_worker::Kind::Assign(batch))).await.unwrap();
            while !matches!(next_frame(&mut session).await, to_owner::Kind::Result(_)) {}
        })
        .await;

    let state = owner.task(theirs.id()).await.state;
    assert!(matches!(state, TaskState::Running { epoch: still, .. } if still == epoch), "{state}");
    gate.open_one();
    assert_eq!(output(theirs.end().await.unwrap()), "theirs");
    assert_eq!(victim.manager().status().unwrap().tasks.dropped_results, 0);
    honest.shutdown().await;
    victim.shutdown().await;
}

/// The next frame from the worker.
async fn next_frame(session: &mut Channel) -> to_owner::Kind {
    session.recv::<ToOwner>().await.expect("the session lives").kind.expect("a kind known here")
}

/// The next refusal: its attempt and its code. Only credit may come before it.
async fn refusal(session: &mut Channel) -> (Option<Epoch>, i32) {
    loop {
        match next_frame(session).await {
            to_owner::Kind::Refused(refused) => {
                return (refused.epoch, refused.reason.expect("a reason").code);
            }
            to_owner::Kind::Credit(_) => {}
            other => panic!("not a refusal: {other:?}"),
        }
    }
}
