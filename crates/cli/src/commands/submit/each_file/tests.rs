use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
};

use super::*;

/// A folder with these files.
fn folder(names: &[&[u8]]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let path = dir.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    dir
}

fn names(dir: &Path, words: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    let words: Vec<OsString> = words.iter().map(|word| dir.join(word).into()).collect();
    Files::find(&words, Links::Keep)?.names()
}

#[test]
fn files_folders_and_patterns_are_found_and_named() {
    let dir = folder(&[b"a/x.jpg", b"b/x.jpg", b"b/c/y.txt", b"b/.hidden", b"b/\xff\n' z", b"[1]"]);
    let found = |words: &[&str]| names(dir.path(), words).unwrap();
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(found(&["a/x.jpg"]), paths(&["x.jpg"]));
    assert_eq!(found(&["a/x.jpg", "b/x.jpg"]), paths(&["a/x.jpg", "b/x.jpg"]));
    assert_eq!(found(&["*/x.jpg"]), paths(&["a/x.jpg", "b/x.jpg"]));
    assert_eq!(found(&["**/*.txt"]), paths(&["y.txt"]));
    // A name with signs of a pattern.
    assert_eq!(found(&["[1]"]), paths(&["[1]"]));
    // A folder has all its files, a pattern leaves hidden ones out.
    let odd = PathBuf::from(OsStr::from_bytes(b"\xff\n' z"));
    assert_eq!(
        found(&["b"]),
        [&paths(&[".hidden", "c/y.txt", "x.jpg"])[..], std::slice::from_ref(&odd)].concat()
    );
    // The matched folder has all its files again.
    assert_eq!(found(&["b/*"]), [&paths(&["c/y.txt", "x.jpg"])[..], &[odd]].concat());
    assert_eq!(found(&["b/**"]), found(&["b/*"]));
    assert_eq!(found(&["b/.h*"]), paths(&[".hidden"]));
    assert_eq!(found(&["{a,b}/?.jpg"]), paths(&["a/x.jpg", "b/x.jpg"]));
}

#[test]
fn a_file_that_is_named_twice_is_refused() {
    let dir = folder(&[b"a/x"]);
    symlink(dir.path().join("a"), dir.path().join("also")).unwrap();
    for words in [["a/x", "a/x"], ["a/x", "a/../a/x"], ["a", "a/x"], ["a/x", "also/x"]] {
        let failure = names(dir.path(), &words).unwrap_err();
        assert!(failure.message.contains("twice"), "{words:?}: {failure}");
    }
}

#[test]
fn what_is_no_file_is_refused_or_counted() {
    let dir = folder(&[b"a/x"]);
    symlink("x", dir.path().join("a/link")).unwrap();
    let found = Files::find(&[dir.path().into()], Links::Keep).unwrap();
    assert_eq!((found.paths.len(), found.skipped), (1, 1));
    let found = Files::find(&[dir.path().into()], Links::Follow).unwrap();
    assert_eq!((found.paths.len(), found.skipped), (2, 0));
    symlink("..", dir.path().join("a/up")).unwrap();
    let failure = Files::find(&[dir.path().into()], Links::Follow).unwrap_err();
    assert!(failure.message.contains("a/up"), "{failure}");
    for (word, why) in [("none", "no file"), ("*.none", "no file"), ("a/[", "no pattern")] {
        let failure = names(dir.path(), &[word]).unwrap_err();
        assert!(failure.exit == 2 && failure.message.contains(why), "{word}: {failure}");
    }
    let failure = Files::find(&["/dev/null".into()], Links::Keep).unwrap_err();
    assert!(failure.message.contains("not a file"), "{failure}");
}

#[test]
fn pipe_is_refused_and_not_opened() {
    let dir = folder(&[b"a"]);
    let pipe = dir.path().join("pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, rustix::fs::Mode::RWXU, 0).unwrap();
    let failure = Files::find(&[pipe.into()], Links::Keep).unwrap_err();
    assert_eq!((failure.exit, failure.code), (2, ErrorCode::UnsupportedFile));
    assert!(failure.hint.unwrap().contains("| meshwork run HANDLER -"));
}
