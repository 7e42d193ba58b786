//! A broken connection to the node is an error in every verb, never a silent success.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    thread,
};

use crate::support::ask;

/// A home whose socket closes each connection at once, as the kernel does for a node that is killed.
fn dying_node() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let listener = UnixListener::bind(home.path().join("api.sock")).unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    home
}

#[test]
fn every_verb_fails_when_the_node_closes_the_connection() {
    let home = dying_node();
    let large = home.path().join("large");
    fs::write(&large, vec![b'a'; 1_000_000]).unwrap();
    let large = format!("@{}", large.display());
    let lines = large.trim_start_matches('@');
    fs::write(home.path().join("array.json"), r#"["a", "b"]"#).unwrap();
    let json = home.path().join("array.json");
    for args in [
        &["status"][..],
        &["down"],
        &["drain"],
        &["peers"],
        &["peers", "show", "bee"],
        &["peers", "dial", "/ip4/127.0.0.1/tcp/4101"],
        &["peers", "trust", "bee"],
        &["peers", "untrust", "bee"],
        &["ping", "bee", "-c", "1"],
        &["handlers"],
        &["events"],
        &["metrics"],
        &["run", "text/upper", &large],
        &["submit", "text/upper", &large],
        &["submit", "text/upper", "x"],
        &["submit", "--array", "1-5000", "text/upper"],
        &["submit", "--each-line", lines, "text/upper"],
        &["submit", "--from-json", json.to_str().unwrap(), "text/upper"],
        &["wait", "last"],
        &["wait", "all"],
        &["task", "list"],
        &["task", "groups"],
        &["task", "show", "last"],
        &["task", "explain", "last"],
        &["task", "result", "last"],
        &["task", "retry", "last"],
        &["task", "cancel", "last"],
        &["store", "backup", "/nowhere"],
        &["store", "stats"],
    ] {
        for form in [&[][..], &["--json"], &["--quiet"]] {
            // Repeated, because the close may show while the command writes or while it reads.
            for _ in 0..3 {
                let answer = ask(home.path(), &[args, form].concat());
                assert_ne!(answer.code, 0, "{args:?} {form:?}: {answer:?}");
                assert!(!answer.stderr.is_empty(), "{args:?} {form:?}: {answer:?}");
            }
        }
    }
}
