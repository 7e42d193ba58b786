//! Tests with folders of an attacker: nothing is written outside the target, and nothing is left.

use proptest::prelude::*;

use super::*;
use crate::folder::{files, parts};

/// A directory for targets, with something beside it that must stay as it is.
struct Place {
    top: tempfile::TempDir,
    before: Tree,
}

impl Place {
    fn new() -> Self {
        let top = memory_directory();
        make(top.path(), Path::new("outside/passwd"), &file("root"));
        make(top.path(), Path::new("passwd"), &file("root"));
        let before = see(top.path());
        Self { top, before }
    }

    /// Unpacks and checks that only the target was made, or nothing.
    fn unpack(&self, store: &Store, folder: BlobHash) -> Result<(), UnpackError> {
        let target = self.top.path().join("new");
        let unpacked = store.unpack(folder, &target);
        assert_eq!(target.exists(), unpacked.is_ok());
        if unpacked.is_ok() {
            crate::folder::remove_dir(&target).unwrap();
        }
        assert_eq!(see(self.top.path()), self.before);
        unpacked
    }
}

#[test]
fn lists_that_lead_outside_are_refused() {
    let place = Place::new();
    for entries in [
        vec![inline(b"../passwd", b"x")],
        vec![inline(b"/tmp/passwd", b"x")],
        vec![directory(b".."), inline(b"../passwd", b"x")],
        vec![link(b"a", b"/etc"), inline(b"a/passwd", b"x")],
        vec![link(b"a", b"../outside"), inline(b"a/passwd", b"x")],
        vec![link(b"a", b"b"), directory(b"a/c")],
        vec![directory(b"a"), link(b"a", b"b")],
        vec![directory(b"a"), directory(b"a"), inline(b"a/b", b"x")],
        vec![link(b"a", b"b"), link(b"a", b"c")],
        vec![inline(b"a", b"x"), link(b"a", b"../passwd")],
    ] {
        let (store, folder) = forge(&[entries], 1);
        assert_eq!(place.unpack(&store, folder).unwrap_err().code(), "bad_folder");
    }
}

#[test]
fn loops_of_links_are_made_and_not_followed() {
    let place = Place::new();
    let (store, folder) = encode([
        link(b"a", b"b"),
        link(b"b", b"a"),
        link(b"c", b"c/c"),
        directory(b"d"),
        link(b"d/up", b".."),
    ]);
    place.unpack(&store, folder.hash).unwrap();
}

#[test]
fn long_paths_of_few_bytes_take_no_memory() {
    // Each entry has six bytes in the list, and a path of 4,000.
    let names: Vec<_> = (0..16).map(|number| format!("{number:0249}")).collect();
    let levels: Vec<_> = (1..=16).map(|count| names[..count].join("/")).collect();
    let leaves: Vec<_> =
        (b'a'..=b'z').map(|letter| format!("{}/{}", levels[15], letter as char)).collect();
    let entries = levels.iter().chain(&leaves).map(|path| directory(path.as_bytes()));
    let (store, folder) = encode(entries);
    assert_eq!(decode(&store, folder.hash), Ok(42));
    let list: usize = store.blobs.values().map(Bytes::len).sum();
    assert!(list < 4_700, "{list}");
    Place::new().unpack(&store, folder.hash).unwrap();
}

#[test]
fn claims_about_the_files_are_checked_before_a_file_is_made() {
    let place = Place::new();
    let node = Node::Blob { executable: false, hash: BlobHash::of(b"x"), size: 1 << 60 };
    let (store, folder) = forge(&[vec![Entry { path: b"a", node }]], 5);
    assert_eq!(place.unpack(&store, folder).unwrap_err().code(), "bad_folder");
}

#[test]
fn changed_lists_never_reach_outside() {
    let (store, folder) = encode([
        inline(b"a", b"bytes"),
        directory(b"b"),
        link(b"b/l", b"../a"),
        directory(b"b/n"),
        inline(b"b/n/o", b"12345678"),
        directory(b"c"),
        inline(b"c/..x", b""),
        link(b"d", b"b/n"),
    ]);
    let root = store.blobs[&folder.hash].to_vec();
    let part = store.blobs[&parts(&root).unwrap()[0].hash].to_vec();
    let place = Place::new();
    let mut made = 0;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2_000));
    let changes = proptest::collection::vec((7..part.len(), any::<u8>(), 0..4_u8), 1..4);
    runner
        .run(&changes, |changes| {
            let mut part = part.clone();
            for (at, byte, kind) in changes {
                let at = at.min(part.len() - 1);
                match kind {
                    0 => part[at] = byte,
                    1 => part[at] = [b'/', b'.', 0, 1][usize::from(byte) % 4],
                    2 => part.insert(at, byte),
                    _ => drop(part.remove(at)),
                }
            }
            let (store, folder) = forge_root(&[(part, 8)], 13);
            drop(place.unpack(&store, folder));
            Ok(())
        })
        .unwrap();
    // Each single byte, by every value that is special.
    for at in 0..part.len() {
        for byte in [0, 1, 2, 3, 4, 5, b'.', b'/', 0x7f, 0x80, 0xff] {
            let mut part = part.clone();
            part[at] = byte;
            let (store, folder) = forge_root(&[(part, 8)], 13);
            made += usize::from(place.unpack(&store, folder).is_ok());
        }
    }
    assert!(made > 0);
}

proptest! {
    #[test]
    fn random_bytes_are_no_folder(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Root::decode(&bytes).is_err());
        prop_assert!(files(&bytes).is_err());
        let part = [b"mwpart\x01".as_slice(), &bytes].concat();
        // A few short ones are right by chance: they must be those that are written.
        if let Ok(found) = files(&part) {
            prop_assert!(found.len() <= bytes.len() / 36);
        }
        let root = [b"mwroot\x01".as_slice(), &bytes].concat();
        if let Ok(root) = Root::decode(&root) {
            prop_assert!(root.entries() < 1 << 23);
        }
    }
}
