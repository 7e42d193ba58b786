//! Cancelled groups: none of their members starts afterwards, and no restart undoes it.

use super::*;
use crate::engine::view::GroupState;

fn cancelled(reason: &str) -> Option<GroupStop> {
    Some(GroupStop::Cancelled { reason: reason.to_owned() })
}

#[test]
fn cancelled_group_takes_no_members_also_after_restart() {
    let mut net = Net::connected(&[2]);
    let id = net.accepts(members(GroupId::new(), 0..50, false, Some(3)));
    net.finish(1, output("x"));
    assert_eq!(net.cancel_group(id), Some(Reply::GroupCancelled { id }));
    let view = net.group(id);
    assert_eq!((view.stop.clone(), view.state()), (cancelled("no need"), GroupState::Cancelled));
    assert_eq!(view.ended, EndCounts { succeeded: 1, cancelled: 49, ..Default::default() });
    assert_eq!(net.nodes[1].stopped.len(), 2, "both running attempts are stopped");
    let Some(TaskEnd::Cancelled { by: CancelledBy::Submitter, reason }) = net.end(id.member(49))
    else {
        panic!("{:?}", net.end(id.member(49)))
    };
    assert_eq!(reason, format!("group {}: no need", id.short()));
    for restarted in [false, true] {
        assert_eq!(net.refuses(members(id, 50..51, true, Some(3))), Reason::GroupCancelled);
        assert_eq!(net.cancel_group(id), Some(Reply::GroupCancelled { id }), "answered again");
        assert_eq!((net.group(id).stop, net.group(id).ended), (cancelled("no need"), view.ended));
        if !restarted {
            net.restart(0);
        }
    }
    let nowhere = GroupId::new();
    assert_eq!(net.cancel_group(nowhere), Some(Reply::Refused(Reason::NotFound)));
}

#[test]
fn group_cancel_is_reported_once_it_is_persisted() {
    let mut net = Net::connected(&[1]);
    let id = net.accepts(members(GroupId::new(), 0..9, false, None));
    net.disk = false;
    assert_eq!(net.cancel_group(id), None);
    let before = net.group(id);
    assert_eq!((before.stop, before.running, before.ended.cancelled), (None, 9, 0));
    // The refusal of further members would reveal it too.
    let token = Token(7);
    let tasks = members(id, 9..10, true, None);
    net.feed(0, Input::SubmitGroup { tasks, targets: Vec::new(), token });
    net.settle();
    assert_eq!(net.cancel_group(id), None, "a second cancel waits too");
    net.persist(0);
    let replies: Vec<Reply> = net.nodes[0].replies.drain(..).map(|(_, reply)| reply).collect();
    let refused = Reply::Refused(Reason::GroupCancelled);
    let done = Reply::GroupCancelled { id };
    assert!(replies.ends_with(&[done.clone(), refused, done]), "{replies:?}");
    assert_eq!(net.group(id).ended.cancelled, 9);
}

/// The record of the cancel is on disk; the node is killed before it cancels a member.
#[test]
fn restart_continues_cancelling_a_cancelled_group() {
    let mut net = Net::connected(&[1]);
    let id = net.accepts(members(GroupId::new(), 0..10, false, None));
    let before = net.nodes[0].ledger.clone();
    net.nodes[0].records.clear();
    net.cancel_group(id);
    let decided = net.nodes[0].records.iter().find(|record| matches!(record, Record::Group(_)));
    let decided = decided.cloned().unwrap();
    net.nodes[0].ledger = before;
    let now = net.now;
    net.nodes[0].ledger.apply(decided, now, now);
    net.restart(0);
    let view = net.group(id);
    assert_eq!((view.stop, view.ended.cancelled), (cancelled("no need"), 10));
}

#[test]
fn cancelled_large_group_starts_no_more_members() {
    let mut net = Net::connected(&[1]);
    let chunk = limits::GROUP_CHUNK as u32;
    let config = &mut net.nodes[0].engine.node.config;
    config.max_owned = 3 * limits::GROUP_CHUNK;
    let id = net.accepts(members(GroupId::new(), 0..chunk, false, None));
    net.accepts(members(id, chunk..2 * chunk, false, None));
    let tried = |net: &Net| {
        let all = (0..2 * chunk).map(|index| net.view(id.member(index)).unwrap());
        all.filter(|member| !member.attempts.is_empty()).count()
    };
    let before = tried(&net);
    let (token, reason) = (Token(7), String::new());
    net.feed(0, Input::CancelGroup { id, reason, token });
    let mut effects = Vec::new();
    let engine = &mut net.nodes[0].engine;
    engine.advance(net.now, &mut net.rng, &mut effects);
    engine.flush(net.now, &mut net.rng, &mut effects);
    assert_eq!(net.nodes[0].engine.next_timer(), Some(Time::ZERO), "more members follow");
    net.carry_out(0, effects);
    let stopping = net.group(id);
    assert_eq!((stopping.state(), stopping.ended.cancelled), (GroupState::Stopping, chunk));
    net.settle();
    assert_eq!((tried(&net), net.group(id).ended.cancelled), (before, 2 * chunk));
}

#[test]
fn cancel_does_not_change_an_ended_group() {
    let mut net = Net::connected(&[1]);
    let done = net.accepts(members(GroupId::new(), 0..1, true, None));
    net.finish(1, output("x"));
    assert_eq!(net.cancel_group(done), Some(Reply::GroupCancelled { id: done }));
    assert_eq!(net.group(done).state(), GroupState::Succeeded);
    let failed = net.accepts(members(GroupId::new(), 0..5, false, Some(0)));
    net.fail(1);
    assert_eq!(net.cancel_group(failed), Some(Reply::GroupCancelled { id: failed }));
    assert_eq!((net.group(failed).stop, net.group(failed).state()), (FAILURES, GroupState::Failed));
    // A group that waits for more members ends with the cancel.
    let open = net.accepts(members(GroupId::new(), 0..1, false, None));
    net.finish(1, output("x"));
    net.cancel_group(open);
    assert_eq!(net.group(open).state(), GroupState::Cancelled);
    assert_eq!(net.refuses(members(open, 1..2, true, None)), Reason::GroupCancelled);
}

#[test]
fn group_in_memory_is_cancelled_without_the_disk() {
    let mut net = Net::connected(&[1]);
    net.nodes[0].engine.node.config.durability = Durability::Memory;
    let id = net.accepts(members(GroupId::new(), 0..5, false, None));
    net.disk = false;
    assert_eq!(net.cancel_group(id), Some(Reply::GroupCancelled { id }));
    assert_eq!(net.group(id).ended.cancelled, 5);
    assert!(net.nodes[0].records.is_empty());
}

#[test]
fn long_reason_of_a_group_cancel_is_cut() {
    let mut net = Net::new(&[]);
    let id = net.accepts(members(GroupId::new(), 0..2, false, None));
    let reason = "ü".repeat(limits::MESSAGE_BYTES);
    net.feed(0, Input::CancelGroup { id, reason, token: Token(7) });
    net.settle();
    let most = limits::GROUP_REASON_BYTES;
    assert_eq!(net.group(id).stop, cancelled(&"ü".repeat(most / 2)));
}
