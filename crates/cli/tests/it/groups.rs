//! Groups of tasks: `submit --each-line`, `--array`, `--from-json`; `wait`, results, retry and
//! cancel.

use std::{fs, io::Write, process::Stdio};

use meshwork_core::limits::INLINE_BYTES;

use crate::support::{Answer, Node, meshwork};

fn file(node: &Node, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = node.home.path().join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn submitted(answer: &Answer) -> String {
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.stdout.trim().to_owned()
}

#[test]
fn each_line_is_a_task_and_results_are_in_order() {
    let node = Node::up(&["--slots", "3"]);
    let lines: String = (0..5_000).map(|number| format!("line {number}\n")).collect();
    let path = file(&node, "lines", &lines);
    let answer = node.ask(&["submit", "--each-line", &path, "text/upper"]);
    let id = submitted(&answer);
    assert!(answer.stderr.contains("5,000 tasks"), "{answer:?}");
    let waited = node.ask(&["wait", "last", "--results"]);
    assert_eq!((waited.code, waited.stdout), (0, lines.to_uppercase()));
    assert!(waited.stderr.contains("5,000 succeeded"), "{}", waited.stderr);
    let counts = node.ask(&["wait", &id, "--json"]).json();
    assert_eq!((&counts["id"], &counts["state"]), (&id.as_str().into(), &"succeeded".into()));
    assert_eq!((&counts["members"], &counts["complete"]), (&5_000.into(), &true.into()));
    let short = &id[id.len() - 6..];
    assert_eq!(node.ask(&["task", "result", short]).stdout, lines.to_uppercase());
    let list = ["task", "list", "--all", "--group", short, "--limit"];
    let listed = node.ask(&[&list[..], &["9"]].concat());
    let more = format!("there are more: meshwork {} 90\n", list.join(" "));
    assert!(listed.stderr.contains(&more), "{listed:?}");
    let whole = node.ask(&[&list[..], &["5000", "--json"]].concat()).json();
    let (items, cursor) = (whole["items"].as_array().unwrap().len(), &whole["next_cursor"]);
    assert_eq!((items, cursor.is_null()), (5_000, true));
    let listed = listed.stdout;
    assert_eq!(listed.lines().count(), 9);
    assert!(listed.lines().all(|line| line.contains(&format!("\t{id}/"))), "{listed}");
    let shown = node.ask(&["task", "show", "last", "--json"]).json();
    assert_eq!(shown["succeeded"], 5_000);

    let mut piped = meshwork(node.home.path())
        .args(["submit", "--each-line", "-", "text/upper", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    piped.stdin.take().unwrap().write_all(b"abc\n\nxyz").unwrap();
    let piped = submitted(&Answer::of(piped.wait_with_output().unwrap()));
    assert_eq!(node.ask(&["wait", &piped, "--results"]).stdout, "ABC\n\nXYZ\n");
}

#[test]
fn an_array_gives_each_task_its_number() {
    let node = Node::up(&[]);
    let id = submitted(&node.ask(&["submit", "--array", "1-7:3", "debug/echo"]));
    assert_eq!(node.ask(&["wait", &id, "--results"]).stdout, "1\n4\n7\n");
    let pages = ["submit", "--array", "9-10", "text/upper", "page", "{index}"];
    let id = submitted(&node.ask(&pages));
    assert_eq!(node.ask(&["wait", &id, "--results"]).stdout, "PAGE 9\nPAGE 10\n");
    let quotes = ["submit", "--array", "1-2", "debug/echo", r#"{"k":"v","i":"{index}"}"#];
    let id = submitted(&node.ask(&quotes));
    let results = node.ask(&["wait", &id, "--results"]).stdout;
    assert_eq!(results, "{\"k\":\"v\",\"i\":\"1\"}\n{\"k\":\"v\",\"i\":\"2\"}\n");
    let jobs = r#"["a", {"input": "b c", "params": {"pattern": " ", "with": "-"}}]"#;
    let jobs = file(&node, "jobs", jobs);
    let all = ["submit", "--from-json", &jobs, "text/replace", "-p", "pattern=a", "-p", "with=A"];
    let id = submitted(&node.ask(&all));
    let waited = node.ask(&["wait", &id, "--results", "--json"]);
    let outputs: Vec<serde_json::Value> = waited
        .stdout
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["output"]["text"].clone()
        })
        .collect();
    assert_eq!(outputs, ["A", "b-c"], "{waited:?}");
}

#[test]
fn group_with_the_same_key_runs_once() {
    let node = Node::up(&[]);
    let executed = || node.ask(&["status", "--json"]).json()["node"]["tasks"]["executed"].clone();
    let again = ["submit", "--array", "1-50", "debug/echo", "--key", "nightly"];
    let first = submitted(&node.ask(&again));
    assert_eq!(node.ask(&["wait", &first]).code, 0);
    assert_eq!(submitted(&node.ask(&again)), first);
    assert_eq!(node.ask(&["wait", &first]).code, 0);
    assert_eq!(executed(), 50);
    node.ask(&["submit", "--array", "1-49", "debug/echo", "--key", "nightly"])
        .error(1, &["49 numbers instead of 50"]);
    node.ask(&["submit", "--array", "1-50", "text/upper", "--key", "nightly"])
        .error(1, &["number 1 differs"]);
}

#[test]
fn max_fails_stops_a_group_and_retry_repeats_failed_members() {
    let node = Node::up(&["--slots", "1"]);
    let mut bad = b"good\n\xff\nfine\n\xfe\n".to_vec();
    let path = file(&node, "bad", &bad);
    let id = submitted(&node.ask(&["submit", "--each-line", &path, "text/upper"]));
    let waited = node.ask(&["wait", &id, "--results"]);
    assert_eq!((waited.code, waited.stdout.as_str()), (1, "GOOD\n\nFINE\n\n"));
    for words in ["line 2 is empty: task", "2 succeeded, 2 failed", "meshwork task retry"] {
        assert!(waited.stderr.contains(words), "{words}: {}", waited.stderr);
    }
    assert_eq!(node.ask(&["wait", &id, "--ok-if-failed"]).code, 0);
    let retried = submitted(&node.ask(&["task", "retry", &id]));
    assert_ne!(retried, id);
    let counts = node.ask(&["wait", &retried, "--json", "--ok-if-failed"]).json();
    assert_eq!((&counts["members"], &counts["failed"]), (&2.into(), &2.into()));
    let listed = ["task", "list", "--group", &id, "--state", "failed", "-q"];
    let failed = node.ask(&listed).stdout.lines().next().unwrap().to_owned();
    let one = submitted(&node.ask(&["task", "retry", &failed]));
    assert_eq!(node.ask(&["wait", &one]).code, 1);
    let good = submitted(&node.ask(&["submit", "text/upper", "x"]));
    assert_eq!(node.ask(&["wait", &good]).code, 0);
    node.ask(&["task", "retry", &good]).error(1, &["succeeded"]);

    bad.extend("more\n".repeat(3_000).bytes());
    let path = file(&node, "worse", &bad);
    let limited = ["submit", "--each-line", &path, "text/upper", "--max-fails", "1"];
    let id = submitted(&node.ask(&limited));
    let counts = node.ask(&["wait", &id, "--json", "--ok-if-failed"]).json();
    assert_eq!((&counts["state"], &counts["stopped"]), (&"failed".into(), &true.into()));
    assert_eq!(counts["failed"], 2);
    let ended = counts["succeeded"].as_u64().unwrap() + counts["cancelled"].as_u64().unwrap();
    assert_eq!(ended, 3_002, "{counts}");
    assert!(counts["cancelled"].as_u64().unwrap() > 0, "{counts}");
}

#[test]
fn invalid_group_gives_an_error_with_advice() {
    let node = Node::up(&[]);
    let nothing = file(&node, "nothing", "");
    let long = file(&node, "long", format!("x\n{}\n", "y".repeat(INLINE_BYTES + 1)));
    let json = file(&node, "json", "[\"a\", 7]");
    let submit = |args: &[&str]| node.ask(&[&["submit", "text/upper"], args].concat());
    submit(&["--each-line", &nothing]).error(2, &["empty"]);
    submit(&["--each-line", "/no/such"]).error(2, &["--each-line", "/no/such"]);
    submit(&["--each-line", &long, "--array", "1-2"]).error(2, &["cannot be used with"]);
    submit(&["x", "--each-line", &json]).error(2, &["INPUT"]);
    submit(&["--each-line", &long]).error(2, &["line 2", "line 1 is submitted"]);
    submit(&["--from-json", &json]).error(2, &["element 2", "expected a text or an object"]);
    submit(&["--array", "5-1"]).error(2, &["lower number first"]);
    submit(&["--array", "1-5:0"]).error(2, &["step"]);
    submit(&["--array", "0-1000000000"]).error(2, &["at most 10000000"]);
    submit(&["--array", "0-99999999999999999999"]).error(2, &["0-90:10"]);
    submit(&["--max-fails", "3"]).error(2, &["--each-line"]);
    node.ask(&["task", "list", "--group", "ffffff"]).error(4, &["ffffff"]);
}

#[test]
fn a_group_is_cancelled_explained_and_listed() {
    let node = Node::up(&["--slots", "2"]);
    let sleepers = ["submit", "--array", "1-500", "debug/sleep", "-p", "ms=600000", "--key", "k"];
    let id = submitted(&node.ask(&sleepers));
    let short = &id[id.len() - 6..];
    let listed = node.ask(&["task", "groups"]).stdout;
    assert!(listed.starts_with(&format!("{id}\trunning\t500\t")), "{listed}");
    let explained = node.ask(&["task", "explain", short]);
    assert_eq!(explained.code, 0, "{explained:?}");
    for words in [" RUNNING ", "500 tasks", " of debug/sleep: every worker that can run it is busy"]
    {
        assert!(explained.stdout.contains(words), "{words}: {}", explained.stdout);
    }
    let alone = submitted(&node.ask(&["submit", "debug/sleep", "-p", "ms=600000"]));
    let cancelled = node.ask(&["task", "cancel", &id, &alone, "--reason", "no need"]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    for words in [&format!("group {short}, cancelled: 500 cancelled"), "is cancelled"] {
        assert!(cancelled.stderr.contains(words), "{words}: {cancelled:?}");
    }
    assert_eq!(node.ask(&["task", "show", &alone, "--json"]).json()["state"], "cancelled");
    let waited = node.ask(&["wait", &id]);
    assert_eq!(waited.code, 1, "{waited:?}");
    assert!(waited.stderr.contains("the group was cancelled: no need"), "{waited:?}");
    node.ask(&sleepers).error(1, &["the group was cancelled"]);
    assert_eq!(node.ask(&["task", "groups", "-q"]).stdout, "", "it is over");
    let ended = node.ask(&["task", "groups", "--state", "cancelled", "--json"]).json();
    assert_eq!(
        (&ended["items"][0]["id"], &ended["items"][0]["cancelled"]),
        (&id.as_str().into(), &500.into())
    );
    node.ask(&["task", "groups", "--state", "queued"]).error(2, &["not a state of a group"]);

    let needy = ["submit", "--array", "1-9", "debug/sleep", "--gpu", "99"];
    let id = submitted(&node.ask(&needy));
    let explained = node.ask(&["task", "explain", &id]);
    assert_eq!(explained.code, 6, "{explained:?}");
    assert!(
        explained.stdout.contains("waits     9 of debug/sleep: no connected worker"),
        "{explained:?}"
    );
    let story = node.ask(&["task", "explain", &id, "--json"]);
    let story: serde_json::Value = serde_json::from_str(&story.stdout).unwrap();
    assert_eq!(story["waiting"][0]["members"], 9);
}
