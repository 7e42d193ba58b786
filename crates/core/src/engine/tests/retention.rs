//! How long ended tasks and unacknowledged results are kept.

use std::{collections::BTreeSet, time::Duration};

use rand::RngExt;

use super::*;
use crate::{FailureCode, GroupId, GroupMember, TaskFailure, limits};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A single task or a group, which is kept and forgotten as a whole.
struct Unit {
    tasks: Vec<TaskId>,
    group: Option<GroupId>,
    /// The ended tasks.
    done: BTreeSet<TaskId>,
    /// When the last ended task ended.
    end: Time,
    read: bool,
    bytes: u64,
    gone: bool,
}

impl Unit {
    fn open(&self) -> usize {
        self.tasks.len() - self.done.len()
    }
}

/// A random history of units, with the invariants that they must meet.
struct History {
    net: Net,
    units: Vec<Unit>,
    keep: Duration,
    most: u64,
}

impl History {
    fn submit(&mut self, count: u32) {
        let (tasks, group) = if count == 0 {
            let task = task("text/a");
            let id = task.id;
            let (task, token) = (Box::new(task), Token(1));
            self.net.feed(0, Input::Submit { task, targets: Vec::new(), token });
            (vec![id], None)
        } else {
            let group = GroupId::new();
            let place =
                |index| GroupMember { group, index, last: index + 1 == count, max_fails: None };
            let tasks: Vec<_> =
                (0..count).map(|index| place(index).place(task("text/a"))).collect();
            let ids = tasks.iter().map(|task| task.id).collect();
            self.net.feed(0, Input::SubmitGroup { tasks, targets: Vec::new(), token: Token(1) });
            (ids, Some(group))
        };
        self.net.settle();
        if self.net.nodes[0].engine.owner.is_known(&tasks[0]) {
            let (done, end) = (BTreeSet::new(), Time::ZERO);
            self.units.push(Unit { tasks, group, done, end, read: false, bytes: 0, gone: false });
        }
    }

    fn finish(&mut self, bytes: usize) {
        let work = self.net.finish(1, AttemptEnd::Output(vec![b'x'; bytes].into()));
        let unit = self.units.iter_mut().find(|unit| unit.tasks.contains(&work.task)).unwrap();
        // Results of attempts of an earlier start are late.
        let ended = ["succeeded", "forgotten"].contains(&self.net.state(work.task));
        if !unit.gone && ended && unit.done.insert(work.task) {
            unit.end = self.net.now;
            unit.bytes += bytes.max(limits::ENDED_WEIGHT) as u64;
        }
    }

    fn read(&mut self, at: usize) {
        let unit = &mut self.units[at];
        if !unit.gone && unit.open() == 0 {
            unit.read = true;
            unit.tasks.iter().for_each(|id| self.net.nodes[0].engine.note_read(*id));
        }
    }

    /// Compares the known tasks with the model; `before` is the number of kept bytes one step earlier.
    fn check(&mut self, seed: u64, before: u64) {
        let (now, keep) = (self.net.now, self.keep);
        let mut forgotten = Vec::new();
        for (at, unit) in self.units.iter_mut().enumerate() {
            let states = unit.tasks.iter().map(|id| self.net.state(*id));
            let gone: Vec<bool> = states
                .map(|state| {
                    assert_ne!(state, "unknown", "seed {seed}: known or forgotten");
                    state == "forgotten"
                })
                .collect();
            let all_gone = gone.iter().all(|gone| *gone);
            assert!(all_gone || !gone.iter().any(|gone| *gone), "seed {seed}: as a whole");
            if let Some(group) = unit.group {
                let known = self.net.nodes[0].engine.read(now).group(group).is_some();
                assert_eq!(known, !all_gone, "seed {seed}: group with members");
            }
            if all_gone && !unit.gone {
                assert_eq!(unit.open(), 0, "seed {seed}: ended");
                unit.gone = true;
                if unit.end + keep > now {
                    forgotten.push(at);
                }
            }
            assert!(unit.gone || unit.open() > 0 || unit.end + keep > now, "seed {seed}: by age");
        }
        let live = self.units.iter().filter(|unit| unit.group.is_some());
        let live = live.map(Unit::open).sum::<usize>();
        let live = (live * limits::ENDED_WEIGHT) as u64;
        if !forgotten.is_empty() {
            assert!(before + live > self.most - 4 * 1_024, "seed {seed}: only for space");
            let one_unread = forgotten.iter().any(|at| !self.units[*at].read);
            let left = |unit: &&Unit| !unit.gone && unit.open() == 0 && unit.read;
            let left = self.units.iter().find(left).map(|unit| unit.end);
            assert!(!one_unread || left.is_none(), "seed {seed}: read units first");
        }
        let over = |unit: &&Unit| !unit.gone && unit.open() == 0;
        let kept: u64 = self.units.iter().filter(over).map(|unit| unit.bytes).sum();
        let held: u64 = self.bytes();
        assert!(held + live <= self.most || kept == 0, "seed {seed}: {held} of {}", self.most);
    }

    fn bytes(&self) -> u64 {
        self.units.iter().filter(|unit| !unit.gone).map(|unit| unit.bytes).sum()
    }
}

/// A random history of tasks and groups that end, with time between them.
fn play(seed: u64) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut net = Net::connected(&[1]);
    let (keep, most) = (Duration::from_secs(60), 40 * limits::ENDED_WEIGHT as u64);
    let config = &mut net.nodes[0].engine.node.config;
    (config.keep_results, config.keep_bytes) = (keep, most);
    let mut history = History { net, units: Vec::new(), keep, most };
    for _ in 0..200 {
        let before = history.bytes();
        match dice.random_range(0..20) {
            0..3 => history.submit(0),
            3 => history.submit(dice.random_range(1..12)),
            4..12 if !history.net.nodes[1].running.is_empty() => {
                history.finish(dice.random_range(0..3_000));
            }
            12..15 if !history.units.is_empty() => {
                history.read(dice.random_range(0..history.units.len()));
            }
            15 => {
                history.net.restart(0);
                history.net.connect(0, 1);
                // The latest reads may be missing: a read alone writes no record.
                for unit in &mut history.units {
                    let of = |id: &TaskId| history.net.nodes[0].engine.owner.was_read(id);
                    unit.read = unit.open() == 0 && unit.tasks.iter().all(of);
                }
            }
            _ => history.net.pass(Duration::from_millis(dice.random_range(0..20_000))),
        }
        history.net.pass(limits::DISK_FULL_RETRY);
        history.check(seed, before);
    }
    while !history.net.nodes[1].running.is_empty() {
        history.finish(1);
        history.net.pass(limits::DISK_FULL_RETRY);
    }
    history.net.pass(keep);
    assert_eq!(history.net.nodes[0].ledger.len(), 0, "seed {seed}: all are forgotten");
}

#[test]
fn ended_tasks_are_kept_up_to_their_age_and_byte_limits() {
    for seed in 0..100 {
        play(seed);
    }
}

#[test]
fn results_do_not_age_while_the_node_is_down() {
    for archived in [false, true] {
        let mut net = Net::connected(&[1]);
        let most = if archived { 8 } else { 1_000 };
        net.nodes[0].engine.node.config.keep_bytes = most * limits::ENDED_WEIGHT as u64;
        let id = net.submit(task("text/a"));
        net.finish(1, output("x"));
        assert_eq!(net.nodes[0].ledger.archived_len(), usize::from(archived));
        net.restart_after(0, limits::KEEP_RESULTS * 2);
        net.pass(limits::KEEP_RESULTS - DAY);
        assert_eq!(net.state(id), "succeeded", "downtime does not count in the age");
        net.restart_after(0, limits::KEEP_RESULTS * 2);
        net.pass(DAY);
        assert_eq!(net.state(id), "forgotten");
        assert_eq!(net.nodes[0].ledger.len(), 0);
    }
}

#[test]
fn key_names_its_task_while_it_is_kept_or_archived() {
    let mut net = Net::connected(&[1]);
    net.nodes[0].engine.node.config.keep_bytes = 8 * limits::ENDED_WEIGHT as u64;
    let keyed = |input: &str| Task {
        idempotency_key: Some("k".into()),
        ..task("text/a").with_input(input.to_owned())
    };
    let first = net.submit(keyed("a"));
    net.finish(1, output("x"));
    for _ in 0..2 {
        assert_eq!(net.nodes[0].ledger.archived_len(), 1);
        net.nodes[0].replies.clear();
        net.submit(keyed("a"));
        net.submit(keyed("b"));
        let replies: Vec<&Reply> = net.nodes[0].replies.iter().map(|(_, reply)| reply).collect();
        assert!(matches!(replies[0], Reply::Accepted { id } if *id == first));
        assert!(matches!(replies[1], Reply::Archived { id, .. } if *id == first));
        assert!(matches!(replies[2], Reply::Refused(crate::Reason::Conflict { .. })));
        assert_eq!(replies.len(), 3);
        net.restart(0);
    }
    net.connect(0, 1);
    net.pass(limits::KEEP_RESULTS);
    let again = net.submit(keyed("b"));
    assert_eq!(net.state(again), "running", "the key is free");
}

/// While the archive cannot be written, the tasks of its volume stay in addition, and all others are
/// forgotten as before.
#[test]
fn results_are_forgotten_while_a_volume_is_not_written() {
    let mut net = Net::connected(&[1]);
    net.archive_fails = true;
    net.nodes[0].engine.node.config.keep_bytes = 8 * limits::ENDED_WEIGHT as u64;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(net.submit(task("text/a")));
        net.finish(1, output("x"));
        assert!(net.nodes[0].engine.owner.live_and_all().1 <= 8 + 1);
    }
    assert_eq!((net.state(ids[0]), net.state(ids[1])), ("succeeded", "forgotten"));
    assert_eq!(net.state(ids[19]), "succeeded");
    net.pass(limits::KEEP_RESULTS);
    net.settle();
    assert_eq!((net.state(ids[0]), net.state(ids[19])), ("succeeded", "forgotten"));
    net.feed(0, Input::Archived { first: 0 });
    net.pass(limits::KEEP_RESULTS);
    net.settle();
    assert_eq!(net.state(ids[0]), "forgotten");
}

#[test]
fn archived_task_is_shown_as_before() {
    let mut net = Net::connected(&[1]);
    let mut tasks = vec![task("text/a").with_param("n", 3), task("text/b")];
    tasks[1].retry.attempts = 1;
    let ids: Vec<TaskId> = tasks.into_iter().map(|task| net.submit(task)).collect();
    net.finish(1, output("result"));
    net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, "no")));
    let before: Vec<_> = ids.iter().map(|id| format!("{:?}", net.view(*id).unwrap())).collect();
    let find = |net: &Net| {
        let id = ids[0].to_string();
        (net.find("last"), net.find(&id[20..]))
    };
    let found = find(&net);
    // With the smaller limit the next pass archives both tasks.
    net.nodes[0].engine.node.config.keep_bytes = 16 * limits::ENDED_WEIGHT as u64;
    net.pass(Duration::from_secs(1));
    net.settle();
    assert_eq!(net.nodes[0].ledger.archived_len(), 2);
    assert_eq!(net.nodes[0].engine.owner.live_and_all().1, 0);
    let after: Vec<_> = ids.iter().map(|id| format!("{:?}", net.view(*id).unwrap())).collect();
    let without_start = |text: &String| text.split("started:").next().map(str::to_owned);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(without_start(before), without_start(after));
    }
    assert_eq!(find(&net), found);
    let engine = &net.nodes[0].engine;
    let Ok(Known::Archived { number, .. }) = engine.read(net.now).again(ids[1], TaskId::new())
    else {
        panic!()
    };
    let new = TaskId::new();
    let again = net.nodes[0].ledger.archived(number).unwrap().clone().again(new).unwrap();
    assert_eq!((again.0.id, again.0.input.inline()), (new, &b"input"[..]));
    assert!(engine.read(net.now).again(ids[0], new).is_err(), "a successful task is not repeated");
}

#[test]
fn unread_results_due_to_be_forgotten_are_counted() {
    let mut net = Net::connected(&[1]);
    net.nodes[0].engine.node.config.keep_bytes = 100 * limits::ENDED_WEIGHT as u64;
    let mut ids = Vec::new();
    for _ in 0..80 {
        ids.push(net.submit(task("text/a")));
        net.finish(1, output("x"));
    }
    let due = |net: &Net| net.nodes[0].engine.read(net.now).unread_due();
    let kept = net.nodes[0].engine.accounts().kept;
    assert_eq!((kept.short, due(&net), kept.ended.succeeded), (false, 0, 80));
    net.submit(task("text/a"));
    net.finish(1, output("x"));
    let kept = net.nodes[0].engine.accounts().kept;
    assert_eq!((kept.short, due(&net)), (true, 13), "an eighth of the limit");
    ids.iter().for_each(|id| net.nodes[0].engine.note_read(*id));
    assert_eq!(due(&net), 1);
    net.nodes[0].engine.node.config.keep_bytes = limits::KEEP_BYTES;
    net.pass(limits::KEEP_RESULTS / 10 * 9 + Duration::from_secs(1));
    let kept = net.nodes[0].engine.accounts().kept;
    assert_eq!((kept.short, due(&net)), (false, 1), "one is due by age");
}

#[test]
fn read_results_in_memory_make_room_only_for_each_other() {
    let mut net = Net::connected(&[1]);
    net.nodes[0].engine.node.config.durability = Durability::Memory;
    let mut run = || {
        let id = net.submit(task("text/a"));
        net.finish(1, output("x"));
        (id, net.state(id))
    };
    let ids: Vec<_> = (0..limits::HANDED_OUT_IN_MEMORY + 1_000).map(|_| run()).collect();
    assert!(ids.iter().all(|(_, state)| *state == "succeeded"));
    let (unread, read) = ids.split_first().unwrap();
    let engine = &mut net.nodes[0].engine;
    // Twice: a result that was handed out before counts once.
    read.iter().chain(read).for_each(|(id, _)| engine.note_read(*id));
    let states: Vec<_> = read.iter().map(|(id, _)| net.state(*id)).collect();
    let kept = states.iter().filter(|state| **state == "succeeded").count();
    assert!((limits::HANDED_OUT_IN_MEMORY..read.len()).contains(&kept), "{kept}");
    assert!(states.is_sorted_by_key(|state| *state == "succeeded"), "earliest reads go first");
    assert_eq!(net.state(unread.0), "succeeded");
}

#[test]
fn restart_does_not_change_the_age_of_ended_tasks() {
    let mut net = Net::connected(&[2]);
    // The task submitted first ends last.
    let (slow, quick) = (net.submit(task("text/a")), net.submit(task("text/a")));
    net.nodes[1].running.swap(0, 1);
    net.finish(1, output("quick"));
    net.pass(DAY);
    net.finish(1, output("slow"));
    net.restart(0);
    assert_eq!((net.state(slow), net.state(quick)), ("succeeded", "succeeded"));
    net.pass(limits::KEEP_RESULTS - DAY);
    assert_eq!((net.state(slow), net.state(quick)), ("succeeded", "forgotten"));
    net.pass(DAY);
    assert_eq!(net.state(slow), "forgotten");
    assert_eq!(net.nodes[0].ledger.len(), 0);
}

#[test]
fn unclaimed_result_expires_also_after_a_restart() {
    let mut net = Net::connected(&[1]);
    net.submit(task("text/a"));
    net.disconnect(0, 1);
    net.finish(1, output("made while apart"));
    net.pass(DAY);
    net.restart(1);
    net.pass(limits::KEEP_RESULTS - DAY - DAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1, "the owner may still return");
    net.pass(DAY + Duration::from_secs(10));
    let accounts = net.nodes[1].engine.accounts();
    assert_eq!((accounts.unacked, accounts.dropped_results), (0, 1));
    assert_eq!(net.nodes[1].ledger.len(), 0, "the disk keeps no record");
    assert_eq!(net.nodes[1].engine.worker.held_and_unacked().1, 0);
}

#[test]
fn result_for_a_connected_owner_does_not_expire() {
    let mut net = Net::connected(&[1]);
    net.nodes[1].engine.node.config.keep_results = Duration::from_secs(1);
    net.submit(task("text/a"));
    let owner = net.nodes[0].id;
    let run = net.nodes[1].running.remove(0).0;
    // The owner cannot persist the result yet.
    net.disk = false;
    net.feed(1, Input::Finished { run, end: output("x"), took: Duration::ZERO });
    net.settle();
    net.pass(DAY);
    assert_eq!(net.nodes[1].engine.accounts().unacked, 1);
    net.feed(1, Input::OwnerSessionLost { peer: owner });
    net.pass(Duration::from_secs(10));
    assert_eq!(net.nodes[1].engine.accounts().unacked, 0);
}

#[test]
fn oldest_results_of_the_heaviest_owners_make_room() {
    // Owner 0 has few results; owner 5 is connected, and cannot persist its results yet.
    let mut net = Net::new(&[0, 0, 0, 0, 0, 64]);
    let worker = 6;
    let large = Bytes::from(vec![b'x'; limits::INLINE_BYTES]);
    let per_owner = limits::UNACKED_BYTES / 4 / limits::INLINE_BYTES;
    let mut made: [Vec<u64>; 6] = Default::default();
    for owner in [0, 1, 2, 3, 4, 5] {
        net.connect(owner, worker);
        let tasks = if owner == 0 { 3 } else { per_owner };
        for _ in 0..tasks {
            net.submit_to(owner, task("text/a"), &[worker]);
        }
        if owner == 5 {
            net.disk = false;
        } else {
            net.disconnect(owner, worker);
        }
        while !net.nodes[worker].running.is_empty() {
            let work = net.finish(worker, AttemptEnd::Output(large.clone().into()));
            made[owner].push(work.epoch.number);
        }
    }
    let engine = &net.nodes[worker].engine;
    let accounts = engine.accounts();
    assert!(engine.worker.held_and_unacked().1 <= limits::UNACKED_BYTES);
    let most = limits::UNACKED_BYTES / limits::INLINE_BYTES;
    assert!(accounts.unacked >= most - 2, "no result is dropped without need");
    let all: usize = made.iter().map(Vec::len).sum();
    assert_eq!(accounts.dropped_results, (all - accounts.unacked) as u64);
    let left = |owner: usize| -> Vec<u64> {
        let key = engine.node.peers.key(&net.nodes[owner].id).unwrap();
        engine.worker.epochs_of(key).iter().map(|epoch| epoch.number).collect()
    };
    assert_eq!(left(0), made[0], "the owner with few results keeps them");
    assert_eq!(left(5), made[5], "the connected owner keeps its results");
    for (owner, made) in made.iter().enumerate().take(5).skip(1) {
        let left = left(owner);
        assert!(!left.is_empty(), "owner {owner} keeps some");
        assert!(made.ends_with(&left), "owner {owner} keeps the latest: {left:?}");
    }
}

#[test]
fn failed_members_are_forgotten_by_age() {
    let mut net = Net::connected(&[1]);
    let member = GroupMember { group: GroupId::new(), index: 0, last: true, max_fails: None };
    let member = member.place(task("text/a"));
    let id = member.id;
    let (tasks, targets) = (vec![member], Vec::new());
    net.feed(0, Input::SubmitGroup { tasks, targets, token: Token(0) });
    net.settle();
    net.finish(1, AttemptEnd::Failed(TaskFailure::new(FailureCode::Permanent, "no")));
    net.pass(limits::KEEP_RESULTS - DAY);
    assert_eq!(net.state(id), "failed", "it is kept until its age limit");
    net.pass(DAY);
    assert_eq!(net.state(id), "forgotten");
    assert_eq!(net.nodes[0].ledger.len(), 0, "the disk keeps no record");
}

#[test]
fn results_that_nobody_has_read_wait_for_read_ones_that_are_being_archived() {
    let mut net = Net::connected(&[1]);
    let most = 16;
    net.nodes[0].engine.node.config.keep_bytes = most * limits::ENDED_WEIGHT as u64;
    net.archive_fails = true;
    let run = |net: &mut Net| {
        let id = net.submit(task("text/a"));
        net.finish(1, output("x"));
        id
    };
    let read = [run(&mut net), run(&mut net)];
    read.iter().for_each(|id| net.nodes[0].engine.note_read(*id));
    net.pass(Duration::from_secs(1));
    let unread: Vec<TaskId> = (0..most).map(|_| run(&mut net)).collect();
    assert!(unread.iter().all(|id| net.state(*id) == "succeeded"), "the disk is only slow");
    net.archive_fails = false;
    net.feed(0, Input::Archived { first: 0 });
    net.settle();
    net.pass(limits::DISK_FULL_RETRY);
    assert_eq!(read.map(|id| net.state(id)), ["forgotten"; 2]);
    // A sixteenth of the limit is made free beyond what is needed.
    assert!(unread[1..].iter().all(|id| net.state(*id) == "succeeded"));
}
