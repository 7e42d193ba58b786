use super::*;

fn read(path: &Path) -> Result<Corpus, Failure> {
    Corpus::read(Some(path.to_owned()))
}

#[test]
fn text_is_read_and_the_rest_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::write(dir.path().join("one.txt"), "one two").unwrap();
    fs::write(dir.path().join("a/b/.hidden"), "three").unwrap();
    fs::write(dir.path().join("empty"), "").unwrap();
    fs::write(dir.path().join("binary"), b"\xff\xfe").unwrap();
    fs::write(dir.path().join("zero"), b"a\0b").unwrap();
    let corpus = read(dir.path()).unwrap();
    let mut texts = corpus.files.clone();
    texts.sort();
    assert_eq!(texts, [&b""[..], b"one two", b"three"]);
    assert_eq!((corpus.skipped, corpus.bytes), (2, 12));
    assert!(corpus.to_string().starts_with("3 text files, 12 B"), "{corpus}");
}

#[test]
fn links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("real"), "once").unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("circle")).unwrap();
    std::os::unix::fs::symlink("/etc", dir.path().join("outside")).unwrap();
    assert_eq!(read(dir.path()).unwrap().files.len(), 1);
}

#[test]
fn corpus_may_be_a_single_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "a b c").unwrap();
    assert_eq!(read(file.path()).unwrap().files, [&b"a b c"[..]]);
}

#[test]
fn empty_corpus_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read(dir.path()).unwrap_err().code, "no_text".into());
    let failure = read(&dir.path().join("missing")).unwrap_err();
    assert!(failure.message.contains("missing"), "{failure}");
}

#[test]
fn corpus_without_a_path_is_not_empty() {
    // These tests run inside the repository.
    let corpus = Corpus::read(None).unwrap();
    assert!(corpus.files.len() > 1, "{corpus}");
    assert!(Corpus::built_in().files.len() == BUILT_IN.len());
}
