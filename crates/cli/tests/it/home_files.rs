//! The files of a home: their modes, read-only backups, homes of other users, and names.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, chown},
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::support::{Node, ask, eventually, into_mount_namespace, is_inside, skip};

/// The files below a folder that other users may read or write.
fn open_to_others(dir: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let facts = fs::symlink_metadata(&path).unwrap();
        if facts.permissions().mode() & 0o077 != 0 {
            open.push(format!("{} {:o}", path.display(), facts.permissions().mode()));
        }
        if facts.is_dir() {
            open.extend(open_to_others(&path));
        }
    }
    open
}

#[test]
fn every_file_of_a_home_is_private_under_any_umask() {
    let node = Node::up_after("umask 000", &[]);
    let bee = Node::up(&["--bootstrap", node.address()]);
    bee.until_ready(node.text("peer"));
    node.until_ready(bee.text("peer"));
    assert_eq!(node.ask(&["peers", "trust", bee.text("peer")]).code, 0);
    assert_eq!(node.ask(&["run", "text/upper", "a"]).stdout, "A");
    assert_eq!(open_to_others(node.home.path()), Vec::<String>::new());
    let (_, home) = node.end(Signal::TERM);
    let copy = home.path().join("copy");
    let store = |args: &str| {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_meshwork");
        command.args(["-c", &format!("umask 000; exec {program} store {args}")]);
        assert!(command.env("MESHWORK_HOME", home.path()).status().unwrap().success(), "{args}");
    };
    store(&format!("backup '{}'", copy.display()));
    store("verify");
    store(&format!("restore '{}' --yes", copy.display()));
    store("salvage");
    assert_eq!(open_to_others(home.path()), Vec::<String>::new());
}

#[test]
fn read_only_backup_is_verified_and_restored() {
    let test = "home_files::read_only_backup_is_verified_and_restored";
    if !is_inside(into_mount_namespace(), test) {
        return;
    }
    let node = Node::up(&["--keep-results-max", "4MiB"]);
    let mut group = String::new();
    // The node starts the second file only when the first is on disk.
    for files in 1..=2 {
        group = node.ask(&["submit", "--array", "1-1000", "text/upper", "a"]).stdout;
        assert_eq!(node.ask(&["wait", group.trim()]).code, 0);
        let archived = || fs::read_dir(node.home.path().join("ended")).unwrap().count();
        eventually("there is a file of ended tasks", || archived() >= files);
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().display().to_string();
    assert_eq!(node.ask(&["store", "backup", &copy]).code, 0);
    let (_, home) = node.end(Signal::TERM);
    for args in [&["--bind", &copy, &copy][..], &["-o", "remount,bind,ro", &copy]] {
        assert!(Command::new("mount").args(args).status().unwrap().success(), "{args:?}");
    }
    assert!(fs::write(folder.path().join("x"), "").is_err(), "it is read-only");
    for verb in ["verify", "stats"] {
        let report = ask(folder.path(), &["store", verb, "--json"]).json();
        assert_eq!((&report["ended"], &report["damaged"]), (&2000.into(), &0.into()), "{verb}");
        assert!(report["archive_bytes"].as_u64() > Some(0), "{verb}: {report}");
    }
    let report = ask(home.path(), &["store", "restore", &copy, "--yes", "--json"]).json();
    assert_eq!(&report["ended"], 2000, "{report}");
    assert_eq!(open_to_others(home.path()), Vec::<String>::new());
    let node = Node::up_in(home, &["--keep-results-max", "4MiB"]);
    let results = node.ask(&["wait", group.trim(), "--results"]);
    assert_eq!((results.code, results.stdout.lines().count()), (0, 1000), "{}", results.stderr);
    node.end(Signal::TERM);
    assert!(Command::new("umount").arg(&copy).status().unwrap().success());
}

#[test]
fn root_is_refused_in_the_home_of_another_user() {
    let home = tempfile::tempdir().unwrap();
    if chown(home.path(), Some(1234), Some(1234)).is_err() {
        return skip("needs root");
    }
    let path = home.path().to_str().unwrap();
    for args in
        [&["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"][..], &["store", "compact"]]
    {
        ask(home.path(), args).error(1, &["user 1234", "sudo -u '#1234'", path, "--home"]);
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "no file is created");
    let node = Node::up(&[]);
    chown(node.home.path(), Some(1234), Some(1234)).unwrap();
    node.ask(&["store", "verify"]).error(1, &["in use"]);
    let (_, home) = node.end(Signal::TERM);
    assert_eq!(ask(home.path(), &["store", "verify"]).code, 0, "root may read the store");
}

#[test]
fn home_may_have_any_bytes_in_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join(OsStr::from_bytes(b"a \xff b'c"));
    let program = env!("CARGO_BIN_EXE_meshwork");
    let run = |args: &[&str]| {
        let mut command = Command::new(program);
        command.arg("--home").arg(&home).args(args).stdin(Stdio::null());
        command
    };
    let mut up = run(&["up", "--json", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    let mut node = up.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"peer\""), "{line}");
    let ask = |args: &[&str]| {
        let output = run(args).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!text.contains("panicked"), "{args:?}: {text}");
        (output.status.code(), text)
    };
    for args in [&["status", "--json"][..], &["run", "text/upper", "a"], &["store", "stats"]] {
        let (code, text) = ask(args);
        assert_eq!(code, Some(i32::from(args[0] == "store")), "{args:?}: {text}");
    }
    let backup = run(&["store", "backup"]).arg(home.join("copy")).output().unwrap();
    assert_eq!(backup.status.code(), Some(2), "{backup:?}");
    assert_eq!(ask(&["down"]).0, Some(0));
    assert!(node.wait().unwrap().success());
    assert_eq!(ask(&["store", "verify"]).0, Some(0));
}

#[test]
fn backup_of_another_node_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().display().to_string();
    let (ant, bee) = (Node::up(&[]), Node::up(&[]));
    assert_eq!(bee.ask(&["store", "backup", &copy]).code, 0);
    let bee = bee.text("peer").to_owned();
    let (_, home) = ant.end(Signal::TERM);
    let restored = ask(home.path(), &["store", "restore", &copy, "--yes"]);
    restored.error(1, &[&bee, "--node"]);
    let node = Node::up_in(home, &[]);
    assert_eq!(node.ask(&["status"]).code, 0);
}
