//! Groups are forgotten as a whole and answered as forgotten, also after a restart.

use super::*;

/// A group with `count` members, all ended.
fn ended(net: &mut Net, id: GroupId, count: u32) -> GroupId {
    net.accepts(members(id, 0..count, true, None));
    for _ in 0..count {
        net.finish(1, output("x"));
    }
    id
}

#[test]
fn large_group_is_forgotten_whole_over_several_passes() {
    let mut net = Net::connected(&[1]);
    let all = (limits::FORGET_AT_ONCE + 500) as u32;
    net.nodes[0].engine.node.config.max_owned = all as usize;
    let id = GroupId::of_key("a key");
    for from in (0..all).step_by(limits::GROUP_CHUNK) {
        let until = all.min(from + limits::GROUP_CHUNK as u32);
        net.accepts(members(id, from..until, until == all, None));
    }
    net.cancel_group(id);
    net.disconnect(0, 1);
    assert_eq!(net.group(id).ended.cancelled, all);
    net.now = net.now + limits::KEEP_RESULTS;
    // One pass, then the node is killed.
    let mut effects = Vec::new();
    net.feed(0, Input::Tick);
    net.nodes[0].engine.flush(net.now, &mut net.rng, &mut effects);
    net.carry_out(0, effects);
    assert!(!net.nodes[0].ledger.is_empty(), "later passes forget the rest");
    assert!(net.nodes[0].engine.read(net.now).group(id).is_none(), "the group is no longer shown");
    for again in [false, true] {
        if again {
            net.restart(0);
        }
        let refused = net.refuses(members(id, 0..limits::GROUP_CHUNK as u32, false, None));
        assert!(matches!(refused, Reason::QueueFull { .. }), "no new members: {refused}");
    }
    net.pass(Duration::from_secs(1));
    assert_eq!(net.nodes[0].ledger.len(), 0);
    let forgotten = net.nodes[0].engine.unknown_group(id);
    assert!(matches!(forgotten, Reason::Forgotten { .. }), "{forgotten}");
    assert_eq!(net.state(id.member(7)), "forgotten");
    // Its key names a new group.
    net.accepts(members(id, 0..2, true, None));
    assert_eq!(net.group(id).queued, 2);
}

#[test]
fn task_id_is_no_forgotten_group_and_the_reverse() {
    let mut net = Net::connected(&[1]);
    let id = net.accepts(members(GroupId::new(), 0..2, true, None));
    net.nodes[0].engine.owner.forget_all_times();
    let engine = &net.nodes[0].engine;
    let task = GroupId::from_bytes(*id.member(0).as_bytes());
    assert_eq!(engine.unknown_group(task), Reason::NotFound);
    assert_eq!(engine.unknown_task(TaskId::from_bytes(*id.as_bytes())), Reason::NotFound);
    let other = GroupId::new();
    assert!(matches!(engine.unknown_group(other), Reason::Forgotten { .. }));
    assert!(matches!(engine.unknown_task(other.member(0)), Reason::Forgotten { .. }));
}

#[test]
fn open_group_at_the_limit_keeps_members_and_takes_none() {
    let mut net = Net::connected(&[1]);
    net.nodes[0].engine.node.config.keep_bytes = 19 * limits::ENDED_WEIGHT as u64;
    let id = net.accepts(members(GroupId::new(), 0..20, false, None));
    for _ in 0..19 {
        net.finish(1, output("x"));
    }
    let single = Task { durability: Some(Durability::Disk), ..task("text/a") };
    net.submit(single);
    let refused = net.refuses(members(id, 20..30, false, None));
    assert!(matches!(refused, Reason::DiskFull { .. }), "{refused}");
    net.pass(limits::KEEP_RESULTS);
    for index in 0..19 {
        assert_eq!(net.state(id.member(index)), "succeeded");
    }
    let refused = net.refuses(members(id, 20..30, false, None));
    assert!(matches!(refused, Reason::DiskFull { .. }), "{refused}");
    // The ended group makes room.
    net.cancel_group(id);
    net.pass(limits::DISK_FULL_RETRY);
    assert!(net.nodes[0].engine.read(net.now).group(id).is_none());
    net.accepts(members(GroupId::new(), 0..10, true, None));
}

#[test]
fn memory_group_at_the_limit_gets_no_more_members() {
    let mut net = Net::connected(&[1]);
    net.nodes[0].engine.node.config.durability = Durability::Memory;
    net.nodes[0].engine.node.config.memory_bytes = 4 * limits::ENDED_WEIGHT as u64;
    let id = net.accepts(members(GroupId::new(), 0..6, false, None));
    for _ in 0..6 {
        net.finish(1, output("x"));
    }
    net.pass(Duration::from_millis(1));
    let refused = net.refuses(members(id, 6..7, false, None));
    assert!(matches!(refused, Reason::DiskFull { .. }), "{refused}");
    for index in 0..6 {
        assert_eq!(net.state(id.member(index)), "succeeded");
    }
    net.cancel_group(id);
    net.pass(limits::DISK_FULL_RETRY);
    net.accepts(members(GroupId::new(), 0..2, true, None));
}

/// A task that is being archived cannot be forgotten yet; once its volume is written it makes room.
#[test]
fn task_is_accepted_while_a_volume_is_being_written() {
    let mut net = Net::connected(&[1]);
    net.archive_fails = true;
    net.nodes[0].engine.node.config.keep_bytes = 4 * limits::ENDED_WEIGHT as u64;
    let written = net.submit(task("text/a"));
    net.finish(1, output("x"));
    net.accepts(members(GroupId::new(), 0..4, true, None));
    // The node looks for tasks to forget.
    net.pass(Duration::from_millis(1));
    let taken = net.submit(task("text/a"));
    assert!(net.nodes[0].engine.owner.is_here(&taken), "it was refused");
    net.feed(0, Input::Archived { first: 0 });
    net.settle();
    assert_eq!(net.state(written), "forgotten");
    // The group alone exceeds the limit.
    net.accepts(members(GroupId::new(), 0..1, true, None));
    let refused = net.refuses(members(GroupId::new(), 0..1, true, None));
    assert!(matches!(refused, Reason::DiskFull { .. }), "{refused}");
}

#[test]
fn unfinished_group_is_kept_with_archived_members() {
    let mut net = Net::connected(&[4]);
    // An eighth of the limit is archived at once.
    net.nodes[0].engine.node.config.keep_bytes = 400 * limits::ENDED_WEIGHT as u64;
    let id = net.accepts(members(GroupId::new(), 0..150, false, Some(5)));
    net.fail(1);
    for _ in 0..149 {
        net.finish(1, output("x"));
    }
    assert!(net.nodes[0].ledger.archived_len() >= 100);
    net.pass(limits::GROUP_IDLE);
    let before = net.group(id);
    for _ in 0..2 {
        net.restart(0);
        assert_eq!(net.group(id), before);
        assert_eq!(net.state(id.member(0)), "failed");
        assert_eq!(net.explained(id).failures.len(), 1);
    }
    net.connect(0, 1);
    net.accepts(members(id, 0..151, true, Some(5)));
    assert_eq!(net.nodes[0].engine.accounts().running, 1, "only the new member runs");
    net.finish(1, output("x"));
    assert_eq!(net.group(id).ended.succeeded, 150);
}

#[test]
fn ended_groups_make_room_for_a_new_group() {
    let mut net = Net::connected(&[1]);
    let first = ended(&mut net, GroupId::new(), 1);
    let second = ended(&mut net, GroupId::new(), 2);
    net.nodes[0].engine.owner.fill_groups(limits::GROUPS - 2);
    net.pass(Duration::from_secs(1));
    for id in [first, second] {
        assert!(matches!(net.nodes[0].engine.unknown_group(id), Reason::Forgotten { .. }));
    }
    net.accepts(members(GroupId::new(), 0..1, true, None));
}
