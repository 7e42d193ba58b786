//! Tests of plans: what is kept, and what is refused by its path before a byte is read.

use std::os::unix::{fs::symlink, net::UnixListener};

use rustix::fs::{FileType, Mode, mknodat};

use super::*;
use crate::folder::{FileKind, PlanError, single};

#[test]
fn sums_are_known_before_a_file_is_read() {
    let top = tempfile::tempdir().unwrap();
    make(top.path(), Path::new("a/b"), &file(vec![1; 100_000]));
    make(top.path(), Path::new("a/c"), &file("12345"));
    fs::File::create(top.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
    let plan = Plan::of(top.path()).unwrap();
    assert_eq!(plan.entries(), 4);
    assert_eq!(plan.bytes(), (1 << 40) + 100_005);
}

#[test]
fn pipes_sockets_and_devices_are_refused_by_path() {
    let refused = |name: &str, made: &dyn Fn(&Path)| {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("sub").join(name);
        fs::create_dir(top.path().join("sub")).unwrap();
        made(&path);
        for link in [false, true] {
            let named = if link { top.path().join("link") } else { path.clone() };
            if link {
                symlink(&path, &named).unwrap();
            }
            let alone = single(&named).unwrap_err();
            assert_eq!(alone.code(), "unsupported_file");
            assert!(matches!(alone, PlanError::NotFile { path, .. } if path == named));
            fs::remove_file(top.path().join("link")).ok();
        }
        let error = Plan::of(top.path()).unwrap_err();
        let PlanError::Unsupported { path: named, kind } = error else { panic!("{error}") };
        assert_eq!(named, path);
        kind
    };
    let node = |kind, number| {
        move |path: &Path| {
            mknodat(rustix::fs::CWD, path, kind, Mode::RWXU, number).unwrap();
        }
    };
    assert_eq!(refused("pipe", &node(FileType::Fifo, 0)), FileKind::Pipe);
    assert_eq!(
        refused("socket", &|path| drop(UnixListener::bind(path).unwrap())),
        FileKind::Socket
    );
    if rustix::process::geteuid().is_root() {
        let null = rustix::fs::makedev(1, 3);
        assert_eq!(refused("null", &node(FileType::CharacterDevice, null)), FileKind::Device);
    } else {
        println!("devices not tested: only root makes them");
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_path() {
    if rustix::process::geteuid().is_root() {
        println!("not tested: root reads everything");
        return;
    }
    let top = tempfile::tempdir().unwrap();
    make(top.path(), Path::new("a/file"), &file("x"));
    for name in ["a/file", "a"] {
        let locked = top.path().join(name);
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        let error = Plan::of(top.path()).unwrap_err();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
        let PlanError::Unreadable { path, .. } = error else { panic!("{error}") };
        assert_eq!(path, locked);
    }
}

#[test]
fn links_inside_are_kept_and_others_refused_by_path() {
    let kept = ["b", "../x", "nowhere", "self", "."];
    for target in kept {
        let top = tempfile::tempdir().unwrap();
        make(top.path(), Path::new("a/self"), &Seen::Link(target.into()));
        make(top.path(), Path::new("x/y"), &Seen::Link("../a".into()));
        let mut store = Store::default();
        let folder = store.pack(top.path()).unwrap();
        let target = top.path().with_extension("new");
        store.unpack(folder.hash, &target).unwrap();
        assert_eq!(see(&target), see(top.path()));
        fs::remove_dir_all(target).unwrap();
    }
    for target in ["/etc", "../..", "../../etc", "b/../c"] {
        let top = tempfile::tempdir().unwrap();
        make(top.path(), Path::new("a/link"), &Seen::Link(target.into()));
        make(top.path(), Path::new("a/b"), &Seen::Directory);
        let error = Plan::of(top.path()).unwrap_err();
        let PlanError::Link { path, .. } = error else { panic!("{error}") };
        assert_eq!(path, top.path().join("a/link"));
    }
}

#[test]
fn only_the_owners_executable_bit_is_kept() {
    let top = tempfile::tempdir().unwrap();
    for (name, mode) in [("set-id", 0o4755), ("others", 0o655), ("plain", 0o644), ("own", 0o700)] {
        make(top.path(), Path::new(name), &file("x"));
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(top.path().join(name), mode).unwrap();
    }
    let mut store = Store::default();
    let folder = store.pack(top.path()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("new");
    store.unpack(folder.hash, &target).unwrap();
    let mode = |name| fs::metadata(target.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("set-id") & 0o7100, 0o100);
    assert_eq!(mode("others") & 0o7111, 0);
    assert_eq!(mode("plain") & 0o7111, 0);
    assert_eq!(mode("own") & 0o7100, 0o100);
    assert!(single(&top.path().join("own")).unwrap().is_executable());
    assert!(!single(&top.path().join("plain")).unwrap().is_executable());
}

#[test]
fn the_bit_is_in_the_entry_and_not_in_the_blob() {
    let top = tempfile::tempdir().unwrap();
    make(top.path(), Path::new("tool"), &file(vec![7; 100_000]));
    let mut store = Store::default();
    let plain = store.pack(top.path()).unwrap();
    let blobs = store.blobs.len();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(top.path().join("tool"), mode).unwrap();
    let executable = store.pack(top.path()).unwrap();
    assert_ne!(plain, executable);
    // A part and a root, and no second copy of the file.
    assert_eq!(store.blobs.len(), blobs + 2);
}

#[test]
fn names_are_bytes() {
    let top = tempfile::tempdir().unwrap();
    // Git's own test names: precomposed, decomposed, and no text at all.
    let names: [&[u8]; 6] =
        ["\u{c4}".as_bytes(), "A\u{308}".as_bytes(), b"\xff\xfe", b"new\nline", b" ", b"-rf"];
    for name in names {
        let name = std::ffi::OsStr::from_bytes(name);
        make(top.path(), Path::new(name), &file(name.as_bytes()));
    }
    let mut store = Store::default();
    let folder = store.pack(top.path()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("new");
    store.unpack(folder.hash, &target).unwrap();
    assert_eq!(see(&target).len(), 6);
    assert_eq!(see(&target), see(top.path()));
}

#[test]
fn what_is_no_folder_is_refused() {
    let top = tempfile::tempdir().unwrap();
    make(top.path(), Path::new("file"), &file(""));
    symlink("file", top.path().join("link")).unwrap();
    assert_eq!(Plan::of(&top.path().join("file")).unwrap_err().code(), "input_unreadable");
    assert_eq!(Plan::of(&top.path().join("none")).unwrap_err().code(), "input_unreadable");
    assert_eq!(single(top.path()).unwrap_err().code(), "unsupported_file");
    // The name that a user gives may be a link.
    assert_eq!(single(&top.path().join("link")).unwrap().size(), 0);
}

#[test]
fn control_characters_of_names_do_not_reach_the_terminal() {
    let top = tempfile::tempdir().unwrap();
    let name = format!("{}\x1b[31m", "n".repeat(200));
    make(top.path(), &Path::new(&name).join(&name).join(&name), &Seen::Link("/x".into()));
    let text = Plan::of(top.path()).unwrap_err().to_string();
    assert!(!text.contains('\x1b') && text.contains("\\u{1b}[31m") && text.contains('…'), "{text}");
    assert!(
        text.ends_with(
            "its target is absolute; make it relative, or replace it by what it leads to"
        )
    );
}
