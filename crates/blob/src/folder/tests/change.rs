//! Tests of files and folders that change while they are packed.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;
use crate::folder::single;

const LARGE: usize = 100_000;

#[test]
fn a_changed_file_is_told_by_every_kind_of_change() {
    type Change = (&'static str, fn(&File));
    let changes: [Change; 4] = [
        ("append", |file| file.write_all_at(b"more", LARGE as u64).unwrap()),
        ("truncate", |file| file.set_len(10).unwrap()),
        ("rewrite", |file| file.write_all_at(b"other", 0).unwrap()),
        ("rewrite with the old time", |file| {
            let modified = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"other", 0).unwrap();
            file.set_modified(modified).unwrap();
        }),
    ];
    for (name, change) in changes {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("input");
        make(top.path(), Path::new("input"), &file(vec![1; LARGE]));
        let mut steady = single(&path).unwrap();
        steady.read_exact(&mut [0; 1_000]).unwrap();
        change(&File::options().write(true).open(&path).unwrap());
        read(&mut steady);
        let error = steady.check().unwrap_err();
        assert_eq!(error.code(), "input_changed", "{name}");
        assert!(error.is_retryable());
        assert!(error.to_string().contains("input"));
        // The second time it holds still.
        steady.restart().unwrap();
        let bytes = read(&mut steady);
        steady.check().unwrap();
        assert_eq!(bytes, fs::read(&path).unwrap());
    }
}

#[test]
fn a_change_right_after_another_is_told() {
    // Two changes within one step of the file system's clock have the same time.
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("input");
    for _ in 0..20 {
        let writer = File::create(&path).unwrap();
        writer.write_all_at(&vec![1; LARGE], 0).unwrap();
        let mut steady = single(&path).unwrap();
        read(&mut steady);
        writer.write_all_at(b"other", 0).unwrap();
        steady.check().unwrap_err();
    }
}

#[test]
fn a_file_that_was_not_read_to_its_end_fails_the_check() {
    let top = tempfile::tempdir().unwrap();
    make(top.path(), Path::new("input"), &file(vec![1; LARGE]));
    let mut steady = single(&top.path().join("input")).unwrap();
    steady.read_exact(&mut [0; 1_000]).unwrap();
    steady.check().unwrap_err();
}

#[test]
fn a_file_that_grows_for_ever_is_read_to_its_old_size() {
    let mut steady = single(Path::new("/proc/self/status")).unwrap();
    assert_eq!((steady.size(), read(&mut steady).len()), (0, 0));
    steady.check().unwrap_err();
}

#[test]
fn another_reader_of_the_descriptor_does_not_move_it() {
    let top = tempfile::tempdir().unwrap();
    make(
        top.path(),
        Path::new("input"),
        &file((0..LARGE as u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()),
    );
    let mut file = File::open(top.path().join("input")).unwrap();
    let shared = file.try_clone().unwrap();
    let mut steady = crate::folder::plan::single_open(shared.into(), Path::new("input")).unwrap();
    file.read_exact(&mut [0; 999]).unwrap();
    assert_eq!(read(&mut steady), fs::read(top.path().join("input")).unwrap());
    steady.check().unwrap();
}

#[test]
fn a_large_file_is_yielded_once_more_and_then_refused() {
    let both = [true, false];
    let cases = both.map(|stored| [(1, stored, Ok(())), (2, stored, Err("input_changed"))]);
    for (changes, is_stored, expected) in cases.into_iter().flatten() {
        let top = tempfile::tempdir().unwrap();
        make(top.path(), Path::new("a/large"), &file(vec![1; LARGE]));
        let writer = File::options().write(true).open(top.path().join("a/large")).unwrap();
        let mut pack = Pack::new(Plan::of(top.path()).unwrap()).unwrap();
        let mut store = Store::default();
        let mut yielded = 0;
        let packed = loop {
            match pack.step().unwrap() {
                PackStep::File(mut file) => {
                    let hash = store.add(read(&mut file));
                    yielded += 1;
                    let has_changed = yielded <= changes;
                    if has_changed {
                        writer.write_all_at(&[yielded], 0).unwrap();
                    }
                    let given = if is_stored || !has_changed {
                        pack.give(file, hash)
                    } else {
                        pack.give_changed(file)
                    };
                    if let Err(error) = given {
                        assert!(error.to_string().contains("a/large"), "{error}");
                        assert!(matches!(pack.step(), Err(PackError::GivenUp)));
                        break Err(error.code());
                    }
                }
                PackStep::Part(bytes) => drop(store.add(bytes)),
                PackStep::Root { .. } => break Ok(()),
                PackStep::Done => panic!("no root"),
            }
        };
        assert_eq!(packed, expected);
        assert_eq!(yielded, 2);
    }
}

#[test]
fn a_file_that_was_not_given_is_yielded_again() {
    let top = tempfile::tempdir().unwrap();
    make(top.path(), Path::new("large"), &file(vec![1; LARGE]));
    let mut pack = Pack::new(Plan::of(top.path()).unwrap()).unwrap();
    for _ in 0..3 {
        assert!(matches!(pack.step().unwrap(), PackStep::File(_)));
    }
}

#[test]
fn what_changed_since_the_plan_is_refused_by_path() {
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 9] = [
        ("d/small", |path| fs::write(path, "longer").unwrap()),
        ("d/small", |path| fs::remove_file(path).unwrap()),
        ("d/small", |path| replace(path, |path| make_link(path, "../../outside/secret"))),
        ("d/small", |path| replace(path, make_pipe)),
        ("d/large", |path| fs::write(path, "shorter").unwrap()),
        ("d/link", |path| replace(path, |path| make_link(path, "/etc"))),
        ("d/link", |path| replace(path, |path| fs::write(path, "file").unwrap())),
        ("d", |path| {
            fs::rename(path, path.with_extension("away")).unwrap();
            make_link(path, "../outside");
        }),
        ("d", |path| fs::remove_dir_all(path).unwrap()),
    ];
    for (name, change) in changes {
        let top = tempfile::tempdir().unwrap();
        let source = top.path().join("source");
        make(&source, Path::new("d/small"), &file("small"));
        make(&source, Path::new("d/large"), &file(vec![1; LARGE]));
        make(&source, Path::new("d/link"), &Seen::Link("small".into()));
        // Of the planned size.
        make(top.path(), Path::new("outside/secret"), &file("other"));
        let plan = Plan::of(&source).unwrap();
        change(&source.join(name));
        let error = Store::default().pack_planned(plan).unwrap_err();
        let PackError::Changed { path } = error else { panic!("{name}: {error}") };
        assert_eq!(path, source.join(name));
    }
}

#[test]
fn a_directory_that_becomes_a_link_is_never_followed() {
    let top = tempfile::tempdir().unwrap();
    let source = top.path().join("source");
    for number in 0..20 {
        make(&source, Path::new(&format!("d/{number}")), &file("mine"));
        make(top.path(), Path::new(&format!("outside/{number}")), &file("secret"));
    }
    make_link(&top.path().join("swap"), "../outside");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let (left, right) = (source.join("d"), top.path().join("swap"));
                renameat_with(CWD, left, CWD, right, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let until = Instant::now() + Duration::from_millis(500);
        let mut packed = 0;
        while Instant::now() < until {
            let mut store = Store::default();
            // A plan without contents is one that met the link, which is refused, or kept as a link.
            let Ok(plan) = Plan::of(&source) else { continue };
            if store.pack_planned(plan).is_ok() {
                packed += 1;
            }
            let secret =
                store.blobs.values().any(|blob| blob.windows(6).any(|six| six == b"secret"));
            assert!(!secret);
        }
        stop.store(true, Ordering::Relaxed);
        println!("{packed} packed whole");
    });
}

fn replace(path: &Path, make: impl FnOnce(&Path)) {
    fs::remove_file(path).unwrap();
    make(path);
}

fn make_link(path: &Path, target: &str) {
    std::os::unix::fs::symlink(target, path).unwrap();
}

fn make_pipe(path: &Path) {
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}
