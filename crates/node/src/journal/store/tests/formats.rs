//! Journals of other versions (F-21): a later format is refused by its number, an earlier one is
//! read.

use meshwork_core::{Time, engine::Ledger};

use super::*;

/// A journal of format 1 with a waiting, an ended and a forgotten task, and two results for other
/// owners, one of them released. Its marker names no node, as in that version. Never regenerate it:
/// every version must read this file.
const FORMAT_1: &[u8] = include_bytes!("format-1.redb");
const MARKER_1: &str = "ready 0123456789abcdef 1\n";

#[test]
fn a_later_format_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), None).unwrap();
    store.write(|tables| tables.set(FORMAT, THIS_FORMAT + 1)).unwrap();
    drop(store);
    let error = refused(dir.path());
    assert!(
        matches!(error, JournalError::Format { format, .. } if format == THIS_FORMAT + 1),
        "{error}"
    );
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
        let (tasks, results) = ledger.into_parts();
        let (tasks, results): (Vec<_>, Vec<_>) = (tasks.collect(), results.collect());
        let [waits, ended] = &tasks[..] else { panic!("{tasks:?}") };
        assert_eq!(waits.task.input.inline(), b"waits");
        assert_eq!(waits.task.idempotency_key.as_deref(), Some("key"));
        assert!(waits.ended.is_none());
        let Some(TaskEnd::Succeeded(result)) = ended.ended.as_deref().map(|ended| &ended.end)
        else {
            panic!("{ended:?}")
        };
        assert_eq!(store.meta(FORMAT).unwrap(), THIS_FORMAT, "earlier versions now refuse it");
        assert_eq!(result.text(), Ok("ended"));
        assert_eq!((results.len(), results[0].0.epoch.number), (1, 2));
    }
    let text = fs::read_to_string(&marker).unwrap();
    assert_eq!(
        text,
        format!("ready 0123456789abcdef 3 {owner}\n"),
        "the marker now names its node"
    );
    let other = Store::open(dir.path(), Some(PeerId::random())).err().unwrap();
    assert!(matches!(other, JournalError::OtherKey { owner: of, .. } if of == owner), "{other}");
}
