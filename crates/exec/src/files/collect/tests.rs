//! Output files that something still writes to.

use std::{collections::HashMap, io::Write as _, os::unix::fs::FileExt as _};

use meshwork_blob::Store;

use super::*;
use crate::testing::context_with;

#[test]
fn output_file_that_changes_while_it_is_stored_is_refused() {
    type Change = (&'static str, fn(&File));
    let changes: [Change; 3] = [
        ("append", |mut file| file.write_all(b"more").unwrap()),
        ("truncate", |file| file.set_len(1).unwrap()),
        ("rewrite", |file| file.write_all_at(b"other", 0).unwrap()),
    ];
    for len in [10, INLINE_BYTES, INLINE_BYTES + 1] {
        for (name, change) in changes {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&dir.path().join("blobs"), &HashMap::new()).unwrap();
            let cx = context_with(Files::open(store.clone(), dir.path().join("work")).unwrap());
            let path = dir.path().join("output");
            fs::write(&path, vec![7; len]).unwrap();
            // An earlier time, which a change is sure to differ from.
            let writer = File::options().write(true).open(&path).unwrap();
            writer.set_modified(std::time::UNIX_EPOCH).unwrap();
            let facts = fs::metadata(&path).unwrap();
            let collect = |facts: &Metadata| collect_file(&cx, File::open(&path).unwrap(), facts);
            assert!(collect(&facts).is_ok(), "{len} bytes");
            change(&writer);
            let error = collect(&facts).unwrap_err();
            assert!(error.to_string().contains("still writes"), "{name}, {len} bytes: {error}");
            assert!(error.is_retryable());
            let drafts = fs::read_dir(store.dir().join("new")).unwrap().count();
            assert_eq!(drafts, 0, "{name}, {len} bytes");
        }
    }
}

#[test]
fn output_file_that_never_ends_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("blobs"), &HashMap::new()).unwrap();
    let cx = context_with(Files::open(store, dir.path().join("work")).unwrap());
    let path = dir.path().join("output");
    fs::write(&path, vec![7; INLINE_BYTES + 1]).unwrap();
    let facts = fs::metadata(&path).unwrap();
    // It has bytes for ever, whatever it said.
    let error = collect_file(&cx, File::open("/dev/zero").unwrap(), &facts).unwrap_err();
    assert!(error.to_string().contains("still writes"), "{error}");
}
