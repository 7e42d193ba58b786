//! Tests of deep and wide trees: bounded descriptors, no recursion, refusals by path.

use std::{ffi::OsStr, os::unix::fs::MetadataExt as _};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::*;
use crate::folder::{PathFault, PlanError, descent::Descent, remove_dir};

#[test]
fn two_thousand_levels_travel_with_few_descriptors() {
    let top = memory_directory();
    let source = top.path().join("source");
    make_levels(&source, 2_000);
    let plan = Plan::of(&source).unwrap();
    assert_eq!(plan.entries(), 4_000);
    let mut store = Store::default();
    let folder = store.pack_planned(plan).unwrap();
    let target = top.path().join("target");
    let mut unpack =
        Unpack::new(&target, Root::decode(&store.blobs[&folder.hash]).unwrap()).unwrap();
    let mut most = 0;
    loop {
        match unpack.step().unwrap() {
            UnpackStep::Part(part) => unpack.give(store.blobs[&part.hash].clone()).unwrap(),
            UnpackStep::File(mut wanted) => {
                most = most.max(descriptors_beneath(&target));
                wanted.file.write_all(&store.blobs[&wanted.hash]).unwrap();
            }
            UnpackStep::Done => break,
        }
    }
    assert!((1..24).contains(&most), "{most}");
    let mut again = Store::default();
    assert_eq!(again.pack(&target).unwrap(), folder);
    remove_dir(&source).unwrap();
    remove_dir(&target).unwrap();
    assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
}

#[test]
fn the_way_back_from_a_moved_directory_stays_beneath_the_top() {
    let top = memory_directory();
    let source = top.path().join("source");
    make_levels(&source, 40);
    let directory = openat(CWD, &source, OFlags::RDONLY, Mode::empty()).unwrap();
    let mut descent = Descent::new(directory);
    descent.go_to(["d"; 40].join("/").as_bytes()).unwrap();
    let path_to = |levels| source.join(["d"; 40][..levels].join("/"));
    fs::create_dir(top.path().join("away")).unwrap();
    fs::rename(path_to(8), top.path().join("away/d")).unwrap();
    for depth in (0..40).rev() {
        descent.leave();
        let expected = if depth < 8 {
            path_to(depth)
        } else {
            top.path().join("away").join(["d"; 40][..depth - 7].join("/"))
        };
        let found = rustix::fs::fstat(descent.current().unwrap()).unwrap();
        assert_eq!(found.st_ino, fs::metadata(expected).unwrap().ino(), "{depth}");
    }
}

#[test]
fn ten_thousand_levels_are_refused_by_path_and_removed() {
    let top = memory_directory();
    let source = top.path().join("source");
    make_levels(&source, 10_000);
    let error = Plan::of(&source).unwrap_err();
    let PlanError::Path { path, fault: PathFault::TooLong } = error else { panic!("{error}") };
    assert!(path.as_os_str().len() > 4_096);
    remove_dir(&source).unwrap();
    assert!(!source.exists());
}

#[test]
fn a_wide_folder_is_removed() {
    let top = memory_directory();
    let source = top.path().join("source");
    let outside = top.path().join("outside");
    make(&outside, Path::new("kept"), &file("kept"));
    for number in 0..3_000 {
        let directory = PathBuf::from(format!("{number}"));
        make(&source, &directory.join("file"), &file(""));
        make(&source, &directory.join("out"), &Seen::Link("/".into()));
        make(&source, &directory.join("near"), &Seen::Link("../../outside".into()));
    }
    remove_dir(&source).unwrap();
    assert!(!source.exists());
    assert_eq!(see(&outside).len(), 1);
}

#[test]
fn locked_folders_are_removed() {
    let top = memory_directory();
    let source = top.path().join("source");
    for (name, mode) in [("a", 0o000), ("b", 0o500), ("c", 0o300)] {
        make(&source, &Path::new(name).join("d/file"), &file(""));
        for path in [source.join(name).join("d"), source.join(name)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    fs::set_permissions(&source, fs::Permissions::from_mode(0o000)).unwrap();
    remove_dir(&source).unwrap();
    assert!(!source.exists());
}

#[test]
fn only_directories_are_removed() {
    let top = memory_directory();
    make(top.path(), Path::new("real/file"), &file("kept"));
    make(top.path(), Path::new("link"), &Seen::Link("real".into()));
    for name in ["link", "real/file", "none"] {
        let error = remove_dir(&top.path().join(name)).unwrap_err();
        assert_eq!(error.path, top.path().join(name));
    }
    assert_eq!(see(top.path()).len(), 3);
}

/// Directories in each other, each with a file that comes after its directory. The deepest files are
/// large.
fn make_levels(top: &Path, levels: usize) {
    fs::create_dir(top).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut directory = openat(CWD, top, flags, Mode::empty()).unwrap();
    for level in 0..levels {
        mkdirat(&directory, "d", Mode::RWXU).unwrap();
        let flags = OFlags::WRONLY | OFlags::CREATE;
        let file = openat(&directory, "e", flags, Mode::RUSR).unwrap();
        let size = if level % 500 == 499 { 20_000 } else { 1 };
        fs::File::from(file).write_all(&vec![b'x'; size]).unwrap();
        directory = openat(&directory, "d", OFlags::RDONLY, Mode::empty()).unwrap();
    }
}

/// Open descriptors of this process that lead to `top` or into it.
fn descriptors_beneath(top: &Path) -> usize {
    let links =
        fs::read_dir("/proc/self/fd").unwrap().map(|entry| fs::read_link(entry.unwrap().path()));
    // The name of a path of more than a page cannot be read: it is one of ours.
    links
        .filter(|link| {
            link.as_ref().map_or_else(
                |error| error.kind() != std::io::ErrorKind::NotFound,
                |link| link.as_os_str().as_bytes().starts_with(OsStr::as_bytes(top.as_os_str())),
            )
        })
        .count()
}
