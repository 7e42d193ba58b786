use std::{collections::HashMap, io::Read as _};

use super::{
    super::tests::{add, ready},
    *,
};
use crate::{
    limits::GROUP_BYTES,
    piece::{group_count, pieces},
};

/// The bytes of a blob, if they are right.
fn contents(store: &Store, hash: &BlobHash) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let blob = store.get_verified(hash);
    blob.inspect_err(|error| assert!(error.is_lost(), "{error}"))
        .ok()?
        .into_file()
        .read_to_end(&mut bytes)
        .unwrap();
    Some(bytes)
}

/// Whether all of a blob can be sent.
fn is_sent(store: &Store, hash: &BlobHash) -> bool {
    let Ok(source) = store.source(hash) else { return false };
    let mut all = pieces(0..group_count(source.size()));
    all.all(|piece| source.encode(&piece, &mut Vec::new()).is_ok())
}

#[test]
fn remains_of_a_crash_are_right_or_lost_and_the_bytes_can_be_added_again() {
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 5] = [
        ("right", |_| {}),
        ("absent", |path| fs::remove_file(path).unwrap()),
        ("empty", |path| fs::write(path, b"").unwrap()),
        ("cut", |path| File::options().write(true).open(path).unwrap().set_len(70).unwrap()),
        ("other", |path| fs::write(path, vec![9; fs::read(path).unwrap().len()]).unwrap()),
    ];
    let bytes: Vec<u8> = (0..3 * GROUP_BYTES).map(|at| (at / 7) as u8).collect();
    for (data, change_data) in changes {
        for (outboard, change_outboard) in changes {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), &HashMap::new()).unwrap();
            let hash = add(&store, &bytes).hash;
            let (path, valid) = (store.path(&hash), store.published());
            drop(store);
            change_data(&path);
            change_outboard(&outboard_path(&path));

            let store = Store::open(dir.path(), &valid).unwrap();
            let state = format!("data {data}, outboard {outboard}");
            let read = contents(&store, &hash);
            assert_eq!(read.is_some(), data == "right", "{state}");
            assert!(read.is_none_or(|read| read == bytes), "{state}");
            let whole = data == "right" && outboard == "right";
            assert_eq!(is_sent(&store, &hash), whole, "{state}");
            // As the engine does with a blob that is lost.
            store.remove(&hash, Serial::default()).unwrap();
            add(&store, &bytes);
            assert!(contents(&store, &hash).is_some_and(|read| read == bytes), "{state}");
            assert!(is_sent(&store, &hash), "{state}");
        }
    }
}

#[test]
fn damaged_file_gives_way_to_the_right_bytes() {
    for count in [1, 10] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &HashMap::new()).unwrap();
        let all: Vec<Vec<u8>> = (0..count).map(|number| vec![number; 2 * GROUP_BYTES]).collect();
        let hash = add(&store, &all[0]).hash;
        let (path, valid) = (store.path(&hash), store.published());
        let damage = || fs::write(&path, vec![7; 2 * GROUP_BYTES]).unwrap();
        let publish = |store: &Store| {
            let ready = all.iter().map(|bytes| ready(store, bytes)).collect();
            store.publish(ready).unwrap();
            assert!(contents(store, &hash).is_some_and(|read| read == all[0]), "{count} together");
        };
        // Nobody has read it since the start.
        damage();
        let store = Store::open(dir.path(), &valid).unwrap();
        publish(&store);
        // A handler may have written to it, and a reader has found it out.
        damage();
        store.doubt(&hash);
        assert!(contents(&store, &hash).is_none());
        publish(&store);
        // A reader has found it cut.
        fs::write(&path, "cut").unwrap();
        assert!(contents(&store, &hash).is_none());
        publish(&store);
    }
}

#[test]
fn verified_file_stays() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &HashMap::new()).unwrap();
    let hash = add(&store, b"shared").hash;
    let inode = || fs::metadata(store.path(&hash)).unwrap().ino();
    let before = inode();
    add(&store, b"shared");
    assert_eq!(inode(), before, "attempts share it");
}

#[test]
fn doubted_blob_is_verified_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &HashMap::new()).unwrap();
    let hash = add(&store, b"untouched").hash;
    fs::write(store.path(&hash), b"untouchXd").unwrap();
    store.doubt(&hash);
    assert!(contents(&store, &hash).is_none());
    assert_eq!(store.take_lost(), [hash]);
    assert_eq!(store.take_lost(), []);
}

#[test]
fn failed_publication_leaves_the_store_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &HashMap::new()).unwrap();
    let known = add(&store, b"known");
    let texts: Vec<Vec<u8>> = (0..9_u32).map(|number| number.to_le_bytes().to_vec()).collect();
    let last = store.path(&BlobHash::of(&texts[8])).parent().unwrap().to_owned();
    let before = store.published();
    for count in [2, 9] {
        // A file where the folder of the last blob belongs.
        fs::write(&last, "in the way").unwrap();
        let mut blobs = vec![ready(&store, b"known"), ready(&store, b"known")];
        blobs.extend(texts[9 - count..].iter().map(|text| ready(&store, text)));
        assert!(store.publish(blobs).is_err());
        assert_eq!(store.published(), before, "{count} new ones");
        for text in &texts {
            assert!(!store.path(&BlobHash::of(text)).exists());
        }
        fs::remove_file(&last).unwrap();
    }
    // The engine knows the first file alone, and removes it by its serial.
    store.remove(&known.hash, known.serial).unwrap();
    assert!(!store.path(&known.hash).exists());
    let drafts = fs::read_dir(dir.path().join("new")).unwrap().count();
    assert_eq!(drafts, 0, "nothing is left");
}
