//! Groups: counts match the members in random histories, resubmitted members are the same tasks, and
//! too many failures cancel the rest.

use std::{ops::Range, time::Duration};

use rand::RngExt;

use super::*;
use crate::{
    CancelledBy, FailureCode, GroupId, GroupMember, Reason, TaskFailure,
    engine::view::{EndCounts, Found, GroupStop, GroupView, TaskQuery},
    limits,
};

const FAILURES: Option<GroupStop> = Some(GroupStop::Failures);

mod cancel;
mod forgotten;
mod shown;

/// The members with these indices.
fn members(group: GroupId, places: Range<u32>, last: bool, max_fails: Option<u32>) -> Vec<Task> {
    let end = places.end;
    places
        .map(|index| {
            let last = last && index + 1 == end;
            let member = GroupMember { group, index, last, max_fails };
            let mut task = task("text/a").with_input(format!("input {index}"));
            task.retry.hedge = index % 2 == 1;
            member.place(task)
        })
        .collect()
}

impl Net {
    /// Submits members and returns the reply.
    fn submit_members(&mut self, tasks: Vec<Task>) -> Reply {
        let token = Token(5_000_000);
        self.feed(0, Input::SubmitGroup { tasks, targets: Vec::new(), token });
        self.settle();
        let at = self.nodes[0].replies.iter().rposition(|(of, _)| *of == token).unwrap();
        self.nodes[0].replies.remove(at).1
    }

    fn accepts(&mut self, tasks: Vec<Task>) -> GroupId {
        match self.submit_members(tasks) {
            Reply::GroupAccepted { id } => id,
            other => panic!("{other:?}"),
        }
    }

    fn refuses(&mut self, tasks: Vec<Task>) -> Reason {
        match self.submit_members(tasks) {
            Reply::Refused(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn group(&self, id: GroupId) -> GroupView {
        self.nodes[0].engine.read(self.now).group(id).unwrap()
    }

    /// Cancels a group and returns the reply, or `None` before there is one.
    fn cancel_group(&mut self, id: GroupId) -> Option<Reply> {
        let (token, reason) = (Token(6_000_000), "no need".to_owned());
        self.feed(0, Input::CancelGroup { id, reason, token });
        self.settle();
        let at = self.nodes[0].replies.iter().rposition(|(of, _)| *of == token)?;
        Some(self.nodes[0].replies.remove(at).1)
    }

    fn fail(&mut self, index: usize) {
        self.finish(index, AttemptEnd::Failed(TaskFailure::new(FailureCode::Permanent, "no")));
    }
}

#[test]
fn group_counts_its_members_and_detects_its_end() {
    let mut net = Net::connected(&[2]);
    let id = net.accepts(members(GroupId::new(), 0..3, false, None));
    let view = net.group(id);
    assert_eq!((view.received, view.complete, view.queued + view.running), (3, false, 3));
    assert_eq!(view.workers, 1);
    for _ in 0..3 {
        net.finish(1, output("x"));
    }
    assert!(!net.group(id).is_ended(), "more members may follow");
    net.accepts(members(id, 3..5, true, None));
    net.finish(1, output("x"));
    net.fail(1);
    let view = net.group(id);
    assert_eq!(view.ended, EndCounts { succeeded: 4, failed: 1, ..Default::default() });
    assert!(view.is_ended() && !view.is_success());
    let all = net.nodes[0].engine.read(net.now).members(id, 1, 100).unwrap();
    let places: Vec<_> = all.into_iter().map(|task| task.unwrap().here().unwrap().group).collect();
    assert_eq!(places, [1, 2, 3, 4].map(|at| Some((id, at))));
    let query = TaskQuery { group: Some(id), ..TaskQuery::default() };
    assert_eq!(net.nodes[0].engine.read(net.now).tasks(&query).len(), 5);
    assert_eq!(net.find("last"), Some((Found::Group(id), 0)));
    assert_eq!(net.find(&id.to_string()), Some((Found::Group(id), 0)));
    let third = id.member(2);
    assert_eq!(net.find(&third.to_string()), Some((Found::Task(third), 0)));
}

#[test]
fn resubmitted_members_are_the_same_tasks() {
    let mut net = Net::connected(&[1]);
    let id = GroupId::of_key("nightly");
    assert_eq!(id, GroupId::of_key("nightly"));
    assert_ne!(id, GroupId::of_key("weekly"));
    net.accepts(members(id, 0..3, false, None));
    net.accepts(members(id, 0..5, true, None));
    net.accepts(members(id, 0..5, true, None));
    assert_eq!((net.group(id).received, net.nodes[0].engine.owner.live_and_all().0), (5, 5));
    for _ in 0..5 {
        net.finish(1, output("x"));
    }
    net.accepts(members(id, 0..5, true, None));
    assert!(net.group(id).is_success(), "no member runs again");
}

#[test]
fn differing_or_malformed_group_is_refused_as_a_whole() {
    let mut net = Net::connected(&[1]);
    let id = net.accepts(members(GroupId::new(), 0..4, true, Some(1)));
    let other_size = members(id, 0..3, true, Some(1));
    let longer = members(id, 0..6, true, Some(1));
    let other_fails = members(id, 0..4, true, Some(2));
    let mut other_input = members(id, 0..4, true, Some(1));
    other_input[2].input = "else".into();
    let mut other_durability = members(id, 0..4, true, Some(1));
    for task in &mut other_durability {
        task.durability = Some(Durability::Memory);
    }
    for tasks in [other_size, longer, other_fails, other_input, other_durability] {
        let reason = net.refuses(tasks);
        assert_eq!(reason.code(), "conflict", "{reason}");
    }
    assert_eq!(net.group(id).received, 4);

    let unknown = GroupId::new();
    assert_eq!(net.refuses(members(unknown, 1..2, true, None)), Reason::NotFound);
    assert!(net.nodes[0].engine.read(net.now).group(unknown).is_none());
    let mut twice = members(unknown, 0..2, true, None);
    twice.push(twice[1].clone());
    let mut gap = members(unknown, 0..3, true, None);
    gap.remove(1);
    let mut mixed = members(unknown, 0..1, false, None);
    mixed.extend(members(GroupId::new(), 1..2, true, None));
    let mut loose = members(unknown, 0..1, false, None);
    loose.push(task("text/a"));
    for tasks in [Vec::new(), vec![task("text/a")], twice, gap, mixed, loose] {
        let reason = net.refuses(tasks);
        assert!(matches!(reason, Reason::InvalidTask { .. }), "{reason}");
    }
    let too_many = members(unknown, 0..4_097, true, None);
    assert!(matches!(net.refuses(too_many), Reason::InvalidTask { .. }));
    let open = net.accepts(members(unknown, 0..2, false, None));
    let gap = net.refuses(members(open, 3..4, true, None));
    assert!(matches!(gap, Reason::InvalidTask { .. }), "{gap}");
    // A single member is not a valid submission.
    let alone = members(GroupId::new(), 0..1, true, None).remove(0);
    let id = net.submit(alone);
    assert_eq!(net.state(id), "unknown");
}

#[test]
fn full_queue_takes_none_of_the_members() {
    let mut net = Net::new(&[]);
    let id = net.accepts(members(GroupId::new(), 0..999, false, None));
    let full = net.refuses(members(id, 999..1_001, true, None));
    assert!(full.retry_after().is_some(), "{full}");
    assert_eq!(net.group(id).received, 999);
    net.accepts(members(id, 999..1_000, true, None));
}

#[test]
fn too_many_failures_cancel_the_rest_also_after_restart() {
    let mut net = Net::connected(&[2]);
    let id = net.accepts(members(GroupId::new(), 0..50, false, Some(1)));
    net.fail(1);
    assert!(net.group(id).stop.is_none(), "one failure is allowed");
    net.restart(0);
    assert_eq!(net.group(id).ended.failed, 1, "a restart keeps the failure count");
    net.connect(0, 1);
    // Results of attempts of the earlier start are late.
    while net.group(id).stop.is_none() {
        net.fail(1);
    }
    let view = net.group(id);
    assert!(view.stop == FAILURES && view.is_ended() && !view.complete);
    assert_eq!(view.ended, EndCounts { failed: 2, cancelled: 48, ..Default::default() });
    let Some(TaskEnd::Cancelled { by: CancelledBy::Group, reason }) = net.end(id.member(49)) else {
        panic!("{:?}", net.end(id.member(49)))
    };
    assert!(reason.contains("2 members"), "{reason}");
    let more = net.refuses(members(id, 50..51, true, Some(1)));
    assert_eq!(more, Reason::GroupStopped { failed: 2, max_fails: 1 });
    net.restart(0);
    assert_eq!(net.group(id).stop, FAILURES);
}

#[test]
fn group_has_not_ended_before_its_ends_are_safe() {
    let mut net = Net::connected(&[1]);
    let id = net.accepts(members(GroupId::new(), 0..1, true, Some(0)));
    net.disk = false;
    net.fail(1);
    let before = net.group(id);
    assert_eq!((before.running, before.ended), (1, EndCounts::default()));
    assert!(!before.is_ended() && before.stop.is_none());
    assert_eq!(net.nodes[0].engine.read(net.now).last_open(id, u32::MAX), Ok(Some(id.member(0))));
    assert!(net.nodes[0].engine.read(net.now).again(id.member(0), TaskId::new()).is_err());
    net.feed(0, Input::Persisted { seq: crate::engine::Seq(2) });
    let after = net.group(id);
    assert_eq!((after.running, after.ended.failed), (0, 1));
    assert!(after.is_ended() && after.stop == FAILURES);
    assert_eq!(net.nodes[0].engine.read(net.now).last_open(id, u32::MAX), Ok(None));
}

/// The record of the failure is on disk; the cancellations that follow from it are not.
#[test]
fn restart_continues_cancelling_a_failed_group() {
    let mut net = Net::connected(&[1]);
    let id = net.accepts(members(GroupId::new(), 0..10, true, Some(0)));
    let failed = Box::new(TaskEnd::Failed(TaskFailure::new(FailureCode::Permanent, "no")));
    let now = net.now;
    net.nodes[0].ledger.apply(
        Record::Ended { id: id.member(0), end: failed, story: crate::engine::Story::default() },
        now,
        now,
    );
    net.restart(0);
    let view = net.group(id);
    assert_eq!(view.ended, EndCounts { failed: 1, cancelled: 9, ..Default::default() });
}

#[test]
fn unsuccessful_tasks_can_be_submitted_again() {
    let mut net = Net::connected(&[1]);
    let mut needy = task("text/a").with_param("n", 3);
    needy.requirements.memory_bytes = 1;
    needy.retry.attempts = 1;
    let id = net.submit(task("text/b").with_param("n", 3));
    assert!(net.nodes[0].engine.read(net.now).again(id, TaskId::new()).is_err(), "it runs");
    net.fail(1);
    for restarted in [false, true] {
        let new = TaskId::new();
        let (again, targets) =
            net.nodes[0].engine.read(net.now).again(id, new).unwrap().here().unwrap();
        assert_eq!((again.id, again.input.inline(), targets.len()), (new, &b"input"[..], 0));
        assert_eq!((again.params["n"].as_str(), again.operation.as_ref()), ("3", "b"));
        if !restarted {
            net.restart(0);
        }
    }
    net.connect(0, 1);
    let done = net.submit(task("text/a"));
    net.finish(1, output("x"));
    assert!(matches!(
        net.nodes[0].engine.read(net.now).again(done, TaskId::new()),
        Err(Reason::InvalidTask { .. })
    ));
    let unknown = net.nodes[0].engine.read(net.now).again(TaskId::new(), TaskId::new());
    assert_eq!(unknown.unwrap_err(), Reason::NotFound);

    let group = net.accepts(members(GroupId::new(), 0..4, true, None));
    net.finish(1, output("x"));
    net.fail(1);
    net.finish(1, output("x"));
    net.fail(1);
    let (failed, more) = net.nodes[0].engine.read(net.now).failures(group, 0);
    let inputs: Vec<_> =
        failed.into_iter().map(|failed| failed.here().unwrap().0.input.inline().to_vec()).collect();
    assert_eq!((inputs, more), (vec![b"input 1".to_vec(), b"input 3".to_vec()], None));
}

/// Compares the engine's counts of a group with the states of its members. A known group has all of
/// its members.
fn recount(net: &Net, id: GroupId) {
    let Some(view) = net.nodes[0].engine.read(net.now).group(id) else { return };
    let mut counted = EndCounts::default();
    let (mut queued, mut running) = (0, 0);
    let mut waits: BTreeMap<String, u32> = BTreeMap::new();
    for index in 0..view.received {
        let member = id.member(index);
        match net.state(member) {
            "succeeded" => counted.succeeded += 1,
            "failed" => counted.failed += 1,
            "cancelled" => counted.cancelled += 1,
            "expired" => counted.expired += 1,
            "queued" => {
                queued += 1;
                *waits.entry(format!("text/{}", handler(index))).or_default() += 1;
            }
            "assigned" | "running" => running += 1,
            other => panic!("{member} is {other}"),
        }
    }
    assert_eq!((counted, queued, running), (view.ended, view.queued, view.running));
    let explained = net.nodes[0].engine.read(net.now).explain_group(id).unwrap();
    let shown = explained.waiting.iter();
    let shown = shown.map(|waiting| (waiting.handler.to_string(), waiting.members)).collect();
    assert_eq!((waits, 0), (shown, explained.others), "waiting members by their needs");
}

/// The states of a task that the owner does not have.
const GONE: [&str; 2] = ["unknown", "forgotten"];

/// Adds the journalled ends to `noted`, and asserts that each task ends once.
fn note(net: &mut Net, noted: &mut BTreeMap<TaskId, &'static str>) {
    for record in net.nodes[0].records.drain(..) {
        if let Record::Ended { id, end, .. } = record {
            assert_eq!(noted.insert(id, end.state().as_str()), None, "a task ends once");
        }
    }
}

/// The submitted part of a group.
struct Submitted {
    id: GroupId,
    received: u32,
    done: bool,
    max_fails: Option<u32>,
}

/// The handler of a member.
fn handler(index: u32) -> &'static str {
    ["a", "b", "c"][index as usize % 3]
}

/// Submits some members again, together with some new ones.
fn submit_more(net: &mut Net, dice: &mut SmallRng, group: &mut Submitted) {
    let Submitted { id, received, done, max_fails } = *group;
    let from = dice.random_range(0..=received);
    // Fewer members than are kept: a group that stops at once can be examined before it is
    // forgotten.
    let more = dice.random_range(u32::from(from == received)..20).min(80 - received.min(80));
    let end = if done { received } else { received + more };
    let is_known = net.nodes[0].engine.read(net.now).group(id).is_some();
    if from == end || is_known == (received == 0) {
        return;
    }
    let last = done || dice.random_bool(0.2);
    let mut tasks = members(id, from..end, last, max_fails);
    for (index, task) in (from..).zip(&mut tasks) {
        task.operation = handler(index).into();
    }
    match net.submit_members(tasks) {
        Reply::GroupAccepted { .. } => (group.received, group.done) = (end, last),
        Reply::Refused(Reason::GroupCancelled) => {
            assert!(matches!(net.group(id).stop, Some(GroupStop::Cancelled { .. })));
        }
        Reply::Refused(Reason::GroupStopped { .. }) => assert_eq!(net.group(id).stop, FAILURES),
        Reply::Refused(Reason::DiskFull { .. }) => {}
        other => panic!("{other:?}"),
    }
}

fn play(seed: u64) {
    let mut net = Net::connected(&[2, 3]);
    net.rng = SmallRng::seed_from_u64(seed);
    // Few bytes: tasks are archived and groups are forgotten.
    net.nodes[0].engine.node.config.keep_bytes = 64 * limits::ENDED_WEIGHT as u64;
    let mut dice = SmallRng::seed_from_u64(!seed);
    let mut groups: Vec<Submitted> = Vec::new();
    let mut noted = BTreeMap::new();
    for _ in 0..250 {
        let node = dice.random_range(1..3);
        match dice.random_range(0..100) {
            0..10 => {
                let max_fails = dice.random_bool(0.5).then(|| dice.random_range(0..4));
                let id = GroupId::from_bytes(dice.random());
                groups.push(Submitted { id, received: 0, done: false, max_fails });
            }
            10..35 if !groups.is_empty() => {
                let at = dice.random_range(0..groups.len());
                submit_more(&mut net, &mut dice, &mut groups[at]);
            }
            35..80 if !net.nodes[node].running.is_empty() => {
                let end = match dice.random_range(0..5) {
                    0 => AttemptEnd::Failed(TaskFailure::new(FailureCode::Permanent, "x")),
                    _ => output("x"),
                };
                net.finish(node, end);
            }
            80..84 => net.disconnect(0, node),
            84..92 => net.connect(0, node),
            92..94 => net.restart(0),
            94..97 if !groups.is_empty() => {
                let Submitted { id, received, .. } = groups[dice.random_range(0..groups.len())];
                let id = id.member(dice.random_range(0..received.max(1)));
                let by = CancelledBy::Submitter;
                net.feed(0, Input::Cancel { id, by, reason: String::new(), token: Token(9_999) });
                net.settle();
            }
            97..98 if !groups.is_empty() => {
                let Submitted { id, .. } = groups[dice.random_range(0..groups.len())];
                let known = net.nodes[0].engine.read(net.now).group(id).is_some();
                let expected = if known {
                    Reply::GroupCancelled { id }
                } else {
                    Reply::Refused(net.nodes[0].engine.unknown_group(id))
                };
                assert_eq!(net.cancel_group(id), Some(expected));
            }
            _ => net.pass(Duration::from_millis(dice.random_range(0..8_000))),
        }
        note(&mut net, &mut noted);
        for Submitted { id, received, .. } in &groups {
            for index in 0..*received {
                let (member, state) = (id.member(index), net.state(id.member(index)));
                if let Some(before) = noted.get(&member).filter(|_| !GONE.contains(&state)) {
                    assert_eq!(*before, state, "seed {seed}: an end never changes");
                }
            }
            recount(&net, *id);
        }
    }
}

#[test]
fn group_counts_match_a_recount_in_random_histories() {
    for seed in 0..60 {
        play(seed);
    }
}

#[test]
fn member_id_gives_its_index_in_the_group() {
    for bytes in [[0xff; 16], [0; 16], *GroupId::new().as_bytes()] {
        let id = GroupId::from_bytes(bytes);
        for index in [0, 1, 255, 65_536, limits::GROUP_MEMBERS - 1] {
            assert_eq!(id.index_of(&id.member(index)), Some(index));
        }
        assert_eq!(id.index_of(&id.member(limits::GROUP_MEMBERS)), None);
        assert_eq!(id.index_of(&TaskId::from_bytes(bytes)), None, "the group is no member");
    }
    let (one, other) = (GroupId::of_key("a"), GroupId::of_key("b"));
    assert_eq!(one.index_of(&other.member(0)), None);
}

#[test]
fn malformed_member_fails_its_check() {
    let member = GroupMember { group: GroupId::new(), index: 7, last: true, max_fails: None };
    let good = member.place(task("text/a"));
    assert_eq!(good.check(), Ok(()));
    let far = GroupMember { index: limits::GROUP_MEMBERS, ..member };
    for bad in [
        Task { id: TaskId::new(), ..good.clone() },
        Task { idempotency_key: Some("k".to_owned()), ..good },
        far.place(task("text/a")),
    ] {
        assert!(bad.check().is_err());
    }
}

#[test]
fn draining_node_takes_groups_and_closing_node_refuses() {
    let mut net = Net::connected(&[1]);
    let id = GroupId::new();
    net.feed(0, Input::Drain { on: true });
    net.accepts(members(id, 0..2, false, None));
    net.feed(0, Input::Close);
    assert_eq!(net.refuses(members(id, 2..3, true, None)), Reason::ShuttingDown);
}

#[test]
fn full_disk_refuses_members_except_known_ones() {
    let mut net = Net::connected(&[1]);
    let id = GroupId::new();
    net.accepts(members(id, 0..2, false, None));
    net.feed(0, Input::Disk { full: true });
    let retry_after = limits::DISK_FULL_RETRY;
    assert_eq!(net.refuses(members(id, 1..3, true, None)), Reason::DiskFull { retry_after });
    net.accepts(members(id, 0..2, false, None));
    net.feed(0, Input::Disk { full: false });
    net.accepts(members(id, 1..3, true, None));
    assert_eq!(net.group(id).received, 3);
}

#[test]
fn failed_large_group_starts_no_more_members() {
    let mut net = Net::connected(&[1]);
    let chunk = limits::GROUP_CHUNK as u32;
    net.nodes[0].engine.node.config.max_owned = 3 * limits::GROUP_CHUNK;
    let id = net.accepts(members(GroupId::new(), 0..chunk, false, Some(0)));
    net.accepts(members(id, chunk..2 * chunk, false, Some(0)));
    let tried = |net: &Net| {
        let all = (0..2 * chunk).map(|index| net.view(id.member(index)).unwrap());
        all.filter(|member| !member.attempts.is_empty()).count()
    };
    let before = tried(&net);
    net.fail(1);
    assert_eq!(tried(&net), before);
    assert_eq!(net.group(id).ended.cancelled, 2 * chunk - 1);
}

/// A slow disk delays the cancellation instead of filling the memory.
#[test]
fn cancelling_a_large_group_waits_for_the_disk() {
    let mut net = Net::connected(&[1]);
    let chunk = limits::GROUP_CHUNK as u32;
    let all = limits::UNPERSISTED_ENDS as u32 + 2 * chunk;
    let config = &mut net.nodes[0].engine.node.config;
    config.max_owned = all as usize;
    let id = GroupId::new();
    for from in (0..all).step_by(chunk as usize) {
        net.accepts(members(id, from..from + chunk, false, Some(0)));
    }
    net.disk = false;
    net.fail(1);
    let ends = |net: &Net| {
        let records = net.nodes[0].records.iter();
        records.filter(|record| matches!(record, Record::Ended { .. })).count()
    };
    let recorded = ends(&net);
    assert!((1..=limits::UNPERSISTED_ENDS + limits::GROUP_CHUNK).contains(&recorded), "{recorded}");
    assert_ne!(net.nodes[0].engine.next_timer(), Some(Time::ZERO), "cancelling waits for the disk");
    // A task outside the group is not delayed, and no member starts.
    let other = Task { durability: Some(Durability::Memory), ..task("text/a") };
    let other = net.submit(other);
    // The member that was sent ahead is stopped.
    assert_eq!(net.nodes[1].stopped, [net.nodes[1].running[0].0]);
    net.finish(1, AttemptEnd::Cancelled);
    let starts: Vec<TaskId> = net.nodes[1].running.iter().map(|run| run.2.task).collect();
    assert_eq!(starts, [other]);
    net.finish(1, output("x"));
    while ends(&net) < all as usize {
        let before = ends(&net);
        net.persist(0);
        assert!(ends(&net) > before, "cancelling continues when the disk does");
    }
    net.persist(0);
    assert_eq!(net.group(id).ended.all(), all);
}
