//! Rules for all verbs: one line for each result, several ids, a node that goes away, errors as JSON.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Answer, Node, ask, eventually, meshwork, signal};

fn submitted(node: &Node, args: &[&str]) -> String {
    let answer = node.ask(&[&["submit"], args].concat());
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.stdout.trim().to_owned()
}

/// A group of six: two results of one line, two that do not fit on a line, an empty one, a failure.
fn six_members(node: &Node) -> String {
    let path = node.home.path().join("jobs");
    let jobs = r#""a" "b\nc" {"input": {"base64": "/w=="}} "d\n" "" {"input": "x", "params": {"no": "such"}}"#;
    fs::write(&path, jobs).unwrap();
    submitted(node, &["--from-json", path.to_str().unwrap(), "debug/echo"])
}

#[test]
fn each_member_of_a_group_has_its_line() {
    let node = Node::up(&[]);
    let id = six_members(&node);
    for verb in [&["wait", &id, "--results"][..], &["task", "result", &id]] {
        let printed = node.ask(verb);
        assert_eq!((printed.code, printed.stdout.as_str()), (1, "a\n\n\nd\n\n\n"), "{printed:?}");
        for reason in ["line 2 is empty: ", "line 3 is empty: ", "line 6 is empty: "] {
            assert!(printed.stderr.contains(reason), "{reason}: {printed:?}");
        }
        assert_eq!(printed.stderr.matches("is empty").count(), 3, "{printed:?}");
        let json = node.ask(&[verb, &["--json"]].concat());
        let values: Vec<Value> =
            json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((json.code, values.len()), (1, 6));
        assert_eq!(values[1]["output"]["text"], "b\nc");
        assert_eq!(values[2]["output"]["base64"], "/w==");
        assert_eq!(values[5]["error"]["code"], "bad_parameter");
    }
    // The flag ignores failed tasks, not results that cannot be printed.
    assert_eq!(node.ask(&["wait", &id, "--results", "--ok-if-failed"]).code, 1);
    assert_eq!(node.ask(&["wait", &id, "--results", "--ok-if-failed", "--json"]).code, 0);
}

#[test]
fn result_of_one_task_is_its_bytes() {
    let node = Node::up(&[]);
    let id = submitted(&node, &["text/sort", "b\na\n"]);
    for verb in [&["wait", &id, "--results"][..], &["task", "result", &id]] {
        assert_eq!(node.ask(verb).stdout, "a\nb\n");
        let json = node.ask(&[verb, &["--json"]].concat()).json();
        assert_eq!((&json["id"], &json["output"]["text"]), (&id.as_str().into(), &"a\nb\n".into()));
    }
    let failing = submitted(&node, &["debug/fail", "-p", "permanent=true", "-p", "exit=7"]);
    node.ask(&["wait", &failing, "--results"]).error(7, &["failed"]);
    let both = node.ask(&["wait", &failing, &id, "--results"]);
    assert_eq!((both.code, both.stdout.as_str()), (1, "\n\n"), "{both:?}");
    // An unknown id has a line as well.
    let last = submitted(&node, &["text/upper", "last"]);
    let three = node.ask(&["wait", &failing, UNKNOWN, &last, "--results"]);
    assert_eq!((three.code, three.stdout.as_str()), (4, "\n\nLAST\n"), "{three:?}");
    let three = node.ask(&["wait", &failing, UNKNOWN, &last, "--results", "--json"]);
    let ids = three.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids: Vec<_> =
        ids.map(|value| value["id"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!((three.code, ids), (4, vec![failing, UNKNOWN.to_owned(), last]));
}

const UNKNOWN: &str = "019aa2c4-0000-7000-8000-0000008f3a21";

#[test]
fn every_id_is_processed_and_each_failure_is_named() {
    let node = Node::up(&[]);
    let sleeper = || submitted(&node, &["debug/sleep", "-p", "ms=600000"]);
    let (one, two) = (sleeper(), sleeper());
    let cancelled = node.ask(&["task", "cancel", &one, "nothing", UNKNOWN, &two]);
    assert_eq!(cancelled.code, 4, "{cancelled:?}");
    let errors: Vec<&str> =
        cancelled.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 2, "{cancelled:?}");
    assert!(errors[0].contains("nothing") && errors[1].contains(UNKNOWN), "{errors:?}");
    let group = submitted(&node, &["--array", "1-2", "text/upper"]);
    for verb in [&["wait"][..], &["task", "cancel"]] {
        let ids = [&two, UNKNOWN, &group, &one, &two];
        let answer = node.ask(&[verb, &ids, &["--json"]].concat());
        assert_eq!(answer.code, 4, "{answer:?}");
        let values: Vec<Value> = serde_json::from_str(&answer.stdout).unwrap();
        let given: Vec<&str> = values.iter().map(|value| value["id"].as_str().unwrap()).collect();
        assert_eq!(given, ids, "one value, in the order of the ids");
        assert_eq!(values[1]["error"]["code"], "not_found");
        assert_eq!(
            (&values[0]["state"], &values[2]["state"]),
            (&"cancelled".into(), &"succeeded".into())
        );
    }
    node.ask(&["task", "cancel", UNKNOWN]).error(4, &[UNKNOWN]);
    node.ask(&["wait", UNKNOWN]).error(125, &[UNKNOWN]);
    node.ask(&["wait", "all", &one]).error(2, &["`all` means every open task"]);
}

/// Starts a command and reads its first line on standard error, which says that the task runs.
fn running(mut command: Command) -> (Child, BufReader<std::process::ChildStderr>) {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    (child, stderr)
}

#[test]
fn run_names_the_fate_of_its_task_when_the_node_is_killed() {
    for (flags, fate, hint) in [
        (&[][..], "is kept on disk", "then: meshwork wait "),
        (&["--durability", "memory"], "its durability is memory", "--durability disk"),
    ] {
        let node = Node::up(&[]);
        let mut command = meshwork(node.home.path());
        command.args(["run", "debug/sleep", "-p", "ms=600000"]).args(flags);
        let (mut run, mut stderr) = running(command);
        let (_, home) = node.end(Signal::KILL);
        assert_eq!(run.wait().unwrap().code(), Some(125));
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        assert!(text.contains(fate) && text.contains(hint), "{text}");
        let up = format!("meshwork up --home {}", home.path().display());
        assert!(text.contains(&up), "{text}");
    }
}

/// Number of the node's open sockets: a constant number, and one for each request.
fn sockets(node: &Node) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", node.process.id())).unwrap();
    let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[test]
fn wait_outlives_a_restart_of_the_node() {
    for with in [Signal::KILL, Signal::TERM] {
        let node = Node::up(&[]);
        // The tasks need a label that the node has only after the restart.
        let task = submitted(&node, &["text/upper", "a", "--label", "gate=open"]);
        let group = submitted(&node, &["--array", "1-3", "text/upper", "--label", "gate=open"]);
        let home = node.home.path().to_owned();
        let wait = |args: &[&str]| {
            let mut command = meshwork(&home);
            command.arg("wait").args(args).stdin(Stdio::null());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let waits = [&[&*task, "--results"][..], &[&group], &[&task, &group, "--json"]];
        // Connections of earlier requests close soon.
        let mut idle = sockets(&node);
        let mut checks = 0;
        eventually("earlier requests are over", || {
            checks += 1;
            idle = idle.min(sockets(&node));
            checks == 20
        });
        let waits = waits.map(wait);
        let mut steady = 0;
        eventually("each command waits at the node", || {
            // A command that keeps its connection has found its tasks and waits.
            steady = if sockets(&node) == idle + waits.len() { steady + 1 } else { 0 };
            steady == 20
        });
        let (_, home) = node.end(with);
        let node = Node::up_in(home, &["--label", "gate=open"]);
        let answers = waits.map(|wait| Answer::of(wait.wait_with_output().unwrap()));
        for answer in &answers {
            assert_eq!(answer.code, 0, "{with:?}: {answer:?}");
            assert!(answer.stderr.contains("kept on disk"), "{with:?}: {answer:?}");
            assert!(answer.stderr.contains("the node is back"), "{with:?}: {answer:?}");
        }
        assert_eq!(answers[0].stdout, "A");
        assert_eq!(node.ask(&["wait", &group, "--results"]).stdout, "1\n2\n3\n");
    }
}

#[test]
fn every_error_is_json_with_the_json_flag() {
    let home = tempfile::tempdir().unwrap();
    for args in [
        &["--json"][..],
        &["wait", "--json"],
        &["--json", "wait", ""],
        &["task", "lst", "--json"],
        &["run", "text/upper", "--json", "--tme", "1s"],
        &["up", "--json", "--keep-results-max", "1KiB"],
        &["task", "list", "--json", "--limit", "0"],
        &["submit", "--json", "text/upper", "--each-line", "/no/such"],
        &["wait", "all", "x", "--json"],
    ] {
        let answer = ask(home.path(), args);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{args:?}: {answer:?}");
        let error: Value = serde_json::from_str(&answer.stderr).unwrap();
        let error = &error["error"];
        assert_eq!((&error["code"], &error["exit"]), (&"usage".into(), &2.into()), "{args:?}");
        assert!(!error["message"].as_str().unwrap().contains("bench-role"), "{error}");
    }
}

/// A running submit that reads lines, and its standard input.
fn typing(node: &Node, flags: &[&str]) -> (Child, std::process::ChildStdin) {
    let mut command = meshwork(node.home.path());
    command.args(["submit", "--each-line", "-", "text/upper"]).args(flags);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut submit = command.spawn().unwrap();
    let lines = submit.stdin.take().unwrap();
    (submit, lines)
}

#[test]
fn lines_are_tasks_while_more_are_typed() {
    let node = Node::up(&[]);
    let (mut submit, mut lines) = typing(&node, &[]);
    writeln!(lines, "a\nb").unwrap();
    let mut id = String::new();
    BufReader::new(submit.stdout.take().unwrap()).read_line(&mut id).unwrap();
    let group = || node.ask(&["task", "show", id.trim(), "--json"]).json();
    eventually("both lines have run", || group()["succeeded"] == 2);
    assert_eq!(group()["state"], "open");
    drop(lines);
    assert_eq!(submit.wait().unwrap().code(), Some(0));
    let ended = node.ask(&["wait", id.trim(), "--json"]).json();
    assert_eq!((&ended["members"], &ended["state"]), (&2.into(), &"succeeded".into()));
}

#[test]
fn interrupted_submit_says_which_lines_were_submitted() {
    let node = Node::up(&[]);
    for (typed, message) in
        [("a\nb\nc\n", "lines 1 to 3 are submitted"), ("a\n", "line 1 is submitted")]
    {
        let (mut submit, mut lines) = typing(&node, &[]);
        write!(lines, "{typed}").unwrap();
        let mut id = String::new();
        BufReader::new(submit.stdout.take().unwrap()).read_line(&mut id).unwrap();
        let count = typed.lines().count();
        eventually("the lines are there", || {
            node.ask(&["task", "show", id.trim(), "--json"]).json()["members"] == count
        });
        signal(&submit, Signal::INT);
        let output = Answer::of(submit.wait_with_output().unwrap());
        output.error(130, &["interrupted", message]);
        drop(lines);
    }
}

#[test]
fn interrupted_wait_leaves_the_tasks_and_names_them() {
    let node = Node::up(&[]);
    let state = |id: &str| node.ask(&["task", "show", id, "--json"]).json()["state"].clone();
    // Interrupts a command once it has printed a line on this stream.
    let interrupted = |args: &[&str], on_stdout: bool| {
        let mut command = meshwork(node.home.path());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (mut stdout, mut stderr) = (
            BufReader::new(process.stdout.take().unwrap()),
            BufReader::new(process.stderr.take().unwrap()),
        );
        let mut first = String::new();
        let stream: &mut dyn BufRead = if on_stdout { &mut stdout } else { &mut stderr };
        stream.read_line(&mut first).unwrap();
        signal(&process, Signal::INT);
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(130), "{first}{rest}");
        (first, rest)
    };
    let sleep = ["debug/sleep", "-p", "ms=600000"];

    let run = [&["run"], &sleep[..]].concat();
    let (first, rest) = interrupted(&run, false);
    let short = first.split_whitespace().nth(1).unwrap();
    let (detached, wait) =
        (format!("task {short} goes on"), format!("meshwork wait {short} --results"));
    assert!(rest.contains(&detached) && rest.contains(&wait), "{first}{rest}");
    assert_eq!(state(short), "running");

    let group = [&["submit", "--wait", "--array", "1-3"], &sleep[..]].concat();
    let (first, rest) = interrupted(&group, true);
    let id = first.trim();
    assert!(rest.contains(&format!("the tasks go on: meshwork wait {id}")), "{first}{rest}");
    assert_eq!(node.ask(&["task", "show", id, "--json"]).json()["cancelled"], 0);
}

#[test]
fn error_of_a_reused_key_names_the_difference() {
    let node = Node::up(&[]);
    let path = node.home.path().join("lines");
    let submit = |lines: &str, flags: &[&str]| {
        fs::write(&path, lines).unwrap();
        let each = ["submit", "--each-line", path.to_str().unwrap(), "--key", "k"];
        node.ask(&[&each, flags].concat())
    };
    let sleep = ["debug/sleep", "-p", "ms=600000"];
    assert_eq!(submit("a\nb\nc\n", &sleep).code, 0);
    assert_eq!(submit("a\nb\nc\n", &sleep).code, 0);
    let five = [&sleep[..], &["--max-fails", "5"]].concat();
    let memory = [&sleep[..], &["--durability", "memory"]].concat();
    for (lines, flags, message) in [
        ("a\nb\nc\nd\n", &sleep[..], "4 lines instead of 3"),
        ("a\nb\n", &sleep, "2 lines instead of 3"),
        ("a\nx\nc\n", &sleep, "line 2 differs"),
        ("a\nb\nc\n", &["text/upper"], "other handler, input or parameters"),
        ("a\nb\nc\n", &["debug/sleep", "-p", "ms=5"], "other handler, input or parameters"),
        ("a\nb\nc\n", &five, "--max-fails 5 instead of none"),
        ("a\nb\nc\n", &memory, "--durability memory instead of disk"),
    ] {
        submit(lines, flags).error(1, &[message, "another --key"]);
    }
    // More lines than one request carries: all of them are counted.
    submit(&"a\n".repeat(10_000), &sleep).error(1, &["10,000 lines instead of 3"]);
}

#[test]
fn submit_with_wait_waits() {
    let node = Node::up(&[]);
    let one = node.ask(&["submit", "text/upper", "a", "--wait"]);
    assert_eq!((one.code, one.stdout.as_str()), (0, "A"), "{one:?}");
    let failed = ["submit", "--wait", "debug/fail", "-p", "permanent=true", "-p", "exit=9"];
    node.ask(&failed).error(9, &["failed"]);
    let array = ["submit", "--array", "1,3,5-9:2", "debug/echo", "--wait"];
    let group = node.ask(&array);
    assert_eq!(group.code, 0, "{group:?}");
    let results = ["wait", group.stdout.trim(), "--results"];
    assert_eq!(node.ask(&results).stdout, "1\n3\n5\n7\n9\n");
    let json = node.ask(&[&array[..], &["--json"]].concat()).json();
    assert_eq!((&json["state"], &json["succeeded"]), (&"succeeded".into(), &5.into()));
}

#[test]
fn retry_delay_is_respected() {
    let node = Node::up(&[]);
    let failing = submitted(&node, &["debug/fail", "--retry-delay", "4m"]);
    let task = || node.ask(&["task", "show", &failing, "--json"]).json();
    eventually("it waits for its second attempt", || task()["waiting"]["code"] == "backing_off");
    let next: chrono::DateTime<chrono::Utc> =
        task()["waiting"]["next_try_at"].as_str().unwrap().parse().unwrap();
    // The delay varies between half and one and a half times the given one.
    let delay = (next - meshwork_node::time_of_day()).num_seconds();
    assert!((100..=360).contains(&delay), "{delay}");
    let long = ["submit", "debug/fail", "--retry-delay", "11m"];
    node.ask(&long).error(2, &["--retry-delay", "--queue-timeout 11m"]);
}

#[test]
fn all_open_tasks_are_cancelled_at_once() {
    let node = Node::up(&[]);
    let ended = submitted(&node, &["text/upper", "a"]);
    assert_eq!(node.ask(&["wait", &ended]).code, 0);
    let sleep = ["debug/sleep", "-p", "ms=600000"];
    for _ in 0..3 {
        submitted(&node, &sleep);
    }
    let group = submitted(&node, &[&["--array", "1-1500"], &sleep[..]].concat());
    node.ask(&["task", "cancel", "all", &ended]).error(2, &["meshwork task cancel all"]);
    let cancelled = node.ask(&["task", "cancel", "all", "--json"]).json();
    assert_eq!((&cancelled["groups"], &cancelled["tasks"]), (&1.into(), &3.into()));
    assert_eq!(node.ask(&["task", "list", "-q"]).stdout, "");
    assert_eq!(node.ask(&["task", "show", &ended, "--json"]).json()["state"], "succeeded");
    let listed = ["task", "list", "--group", &group, "-q", "--limit", "5"];
    assert_eq!(node.ask(&listed).stdout.lines().count(), 5, "also members that have ended");
    assert_eq!(node.ask(&["task", "cancel", "all"]).code, 0, "none is left");
}

#[test]
fn help_of_a_verb_has_two_spellings() {
    let home = tempfile::tempdir().unwrap();
    for verb in [&["wait"][..], &["task", "cancel"]] {
        let help = ask(home.path(), &[&["help"], verb].concat());
        let flag = ask(home.path(), &[verb, &["--help"]].concat());
        assert_eq!((help.code, &help.stdout), (0, &flag.stdout), "{verb:?}");
    }
}

#[test]
fn unknown_family_gives_a_warning_at_once() {
    let node = Node::up(&[]);
    let stderr = |args: &[&str]| node.ask(args).stderr;
    let run = stderr(&["run", "txt/upper", "a", "--queue-timeout", "100ms"]);
    let first = run.lines().next().unwrap();
    assert!(first.contains("\"txt\"") && first.contains("did you mean text/upper?"), "{run}");
    for args in [&["submit", "txt/upper", "a"][..], &["submit", "txt/upper", "--array", "1-3"]] {
        assert!(stderr(args).contains("did you mean text/upper?"), "{args:?}");
    }
    // The task waits for a worker, but its family is known.
    assert!(!stderr(&["submit", "text/upper", "a", "--gpu", "9"]).contains("did you mean"));
}
