use super::*;

#[test]
fn names_of_any_bytes_are_read_back() {
    let names: Vec<PathBuf> = [&b"a"[..], b"b/-c d", b"\xff\n'"]
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
        .to_vec();
    assert_eq!(decode(&encode(&names)), Some(names.clone()));
    let names = Names::OfFiles(names);
    assert_eq!(names.of_member(1), Path::new("b/-c d"));
    assert_eq!(names.of_member(9), Path::new("10"));
}

#[test]
fn names_that_lead_outside_or_are_cut_are_not_used() {
    for bad in [&b""[..], b"a", b"\0", b"/a\0", b"../a\0", b"a/../b\0", b"a\0\0"] {
        assert_eq!(decode(bad), None, "{bad:?}");
    }
}

#[test]
fn numbers_sort_like_the_members() {
    let names = Names::numbers(1_000);
    assert_eq!(names.of_member(0), Path::new("0001"));
    assert_eq!(names.of_member(999), Path::new("1000"));
    assert_eq!(Names::numbers(9).of_member(8), Path::new("9"));
}

#[test]
fn only_the_latest_groups_keep_their_names() {
    let home = tempfile::tempdir().unwrap();
    let client = Client::new(home.path().join("api.sock"));
    for number in 0..limits::NAMES_KEPT + 3 {
        keep(&format!("{number:04}"), &["a".into()], &client).unwrap();
    }
    let left = fs::read_dir(home.path().join("input-names")).unwrap().count();
    assert_eq!(left, limits::NAMES_KEPT);
    assert!(!home.path().join("input-names/0000").exists());
}

#[test]
fn names_of_a_group_only_grow() {
    let home = tempfile::tempdir().unwrap();
    let client = Client::new(home.path().join("api.sock"));
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    let kept = || decode(&fs::read(home.path().join("input-names/g")).unwrap()).unwrap();
    keep("g", &paths(&["a", "b"]), &client).unwrap();
    keep("g", &paths(&["a"]), &client).unwrap();
    assert_eq!(kept(), paths(&["a", "b"]));
    keep("g", &paths(&["a", "b", "c"]), &client).unwrap();
    let refused = keep("g", &paths(&["a", "x", "c"]), &client).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    assert_eq!(kept(), paths(&["a", "b", "c"]));
}
