//! A slow start: the node reports its progress, refuses other requests with `recovering`, and can be
//! stopped.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Node, ask, eventually};

/// Number of commits in the journal. The start is held in the middle of them.
const TASKS: usize = 6;

/// A home with queued tasks, and their ids.
fn home() -> (TempDir, Vec<String>) {
    let node = Node::up(&["--slots", "0"]);
    let submit = || node.ask(&["submit", "text/upper", "kept"]).stdout.trim().to_owned();
    let ids = (0..TASKS).map(|_| submit()).collect();
    (node.end(Signal::TERM).1, ids)
}

/// A file that holds a start while it exists.
fn hold(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("hold");
    fs::write(&path, "").unwrap();
    path
}

fn get(home: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(home.join("api.sock")).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn is_held(home: &Path) -> bool {
    let status = ask(home, &["status"]);
    status.code == 1 && status.stdout == "recovering 50 %\n"
}

#[test]
fn recovering_node_shows_progress_and_refuses_requests() {
    let (home, ids) = home();
    let path = home.path().to_owned();
    let node = thread::scope(|scope| {
        // Dropped before the scope waits for its threads, so that a failed test does not hang.
        let held = tempfile::tempdir().unwrap();
        let hold = hold(&held);
        let shell = format!("export MESHWORK_TEST_HOLD_RECOVERY={}", hold.display());
        let starting = scope.spawn(move || Node::up_in_after(home, &shell, &["--slots", "1"]));
        eventually("it is in the middle", || is_held(&path));
        let status = ask(&path, &["status", "--json"]);
        assert_eq!((status.code, status.stderr.contains(r#""code":"recovering""#)), (1, true));
        let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
        let shape = serde_json::json!({
            "state": "recovering", "percent": 50, "node": null, "health": null, "peers": [],
            "waiting": [],
        });
        assert_eq!(status, shape);
        let refused = [&["task", "list"][..], &["peers", "list"], &["submit", "text/upper", "x"]];
        for refused in refused {
            ask(&path, refused).error(1, &["recovering", "50 %", "meshwork status"]);
        }
        ask(&path, &["run", "text/upper", "x"]).error(126, &["50 %"]);
        assert!(get(&path, "/healthz").starts_with("HTTP/1.1 200"));
        for refused in ["/readyz", "/v1/node", "/v1/health", "/v1/tasks"] {
            let answer = get(&path, refused);
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
            assert!(answer.contains(r#""code":"recovering""#), "{answer}");
            assert!(answer.contains(r#""percent":50"#), "{answer}");
        }
        drop(held);
        starting.join().unwrap()
    });
    assert!(get(&path, "/readyz").starts_with("HTTP/1.1 200"));
    let status = node.ask(&["status", "--json"]).json();
    assert_eq!((&status["state"], status["percent"].is_null()), (&"ready".into(), true));
    for id in ids {
        assert_eq!(node.ask(&["wait", &id]).code, 0);
    }
}

#[test]
fn recovering_node_can_be_stopped() {
    let (home, ids) = home();
    let held = tempfile::tempdir().unwrap();
    let mut up = crate::support::meshwork(home.path());
    up.args(["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--quiet"]);
    let up = up.env("MESHWORK_TEST_HOLD_RECOVERY", hold(&held));
    let mut starting = up.spawn().unwrap();
    eventually("it is in the middle", || is_held(home.path()));
    assert_eq!(ask(home.path(), &["down"]).code, 0);
    assert_eq!(starting.wait().unwrap().code(), Some(0));
    let node = Node::up_in(home, &[]);
    for id in ids {
        assert_eq!(node.ask(&["wait", &id]).code, 0);
    }
}
