//! The JSON of all verbs uses the same names and units.

use serde_json::Value;

use crate::support::Node;

/// Allowed keys of a peer's id.
const PEERS: [&str; 2] = ["peer", "worker"];

/// Collects names and units that differ from those of other answers.
fn walk(value: &Value, path: &str, faults: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{path}.{key}");
                let is_other_unit = ["_us", "_ns", "_s", "_secs", "_seconds", "_mb", "_kb"]
                    .iter()
                    .any(|unit| key.ends_with(unit) && !key.ends_with("_per_s"));
                if is_other_unit || ["seconds", "bytes_kb"].contains(&key.as_str()) {
                    faults.push(format!("{path}: durations end in _ms, sizes are bytes"));
                }
                if key.ends_with("_at") && value.as_str().is_some_and(|at| !at.ends_with('Z')) {
                    faults.push(format!("{path}: times are UTC"));
                }
                let is_peer = value.as_str().is_some_and(|id| id.starts_with("12D3KooW"));
                if is_peer && !PEERS.contains(&key.as_str()) {
                    faults.push(format!("{path}: the key of a peer's id is one of {PEERS:?}"));
                }
                walk(value, &path, faults);
            }
        }
        Value::Array(items) => {
            for item in items {
                walk(item, &format!("{path}[]"), faults);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn names_and_units_are_the_same_in_every_answer() {
    let bee = Node::up(&["--name", "bee", "--accept", "anyone"]);
    let ant = Node::up(&["--name", "ant", "--bootstrap", bee.address()]);
    ant.until_ready("bee");
    let mut answers = vec![("up".to_owned(), ant.ready.clone())];
    let backup = ant.home.path().join("copy").display().to_string();
    let copy = ant.home.path().join("copy/x").display().to_string();
    for args in [
        &["version"][..],
        &["status"],
        &["peers", "trust", "bee"],
        &["peers", "list"],
        &["peers", "show", "bee"],
        &["ping", "bee", "--count", "1"],
        &["handlers"],
        &["handlers", "text/upper"],
        &["run", "text/upper", "a", "--on", "bee"],
        &["submit", "debug/fail", "-p", "permanent=true"],
        &["wait", "last", "--ok-if-failed"],
        &["submit", "text/upper", "a", "--gpu", "99"],
        &["task", "show", "last"],
        &["task", "list", "--all"],
        &["task", "cancel", "last"],
        &["submit", "--array", "1-3", "text/upper"],
        &["wait", "last"],
        &["submit", "--array", "1-3", "text/upper", "--gpu", "99"],
        &["task", "groups", "--all"],
        &["task", "cancel", "all"],
        &["metrics"],
        &["drain"],
        &["store", "backup", &backup],
    ] {
        let answer = ant.ask(&[args, &["--json"]].concat());
        answers.push((args.join(" "), answer.json()));
    }
    for args in [
        &["task", "explain", "last"][..],
        &["wait", "last", "--results"],
        &["events", "--bogus"],
        &["store", "backup", &copy],
    ] {
        let answer = ant.ask(&[args, &["--json"]].concat());
        for line in answer.stdout.lines().chain(answer.stderr.lines()) {
            if let Ok(value) = serde_json::from_str(line) {
                answers.push((args.join(" "), value));
            }
        }
    }
    let mut faults = Vec::new();
    for (verb, answer) in &answers {
        walk(answer, verb, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let peers = answers.iter().filter(|(_, answer)| answer.to_string().contains("\"peer\":"));
    assert!(peers.count() >= 8, "the walk has met peers");
}
