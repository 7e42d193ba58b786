//! Journals of other versions (F-21): what this one cannot read is refused by name, and what an
//! earlier one has written is read.

use meshwork_core::{Time, engine::Ledger};

use super::*;

/// A journal of format 1 with a task that waits, one that has ended, one that is forgotten, and two
/// results for other owners, of which one is released. Its marker is as it was before markers named
/// their node. It stays as it is: whatever this version writes, it must go on reading this.
const FORMAT_1: &[u8] = include_bytes!("format-1.redb");
const MARKER_1: &str = "ready 0123456789abcdef 1\n";

#[test]
fn a_later_format_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), None).unwrap();
    store.write(|tables| tables.set(FORMAT, THIS_FORMAT + 1)).unwrap();
    drop(store);
    let error = refused(dir.path());
    assert!(matches!(error, JournalError::Format { format: 3, .. }), "{error}");
    assert!(error.to_string().contains("update"), "{error}");
}

#[test]
fn the_first_format_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (file, marker) = paths(dir.path());
    fs::write(&file, FORMAT_1).unwrap();
    fs::write(&marker, MARKER_1).unwrap();
    let owner = PeerId::random();
    for _ in 0..2 {
        let store = Store::open(dir.path(), Some(owner)).unwrap();
        let mut ledger = Ledger::default();
        let replayed =
            store.replay(|_, stamp, record| ledger.apply(record, Time::ZERO, stamp.up)).unwrap();
        assert_eq!((replayed.records, replayed.damaged), (8, 0));
        let (tasks, kept) = ledger.into_parts();
        let (tasks, kept): (Vec<_>, Vec<_>) = (tasks.collect(), kept.collect());
        let [waits, ended] = &tasks[..] else { panic!("{tasks:?}") };
        assert_eq!(waits.task.input.as_bytes(), b"waits");
        assert_eq!(waits.task.idempotency_key.as_deref(), Some("key"));
        assert!(waits.ended.is_none());
        let Some(TaskEnd::Succeeded(result)) = ended.ended.as_deref().map(|ended| &ended.end)
        else {
            panic!("{ended:?}")
        };
        assert_eq!(store.meta(FORMAT).unwrap(), 2, "an earlier version refuses it from now on");
        assert_eq!(result.text(), Ok("ended"));
        assert_eq!((kept.len(), kept[0].0.epoch.number), (1, 2));
    }
    let text = fs::read_to_string(&marker).unwrap();
    assert_eq!(
        text,
        format!("ready 0123456789abcdef 3 {owner}\n"),
        "it names its node from now on"
    );
    let other = Store::open(dir.path(), Some(PeerId::random())).err().unwrap();
    assert!(matches!(other, JournalError::OtherKey { owner: of, .. } if of == owner), "{other}");
}
