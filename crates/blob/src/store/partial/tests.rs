use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::{Read as _, Write as _},
    os::unix::fs::FileExt as _,
};

use super::*;
use crate::{limits::GROUP_BYTES, piece::Source};

const GROUP: u64 = GROUP_BYTES as u64;

/// The store of a provider, and the store of a receiver.
struct Pair {
    provider: Store,
    receiver: Store,
    dirs: [tempfile::TempDir; 2],
}

impl Pair {
    fn new() -> Self {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [provider, receiver] =
            [&dirs[0], &dirs[1]].map(|dir| Store::open(dir.path(), &HashMap::new()).unwrap());
        Self { provider, receiver, dirs }
    }

    fn source(&self, size: u64) -> Source {
        let mut draft = self.provider.draft().unwrap();
        draft.write_all(&bytes(size)).unwrap();
        let published = self.provider.publish(vec![draft.finish().unwrap()]).unwrap();
        self.provider.source(&published[0].hash).unwrap()
    }

    /// The receiver after its process has ended.
    fn restart(&mut self) {
        self.receiver = Store::open(self.dirs[1].path(), &HashMap::new()).unwrap();
    }

    fn partial(&self, source: &Source) -> Partial {
        self.receiver.partial(&source.hash(), source.size()).unwrap()
    }

    fn files(&self) -> usize {
        list(&self.receiver.dir().join("partial")).unwrap().len()
    }
}

fn bytes(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn encoded(source: &Source, piece: &Groups) -> Vec<u8> {
    let mut out = Vec::new();
    source.encode(piece, &mut out).unwrap();
    out
}

/// Start and end of the missing ranges.
fn all(partial: &Partial) -> Vec<(u64, u64)> {
    partial.missing(usize::MAX).into_iter().map(|groups| (groups.start, groups.end)).collect()
}

fn add(partial: &mut Partial, source: &Source, groups: Groups) {
    for piece in pieces(groups) {
        partial.add(&piece, &encoded(source, &piece)).unwrap();
    }
}

fn publish(pair: &Pair, partial: Partial) -> Vec<u8> {
    let hash = partial.hash();
    pair.receiver.publish(vec![partial.finish().unwrap()]).unwrap();
    let mut read = Vec::new();
    pair.receiver.get(&hash).unwrap().into_file().read_to_end(&mut read).unwrap();
    read
}

#[test]
fn temporary_store_without_a_blob_takes_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair { receiver: Store::temporary(&dir.path().join("blobs")), ..Pair::new() };
    let source = pair.source(3 * GROUP);
    let mut partial = pair.partial(&source);
    let piece = 0..3;
    partial.add(&piece, &encoded(&source, &piece)).unwrap();
}

#[test]
fn pieces_of_a_blob_that_was_there_are_removed() {
    let pair = Pair::new();
    let source = pair.source(3 * GROUP);
    let mut draft = pair.receiver.draft().unwrap();
    draft.write_all(&bytes(3 * GROUP)).unwrap();
    pair.receiver.publish(vec![draft.finish().unwrap()]).unwrap();
    let mut partial = pair.partial(&source);
    add(&mut partial, &source, 0..3);
    assert_eq!(pair.files(), 2);
    assert_eq!(publish(&pair, partial), bytes(3 * GROUP));
    assert_eq!(pair.files(), 0);
    // It can arrive once more.
    assert_eq!(pair.partial(&source).present(), 0);
}

#[test]
fn blob_of_any_size_arrives_in_pieces() {
    let pair = Pair::new();
    for size in [0, 1, GROUP, GROUP + 1, 8 * GROUP, 9 * GROUP + 5, 21 * GROUP - 1] {
        let source = pair.source(size);
        let mut partial = pair.partial(&source);
        assert_eq!(all(&partial), [(0, piece::group_count(size))]);
        add(&mut partial, &source, 0..piece::group_count(size));
        assert_eq!((all(&partial), partial.present()), (vec![], size));
        assert_eq!(publish(&pair, partial), bytes(size), "{size} bytes");
        assert_eq!(pair.files(), 0);
        // Its outboard is one with which the receiver can be a provider.
        let again = pair.receiver.source(&source.hash()).unwrap();
        for piece in pieces(0..piece::group_count(size)) {
            assert_eq!(encoded(&again, &piece), encoded(&source, &piece));
        }
    }
}

#[test]
fn pieces_may_arrive_in_any_order_and_twice() {
    let pair = Pair::new();
    let source = pair.source(20 * GROUP + 9);
    let mut partial = pair.partial(&source);
    for groups in [16..21, 2..4, 2..4, 9..16] {
        add(&mut partial, &source, groups);
    }
    assert_eq!(all(&partial), [(0, 2), (4, 9)]);
    assert_eq!(partial.missing(1).len(), 1);
    assert_eq!(partial.present(), 13 * GROUP + 9);
    let partial = *partial.finish().unwrap_err();
    let mut partial = partial;
    add(&mut partial, &source, 0..9);
    assert_eq!(publish(&pair, partial), bytes(20 * GROUP + 9));
}

#[test]
fn cut_transfer_continues_after_a_restart() {
    let mut pair = Pair::new();
    let source = pair.source(30 * GROUP + 9);
    let mut partial = pair.partial(&source);
    add(&mut partial, &source, 0..11);
    drop(partial);
    pair.restart();
    assert_eq!(pair.receiver.partials().unwrap().into_keys().collect::<Vec<_>>(), [source.hash()]);
    let mut partial = pair.partial(&source);
    assert_eq!(all(&partial), [(11, 31)]);
    add(&mut partial, &source, 11..31);
    drop(partial);
    // Complete, and the process ended before the blob was published.
    pair.restart();
    let partial = pair.partial(&source);
    assert_eq!(publish(&pair, partial), bytes(30 * GROUP + 9));
}

#[test]
fn bytes_on_the_disk_are_not_believed() {
    let mut pair = Pair::new();
    let source = pair.source(30 * GROUP);
    let mut partial = pair.partial(&source);
    add(&mut partial, &source, 0..20);
    let path = partial.path.clone();
    drop(partial);
    let write = |path: &Path, bytes: &[u8], at| {
        OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
    };
    // A group with other bytes, and bytes without their hashes behind it.
    write(&path, b"x", 3 * GROUP + 5);
    write(&path, &vec![1; 40 * GROUP_BYTES], 20 * GROUP);
    pair.restart();
    let mut partial = pair.partial(&source);
    assert_eq!(all(&partial), [(3, 4), (20, 30)]);
    add(&mut partial, &source, 3..4);
    drop(partial);
    // Without hashes nothing counts.
    write(&outboard_path(&path), &[0; 29 * PAIR_BYTES], 0);
    pair.restart();
    let mut partial = pair.partial(&source);
    assert_eq!(all(&partial), vec![(0, 30)]);
    add(&mut partial, &source, 0..30);
    assert_eq!(publish(&pair, partial), bytes(30 * GROUP));
}

#[test]
fn old_partial_blob_is_removed_unless_it_is_open() {
    let mut pair = Pair::new();
    let sources = [pair.source(9 * GROUP), pair.source(10 * GROUP)];
    for source in &sources {
        add(&mut pair.partial(source), source, 0..3);
    }
    pair.restart();
    pair.receiver.sweep_partials(Duration::from_secs(3600)).unwrap();
    assert_eq!(pair.receiver.partials().unwrap().len(), 2);
    let open = pair.partial(&sources[1]);
    pair.receiver.sweep_partials(Duration::ZERO).unwrap();
    drop(open);
    let kept: Vec<_> = pair.receiver.partials().unwrap().into_keys().collect();
    assert_eq!((kept, pair.files()), (vec![sources[1].hash()], 2));
    pair.receiver.remove_partial(&sources[1].hash()).unwrap();
    pair.receiver.remove_partial(&sources[1].hash()).unwrap();
    assert_eq!(pair.files(), 0);
}

#[test]
fn wrong_bytes_are_refused_and_right_ones_before_them_kept() {
    let pair = Pair::new();
    let source = pair.source(20 * GROUP);
    let mut partial = pair.partial(&source);
    let good = encoded(&source, &(0..8));
    let mut cases: Vec<Vec<u8>> = [0, 63, 64, good.len() - 1]
        .iter()
        .map(|at| {
            let mut bad = good.clone();
            bad[*at] ^= 1;
            bad
        })
        .collect();
    cases.push(good[..good.len() - 1].to_vec());
    cases.push([&good[..], b"x"].concat());
    cases.push(Vec::new());
    cases.push(encoded(&source, &(8..16)));
    for bad in cases {
        assert!(matches!(partial.add(&(0..8), &bad), Err(PieceError::Wrong { .. })));
    }
    assert_eq!(all(&partial), [(8, 20)], "with a byte left over, all groups were right");
    let mut bad = encoded(&source, &(8..16));
    let last = bad.len() - 1;
    bad[last] ^= 1;
    partial.add(&(8..16), &bad).unwrap_err();
    assert_eq!(all(&partial), [(15, 20)]);
    add(&mut partial, &source, 15..20);
    assert_eq!(publish(&pair, partial), bytes(20 * GROUP));
}

#[test]
fn blob_of_another_size_is_never_complete() {
    let pair = Pair::new();
    let source = pair.source(20 * GROUP);
    let wrong = [0, 5, 4 * GROUP, 16 * GROUP, 19 * GROUP, 20 * GROUP - 1, 21 * GROUP, 1 << 60];
    for size in wrong.into_iter().chain([u64::MAX]) {
        let mut partial = pair.receiver.partial(&source.hash(), size).unwrap();
        let end = piece::group_count(size);
        assert_eq!(all(&partial), [(0, end)]);
        for piece in pieces(0..end.min(24)) {
            // The result does not matter here.
            partial.add(&piece, &encoded(&source, &(piece.start..piece.end.min(20)))).ok();
        }
        // Subtrees on the left may be the same, the last group is not.
        assert_eq!(all(&partial).last().unwrap().1, end, "{size} bytes");
        drop(partial.finish().unwrap_err());
        pair.receiver.remove_partial(&source.hash()).unwrap();
    }
}

#[test]
fn one_transfer_at_a_time_has_the_files() {
    let pair = Pair::new();
    let source = pair.source(3 * GROUP);
    let mut partial = pair.partial(&source);
    let again = || pair.receiver.partial(&source.hash(), source.size());
    assert!(matches!(again(), Err(WriteError::InUse { .. })));
    add(&mut partial, &source, 0..3);
    let ready = partial.finish().unwrap();
    assert!(again().unwrap_err().is_retryable());
    drop(ready);
    let again = again().unwrap();
    assert_eq!(all(&again), vec![], "a blob that is not published is kept for another try");
    assert!(again.finish().is_ok());
}

#[test]
fn open_partial_blob_is_removed_once_its_user_drops_it() {
    let pair = Pair::new();
    let source = pair.source(3 * GROUP);
    let mut partial = pair.partial(&source);
    add(&mut partial, &source, 0..2);
    pair.receiver.remove_partial(&source.hash()).unwrap();
    assert_eq!(pair.files(), 2, "its user may still write");
    drop(partial);
    assert_eq!(pair.files(), 0);
    // The same blob, unwanted and whole: what is published stays.
    let mut partial = pair.partial(&source);
    add(&mut partial, &source, 0..3);
    pair.receiver.remove_partial(&source.hash()).unwrap();
    assert_eq!(publish(&pair, partial), bytes(3 * GROUP));
}

#[test]
fn pieces_of_one_sender_do_not_count_for_another() {
    let mut pair = Pair::new();
    let source = pair.source(20 * GROUP);
    let (hash, size) = (source.hash(), source.size());
    let of = |pair: &Pair, sender: &[u8]| pair.receiver.of_sender(sender).partial(&hash, size);
    let mut first = of(&pair, b"first").unwrap();
    add(&mut first, &source, 0..20);
    // Both are open at the same time, too.
    let second = of(&pair, b"second").unwrap();
    assert_eq!(all(&second), [(0, 20)], "it knows the hash alone");
    drop((first, second));
    pair.restart();
    let mut second = of(&pair, b"second").unwrap();
    assert_eq!(all(&second), [(0, 20)]);
    add(&mut second, &source, 0..5);
    drop(second);
    let first = of(&pair, b"first").unwrap();
    assert_eq!(all(&first), [], "its own pieces stay");
    assert_eq!(publish(&pair, first), bytes(20 * GROUP));
    assert_eq!(pair.receiver.partials().unwrap()[&hash] / GROUP, 5, "of the second sender");
    pair.receiver.of_sender(b"first").remove_partial(&hash).unwrap();
    assert_eq!(all(&of(&pair, b"second").unwrap()), [(5, 20)]);
    pair.receiver.sweep_partials(Duration::ZERO).unwrap();
    assert_eq!(pair.files(), 0);
}
