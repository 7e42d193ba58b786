//! `demo`: its counts are correct, and it leaves no processes behind.

use std::{fs, io::Write, path::Path, process::Stdio};

use rustix::process::Signal;

use crate::support::{ask, children, eventually, is_alive, meshwork, signal};

#[test]
fn three_workers_count_every_word() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let texts = dir.path().join("texts");
    fs::create_dir_all(texts.join("deep")).unwrap();
    fs::write(texts.join("one.txt"), "Größe is one word ".repeat(20_000)).unwrap();
    fs::write(texts.join("deep/two.txt"), "two words").unwrap();
    fs::write(texts.join("binary"), b"\xff\xfe no words here").unwrap();
    let report = ask(&home, &["demo", "--json", texts.to_str().unwrap()]).json();
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!((&report["files"], &report["words"]), (&2.into(), &80_002.into()));
    assert_eq!(report["expected_words"], 80_002);
    assert!(
        report["took_ms"].as_f64().unwrap() > 0.0 && report["tasks_per_s"].as_f64().unwrap() > 0.0
    );
    assert!(report["p50_ms"].as_f64().unwrap() <= report["p99_ms"].as_f64().unwrap());
    let workers = report["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 3);
    let tasks: u64 = workers.iter().map(|worker| worker["tasks"].as_u64().unwrap()).sum();
    // Placement divides the tasks: on a busy machine, a worker may get none.
    assert_eq!(report["tasks"], tasks, "{report}");
    assert!(!home.exists(), "a demo writes no files");
}

#[test]
fn report_without_json_is_text() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one.txt"), "to be or not to be").unwrap();
    let answer = ask(dir.path(), &["demo", dir.path().to_str().unwrap()]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stdout.contains("top words: be 2, to 2, not 1, or 1"), "{answer:?}");
    assert!(answer.stdout.contains("one thread counts 6 words: the same"), "{answer:?}");
}

#[test]
fn path_without_text_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    ask(dir.path(), &["demo", dir.path().to_str().unwrap()]).error(1, &["no text"]);
    ask(dir.path(), &["demo", "/no/such/folder"]).error(1, &["/no/such/folder"]);
}

#[test]
fn ctrl_c_leaves_no_process_behind() {
    let dir = tempfile::tempdir().unwrap();
    long_text(dir.path());
    for with in [Signal::INT, Signal::TERM] {
        let (mut demo, workers) = started(dir.path());
        signal(&demo, with);
        assert_eq!(demo.wait().unwrap().code(), Some(130), "{with:?}");
        // The demo waits for its workers before it ends.
        assert_eq!(workers.iter().filter(|pid| is_alive(**pid)).count(), 0, "{with:?}");
    }
}

#[test]
fn workers_end_when_the_owner_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    long_text(dir.path());
    let (mut demo, workers) = started(dir.path());
    signal(&demo, Signal::KILL);
    demo.wait().unwrap();
    eventually("the workers are gone", || !workers.iter().any(|pid| is_alive(*pid)));
}

/// Writes a text that keeps the demo busy until a signal arrives.
fn long_text(dir: &Path) {
    let mut file = fs::File::create(dir.join("long.txt")).unwrap();
    let line = "words and words and words ".repeat(4_096);
    for _ in 0..600 {
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// A demo whose three workers run.
fn started(dir: &Path) -> (std::process::Child, Vec<u32>) {
    let demo = meshwork(dir)
        .args(["demo", "-q", dir.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut workers = Vec::new();
    eventually("three workers run", || {
        workers = children(demo.id());
        workers.len() == 3
    });
    (demo, workers)
}
