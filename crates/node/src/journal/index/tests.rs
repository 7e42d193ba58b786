//! When a segment is needed no more.

use meshwork_core::{Task, TaskEnd, task::ExpiredLimit};

use super::*;

fn submitted(task: &Task) -> Record {
    Record::Submitted { task: Box::new(task.clone()), targets: Vec::new() }
}

fn ended(task: &Task) -> Record {
    let end = Box::new(TaskEnd::Expired { limit: ExpiredLimit::Queue });
    Record::Ended { id: task.id, end }
}

fn forgotten(task: &Task) -> Record {
    Record::Forgotten { id: task.id }
}

#[test]
fn a_segment_goes_when_all_in_it_is_forgotten_and_takes_what_undid_it_along() {
    let (one, two) = (Task::default(), Task::default());
    let mut index = Index::default();
    for record in [submitted(&one), submitted(&two)] {
        index.add(&record, 1);
    }
    index.add(&ended(&one), 2);
    index.add(&forgotten(&one), 3);
    assert_eq!(index.take_dead(), [2], "3 undoes what is still in 1");
    index.add(&ended(&two), 4);
    assert!(index.take_dead().is_empty());
    index.add(&forgotten(&two), 5);
    let mut dead = index.take_dead();
    dead.sort_unstable();
    assert_eq!(dead, [1, 3, 4, 5]);
    assert!(index.needed.is_empty() && index.undone_by.is_empty() && index.unneeded.is_empty());
}

#[test]
fn what_lives_within_one_commit_leaves_nothing() {
    let task = Task::default();
    let mut index = Index::default();
    for record in [submitted(&task), ended(&task), forgotten(&task), forgotten(&task)] {
        index.add(&record, 7);
    }
    assert_eq!(index.take_dead(), [7]);
}
