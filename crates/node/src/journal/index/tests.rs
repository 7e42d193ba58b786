//! When a segment is no longer needed.

use meshwork_core::{GroupId, Task, TaskEnd, engine::GroupTally, task::ExpiredLimit};

use super::{super::frames::Stamp, *};

fn stamp(at: i64) -> Stamp {
    Stamp { at, up: meshwork_core::Time::ZERO }
}

fn submitted(task: &Task) -> Record {
    Record::Submitted { task: Box::new(task.clone()), targets: Vec::new() }
}

fn ended(task: &Task) -> Record {
    let end = Box::new(TaskEnd::Expired { limit: ExpiredLimit::Queue });
    Record::Ended { id: task.id, end, story: Default::default() }
}

fn forgotten(task: &Task) -> Record {
    Record::Forgotten { id: task.id }
}

#[test]
fn forgotten_segment_goes_with_the_records_that_undo_it() {
    let (one, two) = (Task::default(), Task::default());
    let mut index = Index::default();
    for record in [submitted(&one), submitted(&two)] {
        index.add(&record, 1);
    }
    index.add(&ended(&one), 2);
    index.add(&forgotten(&one), 3);
    assert_eq!(index.take_dead(), [2], "segment 3 undoes a record that is still in 1");
    index.add(&ended(&two), 4);
    assert!(index.take_dead().is_empty());
    index.add(&forgotten(&two), 5);
    let mut dead = index.take_dead();
    dead.sort_unstable();
    assert_eq!(dead, [1, 3, 4, 5]);
    assert!(index.segments.is_empty() && index.undone_by.is_empty() && index.unneeded.is_empty());
}

#[test]
fn only_the_latest_story_is_needed_and_none_after_the_end() {
    let task = Task::default();
    let tried = Record::Tried { id: task.id, story: Default::default() };
    let mut index = Index::default();
    index.add(&submitted(&task), 1);
    index.add(&tried, 2);
    assert!(index.take_dead().is_empty());
    index.add(&tried, 3);
    assert_eq!(index.take_dead(), [2]);
    index.add(&ended(&task), 4);
    assert_eq!(index.take_dead(), [3]);
    index.add(&tried, 5);
    assert_eq!(index.take_dead(), [5], "a story after the end changes nothing");
    index.add(&forgotten(&task), 6);
    let mut dead = index.take_dead();
    dead.sort_unstable();
    assert_eq!(dead, [1, 4, 6]);
}

#[test]
fn a_task_moves_with_its_latest_story_or_not_at_all() {
    let (task, other) = (Task::default(), Task::default());
    let story = |attempts| meshwork_core::engine::Story { attempts, ..Default::default() };
    let tried = |attempts| Record::Tried { id: task.id, story: story(attempts) };
    let records = [submitted(&task), tried(1), tried(2), submitted(&other), ended(&other)];
    let mut index = Index::default();
    for record in &records {
        index.add(record, 1);
    }
    index.add(&forgotten(&other), 2);
    let timed = || records.iter().map(|record| (stamp(0), record.clone())).collect();
    let moved = index.movable(1, timed()).expect("no later record is about the task");
    let moved: Vec<Record> = moved.into_iter().map(|(_, record)| record).collect();
    assert_eq!(moved, [submitted(&task), tried(2)]);
    index.add(&tried(3), 3);
    assert_eq!(index.movable(1, timed()), None);
}

#[test]
fn task_forgotten_in_its_own_commit_leaves_no_segment() {
    let task = Task::default();
    let mut index = Index::default();
    for record in [submitted(&task), ended(&task), forgotten(&task), forgotten(&task)] {
        index.add(&record, 7);
    }
    assert_eq!(index.take_dead(), [7]);
}

#[test]
fn sparse_segment_moves_unless_a_later_record_needs_it() {
    let tasks: Vec<Task> = (0..20).map(|_| Task::default()).collect();
    let mut index = Index::default();
    let records = || tasks.iter().map(|task| (stamp(3), submitted(task))).collect::<Vec<_>>();
    for (_, record) in records() {
        index.add(&record, 1);
    }
    assert!(index.sparse().is_empty());
    for task in &tasks[2..] {
        index.add(&ended(task), 2);
        index.add(&forgotten(task), 2);
    }
    index.add(&ended(&tasks[1]), 3);
    assert!(index.sparse().is_empty(), "an end would come before its task");
    assert_eq!(index.movable(1, records()), None);
    index.add(&forgotten(&tasks[1]), 4);
    assert_eq!(index.sparse(), [1]);
    assert!(index.sparse().is_empty(), "returned once");
    let moved = index.movable(1, records()).unwrap();
    assert_eq!(moved, [(stamp(3), submitted(&tasks[0]))]);
    index.leave(1, &moved);
    index.add(&moved[0].1, 5);
    let mut dead = index.take_dead();
    dead.sort_unstable();
    assert_eq!(dead, [1, 2, 3, 4]);
    index.add(&ended(&tasks[0]), 6);
    index.add(&forgotten(&tasks[0]), 7);
    assert_eq!(index.take_dead().len(), 3);
    assert!(index.segments.is_empty() && index.undone_by.is_empty());
}

/// Dropping a later tally must not bring back an earlier one, nor a forgotten group.
#[test]
fn tally_is_needed_as_long_as_it_replaces_an_earlier_one() {
    let id = GroupId::new();
    let tally = |received| {
        let (max_fails, cancelled, forgotten) = (None, None, Default::default());
        let complete = true;
        let leaving = false;
        let tally = GroupTally { id, received, complete, max_fails, cancelled, forgotten, leaving };
        Record::Group(Box::new(tally))
    };
    let waits = Task::default();
    let mut index = Index::default();
    index.add(&tally(1), 1);
    assert!(index.take_dead().is_empty());
    let twice = vec![(stamp(0), tally(0)), (stamp(0), tally(1))];
    assert_eq!(index.movable(1, twice), Some(vec![(stamp(0), tally(1))]), "of two the latest");
    index.add(&submitted(&waits), 1);
    index.add(&tally(2), 2);
    index.add(&Record::GroupForgotten { id }, 3);
    assert!(index.take_dead().is_empty(), "1 exists, so 2 is needed, and therefore 3");
    index.add(&ended(&waits), 4);
    index.add(&forgotten(&waits), 5);
    let mut dead = index.take_dead();
    dead.sort_unstable();
    assert_eq!(dead, [1, 2, 3, 4, 5]);
    assert!(index.segments.is_empty() && index.groups.is_empty());
}

/// A segment of 4 MiB is read only if its records can be moved.
#[test]
fn bound_records_tell_whether_a_segment_can_move() {
    for seed in 0..200_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let tasks: Vec<Task> = (0..40).map(|_| Task::default()).collect();
        let mut segments: Vec<Vec<Timed>> = Vec::new();
        let mut index = Index::default();
        for number in 0..12 {
            let mut records = Vec::new();
            for _ in 0..below(30) {
                let Some(task) = tasks.get(below(40) as usize) else { continue };
                let has = index.tasks.contains_key(&task.id);
                let record = match below(4) {
                    0 if !has => submitted(task),
                    1 => Record::Tried { id: task.id, story: Default::default() },
                    2 => ended(task),
                    _ => forgotten(task),
                };
                index.add(&record, number);
                records.push((stamp(0), record));
            }
            segments.push(records);
            index.take_dead();
            for (number, records) in (0..).zip(&segments) {
                let Some(segment) = index.segments.get(&number).copied() else { continue };
                let movable = index.movable(number, records.clone()).is_some();
                assert_eq!(
                    movable,
                    segment.bound == 0,
                    "seed {seed}, segment {number}: {segment:?}"
                );
            }
        }
    }
}
