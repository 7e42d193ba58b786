use super::*;

#[test]
fn a_result_is_named_after_its_input() {
    let place = |input: &[&str]| {
        let input: Vec<OsString> = input.iter().map(OsString::from).collect();
        Place::of("out".into(), &input).name
    };
    assert_eq!(place(&["@a/b.txt"]), Some("b.txt".into()));
    assert_eq!(place(&["@a/b/"]), Some("b".into()));
    for unnamed in [&["a"][..], &["-"], &["a", "b"], &[], &["@.."], &["@/"]] {
        assert_eq!(place(unnamed), None, "{unnamed:?}");
    }
}

#[test]
fn nothing_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    write(b"one", &path).unwrap();
    let error = write(b"two", &path).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TargetExists);
    let failure = Failure::of(error.into());
    assert_eq!(failure.exit, exit::USAGE);
    assert!(failure.message.ends_with("exists already: choose another name, or remove it"));
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays");
    assert_eq!(require_free(&path).unwrap_err().exit, exit::USAGE);
}
