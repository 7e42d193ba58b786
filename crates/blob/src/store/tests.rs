use std::{
    cell::RefCell,
    io::Write as _,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
};

use super::*;
use crate::limits::GROUP_BYTES;

thread_local! {
    /// The files and directories that this thread has synced one by one.
    pub(super) static SYNCED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// What the thread has synced since the last call.
fn synced() -> Vec<PathBuf> {
    SYNCED.take()
}

fn empty(dir: &Path) -> Store {
    Store::open(dir, &HashMap::new()).unwrap()
}

pub(super) fn ready(store: &Store, bytes: &[u8]) -> Ready {
    let mut draft = store.draft().unwrap();
    draft.write_all(bytes).unwrap();
    draft.finish().unwrap()
}

pub(super) fn add(store: &Store, bytes: &[u8]) -> Published {
    store.publish(vec![ready(store, bytes)]).unwrap().remove(0)
}

fn contents(store: &Store, hash: &BlobHash) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.get_verified(hash).unwrap().into_file().read_to_end(&mut bytes).unwrap();
    bytes
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for path in list(&dir).unwrap() {
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn blob_is_read_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    for size in [0, 1, GROUP_BYTES, GROUP_BYTES + 1, 3 * GROUP_BYTES + 7] {
        let bytes: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let published = add(&store, &bytes);
        assert_eq!((published.hash, published.size), (BlobHash::of(&bytes), size as u64));
        assert_eq!(contents(&store, &published.hash), bytes);
        let outboard = store.outboard(&published.hash, published.size).unwrap();
        assert_eq!(outboard.is_some(), size > GROUP_BYTES);
    }
}

#[test]
fn valid_blobs_outlive_the_process_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let (kept, dropped) = (add(&store, &vec![1; 3 * GROUP_BYTES]), add(&store, b"no record"));
    let unfinished = store.draft().unwrap();
    std::mem::forget(unfinished);
    drop(store);
    let valid = HashMap::from([(kept.hash, kept.size), (BlobHash::of(b"lost"), 4)]);
    let store = Store::open(dir.path(), &valid).unwrap();
    assert_eq!(store.published(), HashMap::from([(kept.hash, kept.size)]));
    assert_eq!(contents(&store, &kept.hash), vec![1; 3 * GROUP_BYTES]);
    assert!(matches!(store.get(&dropped.hash), Err(ReadError::Missing { .. })));
    assert_eq!(files(dir.path()).len(), 2, "the blob and its outboard");
}

#[test]
fn draft_that_is_dropped_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let mut draft = store.draft().unwrap();
    draft.write_all(&vec![0; 200 * GROUP_BYTES]).unwrap();
    drop(draft);
    drop(ready(&store, &vec![0; 3 * GROUP_BYTES]));
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn damaged_blob_is_never_returned() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let blob = add(&store, &vec![7; 3 * GROUP_BYTES]);
    let valid = store.published();
    let path = store.path(&blob.hash);
    drop(store);

    // The same size and other bytes, as a failing disk gives.
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"x", 100).unwrap();
    let store = Store::open(dir.path(), &valid).unwrap();
    assert!(matches!(store.get_verified(&blob.hash), Err(ReadError::Damaged { .. })));

    // Another size, while the node runs.
    OpenOptions::new().write(true).open(&path).unwrap().set_len(9).unwrap();
    assert!(matches!(store.get(&blob.hash), Err(ReadError::Damaged { .. })));
    fs::remove_file(&path).unwrap();
    let error = store.get(&blob.hash).unwrap_err();
    assert!(error.is_lost() && !error.is_retryable(), "{error}");

    // Another size, at a start.
    fs::write(&path, b"short").unwrap();
    let store = Store::open(dir.path(), &valid).unwrap();
    assert!(matches!(store.get(&blob.hash), Err(ReadError::Missing { .. })));
}

#[test]
fn damaged_outboard_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let blob = add(&store, &vec![7; 3 * GROUP_BYTES]);
    let path = outboard_path(&store.path(&blob.hash));
    OpenOptions::new().write(true).open(&path).unwrap().set_len(9).unwrap();
    assert!(store.outboard(&blob.hash, blob.size).unwrap_err().is_lost());
    fs::remove_file(&path).unwrap();
    assert!(store.outboard(&blob.hash, blob.size).unwrap_err().is_lost());
}

#[test]
fn late_removal_spares_a_newer_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let first = add(&store, b"again");
    let second = add(&store, b"again");
    store.remove(&first.hash, first.serial).unwrap();
    assert_eq!(contents(&store, &second.hash), b"again");
    store.remove(&second.hash, second.serial).unwrap();
    store.remove(&second.hash, second.serial).unwrap();
    assert!(store.get(&second.hash).is_err());
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn open_blob_outlives_its_removal() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let published = add(&store, b"still here");
    let blob = store.get(&published.hash).unwrap();
    store.remove(&published.hash, published.serial).unwrap();
    let mut text = String::new();
    blob.into_file().read_to_string(&mut text).unwrap();
    assert_eq!(text, "still here");
}

#[test]
fn blob_whose_file_was_lost_can_be_added_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let published = add(&store, b"lost and found");
    fs::remove_file(store.path(&published.hash)).unwrap();
    add(&store, b"lost and found");
    assert_eq!(contents(&store, &published.hash), b"lost and found");
}

#[test]
fn damaged_file_from_before_the_start_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = vec![7; 3 * GROUP_BYTES];
    let store = empty(dir.path());
    let blob = add(&store, &bytes);
    let path = store.path(&blob.hash);
    for damage in ["data", "outboard", "no outboard"] {
        let valid = store.published();
        match damage {
            "data" => {
                let file = OpenOptions::new().write(true).open(&path).unwrap();
                file.write_all_at(b"x", 100).unwrap();
            }
            "outboard" => fs::write(outboard_path(&path), b"cut").unwrap(),
            _ => fs::remove_file(outboard_path(&path)).unwrap(),
        }
        let store = Store::open(dir.path(), &valid).unwrap();
        add(&store, &bytes);
        assert_eq!(contents(&store, &blob.hash), bytes, "{damage}");
        assert!(store.source(&blob.hash).is_ok(), "{damage}");
        assert_eq!(files(dir.path()).len(), 2, "{damage}");
    }
}

/// Two callers may publish the same bytes: the answer to the second must not rest on a sync of the
/// first that is still to come.
#[test]
fn blob_that_another_call_has_named_is_synced_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let bytes = vec![7; 3 * GROUP_BYTES];
    let first = ready(&store, &bytes);
    let path = store.path(&first.hash());
    make_private_dir(path.parent().unwrap()).unwrap();
    // As a batch does before its barrier.
    store.give_name(first, &path).unwrap();
    synced();
    add(&store, &bytes);
    let synced = synced();
    let folder = path.parent().unwrap();
    for path in [&path, &outboard_path(&path), folder, folder.parent().unwrap()] {
        assert!(synced.iter().any(|synced| synced == path), "{}", path.display());
    }
}

#[test]
fn folders_of_a_new_store_are_synced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blobs");
    synced();
    empty(&path);
    let synced = synced();
    assert!(synced.contains(&path) && synced.contains(&dir.path().to_owned()), "{synced:?}");
}

#[test]
fn outboard_without_its_blob_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let blob = add(&store, &vec![7; 3 * GROUP_BYTES]);
    let (path, valid) = (store.path(&blob.hash), store.published());
    fs::remove_file(path).unwrap();
    Store::open(dir.path(), &valid).unwrap();
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn many_blobs_are_published_with_one_barrier() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let blobs = (0..100_u32).map(|number| ready(&store, &number.to_le_bytes())).collect();
    let published = store.publish(blobs).unwrap();
    assert_eq!(published.len(), 100);
    for (number, blob) in (0..100_u32).zip(published) {
        assert_eq!(contents(&store, &blob.hash), number.to_le_bytes());
    }
}

#[test]
fn copy_ends_with_the_error_of_its_source() {
    struct Failing(u32);
    impl io::Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Ok(buffer.len().min(10)),
                2 => Err(ErrorKind::Interrupted.into()),
                3 => Ok(buffer.len().min(5)),
                _ => Err(io::Error::other("the cable is out")),
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = empty(dir.path());
    let mut draft = store.draft().unwrap();
    let error = draft.copy_from(&mut Failing(0)).unwrap().unwrap_err();
    assert_eq!((error.to_string().as_str(), draft.size()), ("the cable is out", 15));
    assert_eq!(draft.copy_from(&mut &b"12345"[..]).unwrap().unwrap(), 5);
    assert_eq!(draft.size(), 20);
}

#[test]
fn temporary_store_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blobs");
    let store = Store::temporary(&path);
    assert!(!path.exists(), "no blob, no directory");
    let blob = add(&store, b"for now");
    assert_eq!(contents(&store, &blob.hash), b"for now");
    let other = store.clone();
    drop(store);
    assert_eq!(contents(&other, &blob.hash), b"for now");
    drop(other);
    assert!(!path.exists());
}

#[test]
fn other_users_cannot_read_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = empty(&dir.path().join("blobs"));
    let blob = add(&store, &vec![7; 3 * GROUP_BYTES]);
    let path = store.path(&blob.hash);
    for (path, mode) in [
        (store.dir(), 0o700),
        (path.parent().unwrap(), 0o700),
        (&path, 0o600),
        (&outboard_path(&path), 0o600),
    ] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
}
