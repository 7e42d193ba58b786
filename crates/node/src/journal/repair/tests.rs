//! Verifying and salvaging a journal.

use meshwork_core::{
    Task, TaskEnd,
    engine::{Record, Seq},
    task::ExpiredLimit,
};

use super::{
    super::{Journal, Recovery, frames},
    *,
};
use crate::{clock::Clock, home::tests::put_invalid_files};

mod archive;
mod copies;

/// A home whose journal holds `tasks` tasks, each in its own commit; the first has ended.
async fn home(tasks: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) =
        Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await.unwrap();
    for seq in 0..tasks {
        let task = Task::default();
        let id = task.id;
        let mut records = vec![Record::Submitted { task: Box::new(task), targets: Vec::new() }];
        if seq == 0 {
            let end = Box::new(TaskEnd::Expired { limit: ExpiredLimit::Queue });
            records.push(Record::Ended { id, end, story: Default::default() });
        }
        journal.push(Seq(seq), records);
        journal.committed().await.unwrap();
    }
    journal.close().await;
    dir
}

/// Damages a byte of the last record in a segment.
fn spoil(dir: &Path, number: u64) {
    let store = Store::open(dir, None).unwrap();
    let mut segment = Vec::new();
    for (at, record) in store.segment(number).unwrap() {
        frames::append(&mut segment, at, &record);
    }
    let last = segment.len() - 1;
    segment[last] ^= 1;
    store.write(|tables| tables.insert(number, &segment)).unwrap();
}

#[tokio::test]
async fn verify_counts_the_contents_and_changes_nothing() {
    let dir = home(5).await;
    let file = dir.path().join(FILE);
    let before = fs::read(&file).unwrap();
    let first = verify(dir.path()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), before, "unchanged");
    assert!(!dir.path().join("journal.verifying").exists());
    assert_eq!((first.open, first.ended, first.results), (4, 1, 0));
    assert_eq!((first.records, first.damaged, first.segments), (6, 0, 5));
    assert!(first.file_bytes > 0);
    let again = verify(dir.path()).unwrap();
    let smaller = compact(dir.path()).unwrap();
    assert!(smaller.file_bytes <= again.file_bytes);
    for later in [again, smaller] {
        assert_eq!(JournalReport { file_bytes: first.file_bytes, ..later }, first);
    }
}

#[tokio::test]
async fn a_damaged_journal_starts_no_node_until_it_is_salvaged() {
    let dir = home(5).await;
    spoil(dir.path(), 2);
    spoil(dir.path(), 4);
    let error =
        Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await.unwrap_err();
    assert!(matches!(error, JournalError::Damaged { damaged: 2, total: 6, .. }), "{error}");
    assert!(error.to_string().contains("salvage the rest"), "{error}");
    assert_eq!(verify(dir.path()).unwrap().damaged, 2);
    let Salvaged { report, copies, lost, may_hold_forgotten } = salvage(dir.path()).unwrap();
    assert_eq!((lost, may_hold_forgotten), (2, false));
    assert_eq!((report.open, report.ended, report.damaged), (2, 1, 0));
    let named = |number| dir.path().join(format!("journal.damaged-{number}"));
    assert_eq!(copies, [named(2), named(4)]);
    assert!(copies.iter().all(|path| fs::metadata(path).unwrap().len() > 0));
    let (journal, ledger) =
        Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await.unwrap();
    let tasks: Vec<_> = ledger.into_parts().0.collect();
    assert_eq!(tasks.len(), 3);
    journal.close().await;
    assert_eq!(salvage(dir.path()).unwrap().copies, Vec::<PathBuf>::new(), "nothing is damaged");
}

#[tokio::test]
async fn unreadable_file_is_not_salvaged_and_error_says_what_to_do() {
    let dir = home(5).await;
    let file = dir.path().join(FILE);
    let whole = fs::read(&file).unwrap();
    for spoilt in [&[][..], &[0x5a; 100_000], &whole[..512], &whole[..whole.len() / 2]] {
        fs::write(&file, spoilt).unwrap();
        for error in [salvage(dir.path()).unwrap_err(), verify(dir.path()).unwrap_err()] {
            assert!(error.to_string().contains("restore a copy"), "{error}");
            assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
        }
        assert_eq!(fs::read(&file).unwrap(), spoilt, "nothing is changed");
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(verify(dir.path()), Err(JournalError::Missing { .. })));
    assert!(!dir.path().join("journal.verifying").exists());
}

#[tokio::test]
async fn verify_refuses_a_missing_home_and_a_running_node() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    assert!(matches!(verify(&nowhere), Err(JournalError::None { .. })));
    assert!(!nowhere.exists());
    assert!(matches!(verify(dir.path()), Err(JournalError::None { .. })));
    let used = home(1).await;
    let _running = Home::open(used.path()).unwrap();
    let error = verify(used.path()).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
}

#[tokio::test]
async fn damage_outside_the_records_is_found() {
    let dir = home(5).await;
    let file = dir.path().join(FILE);
    let mut spoilt = fs::read(&file).unwrap();
    // At least one occurrence is in a page that is in use.
    let open = |bytes: &[u8]| bytes.windows(8).position(|bytes| bytes == b"segments");
    while let Some(at) = open(&spoilt) {
        spoilt[at] ^= 1;
    }
    fs::write(&file, &spoilt).unwrap();
    let error = verify(dir.path()).unwrap_err();
    assert!(matches!(&error, JournalError::Pages { path, .. } if *path == file), "{error}");
    assert_eq!(fs::read(&file).unwrap(), spoilt, "nothing is changed");
    assert!(!dir.path().join("journal.verifying").exists());
}

#[tokio::test]
async fn damaged_marker_is_rebuilt_from_the_journal() {
    let dir = home(3).await;
    let marker = dir.path().join("journal.id");
    let open = async || Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await;
    for kind in put_invalid_files(&marker) {
        let error = open().await.unwrap_err();
        assert!(matches!(error, JournalError::Marker { .. }), "{kind}: {error}");
        assert!(error.to_string().contains("salvage the journal"), "{error}");
        assert_eq!(salvage(dir.path()).unwrap().report.records, 4, "{kind}");
        open().await.unwrap().0.close().await;
        fs::remove_dir_all(marker.with_extension("id.damaged")).ok();
        fs::remove_file(marker.with_extension("id.damaged")).ok();
    }
}

#[tokio::test]
async fn non_file_journal_is_refused_but_such_a_marker_is_ignored() {
    let dir = home(3).await;
    let open = async || Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await;
    for kind in put_invalid_files(&dir.path().join("journal.told")) {
        open().await.unwrap_or_else(|error| panic!("{kind}: {error}")).0.close().await;
        assert_eq!(verify(dir.path()).unwrap().records, 4, "{kind}");
    }
    let path = dir.path().join(FILE);
    for kind in put_invalid_files(&path) {
        for error in [open().await.map(drop).unwrap_err(), verify(dir.path()).unwrap_err()] {
            assert!(error.to_string().contains("journal.redb"), "{kind}: {error}");
            assert!(error.to_string().contains("restore a copy"), "{kind}: {error}");
        }
    }
}
