//! Runs every example as its readers do: it must end by itself, successfully, and print its output.
//!
//! A new example needs a line in [`PRINTED`].
#![expect(clippy::expect_used, reason = "a panic in a test's helper is the report")]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Texts that each example must print, in this order.
const PRINTED: &[(&str, &[&str])] = &[
    ("closure_handler", &["default: ho! ho! \n", "times: ho! ho! ho! \n", "\"times\"", "\"many\""]),
    ("find_by_capability", &["has a gpu: renderer", "3 frames rendered"]),
    ("hello", &["was accepted", "attempt 1", "\"words\":5"]),
    ("progress_and_cancel", &[" %: at ", " %: at ", " %: at ", "has noticed", "cancelled: "]),
    ("two_nodes", &["/ip4/127.0.0.1/tcp/", "the worker answered: HELLO FROM THE OWNER"]),
];

#[test]
fn every_example_prints_what_it_shows() {
    let there = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"));
    let there: BTreeSet<String> = there
        .expect("a folder of examples")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let named = PRINTED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, named, "the examples, and the names in PRINTED");

    // Run all at once, because they mostly wait.
    let running: Vec<(Child, _)> =
        PRINTED.iter().map(|(name, parts)| (start(name), (name, parts))).collect();
    for (process, (name, parts)) in running {
        let output = process.wait_with_output().expect("it ends");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {printed}{errors}");
        let mut rest = printed.as_str();
        for part in *parts {
            let (_, after) = rest
                .split_once(part)
                .unwrap_or_else(|| panic!("{name}: no {part:?} in the end of {printed}"));
            rest = after;
        }
    }
}

fn start(name: &str) -> Child {
    Command::new(built(name))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo builds the examples with all tests, and not with --test examples alone")
}

/// Where cargo puts an example: beside the folder of this test.
fn built(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a path");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    profile.join("examples").join(name)
}
