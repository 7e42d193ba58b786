//! `run`, `submit`, `wait`, `task`.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
};

use rustix::process::Signal;

use crate::support::{Answer, Node, ask, eventually, meshwork, signal};

#[test]
fn run_prints_the_result_and_nothing_else() {
    let node = Node::up(&["--name", "ant"]);
    let answer = node.ask(&["run", "text/upper", "hello", "world"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "HELLO WORLD"), "{answer:?}");
    assert!(answer.stderr.contains("-> ant"), "{answer:?}");

    let file = node.home.path().join("input");
    fs::write(&file, "a b\nc").unwrap();
    let at = format!("@{}", file.display());
    let counted = node.ask(&["run", "text/word-count", &at]).json();
    assert_eq!((&counted["words"], &counted["bytes"]), (&3.into(), &5.into()));

    let mut piped = meshwork(node.home.path())
        .args(["run", "debug/echo", "-", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    piped.stdin.take().unwrap().write_all(b"\xff\0raw").unwrap();
    let output = piped.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"\xff\0raw"[..], &b""[..]));

    let report = node.ask(&["run", "text/upper", "x", "--json"]).json();
    assert_eq!((&report["state"], &report["output"]["text"]), (&"succeeded".into(), &"X".into()));
}

#[test]
fn exit_code_shows_how_the_task_ended() {
    let node = Node::up(&[]);
    node.ask(&["run", "debug/fail", "-p", "permanent=true", "-p", "exit=42"])
        .error(42, &["failed"]);
    node.ask(&["run", "debug/panic", "--retries", "0"]).error(1, &["panicked"]);
    node.ask(&["run", "text/nope", "x"]).error(127, &["text/nope"]);
    node.ask(&["run", "debug/sleep", "--time", "50ms", "--retries", "0"]).error(124, &["--time"]);
    node.ask(&["run", "gone/far", "--queue-timeout", "100ms"]).error(124, &["--queue-timeout"]);
    node.ask(&["run", "text/upper", "x", "--on", "nobody"]).error(125, &["nobody"]);
    node.ask(&["run", "text/upper", "@/no/such"]).error(125, &["/no/such"]);
    node.ask(&["wait", "ffffff"]).error(125, &["ffffff"]);
    node.ask(&["submit", "no-slash"]).error(2, &["family/operation"]);
    node.ask(&["task", "show", "ffffff"]).error(4, &["ffffff", "task list"]);
    node.ask(&["peers", "show", "nobody"]).error(4, &["nobody"]);
    assert_eq!(node.ask(&["run"]).code, 2);
}

#[test]
fn error_without_a_running_node_names_meshwork_up() {
    let home = tempfile::tempdir().unwrap();
    for args in [
        &["status"][..],
        &["task", "list"],
        &["submit", "text/upper", "x"],
        &["down"],
        &["events"],
        &["handlers"],
        &["metrics"],
    ] {
        ask(home.path(), args).error(3, &["cannot reach", "api.sock", "meshwork up"]);
    }
    ask(home.path(), &["run", "text/upper", "x"]).error(125, &["cannot reach", "meshwork up"]);
    let answer = ask(home.path(), &["status", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&answer.stderr).unwrap();
    assert_eq!((answer.code, &error["error"]["code"]), (3, &"unreachable".into()));
}

#[test]
fn tasks_are_submitted_awaited_shown_and_cancelled() {
    let node = Node::up(&[]);
    let one = node.ask(&["submit", "text/upper", "a"]).stdout.trim().to_owned();
    let short = &one[one.len() - 6..];
    assert_eq!(node.ask(&["wait", short]).code, 0);
    assert_eq!(node.ask(&["task", "result", &one]).stdout, "A");
    let shown = node.ask(&["task", "show", short, "--json"]).json();
    assert_eq!((&shown["id"], &shown["state"]), (&one.as_str().into(), &"succeeded".into()));
    let story = node.ask(&["task", "show", short]);
    assert!(story.stdout.starts_with(&format!("{short}  SUCCEEDED  text/upper")), "{story:?}");

    let long = node.ask(&["submit", "debug/sleep", "-p", "ms=3600000"]).stdout.trim().to_owned();
    assert_eq!(node.ask(&["task", "list", "-q"]).stdout.trim(), long);
    node.ask(&["task", "result", "last"]).error(1, &["meshwork wait"]);
    node.ask(&["wait", "last", "--timeout", "50ms"]).error(124, &["not all tasks have ended"]);
    assert_eq!(node.ask(&["task", "cancel", "last", "--reason", "enough"]).code, 0);
    node.ask(&["wait", &long]).error(125, &["cancelled", "enough"]);
    assert_eq!(node.ask(&["wait", &long, "--ok-if-failed"]).code, 0);
    assert_eq!(node.ask(&["wait", &one, &long]).code, 1);
    assert_eq!(node.ask(&["wait", "all"]).code, 0);

    let list = node.ask(&["task", "list", "--all"]).stdout;
    let states: Vec<&str> = list.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    assert_eq!(states, ["cancelled", "succeeded"]);
    node.ask(&["task", "list", "--state", "done"]).error(2, &["succeeded"]);
}

#[test]
fn progress_is_shown_only_while_a_task_runs() {
    let node = Node::up(&[]);
    let id = node.ask(&["submit", "debug/sleep", "-p", "ms=60000"]).stdout.trim().to_owned();
    let shown = || node.ask(&["task", "show", &id, "--json"]).json();
    eventually("it reports progress", || shown()["progress"]["fraction"].is_number());
    let words = " s of 60.0 s";
    assert!(shown()["progress"]["message"].as_str().unwrap().ends_with(words));
    let story = node.ask(&["task", "show", &id]).stdout;
    let line = story.lines().find(|line| line.starts_with("progress  ")).unwrap();
    assert!(line.contains(" %  slept ") && line.ends_with(words), "{story}");
    let list = node.ask(&["task", "list"]).stdout;
    let note = list.trim_end().split('\t').next_back().unwrap();
    assert!(note.contains(" %  slept ") && note.ends_with(words), "{list}");
    assert_eq!(node.ask(&["task", "cancel", &id]).code, 0);
    assert_eq!(shown().get("progress"), None);
}

#[test]
fn task_goes_on_after_ctrl_c() {
    let node = Node::up(&[]);
    let mut run = meshwork(node.home.path())
        .args(["run", "debug/sleep", "-p", "ms=3600000"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains(" -> "), "{line}");
    signal(&run, Signal::INT);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let task = node.ask(&["task", "show", "last", "--json"]).json();
    let back = format!("meshwork wait {}", task["short"].as_str().unwrap());
    assert!(rest.contains("detached") && rest.contains(&back), "{rest}");
    assert_eq!(task["ended_at"], serde_json::Value::Null);
}

#[test]
fn completions_name_the_verbs() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let answer = ask(home.path(), &["completions", shell]);
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{shell}");
        for verb in ["up", "run", "peers", "handlers", "events", "metrics", "completions"] {
            assert!(answer.stdout.contains(verb), "{shell}: {verb}");
        }
    }
    assert_eq!(ask(home.path(), &["completions", "cmd"]).code, 2);
}

#[test]
fn closed_standard_output_is_no_failure() {
    let home = tempfile::tempdir().unwrap();
    for args in [&["version"][..], &["version", "--json"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = meshwork(home.path())
            .args(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let answer = Answer::of(output);
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn explain_shows_why_a_task_waits_and_how_it_ended() {
    let node = Node::up(&[]);
    let waits = node.ask(&["submit", "text/upper", "a", "--gpu", "7"]).stdout.trim().to_owned();
    let why = node.ask(&["task", "explain", &waits]);
    assert_eq!(why.code, 6, "{why:?}");
    assert!(why.stdout.contains("no  gpus: 0 of the 7 needed"), "{why:?}");
    assert_eq!(node.ask(&["run", "text/upper", "a"]).code, 0);
    let ended = node.ask(&["task", "explain", "last"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("attempts\n  1  "), "{ended:?}");
}
