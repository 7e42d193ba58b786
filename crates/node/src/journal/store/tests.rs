//! The file and its marker: only a first start creates an empty journal.

use std::fs;

use meshwork_core::{Task, TaskEnd, TaskId, engine::Record};

use super::{
    super::frames::{HEAD, UNSUMMED},
    *,
};

mod flips;
mod formats;

/// The stamp of all records here.
const STAMP: Stamp = Stamp { at: 7, up: meshwork_core::Time::ZERO };

fn write(store: &Store, number: u64, tasks: usize) -> Vec<TaskId> {
    let mut segment = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..tasks {
        let task = Box::new(Task::default());
        ids.push(task.id);
        append(&mut segment, STAMP, &Record::Submitted { task, targets: Vec::new() });
    }
    store.write(|tables| tables.insert(number, &segment)).unwrap();
    ids
}

fn read(store: &Store) -> Result<Vec<TaskId>, JournalError> {
    let mut ids = Vec::new();
    store.replay(|_, _, record| {
        if let Record::Submitted { task, .. } = record {
            ids.push(task.id);
        }
    })?;
    Ok(ids)
}

fn refused(dir: &Path) -> JournalError {
    Store::open(dir, None).err().expect("it does not open")
}

#[test]
fn tasks_are_read_in_write_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), None).unwrap();
    let mut ids = write(&store, 1, 3);
    ids.extend(write(&store, 2, 2));
    drop(store);
    for _ in 0..3 {
        assert_eq!(read(&Store::open(dir.path(), None).unwrap()).unwrap(), ids);
    }
}

#[test]
fn members_of_one_group_are_noted_as_forgotten_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), None).unwrap();
    for start in [7, 7, 8, 8, 8, 7] {
        store.write(|tables| tables.forget(&[start; 12])).unwrap();
    }
    assert_eq!(store.aside().unwrap().forgotten, [[7; 12], [8; 12], [7; 12]]);
}

#[test]
fn starts_that_end_before_the_marker_is_written_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("journal.id");
    drop(Store::open(dir.path(), None).unwrap());
    let before = fs::read(&marker).unwrap();
    for _ in 0..3 {
        drop(Store::open(dir.path(), None).unwrap());
        fs::write(&marker, &before).unwrap();
    }
    Store::open(dir.path(), None).unwrap();
}

#[test]
fn foreign_missing_or_old_journal_does_not_open() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, marker) = (dir.path().join("journal.redb"), dir.path().join("journal.id"));
    drop(Store::open(dir.path(), None).unwrap());
    drop(Store::open(other.path(), None).unwrap());
    let old = fs::read(&file).unwrap();
    let old_marker = fs::read(&marker).unwrap();

    fs::copy(other.path().join("journal.redb"), &file).unwrap();
    assert!(matches!(refused(dir.path()), JournalError::Foreign { .. }));
    fs::remove_file(&file).unwrap();
    assert!(matches!(refused(dir.path()), JournalError::Missing { .. }));

    fs::write(&file, &old).unwrap();
    for _ in 0..3 {
        write(&Store::open(dir.path(), None).unwrap(), 1, 1);
    }
    let latest = fs::read(&file).unwrap();
    fs::write(&file, &old).unwrap();
    assert!(matches!(refused(dir.path()), JournalError::Older { .. }));
    fs::write(&file, &latest).unwrap();
    let latest_marker = fs::read(&marker).unwrap();
    fs::write(&marker, &old_marker).unwrap();
    assert!(matches!(refused(dir.path()), JournalError::Older { .. }));
    fs::write(&marker, "who knows").unwrap();
    assert!(matches!(refused(dir.path()), JournalError::Marker { .. }));
    fs::remove_file(&marker).unwrap();
    assert!(matches!(refused(dir.path()), JournalError::NoMarker { .. }));
    fs::write(&marker, latest_marker).unwrap();
    assert_eq!(read(&Store::open(dir.path(), None).unwrap()).unwrap().len(), 1);
}

#[test]
fn interrupted_first_start_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("journal.id"), "new 0000000000000001 1\n").unwrap();
    fs::write(dir.path().join("journal.redb"), "half of a file").unwrap();
    drop(Store::open(dir.path(), None).unwrap());
    Store::open(dir.path(), None).unwrap();
}

#[test]
fn interrupted_start_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("journal.id");
    drop(Store::open(dir.path(), None).unwrap());
    let before = fs::read(&marker).unwrap();
    drop(Store::open(dir.path(), None).unwrap());
    // As if the node had died between the file and the marker.
    fs::write(&marker, before).unwrap();
    drop(Store::open(dir.path(), None).unwrap());
    Store::open(dir.path(), None).unwrap();
}

#[test]
fn random_or_truncated_file_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal.redb");
    drop(Store::open(dir.path(), None).unwrap());
    let whole = fs::read(&file).unwrap();
    let cut = [0, 1, 100, 512, 4_096, whole.len() / 2, whole.len() - 1];
    let cuts = cut.map(|length| whole[..length].to_vec());
    for spoilt in cuts.into_iter().chain([vec![0x5a; 100_000], vec![0; whole.len()]]) {
        let length = spoilt.len();
        fs::write(&file, spoilt).unwrap();
        let error = refused(dir.path());
        let is_so = matches!(error, JournalError::Unreadable { .. } | JournalError::Pages { .. });
        assert!(is_so, "{length}: {error}");
        assert!(error.to_string().contains("journal.redb"), "{error}");
        assert!(error.to_string().contains("restore a copy"), "what to do: {error}");
    }
}

#[test]
fn a_damaged_record_is_counted_and_the_rest_is_read() {
    let mut good = Vec::new();
    for _ in 0..3 {
        let task = Box::new(Task::default());
        append(&mut good, STAMP, &Record::Submitted { task, targets: Vec::new() });
    }
    let read = |segment: &[u8]| {
        let (mut whole, mut damaged) = (0, 0);
        let end = records(segment, |record| match record {
            Some(_) => whole += 1,
            None => damaged += 1,
        });
        (whole, damaged, end)
    };
    assert_eq!(read(&good), (3, 0, true));
    let length = good.len() / 3;
    for at in UNSUMMED..length {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert_eq!(read(&bad), (2, 1, true), "byte {at}");
    }
    assert_eq!(read(&good[..good.len() - 1]), (2, 0, false));
    assert_eq!(read(&good[..4]), (0, 0, false));

    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), None).unwrap();
    good[HEAD + 5] ^= 1;
    store.write(|tables| tables.insert(1, &good)).unwrap();
    write(&store, 2, 1);
    let replayed = store.replay(|_, _, _| {}).unwrap();
    let Replayed { segments, records, damaged, .. } = replayed;
    assert_eq!((segments, records, damaged), (2, 4, 1));
}
