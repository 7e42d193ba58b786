use std::{collections::HashMap, fs::OpenOptions, io::Write as _, os::unix::fs::FileExt as _};

use super::*;
use crate::{hasher::outboard_size, store::Store};

const GROUP: u64 = GROUP_BYTES as u64;

fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path(), &HashMap::new()).unwrap()
}

fn source(store: &Store, bytes: &[u8]) -> Source {
    let mut draft = store.draft().unwrap();
    draft.write_all(bytes).unwrap();
    let published = store.publish(vec![draft.finish().unwrap()]).unwrap();
    store.source(&published[0].hash).unwrap()
}

#[test]
fn pieces_end_at_blocks_of_groups() {
    let all = |groups| pieces(groups).collect::<Vec<_>>();
    assert_eq!(all(0..20), [0..8, 8..16, 16..20]);
    assert_eq!(all(5..9), [5..8, 8..9]);
    assert_eq!(all(3..3), []);
    assert_eq!(all(u64::MAX - 9..u64::MAX).len(), 2);
}

#[test]
fn every_blob_has_a_group() {
    let counts = [0, 1, GROUP, GROUP + 1, 1 << 60].map(group_count);
    assert_eq!(counts, [1, 1, 1, 2, 1 << 44]);
}

#[test]
fn encoding_has_the_computed_length() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for size in [0, 1, GROUP, GROUP + 1, 8 * GROUP, 9 * GROUP + 5, 21 * GROUP - 1] {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 7 + size) as u8).collect();
        let source = source(&store, &bytes);
        for piece in pieces(0..group_count(size)) {
            let mut out = Vec::new();
            source.encode(&piece, &mut out).unwrap();
            assert_eq!(out.len(), encoded_len(size, &piece), "{piece:?} of {size} bytes");
        }
    }
}

#[test]
fn hashes_of_a_piece_are_few_even_in_the_largest_blob() {
    let data = PIECE_GROUPS * GROUP;
    for size in [9 * GROUP, 1 << 32, 1 << 60, u64::MAX] {
        let last = group_count(size) - 1;
        for piece in [0..PIECE_GROUPS, last..last + 1] {
            let hashes = encoded_len(size, &piece).saturating_sub(data as usize);
            assert!(hashes <= 4 * 1_024, "{hashes} bytes of hashes for {size} bytes");
        }
    }
}

#[test]
fn damaged_blob_is_not_encoded() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let size = 20 * GROUP;
    let source = source(&store, &vec![7; size as usize]);
    let path = source.blob.path().to_owned();
    let write = |path: &std::path::Path, at| {
        OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"x", at).unwrap();
    };
    write(&path, 9 * GROUP);
    let encode = |piece| source.encode(&piece, &mut Vec::new());
    assert!(encode(0..8).is_ok(), "the other pieces are served");
    assert!(encode(8..16).unwrap_err().is_lost());
    write(&path.with_extension("tree"), outboard_size(size) - 1);
    assert!(encode(0..8).unwrap_err().is_lost(), "the root is damaged");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(GROUP).unwrap();
    assert!(encode(16..20).unwrap_err().is_lost());
}
