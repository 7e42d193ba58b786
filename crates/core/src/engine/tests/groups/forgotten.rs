//! What is still known of groups when members of them are forgotten, also after a restart.

use super::*;
use crate::engine::view::GroupState;

#[test]
fn an_unfinished_group_with_forgotten_members_is_that_also_after_a_restart() {
    let mut net = Net::connected(&[4]);
    let id = net.accepts(members(GroupId::new(), 0..150, false, None));
    for _ in 0..150 {
        net.finish(1, output("x"));
    }
    assert_eq!(net.state(id.member(0)), "unknown", "of 150, 100 are kept");
    net.pass(limits::GROUP_IDLE);
    let before = net.group(id);
    assert_eq!(before.state(), GroupState::Unfinished);
    for _ in 0..2 {
        net.restart(0);
        assert_eq!(net.group(id), before);
    }
    // Somebody goes on with it; what is kept of it is still known by its own times.
    net.connect(0, 1);
    net.accepts(members(id, 150..151, true, None));
    let view = net.group(id);
    assert_eq!((view.submitted, view.handed_in), (before.submitted, net.now));
    net.finish(1, output("x"));
    assert_eq!(net.group(id).state(), GroupState::Succeeded);
}

#[test]
fn a_group_of_which_nothing_but_its_tally_came_back_has_times_that_exist() {
    let mut net = Net::connected(&[4]);
    let id = net.accepts(members(GroupId::new(), 0..150, false, None));
    for _ in 0..150 {
        net.finish(1, output("x"));
    }
    let tally = net.nodes[0].ledger.groups().next().cloned().unwrap();
    net.nodes[0].ledger = Ledger::default();
    net.restart(0);
    net.nodes[0].engine.restore_group(&tally);
    let view = net.group(id);
    assert_eq!((view.submitted, view.handed_in), (Time::ZERO, Time::ZERO));
    assert_eq!((view.received, view.ended.succeeded > 0), (150, true));
}

#[test]
fn members_that_grew_too_old_while_the_node_was_down_are_still_counted() {
    let mut net = Net::connected(&[1]);
    let mut tasks = members(GroupId::new(), 0..4, false, Some(1));
    for task in &mut tasks {
        task.limits.queue = None;
    }
    let id = net.accepts(tasks);
    net.finish(1, output("x"));
    net.fail(1);
    net.now = net.now + net.nodes[0].engine.config.keep_results;
    for _ in 0..2 {
        net.restart(0);
        net.pass(Duration::ZERO);
        let view = net.group(id);
        let ended = EndCounts { succeeded: 1, failed: 1, ..Default::default() };
        assert_eq!((view.ended, view.received, view.stop), (ended, 4, None));
        assert_eq!(net.state(id.member(0)), "unknown", "too old is too old");
    }
    net.restart(1);
    net.connect(0, 1);
    net.fail(1);
    assert_eq!(net.group(id).stop, FAILURES, "the second one that failed");
    assert_eq!(net.group(id).ended.cancelled, 1);
    // Nothing is left of a group that is old as a whole.
    net.now = net.now + net.nodes[0].engine.config.keep_results;
    net.restart(0);
    net.pass(Duration::ZERO);
    assert!(net.nodes[0].engine.group(id, net.now).is_none());
    assert_eq!(net.nodes[0].ledger.groups().count(), 0);
}
