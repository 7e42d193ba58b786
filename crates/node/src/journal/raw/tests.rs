//! Files of killed nodes, undamaged and damaged.

use std::{fs, path::PathBuf};

use meshwork_core::{
    Task, TaskEnd, TaskId,
    engine::{Record, Seq},
    task::ExpiredLimit,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;
use crate::{
    clock::Clock,
    journal::{
        Journal, JournalError, Recovery, frames,
        repair::{Salvaged, salvage},
        store::{self, Store},
        tests::quick_dir,
    },
};

/// The home of a node that was killed after `commits` commits: tasks of many sizes, most of them
/// ended, half of these forgotten, and many segments removed.
async fn killed(commits: u64) -> tempfile::TempDir {
    let (dir, copy) = (quick_dir(), quick_dir());
    let opened = Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await;
    let (mut journal, _) = opened.unwrap();
    let mut open: Vec<TaskId> = Vec::new();
    for seq in 0..commits {
        let size = [10, 300, 2_000, 20_000][usize::try_from(seq % 4).unwrap()];
        let task = Task::default().with_input(format!("{seq} {}", "x".repeat(size)));
        let id = task.id;
        let mut records = vec![Record::Submitted { task: Box::new(task), targets: Vec::new() }];
        let end = Box::new(TaskEnd::Expired { limit: ExpiredLimit::Queue });
        if seq % 3 > 0 {
            records.push(Record::Ended { id, end, story: Default::default() });
            open.push(id);
        }
        if open.len() > 20 {
            let forgotten = open.drain(..10);
            records.extend(forgotten.map(|id| Record::Forgotten { id }));
        }
        journal.push(Seq(seq), records);
        journal.committed().await.unwrap();
    }
    // The files now are those that a killed process leaves.
    for name in ["journal.redb", "journal.id", "journal.told"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    journal.close().await;
    copy
}

type Segments = BTreeMap<u64, Vec<u8>>;

fn read(path: &Path) -> Segments {
    Found::read(path, 0).unwrap().segments().collect()
}

/// The segments that the store reads, from a copy: opening repairs the file.
fn stored(dir: &Path) -> Segments {
    let copy = quick_dir();
    for name in ["journal.redb", "journal.id", "journal.told"] {
        fs::copy(dir.join(name), copy.path().join(name)).unwrap();
    }
    let store = Store::inspect(copy.path()).unwrap();
    let all = store.snapshot().unwrap().portion(0, usize::MAX).unwrap();
    all.into_iter().collect()
}

/// The tasks in the journal of a home, and whether each has ended.
async fn tasks(dir: &Path) -> BTreeMap<TaskId, bool> {
    let opened = Journal::open(dir, None, Clock::start(), Recovery::default()).await;
    let (journal, ledger) = opened.unwrap();
    journal.close().await;
    ledger.into_parts().0.map(|task| (task.task.id, task.ended.is_some())).collect()
}

#[tokio::test]
async fn undamaged_file_reads_as_the_store_reads_it() {
    for commits in [1, 2, 30, 400] {
        let dir = killed(commits).await;
        let path = dir.path().join("journal.redb");
        let found = Found::read(&path, 0).unwrap();
        assert!(found.is_exact());
        assert_eq!(found.damaged(), 0);
        let known = stored(dir.path());
        assert_eq!(read(&path), known, "{commits} commits");
        assert_eq!(found.meta("format").iter().max(), Some(&store::THIS_FORMAT));
    }
}

/// The records of a whole segment.
fn records(mut segment: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some(length) = segment.first_chunk().copied().map(u32::from_le_bytes) {
        let (record, after) = segment.split_at(frames::UNSUMMED + length as usize);
        records.push(record.to_vec());
        segment = after;
    }
    records
}

/// Positions of bits in the store's header, in pages of its trees and in records.
fn positions(file: &[u8], flips: usize, seed: u64) -> Vec<(usize, u8)> {
    let mut dice = SmallRng::seed_from_u64(seed);
    let used: Vec<usize> = (0..file.len()).filter(|at| file[*at] != 0).collect();
    let tree: Vec<usize> = (1..file.len() / 4_096)
        .map(|page| page * 4_096)
        .filter(|page| matches!(file[*page], 1 | 2))
        .flat_map(|page| page..page + 300)
        .collect();
    let position = |flip| match flip % 4 {
        0 => dice.random_range(0..320),
        1 => used[dice.random_range(0..used.len())],
        _ => tree[dice.random_range(0..tree.len())],
    };
    let all: Vec<usize> = (0..flips).map(position).collect();
    all.into_iter().map(|at| (at, 1 << (at % 8))).collect()
}

#[tokio::test]
async fn one_damaged_bit_costs_at_most_one_record() {
    let dir = killed(300).await;
    let path = dir.path().join("journal.redb");
    let (whole, known) = (fs::read(&path).unwrap(), stored(dir.path()));
    let known: BTreeMap<u64, Vec<Vec<u8>>> =
        known.iter().map(|(number, segment)| (*number, records(segment))).collect();
    let mut inexact = 0;
    for (at, bit) in positions(&whole, 200, 11) {
        let mut spoilt = whole.clone();
        spoilt[at] ^= bit;
        fs::write(&path, &spoilt).unwrap();
        let found = Found::read(&path, 0).unwrap();
        let exact = found.is_exact();
        inexact += usize::from(!exact);
        let found: Segments = found.segments().collect();
        let mut lost = 0;
        for (number, segment) in &known {
            let there = found.get(number).map(|segment| records(segment)).unwrap_or_default();
            lost += segment.len() - there.len();
            let mut rest = segment.iter();
            let in_order = there.iter().all(|record| rest.any(|wanted| wanted == record));
            assert!(in_order, "segment {number}, byte {at}, bit {bit}");
        }
        assert!(lost <= 1, "{lost} records, byte {at}, bit {bit}");
        let removed = found.keys().filter(|number| !known.contains_key(number)).count();
        let most = if exact { 0 } else { 20 };
        assert!(removed <= most, "{removed} removed segments, byte {at}, bit {bit}");
    }
    // Only damage to the few bytes that lead to the latest commit makes the result inexact.
    assert!(inexact < 20, "{inexact} of 200");
}

#[tokio::test]
async fn salvaged_journal_of_a_killed_node_has_all_tasks() {
    let dir = killed(200).await;
    let path = dir.path().join("journal.redb");
    let files: Vec<(PathBuf, Vec<u8>)> = ["journal.redb", "journal.id", "journal.told"]
        .map(|name| dir.path().join(name))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .into();
    let whole = fs::read(&path).unwrap();
    let known = tasks(dir.path()).await;
    let mut rescued = 0;
    for (at, bit) in positions(&whole, 60, 5) {
        files.iter().for_each(|(path, content)| fs::write(path, content).unwrap());
        let mut spoilt = whole.clone();
        spoilt[at] ^= bit;
        fs::write(&path, &spoilt).unwrap();
        let Salvaged { lost, may_hold_forgotten, copies, .. } = salvage(dir.path()).unwrap();
        rescued += copies.len();
        assert!(lost <= 1, "byte {at}, bit {bit}");
        let found = tasks(dir.path()).await;
        let missing = known.keys().filter(|id| !found.contains_key(id)).count();
        let returned = found.keys().filter(|id| !known.contains_key(id)).count();
        // The lost record may be a task, or the record that a task was forgotten.
        let most = if may_hold_forgotten { 20 } else { lost };
        assert!(
            missing as u64 <= lost && returned as u64 <= most,
            "{missing} {returned} {may_hold_forgotten} {lost} byte {at}, bit {bit}"
        );
    }
    assert!(rescued > 20, "{rescued}");
}

#[tokio::test]
async fn failed_start_costs_no_whole_commit() {
    let dir = killed(200).await;
    let path = dir.path().join("journal.redb");
    let whole = fs::read(&path).unwrap();
    let files = ["journal.redb", "journal.id", "journal.told"].map(|name| dir.path().join(name));
    let files = files.map(|path| (path.clone(), fs::read(path).unwrap()));
    let known = tasks(dir.path()).await;
    let (mut behind, mut lost) = (0, 0);
    for at in (64..320).step_by(3) {
        files.iter().for_each(|(path, content)| fs::write(path, content).unwrap());
        let mut spoilt = whole.clone();
        spoilt[at] ^= 1;
        fs::write(&path, &spoilt).unwrap();
        let opened = Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await;
        if matches!(opened, Err(JournalError::Behind { .. })) {
            behind += 1;
            salvage(dir.path()).unwrap();
            let found = tasks(dir.path()).await;
            lost += known.keys().filter(|id| !found.contains_key(id)).count();
        } else if let Ok((journal, _)) = opened {
            journal.close().await;
        }
    }
    assert!(behind > 10, "{behind}");
    assert_eq!(lost, 0, "of {behind}");
}

#[tokio::test]
async fn destroyed_header_leaves_the_records() {
    let dir = killed(100).await;
    let path = dir.path().join("journal.redb");
    let known = stored(dir.path());
    let mut spoilt = fs::read(&path).unwrap();
    spoilt[..4_096].fill(0);
    fs::write(&path, &spoilt).unwrap();
    let found = Found::read(&path, 0).unwrap();
    assert!(!found.is_exact());
    let found: Segments = found.segments().collect();
    for (number, segment) in &known {
        assert_eq!(found.get(number), Some(segment), "{number}");
    }
}

#[tokio::test]
async fn file_without_records_or_of_another_node_is_refused() {
    let (dir, other) = (killed(20).await, killed(20).await);
    let path = dir.path().join("journal.redb");
    let whole = fs::read(other.path().join("journal.redb")).unwrap();
    fs::write(&path, &whole).unwrap();
    assert!(matches!(salvage(dir.path()), Err(JournalError::Foreign { .. })));
    // Also damaged, so that the store does not open it.
    let mut spoilt = whole;
    spoilt[0] ^= 1;
    fs::write(&path, &spoilt).unwrap();
    assert!(matches!(salvage(dir.path()), Err(JournalError::Foreign { .. })));
    fs::write(&path, vec![0x5a; 100_000]).unwrap();
    assert!(matches!(salvage(dir.path()), Err(JournalError::Unreadable { .. })));
}
