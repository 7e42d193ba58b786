//! Tests of unpacking: the target is new, complete or gone, and nothing beside it is touched.

use super::*;

/// A folder with a large file in the middle, so that a test can act between two steps.
fn sample(store: &mut Store) -> BlobHash {
    let top = tempfile::tempdir().unwrap();
    for (path, seen) in [
        ("a", file("a")),
        ("d/large", file(vec![1; 100_000])),
        ("d/m", file("m")),
        ("d/n", Seen::Link("m".into())),
        ("e", Seen::Directory),
    ] {
        make(top.path(), Path::new(path), &seen);
    }
    store.pack(top.path()).unwrap().hash
}

/// Unpacks the sample as far as its large file, calls `act`, and unpacks the rest.
fn unpack_with(target: &Path, act: impl FnOnce()) -> Result<(), UnpackError> {
    let mut store = Store::default();
    let folder = sample(&mut store);
    let mut unpack = Unpack::new(target, Root::decode(&store.blobs[&folder])?)?;
    let mut wanted = loop {
        match unpack.step()? {
            UnpackStep::Part(part) => unpack.give(store.blobs[&part.hash].clone())?,
            UnpackStep::File(wanted) => break wanted,
            UnpackStep::Done => panic!("no large file"),
        }
    };
    assert_eq!(wanted.size, 100_000);
    wanted.file.write_all(&store.blobs[&wanted.hash]).unwrap();
    act();
    store.unpack_until(unpack)
}

#[test]
fn a_target_that_exists_is_left_alone() {
    let top = tempfile::tempdir().unwrap();
    let mut store = Store::default();
    let folder = sample(&mut store);
    make(top.path(), Path::new("full/file"), &file("mine"));
    make(top.path(), Path::new("file"), &file("mine"));
    make(top.path(), Path::new("link"), &Seen::Link("nowhere".into()));
    let before = see(top.path());
    for name in ["full", "file", "link"] {
        let error = store.unpack(folder, &top.path().join(name)).unwrap_err();
        assert_eq!(error.code(), "target_exists");
        assert!(!error.is_retryable());
    }
    assert_eq!(see(top.path()), before);
    let error = store.unpack(folder, &top.path().join("none/new")).unwrap_err();
    assert_eq!(error.code(), "unwritable");
}

#[test]
fn links_are_made_last() {
    let top = tempfile::tempdir().unwrap();
    let target = top.path().join("new");
    unpack_with(&target, || {
        assert!(see(&target).values().all(|seen| !matches!(seen, Seen::Link(_))));
    })
    .unwrap();
    assert_eq!(see(&target)[Path::new("d/n")], Seen::Link("m".into()));
}

#[test]
fn two_names_that_the_file_system_takes_for_one_are_a_clash() {
    // A hard link stands for a second spelling of one name; some file systems number each spelling.
    for (first, second, is_one_file) in [("Ä", "m", true), ("N", "n", true), ("M", "m", false)] {
        let spell = |target: &Path| {
            let (first, second) = (target.join("d").join(first), target.join("d").join(second));
            fs::write(&first, "").unwrap();
            if is_one_file {
                fs::hard_link(first, second).unwrap();
            } else {
                fs::write(second, "").unwrap();
            }
        };
        let top = tempfile::tempdir().unwrap();
        let target = top.path().join("new");
        let error = unpack_with(&target, || spell(&target)).unwrap_err();
        assert_eq!(error.code(), "name_clash");
        let UnpackError::NameClash { first: found, second: refused } = error else {
            panic!("{error}")
        };
        assert_eq!(found, Path::new("d").join(first));
        assert_eq!(refused, Path::new("d").join(second));
        assert!(!target.exists());
    }
    let top = tempfile::tempdir().unwrap();
    let target = top.path().join("new");
    let error = unpack_with(&target, || fs::create_dir(target.join("e")).unwrap()).unwrap_err();
    assert_eq!(error.code(), "name_clash");
}

#[test]
fn a_folder_that_is_dropped_half_way_is_gone() {
    let top = tempfile::tempdir().unwrap();
    let target = top.path().join("new");
    let mut store = Store::default();
    let folder = sample(&mut store);
    let mut unpack = Unpack::new(&target, Root::decode(&store.blobs[&folder]).unwrap()).unwrap();
    while let UnpackStep::Part(part) = unpack.step().unwrap() {
        unpack.give(store.blobs[&part.hash].clone()).unwrap();
    }
    assert_eq!(see(&target).len(), 3);
    drop(unpack);
    assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_was_not_filled_is_an_error() {
    let top = tempfile::tempdir().unwrap();
    let target = top.path().join("new");
    let cut = || fs::File::options().write(true).open(target.join("d/large")).unwrap().set_len(7);
    let error = unpack_with(&target, || cut().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "d/large has 7 bytes and not 100000");
    assert!(error.is_retryable());
    assert!(!target.exists());
}

#[test]
fn a_folder_is_given_up_after_an_error() {
    let top = memory_directory();
    let target = top.path().join("new");
    let mut store = Store::default();
    let folder = sample(&mut store);
    let mut unpack = Unpack::new(&target, Root::decode(&store.blobs[&folder]).unwrap()).unwrap();
    while let UnpackStep::Part(part) = unpack.step().unwrap() {
        unpack.give(store.blobs[&part.hash].clone()).unwrap();
    }
    assert_eq!(unpack.step().unwrap_err().code(), "folder_incomplete");
    assert!(!target.exists());
    assert_eq!(unpack.step().unwrap_err().code(), "given_up");
    assert_eq!(unpack.give(Bytes::new()).unwrap_err().code(), "given_up");
}

#[test]
fn another_part_is_refused() {
    let top = tempfile::tempdir().unwrap();
    let target = top.path().join("new");
    let mut store = Store::default();
    let folder = sample(&mut store);
    let mut unpack = Unpack::new(&target, Root::decode(&store.blobs[&folder]).unwrap()).unwrap();
    let UnpackStep::Part(part) = unpack.step().unwrap() else { panic!("no part") };
    assert_eq!(unpack.give(Bytes::from_static(b"x")).unwrap_err().code(), "bad_folder");
    unpack.give(store.blobs[&part.hash].clone()).unwrap();
    unpack.give(store.blobs[&part.hash].clone()).unwrap_err();
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_is_not_followed() {
    let top = tempfile::tempdir().unwrap();
    let target = top.path().join("new");
    make(top.path(), Path::new("outside/kept"), &file("kept"));
    let before = see(&top.path().join("outside"));
    let swap = || {
        fs::rename(target.join("d"), top.path().join("away")).unwrap();
        std::os::unix::fs::symlink("../outside", target.join("d")).unwrap();
    };
    // The link comes last, when the directory is looked for again.
    let error = unpack_with(&target, swap).unwrap_err();
    assert_eq!(error.code(), "unwritable");
    assert_eq!(see(&top.path().join("outside")), before);
    assert!(!target.exists());
}
