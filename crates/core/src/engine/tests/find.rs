//! Selectors: `last`, whole ids and suffixes of ids.

use super::*;
use crate::{GroupId, GroupMember, limits};

fn in_memory() -> Task {
    Task { durability: Some(Durability::Memory), ..task("text/a") }
}

#[test]
fn id_suffix_finds_task_or_group() {
    let mut net = Net::connected(&[1]);
    let id = TaskId::from_bytes(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes());
    let other = TaskId::from_bytes(0x0123_4567_89ab_cdef_0123_4567_00ab_cdef_u128.to_be_bytes());
    for id in [id, other] {
        net.submit(Task { id, ..task("text/a") });
    }
    let group = GroupId::new();
    let member = GroupMember { group, index: 0, last: true, max_fails: None };
    let tasks = vec![member.place(task("text/a"))];
    net.feed(0, Input::SubmitGroup { tasks, targets: Vec::new(), token: Token(1) });
    net.settle();
    let is_task = |id, others| Some((Found::Task(id), others));
    assert_eq!(net.find("9abcdef"), is_task(id, 0));
    assert_eq!(net.find("0abcdef"), is_task(other, 0));
    assert_eq!(net.find("0AB-CDEF"), is_task(other, 0), "dashes and capitals are accepted");
    assert_eq!(net.find("abcdef"), is_task(id, 1));
    assert_eq!(net.find("f").map(|(_, others)| others >= 1), Some(true));
    let end = group.to_string();
    assert_eq!(net.find(&end[end.len() - 9..]), Some((Found::Group(group), 0)));
    let whole = "0123456789abcdef0123456789abcdef";
    assert_eq!(net.find(whole), is_task(id, 0));
    for none in ["", "-", "xyz", "9abcdeg", &format!("0{whole}"), "0000000009abcdef"] {
        assert_eq!(net.find(none), None, "{none:?}");
    }
}

#[test]
fn search_over_several_portions_finds_archived_tasks() {
    let mut net = Net::new(&[1]);
    let engine = &mut net.nodes[0].engine;
    let group = GroupId::from_bytes([7; 16]);
    let count = u32::try_from(2 * limits::SEARCHED_AT_ONCE + 10).unwrap();
    for number in 0..count {
        engine.owner.put_into_archive(number.into(), group.member(number));
    }
    for number in [0, 65_535, 65_536, count - 1] {
        let id = group.member(number);
        assert_eq!(net.find(&id.to_string()[30..]), Some((Found::Task(id), 0)), "{number}");
    }
}

#[test]
fn last_means_the_latest_submitted_task_still_kept() {
    let mut net = Net::connected(&[1]);
    assert_eq!(net.find("last"), None);
    let first = net.submit(task("text/a"));
    net.pass(Duration::from_millis(1));
    let second = net.submit(in_memory());
    let last = |net: &Net| net.find("last").map(|(found, _)| found);
    assert_eq!(last(&net), Some(Found::Task(second)));
    net.finish(1, output("x"));
    net.finish(1, output("x"));
    net.nodes[0].engine.node.config.memory_bytes = 0;
    net.pass(Duration::from_secs(1));
    assert_eq!(net.state(second), "forgotten");
    assert_eq!(last(&net), Some(Found::Task(first)));
    // From now on all tasks are archived.
    net.nodes[0].engine.node.config.keep_bytes = 8 * limits::ENDED_WEIGHT as u64;
    net.pass(Duration::from_secs(1));
    assert_eq!(last(&net), Some(Found::Task(first)));
    net.submit(task("text/a"));
    net.finish(1, output("x"));
    let third = last(&net);
    assert!(third.is_some() && third != Some(Found::Task(first)));
    net.restart(0);
    assert_eq!(last(&net), third);
}
