//! W-15 on the command line: values at the limits of a task's flags, and beyond them.

use crate::support::Node;

/// Valid values of each flag.
const VALID: [(&str, &[&str]); 5] = [
    ("--retries", &["0", "99"]),
    ("--priority", &["-128", "0", "127"]),
    ("--deadline", &["1s", "365d"]),
    ("--time", &["1s", "365d"]),
    ("--queue-timeout", &["1s", "365d"]),
];

/// A value, and a part of its error text.
type Wrong = (&'static str, &'static str);
/// Invalid values of each flag.
const INVALID: [(&str, &[Wrong]); 5] = [
    ("--retries", &RETRIES),
    ("--priority", &PRIORITY),
    ("--deadline", &LIMIT),
    ("--time", &LIMIT),
    ("--queue-timeout", &LIMIT),
];
const RETRIES: [Wrong; 8] = [
    ("-1", "not in 0"),
    ("100", "not in 0"),
    ("4294967295", "not in 0"),
    ("4294967296", "not in 0"),
    ("99999999999999999999", "too large"),
    ("1.5", "invalid digit"),
    ("many", "invalid digit"),
    ("", "<N>"),
];
const PRIORITY: [Wrong; 7] = [
    ("-129", "not in -128"),
    ("128", "not in -128"),
    ("99999999999999999999", "too large"),
    ("-99999999999999999999", "too small"),
    ("1e300", "invalid digit"),
    ("NaN", "invalid digit"),
    ("", "<N>"),
];
const LIMIT: [Wrong; 12] = [
    ("0", "zero"),
    ("0s", "zero"),
    ("1ns", "1ms"),
    ("999us", "1ms"),
    ("-5", "write it like"),
    ("-5s", "write it like"),
    ("366d", "365d"),
    ("1000000y", "365d"),
    ("99999999999999999999s", "write it like"),
    ("2020-01-01T00:00:00Z", "write it like"),
    ("soon", "write it like"),
    ("", "<TIME>"),
];

#[test]
fn value_above_a_limit_is_refused_with_its_flag() {
    let node = Node::up(&[]);
    for (flag, values) in VALID {
        for value in values {
            let run = node.ask(&["run", "text/upper", "a", flag, value]);
            assert_eq!((run.code, run.stdout.as_str()), (0, "A"), "{flag} {value}: {run:?}");
            let submit = node.ask(&["submit", "text/upper", "a", flag, value]);
            assert_eq!(submit.code, 0, "{flag} {value}: {submit:?}");
        }
    }
    let known = || {
        let all = node.ask(&["task", "list", "--all", "--json"]).json();
        all["items"].as_array().unwrap().len()
    };
    let before = known();
    for (flag, values) in INVALID {
        for (value, why) in values {
            for verb in ["run", "submit"] {
                let answer = node.ask(&[verb, "text/upper", "a", flag, value]);
                answer.error(2, &[flag, why]);
                assert_eq!(answer.stdout, "", "{flag} {value}");
            }
        }
    }
    assert_eq!(known(), before, "nothing was submitted");
}

/// A limit that expires before the task can run ends it, and the error names the flag.
#[test]
fn shortest_limits_end_a_task_and_are_named() {
    let node = Node::up(&[]);
    let slow = ["run", "debug/sleep", "-p", "ms=60000", "--retries", "0"];
    for flag in ["--deadline", "--time"] {
        node.ask(&[&slow[..], &[flag, "1ms"]].concat()).error(124, &[flag]);
    }
    let nowhere = ["run", "text/upper", "a", "--capability", "none", "--queue-timeout", "1ms"];
    node.ask(&nowhere).error(124, &["--queue-timeout"]);
}
