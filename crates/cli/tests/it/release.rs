//! Requirements of a release: `version` names the commit and features, and a panic of the stripped
//! program names lines by the symbols in a file beside it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{ask, eventually};

#[test]
fn version_names_commit_and_features() {
    let home = tempfile::tempdir().unwrap();
    let json = ask(home.path(), &["version", "--json"]).json();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    let commit = json["commit"].as_str().unwrap();
    assert!(commit == "unknown" || commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{json}");
    let git = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.git");
    assert_eq!(commit.len(), if git.exists() { 12 } else { commit.len() }, "{json}");
    assert!(json["features"].is_array(), "{json}");
    let line = ask(home.path(), &["version"]).stdout;
    let features = json["features"].as_array().unwrap().len();
    assert!(line.contains(&format!("(commit {commit}, features ")), "{line}");
    assert_eq!(line.contains("features none"), features == 0, "{line}");
    assert_eq!(ask(home.path(), &["--version"]).stdout, line);
}

#[test]
fn panic_of_a_stripped_program_names_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("meshwork");
    fs::copy(env!("CARGO_BIN_EXE_meshwork"), &program).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/split-symbols.sh");
    let split = || Command::new(&script).arg(&program).stdin(Stdio::null()).output().unwrap();
    let output = split();
    if output.status.code() == Some(77) {
        crate::support::skip(&String::from_utf8_lossy(&output.stderr));
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let (stripped, symbols) = (size(&program), size(&dir.path().join("meshwork.debug")));
    assert!(stripped < size(Path::new(env!("CARGO_BIN_EXE_meshwork"))), "{stripped}");
    let again = split();
    assert_eq!(again.status.code(), Some(1), "a program without symbols has none to take out");
    assert_eq!(size(&dir.path().join("meshwork.debug")), symbols, "and the file stays: {again:?}");

    let home = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut node = Command::new(&program)
        .args(["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--debug-handlers"])
        .env("MESHWORK_HOME", home.path())
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    eventually("the node takes tasks", || ask(home.path(), &["task", "list"]).code == 0);
    assert_eq!(ask(home.path(), &["run", "debug/panic", "--retries", "0"]).code, 1);
    node.kill().unwrap();
    node.wait().unwrap();
    let trace = fs::read_to_string(&log).unwrap();
    assert!(trace.contains("crates/exec/src/debug.rs:"), "{trace}");
    assert!(trace.contains("meshwork_exec::debug::Panic"), "the trace has frames: {trace}");
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}
