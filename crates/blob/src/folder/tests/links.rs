//! Folders whose links are followed: what arrives is what the links lead to.

use std::os::unix::fs::symlink;

use super::*;
use crate::folder::{Links, PlanError, TargetFault};

fn followed(top: &Path) -> Result<Plan, PlanError> {
    Plan::with_links(top, Links::Follow)
}

#[test]
fn what_links_lead_to_is_sent_in_their_place() {
    let outside = tempfile::tempdir().unwrap();
    make(outside.path(), Path::new("one/two/three/large"), &file(vec![7; 300_000]));
    make(outside.path(), Path::new("small"), &file("outside"));
    let top = tempfile::tempdir().unwrap();
    make(top.path(), Path::new("in/file"), &file("inside"));
    let links = [
        ("absolute", outside.path().join("small")),
        ("folder", outside.path().join("one")),
        ("in/relative", "file".into()),
        ("in/chain", "../absolute".into()),
        // Not a loop: the folder is not in itself.
        ("twice", "in".into()),
        ("up", outside.path().join("one/two/..")),
    ];
    for (name, target) in &links {
        symlink(target, top.path().join(name)).unwrap();
    }
    let mut store = Store::default();
    let folder = store.pack_planned(followed(top.path()).unwrap()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("new");
    store.unpack(folder.hash, &target).unwrap();
    let read = |path: &str| fs::read(target.join(path)).unwrap();
    assert_eq!((read("absolute"), read("in/chain")), (b"outside".into(), b"outside".into()));
    assert_eq!((read("in/relative"), read("twice/file")), (b"inside".into(), b"inside".into()));
    assert_eq!(read("folder/two/three/large"), vec![7; 300_000]);
    assert_eq!(read("up/two/three/large"), vec![7; 300_000]);
    let is_link = |path: &str| target.join(path).symlink_metadata().unwrap().is_symlink();
    assert!(!links.iter().any(|(name, _)| is_link(name)));
}

#[test]
fn loops_are_refused_by_path() {
    for (link, target) in
        [("self", "."), ("a/b/up", "../.."), ("a/b/top", "../../a"), ("a/me", "../a")]
    {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/b")).unwrap();
        symlink(target, top.path().join(link)).unwrap();
        let error = followed(top.path()).unwrap_err();
        let PlanError::Link { path, fault: TargetFault::Loop } = &error else { panic!("{error}") };
        assert_eq!(*path, top.path().join(link));
    }
}

#[test]
fn links_that_lead_nowhere_or_to_devices_are_refused_by_path() {
    for target in ["nothing", "link", "/dev/null"] {
        let top = tempfile::tempdir().unwrap();
        symlink(target, top.path().join("link")).unwrap();
        let error = followed(top.path()).unwrap_err();
        let named = matches!(
            &error,
            PlanError::Unreadable { path, .. } | PlanError::Unsupported { path, .. }
                if *path == top.path().join("link")
        );
        assert!(named, "{target}: {error}");
    }
}

#[test]
fn way_back_from_a_deep_folder_behind_a_link_is_the_way_in() {
    let outside = tempfile::tempdir().unwrap();
    let deep: PathBuf = (0..200).map(|level| format!("d{level}")).collect();
    make(outside.path(), &deep.join("last"), &file("deep"));
    let top = tempfile::tempdir().unwrap();
    symlink(outside.path(), top.path().join("a")).unwrap();
    make(top.path(), Path::new("b"), &file("after"));
    let mut store = Store::default();
    let folder = store.pack_planned(followed(top.path()).unwrap()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("new");
    store.unpack(folder.hash, &target).unwrap();
    assert_eq!(fs::read(target.join("a").join(&deep).join("last")).unwrap(), b"deep");
    assert_eq!(fs::read(target.join("b")).unwrap(), b"after");
}
