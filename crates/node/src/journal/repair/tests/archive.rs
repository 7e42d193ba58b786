//! Damaged files of the archive, with a readable and with an unreadable journal.

use std::collections::BTreeSet;

use meshwork_core::{
    PeerId, TaskId, TaskResult,
    engine::{ArchivedTask, Record, Restored, RestoredEnd, Row, Volume, view::Ending},
};

use super::{super::super::Written, *};

const ARCHIVED: u32 = 30;
/// Number of bits that are flipped, one at a time.
const BITS: usize = 20;
/// Distance between these bits.
const SPREAD: usize = 104_729;

/// A home with three tasks in the journal, and [`ARCHIVED`] in one file of the archive.
async fn archived() -> (tempfile::TempDir, PathBuf, BTreeSet<TaskId>) {
    let dir = home(3).await;
    let (mut journal, ledger) =
        Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await.unwrap();
    let mut ids: BTreeSet<TaskId> =
        ledger.into_parts().0.map(|restored| restored.task.id).collect();
    let mut volume = Volume { handlers: vec!["text/upper".parse().unwrap()], ..Volume::default() };
    let mut tasks = Vec::new();
    for at in 0..ARCHIVED {
        let task = Task::new("text/upper").unwrap();
        let submitted = Time::from_nanos(1);
        volume.rows.push(Row {
            at,
            id: task.id,
            handler: 0,
            group: None,
            digest: 0,
            key: 0,
            submitted,
            up: Time::ZERO,
            weight: 1_024,
            ending: Ending::Succeeded,
            read: false,
            blob: None,
        });
        let end = TaskEnd::Succeeded(TaskResult {
            output: format!("result {at} ").repeat(9).into(),
            worker: PeerId::random(),
            attempt: 1,
            took: std::time::Duration::from_millis(3),
        });
        let ended = Some(Box::new(RestoredEnd { end, at: submitted, up: Time::ZERO }));
        let task = Box::new(task);
        let task = Restored { task, targets: Vec::new(), submitted, story: None, ended };
        tasks.push(ArchivedTask { task, input_bytes: 0 });
    }
    let archived: Vec<TaskId> = volume.rows.iter().map(|row| row.id).collect();
    journal.archiver().write(Box::new(volume), tasks);
    assert_eq!(journal.written().await, Written::Volume(0));
    let record = Record::Archived { first: 0, count: ARCHIVED, ids: archived.clone() };
    journal.push(Seq(9), vec![record]);
    journal.committed().await.unwrap();
    journal.close().await;
    ids.extend(archived);
    let path = dir.path().join("ended/000000000000-0");
    (dir, path, ids)
}

/// The ids of all tasks that a start finds.
async fn tasks(dir: &Path) -> BTreeSet<TaskId> {
    let (journal, ledger) =
        Journal::open(dir, None, Clock::start(), Recovery::default()).await.unwrap();
    journal.close().await;
    let mut ids: Vec<TaskId> = ledger.into_parts().0.map(|restored| restored.task.id).collect();
    let archive = Store::inspect(dir).unwrap().archive().unwrap();
    for first in archive.firsts() {
        ids.extend(archive.volume(first).unwrap().rows.iter().map(|row| row.id));
    }
    let all = ids.len();
    let ids: BTreeSet<TaskId> = ids.into_iter().collect();
    assert_eq!(ids.len(), all, "no task twice");
    ids
}

fn flip(path: &Path, bit: usize) -> String {
    let mut bytes = fs::read(path).unwrap();
    let at = bit % (bytes.len() * 8);
    bytes[at / 8] ^= 1 << (at % 8);
    fs::write(path, &bytes).unwrap();
    format!("bit {at}")
}

#[tokio::test]
async fn one_flipped_bit_of_an_archived_file_costs_one_task_at_most() {
    let (dir, path, all) = archived().await;
    assert_eq!(tasks(dir.path()).await, all);
    for number in 0..BITS {
        let copy = tempfile::tempdir().unwrap();
        backup(dir.path(), copy.path()).unwrap();
        let path = copy.path().join("ended").join(path.file_name().unwrap());
        // The copy is a hard link: replace it by a separate file.
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let bit = flip(&path, number * SPREAD);
        let before = verify(copy.path()).unwrap().damaged;
        let Salvaged { lost, copies, .. } = salvage(copy.path()).unwrap();
        assert!(lost <= 1, "{bit}: {lost} lost");
        assert_eq!(copies.len(), usize::from(before > 0), "{bit}");
        assert_eq!(verify(copy.path()).unwrap().damaged, 0, "{bit}");
        let found = tasks(copy.path()).await;
        assert!(found.is_subset(&all), "{bit}");
        assert_eq!((all.len() - found.len()) as u64, lost, "{bit}");
    }
}

#[tokio::test]
async fn a_missing_archived_file_stops_the_start_until_salvage() {
    let (dir, path, all) = archived().await;
    fs::remove_file(&path).unwrap();
    let opened = Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await;
    assert!(matches!(opened, Err(JournalError::MissingEnded { .. })), "{opened:?}");
    let Salvaged { lost, copies, .. } = salvage(dir.path()).unwrap();
    assert_eq!((lost, copies.len()), (ARCHIVED.into(), 0));
    assert_eq!(tasks(dir.path()).await.len(), all.len() - ARCHIVED as usize);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_leaves_the_archive_whole() {
    let (dir, path, all) = archived().await;
    for is_damaged in [false, true] {
        for number in 0..BITS / 2 {
            let copy = tempfile::tempdir().unwrap();
            backup(dir.path(), copy.path()).unwrap();
            let ended = copy.path().join("ended").join(path.file_name().unwrap());
            let bytes = fs::read(&ended).unwrap();
            fs::remove_file(&ended).unwrap();
            fs::write(&ended, bytes).unwrap();
            // Neither commit slot can be read, so that the store refuses the whole file.
            let file = copy.path().join(FILE);
            let mut bytes = fs::read(&file).unwrap();
            bytes[64..320].fill(0xff);
            fs::write(&file, bytes).unwrap();
            let bit = if is_damaged { flip(&ended, number * SPREAD) } else { "none".to_owned() };
            let Salvaged { lost, .. } = salvage(copy.path()).unwrap();
            assert!(lost <= u64::from(is_damaged), "{bit}: {lost} lost");
            assert_eq!(verify(copy.path()).unwrap().damaged, 0, "{bit}");
            let found = tasks(copy.path()).await;
            assert_eq!((all.len() - found.len()) as u64, lost, "{bit}");
        }
    }
}

#[tokio::test]
async fn copy_with_a_damaged_archive_is_not_restored() {
    let (dir, path, all) = archived().await;
    let copy = tempfile::tempdir().unwrap();
    backup(dir.path(), copy.path()).unwrap();
    let ended = copy.path().join("ended").join(path.file_name().unwrap());
    let bytes = fs::read(&ended).unwrap();
    fs::remove_file(&ended).unwrap();
    let missing = restore(dir.path(), copy.path(), true, None).unwrap_err();
    fs::write(&ended, &bytes).unwrap();
    flip(&ended, 8 * bytes.len() / 4);
    let damaged = restore(dir.path(), copy.path(), true, None).unwrap_err();
    for error in [missing, damaged] {
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    }
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    let strange = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.contains("restoring") || name.contains("replaced")
    };
    assert!(!names.iter().any(strange), "{names:?}");
    assert_eq!(tasks(dir.path()).await, all, "nothing is touched");
    fs::write(&ended, &bytes).unwrap();
    restore(dir.path(), copy.path(), true, None).unwrap();
    assert_eq!(tasks(dir.path()).await, all);
}
