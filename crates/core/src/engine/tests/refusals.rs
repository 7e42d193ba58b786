//! Tasks whose target refuses them.

use std::time::Duration;

use super::*;
use crate::{
    ExpiredLimit, FailureCode, GroupId, GroupMember, Reason, TaskFailure, engine::view::Obstacle,
    limits,
};

/// Sets whether node 1 trusts node 0, and whether node 0 already has the resulting advert.
fn trust(net: &mut Net, trusted: bool, offered: bool) {
    let (owner, worker) = (net.nodes[0].id, net.nodes[1].id);
    net.feed(1, Input::Trust { peer: owner, trusted });
    if offered {
        let mut advert = advert(1);
        if !trusted {
            advert.handlers.clear();
        }
        net.feed(0, Input::PeerReady { peer: worker, advert });
    }
    net.settle();
}

fn fail(net: &mut Net) {
    net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "no")));
}

/// Why a task waits: the code, and the obstacle at node 1.
fn why(net: &Net, id: TaskId) -> (&'static str, Obstacle) {
    let waiting = net.nodes[0].engine.read(net.now).task(id).unwrap().waiting.unwrap();
    let [(_, obstacle)] = &waiting.peers[..] else { panic!("one worker: {waiting:?}") };
    (waiting.code, obstacle.clone())
}

#[test]
fn task_waits_while_its_target_withdraws_trust() {
    for offered in [true, false] {
        let mut net = Net::connected(&[1]);
        let id = net.submit_to(0, task("text/a"), &[1]);
        net.pass(limits::OFFER_NEWS);
        fail(&mut net);
        trust(&mut net, false, offered);
        net.pass(Duration::from_secs(60));
        let (code, obstacle) = why(&net, id);
        assert_eq!(code, "no_eligible_peer");
        let expected = match &obstacle {
            Obstacle::NotOffered { .. } => offered,
            Obstacle::Refused(reason) => reason.code() == "not_accepted" && !offered,
            _ => false,
        };
        assert!(expected, "{obstacle:?}");
        trust(&mut net, true, true);
        assert_eq!(net.state(id), "running");
        net.finish(1, output("x"));
        assert_eq!(net.state(id), "succeeded");
    }
}

#[test]
fn task_refused_by_its_target_expires_by_queue_limit() {
    let mut net = Net::connected(&[1]);
    let ids = [0, 1].map(|_| net.submit_to(0, task("text/a"), &[1]));
    trust(&mut net, false, true);
    net.pass(limits::OFFER_NEWS);
    fail(&mut net);
    fail(&mut net);
    net.pass(Duration::from_secs(300));
    assert_eq!(ids.map(|id| net.state(id)), ["queued", "queued"]);
    net.pass(Duration::from_secs(600));
    let expired = Some(TaskEnd::Expired { limit: ExpiredLimit::Queue });
    assert_eq!(ids.map(|id| net.end(id)), [expired.clone(), expired]);
}

/// A refusal, and whether it ends a task whose target offered its handler: soon after the
/// submission, and later.
fn table() -> Vec<(Reason, bool, bool)> {
    let (retry_after, text) = (Duration::from_secs(1), String::new);
    vec![
        // About this worker: its advert may change.
        (Reason::NotAccepted { family: text(), accepts: text() }, true, false),
        (Reason::UnknownHandler { handler: text() }, true, false),
        (Reason::NotAdmitted { detail: text() }, true, false),
        (Reason::WrongNetwork { ours: text(), theirs: text() }, true, false),
        (Reason::IncompatibleVersion { detail: text() }, true, false),
        (Reason::Unsupported { what: text() }, true, false),
        // Temporary refusals.
        (Reason::ShuttingDown, false, false),
        (Reason::Busy { retry_after }, false, false),
        (Reason::QueueFull { retry_after }, false, false),
        (Reason::DiskFull { retry_after }, false, false),
        (Reason::PeersFull { max_peers: 1, retry_after }, false, false),
        (Reason::Recovering { percent: 1, retry_after }, false, false),
        (Reason::Conflict { what: text() }, false, false),
        (Reason::NotFound, false, false),
        // About the task, at every worker.
        (Reason::TooLarge { limit: 1 }, true, true),
        (Reason::InvalidTask { detail: text() }, true, true),
        (Reason::Denied { detail: text() }, true, true),
        (Reason::InvalidMessage { detail: text() }, true, true),
    ]
}

#[test]
fn refusals_of_a_target_end_its_task_or_keep_it_queued() {
    for (reason, ends_soon, ends_late) in table() {
        for (waited, ends) in [(Duration::ZERO, ends_soon), (limits::OFFER_NEWS, ends_late)] {
            let mut net = Net::connected(&[1]);
            let id = net.submit_to(0, task("text/a"), &[1]);
            net.pass(waited);
            let (_, _, work) = net.nodes[1].running[0].clone();
            let frame = ToOwner::Refused { epoch: Some(work.epoch), reason: reason.clone() };
            net.feed(0, Input::FromWorker { peer: net.nodes[1].id, frames: vec![frame] });
            net.settle();
            assert_eq!(net.end(id).is_some(), ends, "{reason:?} after {waited:?}");
        }
    }
}

#[test]
fn task_without_target_ends_only_by_refusals_about_itself() {
    for (reason, _, ends) in table() {
        let mut net = Net::connected(&[1]);
        let id = net.submit(task("text/a"));
        let (_, _, work) = net.nodes[1].running[0].clone();
        let frame = ToOwner::Refused { epoch: Some(work.epoch), reason: reason.clone() };
        net.feed(0, Input::FromWorker { peer: net.nodes[1].id, frames: vec![frame] });
        net.settle();
        assert_eq!(net.end(id).is_some(), ends, "{reason:?}");
    }
}

#[test]
fn target_that_refuses_on_arrival_fails_the_task() {
    let mut net = Net::new(&[1]);
    let id = net.submit_to(0, task("text/a"), &[1]);
    net.pass(Duration::from_secs(60));
    trust(&mut net, false, false);
    net.connect(0, 1);
    let Some(TaskEnd::Failed(failure)) = net.end(id) else { panic!("{}", net.state(id)) };
    assert_eq!(failure.code, FailureCode::Refused);
}

#[test]
fn member_that_ran_at_its_target_waits_for_it() {
    let mut net = Net::new(&[1]);
    let (group, worker) = (GroupId::new(), net.nodes[1].id);
    let place = |index| {
        let member = GroupMember { group, index, last: index == 1, max_fails: None };
        member.place(task("text/a"))
    };
    let tasks = vec![place(0), place(1)];
    let token = Token(9_999);
    net.feed(0, Input::SubmitGroup { tasks, targets: vec![worker], token });
    net.connect(0, 1);
    let first = group.member(0);
    assert_eq!(net.state(first), "running");
    net.pass(limits::OFFER_NEWS);
    fail(&mut net);
    trust(&mut net, false, true);
    net.pass(Duration::from_secs(1));
    assert_eq!(net.state(first), "queued");
    trust(&mut net, true, true);
    for _ in 0..2 {
        net.finish(1, output("x"));
    }
    assert_eq!(net.state(first), "succeeded");
    assert_eq!(net.nodes[0].engine.sizes().groups, 0, "no needs are kept");
    let explained = net.nodes[0].engine.read(net.now).explain_group(group).unwrap();
    assert!(explained.waiting.is_empty() && explained.others == 0, "{explained:?}");
}

#[test]
fn restored_task_waits_for_its_target() {
    let mut net = Net::connected(&[1]);
    let id = net.submit_to(0, task("text/a"), &[1]);
    net.restart(0);
    trust(&mut net, false, true);
    assert_eq!(net.state(id), "queued");
    net.pass(Duration::from_secs(1));
    assert!(matches!(why(&net, id).1, Obstacle::NotOffered { .. }));
}

/// A worker that refused one task is not shown as free to other tasks of the class.
#[test]
fn tasks_behind_a_refused_task_show_the_same_reason() {
    let mut net = Net::connected(&[1]);
    let ids: Vec<TaskId> = (0..10).map(|_| net.submit_to(0, task("text/a"), &[1])).collect();
    net.pass(limits::OFFER_NEWS);
    trust(&mut net, false, false);
    while !net.nodes[1].running.is_empty() {
        fail(&mut net);
    }
    net.pass(Duration::from_secs(1));
    let waiting: Vec<TaskId> = ids.into_iter().filter(|id| net.state(*id) == "queued").collect();
    assert!(waiting.len() > 5, "{} wait", waiting.len());
    for id in waiting {
        let (code, obstacle) = why(&net, id);
        assert_eq!(code, "no_eligible_peer", "{obstacle:?}");
    }
}
