use std::{fs, io::Write as _};

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn it_has_its_name_only_when_it_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a");
    let new = NewFile::create(&target, false).unwrap();
    new.file().write_all(b"half").unwrap();
    let [draft] = &names(dir.path())[..] else { panic!("one file") };
    assert!(draft.starts_with(".meshwork-"), "{draft}");
    drop(new);
    assert!(names(dir.path()).is_empty(), "an incomplete file is removed");

    let new = NewFile::create(&target, false).unwrap();
    new.file().write_all(b"whole").unwrap();
    new.keep().unwrap();
    assert_eq!(names(dir.path()), ["a"]);
    assert_eq!(fs::read(&target).unwrap(), b"whole");
}

#[test]
fn nothing_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    // The name is taken while the file is made.
    let new = NewFile::create(&file, false).unwrap();
    fs::write(&file, "other").unwrap();
    let late = new.keep().unwrap_err();
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let early = [&file, &link, &dir.path().to_owned()]
        .map(|taken| NewFile::create(taken, false).unwrap_err());
    for error in early.into_iter().chain([late]) {
        assert_eq!(error.code(), "target_exists", "{error}");
        assert!(!error.is_retryable());
    }
    assert_eq!(fs::read(&file).unwrap(), b"other");
    assert_eq!(names(dir.path()), ["file", "link"], "no draft stays");
}

#[test]
fn only_executable_files_have_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    for (name, executable) in [("plain", false), ("program", true)] {
        let target = dir.path().join(name);
        NewFile::create(&target, executable).unwrap().keep().unwrap();
        let mode = target.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o100 != 0, executable, "{name}: {mode:o}");
        assert_eq!(mode & 0o600, 0o600, "{name}: {mode:o}");
    }
}

#[test]
fn a_missing_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = NewFile::create(&dir.path().join("none/a"), false).unwrap_err();
    assert_eq!(error.code(), "unwritable", "{error}");
}
