//! Tests of roots and parts: strict, canonical, and stable when a folder changes in one place.

use std::collections::HashSet;

use super::*;
use crate::folder::{PathFault, TargetFault, files, parts};

#[test]
fn one_folder_keeps_its_hash() {
    let (store, folder) = encode([
        directory(b"a"),
        link(b"a/link", b"../b"),
        Entry {
            path: b"a/run",
            node: Node::Blob { executable: true, hash: BlobHash::of(b"run"), size: 1 << 40 },
        },
        inline(b"b", b"bytes"),
    ]);
    assert_eq!(folder.size, (1 << 40) + 5);
    let part = &parts(&store.blobs[&folder.hash]).unwrap()[0];
    let run = BlobHash::of(b"run");
    let expected = [
        b"mwpart\x01".as_slice(),
        b"\0\x01a\0",
        b"\x01\x05/link\x01\x04../b",
        b"\x02\x03run\x05",
        run.as_bytes(),
        b"\x80\x80\x80\x80\x80\x20",
        b"\0\x01b\x02\x05bytes",
    ]
    .concat();
    assert_eq!(store.blobs[&part.hash], expected);
    assert_eq!(files(&expected).unwrap()[0].hash, run);
    let root = &store.blobs[&folder.hash];
    assert_eq!(root[..7], *b"mwroot\x01");
    assert_eq!(
        root[7..],
        [b"\x04\x85\x80\x80\x80\x80\x20\x01".as_slice(), part.hash.as_bytes(), b"\x4e\x04"]
            .concat()[..]
    );
}

#[test]
fn an_empty_folder_has_no_parts() {
    let (store, folder) = encode([]);
    assert_eq!(store.blobs.len(), 1);
    assert_eq!(decode(&store, folder.hash), Ok(0));
    assert_eq!(folder.size, 0);
}

#[test]
fn every_shorter_or_longer_list_is_refused() {
    let (store, folder) = encode([directory(b"a"), inline(b"a/b", b"1"), link(b"c", b"a/b")]);
    let root = store.blobs[&folder.hash].to_vec();
    let part = store.blobs[&parts(&root).unwrap()[0].hash].to_vec();
    for length in 0..root.len() {
        Root::decode(&root[..length]).unwrap_err();
    }
    Root::decode(&[&root[..], b"\0"].concat()).unwrap_err();
    for length in 0..part.len() {
        let (store, hash) = forge_root(&[(part[..length].to_vec(), 3)], 1);
        decode(&store, hash).unwrap_err();
    }
    let (store, hash) = forge_root(&[([&part[..], b"\0"].concat(), 3)], 1);
    decode(&store, hash).unwrap_err();
}

#[test]
fn claims_of_a_root_are_checked_before_memory_is_taken() {
    let root = |numbers: &[u64]| {
        let mut root = b"mwroot\x01".to_vec();
        numbers.iter().for_each(|number| put_number(&mut root, *number));
        Root::decode(&root)
    };
    assert_eq!(root(&[1, 1, u64::MAX]), Err(FormatError::Truncated));
    assert_eq!(root(&[1, 1, 1 << 40]), Err(FormatError::Truncated));
    assert!(matches!(root(&[u64::MAX, 1, 0]), Err(FormatError::TooLarge { .. })));
    assert_eq!(root(&[1, 1, 0]), Err(FormatError::Count));
    assert_eq!(root(&[0, 1, 0]), Err(FormatError::Sum));
    assert!(root(&[0, 0, 0]).is_ok());
    Root::decode(&vec![0; crate::limits::ROOT_BYTES + 1]).unwrap_err();
    assert_eq!(Root::decode(b"mwroot\x02\0\0\0"), Err(FormatError::Version { version: 2 }));
    assert_eq!(Root::decode(b"mwpart\x01\0\0\0"), Err(FormatError::Magic));
    assert_eq!(Root::decode(b"mwroot\x01\x80\0\0\0"), Err(FormatError::Number));
    assert_eq!(
        Root::decode(b"mwroot\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\0\0"),
        Err(FormatError::Number)
    );
}

#[test]
fn parts_of_unlikely_sizes_are_refused() {
    let part = |size, entries| PartRef { hash: BlobHash::of(b""), size, entries };
    let root = |parts: &[PartRef]| {
        let entries = parts.iter().map(|part| part.entries).sum();
        Root::decode(&Root::encode(entries, 0, parts).unwrap())
    };
    assert!(root(&[part(1 << 20, 5), part(9, 1)]).is_ok());
    assert_eq!(root(&[part(9, 1), part(9, 1)]), Err(FormatError::PartSize { size: 9 }));
    assert_eq!(root(&[part(3 << 20, 1)]), Err(FormatError::PartSize { size: 3 << 20 }));
    assert_eq!(root(&[part(9, 0)]), Err(FormatError::Count));
    assert_eq!(root(&[part(9, 10)]), Err(FormatError::Count));
}

#[test]
fn bad_names_are_refused() {
    let long = [b'a'; 256];
    let table: [(&[u8], PathFault); 11] = [
        (b"", PathFault::Empty),
        (b"/etc", PathFault::Empty),
        (b"a/", PathFault::Empty),
        (b"a//b", PathFault::Empty),
        (b".", PathFault::Dots),
        (b"..", PathFault::Dots),
        (b"../b", PathFault::Dots),
        (b"a/../b", PathFault::Dots),
        (b"a/.", PathFault::Dots),
        (b"a\0", PathFault::Nul),
        (&long, PathFault::NameTooLong),
    ];
    for (path, expected) in table {
        let (store, hash) = forge(&[vec![inline(path, b"")]], 0);
        let error = decode(&store, hash).unwrap_err();
        assert!(matches!(error, FormatError::Path { fault, .. } if fault == expected), "{error}");
        assert!(Encoder::default().add(inline(path, b"")).is_err());
    }
    let long = [b"a/".repeat(2048), b"a".to_vec()].concat();
    let (store, hash) = forge(&[vec![inline(&long, b"")]], 0);
    assert!(matches!(decode(&store, hash), Err(FormatError::Length { length: 4097, .. })));
    // The same path, with few new bytes in each entry.
    let levels: Vec<_> = (1..=2_048).map(|count| &long[..2 * count - 1]).collect();
    let mut entries: Vec<_> = levels.iter().map(|path| directory(path)).collect();
    let (store, hash) = forge(std::slice::from_ref(&entries), 0);
    assert_eq!(decode(&store, hash), Ok(2_048));
    entries.push(directory(&long));
    let (store, hash) = forge(&[entries], 0);
    let error = decode(&store, hash).unwrap_err();
    assert!(matches!(error, FormatError::Path { fault: PathFault::TooLong, .. }), "{error}");
}

#[test]
fn links_that_may_leave_are_refused() {
    type Bad = (&'static [u8], &'static [u8], TargetFault);
    let bad: [Bad; 9] = [
        (b"l", b"", TargetFault::Invalid),
        (b"l", b"a\0", TargetFault::Invalid),
        (b"l", b"/etc", TargetFault::Absolute),
        (b"l", b"//etc", TargetFault::Absolute),
        (b"l", b"..", TargetFault::Outside),
        (b"l", b"./../x", TargetFault::Outside),
        (b"d/l", b"../../x", TargetFault::Outside),
        (b"d/l", b"x/../y", TargetFault::UpAfterName),
        (b"d/l", b"../d/../y", TargetFault::UpAfterName),
    ];
    for (path, target, expected) in bad {
        let (store, hash) = forge(&[vec![directory(b"d"), link(path, target)]], 0);
        let error = decode(&store, hash).unwrap_err();
        assert!(matches!(error, FormatError::Target { fault, .. } if fault == expected), "{error}");
    }
    for (path, target) in
        [("l", "."), ("l", "l"), ("l", "x/y/"), ("l", "./x//y"), ("d/l", ".."), ("d/l", "../x/./y")]
    {
        encode([directory(b"d"), link(path.as_bytes(), target.as_bytes())]);
    }
}

#[test]
fn entries_out_of_order_are_refused_over_ends_of_parts_too() {
    let fill = vec![b'x'; 16 * 1024];
    let table: [&[&[u8]]; 7] = [
        &[b"b", b"a"],
        &[b"a", b"a"],
        &[b"a-b", b"a/b"],
        &[b"b", b"b/x", b"b"],
        &[b"b", b"ba", b"b/x"],
        &[b"ab", b"a"],
        &[b"d", b"d/e", b"d/e/f", b"d/e"],
    ];
    for paths in table {
        let entries: Vec<_> = paths.iter().map(|path| directory(path)).collect();
        let (store, hash) = forge(std::slice::from_ref(&entries), 0);
        decode(&store, hash).unwrap_err();
        // The first part is filled to the least size of a part.
        let names = ["0", "1", "2", "3"];
        let mut first: Vec<_> = names.iter().map(|name| inline(name.as_bytes(), &fill)).collect();
        first.extend(&entries[..entries.len() - 1]);
        let (store, hash) = forge(&[first, entries[entries.len() - 1..].to_vec()], 4 * 16 * 1024);
        assert!(matches!(decode(&store, hash), Err(FormatError::Order { .. })), "{paths:?}");
    }
    let right = [directory(b"a"), directory(b"a/b"), inline(b"a/b/c", b""), directory(b"a-b")];
    let (store, hash) = forge(&[right.to_vec()], 0);
    assert_eq!(decode(&store, hash), Ok(4));
}

#[test]
fn entries_without_their_directory_are_refused() {
    for entries in [
        vec![inline(b"a/b", b"")],
        vec![inline(b"a", b""), inline(b"a/b", b"")],
        vec![link(b"a", b"b"), inline(b"a/passwd", b"")],
        vec![directory(b"a"), inline(b"a/b/c", b"")],
        vec![directory(b"a"), inline(b"a/b", b""), inline(b"a/b/c", b"")],
        vec![directory(b"a"), inline(b"ab/c", b"")],
    ] {
        let (store, hash) = forge(&[entries], 0);
        assert!(matches!(decode(&store, hash), Err(FormatError::Parent { .. })));
    }
}

#[test]
fn files_that_are_stored_against_their_size_are_refused() {
    let large = vec![0; 16 * 1024 + 1];
    let (store, hash) = forge(&[vec![inline(b"a", &large)]], large.len() as u64);
    assert!(matches!(decode(&store, hash), Err(FormatError::Length { .. })));
    let node = Node::Blob { executable: false, hash: BlobHash::of(b""), size: 16 * 1024 };
    let (store, hash) = forge(&[vec![Entry { path: b"a", node }]], 16 * 1024);
    assert!(matches!(decode(&store, hash), Err(FormatError::FileSize { .. })));
}

#[test]
fn sums_and_counts_must_match() {
    let large = |path| {
        let node = Node::Blob { executable: false, hash: BlobHash::of(b""), size: u64::MAX };
        Entry { path, node }
    };
    let (store, hash) = forge(&[vec![large(b"a"), large(b"b")]], u64::MAX);
    assert_eq!(decode(&store, hash), Err(FormatError::Sum));
    for sum in [0, 4, 6, u64::MAX] {
        let (store, hash) = forge(&[vec![inline(b"a", b"12345")]], sum);
        assert_eq!(decode(&store, hash), Err(FormatError::Sum));
    }
    for count in [1, 3] {
        let part = forge_part(&[directory(b"a"), directory(b"b")]);
        let (store, hash) = forge_root(&[(part, count)], 0);
        assert_eq!(decode(&store, hash), Err(FormatError::Count));
    }
}

#[test]
fn a_part_has_one_encoding() {
    let entry = |shared: &[u8], rest: &[u8]| {
        let part = [b"mwpart\x01", b"\0\x02ab\0".as_slice(), shared, rest, b"\0"].concat();
        let (store, hash) = forge_root(&[(part, 2)], 0);
        decode(&store, hash)
    };
    assert_eq!(entry(b"\x01", b"\x01c"), Ok(2));
    assert_eq!(entry(b"\0", b"\x02ac"), Err(FormatError::Prefix));
    assert_eq!(entry(b"\x03", b"\x01c"), Err(FormatError::Prefix));
    assert_eq!(entry(b"\x81\0", b"\x01c"), Err(FormatError::Number));
    assert_eq!(entry(b"\x01", b"\x81\0c"), Err(FormatError::Number));
    let (store, hash) = forge_root(&[(b"mwpart\x01\x01\x01a\0".to_vec(), 1)], 0);
    assert_eq!(decode(&store, hash), Err(FormatError::Prefix));
    let (store, hash) = forge_root(&[(b"mwpart\x01\0\x01a\x06".to_vec(), 1)], 0);
    assert_eq!(decode(&store, hash), Err(FormatError::Kind { kind: 6 }));
}

#[test]
fn a_decoder_takes_the_wanted_part_only() {
    let (store, folder) = encode([directory(b"a")]);
    let part = store.blobs[&parts(&store.blobs[&folder.hash]).unwrap()[0].hash].clone();
    // The same part twice: the second is wanted when the first has ended.
    let fill = vec![b'x'; 16 * 1024];
    let entries = [b"a", b"b", b"c", b"d"].map(|name| inline(name.as_slice(), &fill));
    let (full, hash) = forge(&[entries.to_vec(), entries.to_vec()], 1);
    let mut decoder = Decoder::new(Root::decode(&full.blobs[&hash]).unwrap());
    let first = full.blobs[&decoder.wanted().unwrap().hash].clone();
    assert_eq!(decoder.open(first.clone()), Ok(()));
    assert_eq!(decoder.open(first), Err(FormatError::WrongPart));

    let mut decoder = Decoder::new(Root::decode(&store.blobs[&folder.hash]).unwrap());
    let mut other = part.to_vec();
    other[9] = b'b';
    assert_eq!(decoder.open(other.into()), Err(FormatError::WrongPart));
    assert_eq!(decoder.open(part.slice(1..)), Err(FormatError::WrongPart));
    assert_eq!(decoder.open(part.clone()), Ok(()));
    assert!(decoder.open(part).is_err());
}

#[test]
fn more_links_than_the_bound_are_refused() {
    let target = vec![b't'; 4095];
    let names: Vec<_> = (0..20_000).map(|number| format!("{number:08}")).collect();
    let mut encoder = Encoder::default();
    let error = names.iter().find_map(|name| encoder.add(link(name.as_bytes(), &target)).err());
    assert!(matches!(error, Some(FormatError::TooLarge { .. })));
}

#[test]
fn a_change_in_one_place_changes_few_parts() {
    let before = numbered(30_000, |_| true);
    let after = numbered(30_000, |number| number != 15_000);
    let set = |entries: &[String]| {
        let (store, _) = encode(entries.iter().map(|path| inline(path.as_bytes(), b"some bytes")));
        store.blobs.keys().copied().collect::<HashSet<_>>()
    };
    let (before, after) = (set(&before), set(&after));
    assert!(before.len() > 5, "{}", before.len());
    // The root, and the part with the entry.
    assert!(after.difference(&before).count() <= 3);
}

#[test]
fn two_hundred_thousand_entries_go_there_and_back() {
    let count = 200_000;
    let paths = numbered(count, |_| true);
    let (store, folder) = encode(paths.iter().map(|path| inline(path.as_bytes(), b"1234")));
    assert_eq!(folder.size, 4 * count as u64);
    assert_eq!(decode(&store, folder.hash), Ok(count as u64));
}

#[test]
fn many_small_files_are_few_blobs() {
    // Each file is one call for the disk, and one record, if it is a blob of its own.
    let names = numbered(10_000, |_| true);
    let bytes = [7; 4_096];
    let (store, folder) = encode(names.iter().map(|name| inline(name.as_bytes(), &bytes)));
    assert_eq!(folder.size, 10_000 * 4_096);
    assert!(store.blobs.len() < 200, "{} blobs", store.blobs.len());
}

fn numbered(count: usize, keep: impl Fn(usize) -> bool) -> Vec<String> {
    (0..count).filter(|number| keep(*number)).map(|number| format!("{number:09}.txt")).collect()
}
