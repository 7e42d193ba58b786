//! Random trees: what is packed and unpacked is what was there, and its hash depends on that alone.

use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_trees_go_there_and_back(tree in trees()) {
        let top = memory_directory();
        let source = top.path().join("source");
        fs::create_dir(&source).unwrap();
        tree.iter().for_each(|(path, seen)| make(&source, path, seen));
        let mut store = Store::default();
        let folder = store.pack(&source).unwrap();
        let target = top.path().join("target");
        store.unpack(folder.hash, &target).unwrap();
        prop_assert_eq!(see(&source), see(&target));

        let reversed = top.path().join("reversed");
        fs::create_dir(&reversed).unwrap();
        tree.iter().rev().for_each(|(path, seen)| make(&reversed, path, seen));
        prop_assert_eq!(Store::default().pack(&reversed).unwrap(), folder);
        prop_assert_eq!(store.pack(&target).unwrap(), folder);

        let bytes: usize = tree.values().map(|seen| match seen {
            Seen::File { bytes, .. } => bytes.len(),
            Seen::Directory | Seen::Link(_) => 0,
        }).sum();
        prop_assert_eq!(folder.size, bytes as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn lists_are_taken_if_they_are_in_order_and_whole(
        mut list in proptest::collection::vec((short_paths(), any::<bool>()), 0..12),
        sorted in 0..4_u8,
        split in any::<proptest::sample::Index>(),
    ) {
        // Three of four lists are in order, and half of these have all directories.
        if sorted > 0 {
            let parents: Vec<_> = list
                .iter()
                .flat_map(|(path, _)| path.ancestors().skip(1).map(|above| (above.to_owned(), true)))
                .filter(|(above, _)| sorted > 1 && *above != Path::new(""))
                .collect();
            list.extend(parents);
            list.sort_by(|(left, _), (right, _)| left.components().cmp(right.components()));
            list.dedup_by(|(left, _), (right, _)| left == right);
        }
        let in_order = list.windows(2).all(|two| {
            two[0].0.components().cmp(two[1].0.components()).is_lt()
        });
        let whole = list.iter().enumerate().all(|(place, (path, _))| {
            let parent = path.parent().unwrap().to_owned();
            parent == Path::new("") || list[..place].contains(&(parent, true))
        });
        let entries: Vec<_> = list
            .iter()
            .map(|(path, is_directory)| {
                let path = path.as_os_str().as_bytes();
                if *is_directory { directory(path) } else { inline(path, b"") }
            })
            .collect();
        let (store, folder) = forge(std::slice::from_ref(&entries), 0);
        if !list.is_empty() {
            prop_assert_eq!(decode(&store, folder).is_ok(), in_order && whole);
        }
        // The same over the end of a part, which is filled to the least size of one.
        let fill = vec![b'x'; 16 * 1024];
        let mut first: Vec<_> = [b"\x01", b"\x02", b"\x03", b"\x04"]
            .iter()
            .map(|name| inline(name.as_slice(), &fill))
            .collect();
        let at = if entries.is_empty() { 0 } else { split.index(entries.len()) };
        first.extend(&entries[..at]);
        if at < entries.len() {
            let (store, folder) = forge(&[first, entries[at..].to_vec()], 4 * 16 * 1024);
            prop_assert_eq!(decode(&store, folder).is_ok(), in_order && whole);
        }
    }
}

fn short_paths() -> impl Strategy<Value = PathBuf> {
    let name = proptest::sample::select(vec!["a", "ab", "a-", "b"]);
    proptest::collection::vec(name, 1..4).prop_map(|names| names.iter().collect())
}

/// Trees in which no file or link has something beneath it.
fn trees() -> impl Strategy<Value = Tree> {
    proptest::collection::vec((paths(), leaves()), 0..40).prop_map(|leaves| {
        let mut tree = Tree::new();
        for (path, seen) in leaves {
            let is_taken = tree.keys().any(|other| other.starts_with(&path))
                || path
                    .ancestors()
                    .any(|above| tree.get(above).is_some_and(|seen| *seen != Seen::Directory));
            if !is_taken {
                tree.insert(path, seen);
            }
        }
        tree
    })
}

fn paths() -> impl Strategy<Value = PathBuf> {
    let name = proptest::sample::select(vec![
        b"a".to_vec(),
        b"b".to_vec(),
        b"a-".to_vec(),
        b"a.".to_vec(),
        b"..a".to_vec(),
        b"A".to_vec(),
        b"\xff\x01".to_vec(),
        vec![b'n'; 255],
    ]);
    proptest::collection::vec(name, 1..5)
        .prop_map(|names| names.iter().map(|name| OsStr::from_bytes(name)).collect())
}

fn leaves() -> impl Strategy<Value = Seen> {
    let sizes = proptest::sample::select(vec![0_usize, 1, 100, 16_384, 16_385, 70_000]);
    let target = proptest::sample::select(vec!["a", "a/b", "./a", "nowhere", "b//a/"]);
    prop_oneof![
        1 => Just(Seen::Directory),
        4 => (any::<bool>(), sizes, any::<u8>()).prop_map(|(executable, size, byte)| {
            Seen::File { executable, bytes: vec![byte; size] }
        }),
        1 => target.prop_map(|target| Seen::Link(target.into())),
    ]
}
