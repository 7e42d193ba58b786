//! Tests of the archive of an open journal.

use super::*;
use crate::journal::archive::{Noted, folder, tests::volume};

const VOLUMES: u64 = 3 * archive::MOVES as u64;
const TASKS: u32 = 8;

async fn commit(journal: &mut Journal, record: Record) {
    journal.push(Seq(1), vec![record]);
    journal.committed().await.unwrap();
}

/// Archives [`VOLUMES`] volumes of [`TASKS`] tasks each. Returns the numbers of all tasks but the
/// last two of each volume.
async fn fill(journal: &mut Journal) -> Vec<u64> {
    let mut numbers = Vec::new();
    for first in (0..VOLUMES).map(|volume| volume * u64::from(TASKS)) {
        let (volume, tasks) = volume(first, TASKS);
        let ids = volume.rows.iter().map(|row| row.id).collect();
        journal.archiver().write(Box::new(volume), tasks);
        assert_eq!(journal.written().await, Written::Volume(first));
        commit(journal, Record::Archived { first, count: TASKS, ids }).await;
        numbers.extend(first..first + u64::from(TASKS) - 2);
    }
    numbers
}

/// Commits until each file of the archive has been rewritten once.
async fn until_all_are_rewritten(dir: &Path, journal: &mut Journal) {
    loop {
        commit(journal, Record::Forgotten { id: TaskId::new() }).await;
        let files = std::fs::read_dir(folder(dir)).unwrap();
        let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        if names.iter().all(|name| name.to_str().unwrap().ends_with("-1")) {
            assert_eq!(names.len() as u64, VOLUMES);
            return;
        }
    }
}

/// The number of live tasks in the archive.
fn live_tasks(journal: &Journal) -> u64 {
    let archive = journal.archiver().archive();
    let volumes = archive.firsts().into_iter().map(|first| archive.volume(first).unwrap());
    volumes.map(|volume| volume.rows.len() as u64).sum()
}

#[tokio::test]
async fn all_files_are_rewritten_when_many_at_once_have_few_live_tasks() {
    let dir = quick_dir();
    let (mut journal, _) = open(dir.path()).await;
    let numbers = fill(&mut journal).await;
    commit(&mut journal, Record::Dropped { numbers, until: 0 }).await;
    until_all_are_rewritten(dir.path(), &mut journal).await;
    journal.close().await;
    let (journal, _) = open(dir.path()).await;
    assert_eq!(live_tasks(&journal), 2 * VOLUMES);
    journal.close().await;
}

#[tokio::test]
async fn files_that_an_earlier_start_left_with_few_live_tasks_are_rewritten() {
    let dir = quick_dir();
    let (mut journal, _) = open(dir.path()).await;
    let numbers = fill(&mut journal).await;
    journal.close().await;
    let store = Store::inspect(dir.path()).unwrap();
    let archive = store.archive().unwrap();
    let files = archive.note(&numbers, Noted::Dead);
    let note = |tables: &mut store::Tables<'_>| {
        files.iter().try_for_each(|first| tables.set_ended(*first, archive.entry(*first).as_ref()))
    };
    store.write(note).unwrap();
    drop(store);
    let (mut journal, _) = open(dir.path()).await;
    until_all_are_rewritten(dir.path(), &mut journal).await;
    journal.close().await;
}

#[tokio::test]
async fn copy_of_the_archive_is_complete_although_its_files_are_removed_meanwhile() {
    let (dir, copy) = (quick_dir(), tempfile::tempdir().unwrap());
    let (mut journal, _) = open(dir.path()).await;
    let numbers = fill(&mut journal).await;
    let (done, copied) = oneshot::channel();
    journal.copy(copy.path().to_owned(), done);
    let all = (0..VOLUMES * u64::from(TASKS)).collect();
    commit(&mut journal, Record::Dropped { numbers, until: 0 }).await;
    commit(&mut journal, Record::Dropped { numbers: all, until: 0 }).await;
    copied.await.unwrap().unwrap();
    journal.close().await;
    for (home, tasks) in [(copy.path(), VOLUMES * u64::from(TASKS)), (dir.path(), 0)] {
        let (journal, _) = open(home).await;
        assert_eq!(live_tasks(&journal), tasks);
        journal.close().await;
    }
}
