//! Helpers: nodes as child processes, waits, and tests in namespaces.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for a condition. Only an error exceeds it, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A `meshwork` command with this home, and without the log setting of the environment.
pub(crate) fn meshwork(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshwork"));
    command.env_remove("MESHWORK_LOG").env("MESHWORK_HOME", home);
    command
}

/// Runs a `meshwork` command to its end.
pub(crate) fn ask(home: &Path, args: &[&str]) -> Answer {
    Answer::of(meshwork(home).args(args).stdin(Stdio::null()).output().expect("it starts"))
}

/// The exit code and output of a command.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Checks that the command succeeded, and parses the JSON value on its standard output.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks the exit code, and that there was exactly one error, with all of `parts` in the text.
    pub(crate) fn error(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        let errors: Vec<&str> =
            self.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(errors.len(), 1, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} in {self:?}");
        }
        assert!(!self.stderr.contains("thread 'main'"), "{self:?}");
    }
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) home: TempDir,
    pub(crate) process: Child,
    /// The JSON that the node printed when it was ready.
    pub(crate) ready: Value,
}

impl Node {
    pub(crate) fn up(args: &[&str]) -> Self {
        Self::up_in(tempfile::tempdir().expect("a folder"), args)
    }

    pub(crate) fn up_in(home: TempDir, args: &[&str]) -> Self {
        let alone = ["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
        Self::open_in(home, &[&alone, args].concat())
    }

    /// Starts a node with only these arguments: without them, mDNS and the default port are on.
    pub(crate) fn open_in(home: TempDir, args: &[&str]) -> Self {
        let command = meshwork(home.path());
        Self::started(home, command, args)
    }

    /// As [`Self::up`], after the commands in `shell`.
    pub(crate) fn up_after(shell: &str, args: &[&str]) -> Self {
        Self::up_in_after(tempfile::tempdir().expect("a folder"), shell, args)
    }

    pub(crate) fn up_in_after(home: TempDir, shell: &str, args: &[&str]) -> Self {
        let alone = ["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
        Self::open_in_after(home, shell, &[&alone, args].concat())
    }

    /// As [`Self::open_in`], after the commands in `shell`.
    pub(crate) fn open_in_after(home: TempDir, shell: &str, args: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell} && exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_meshwork"));
        command.env_remove("MESHWORK_LOG").env("MESHWORK_HOME", home.path());
        Self::started(home, command, args)
    }

    fn started(home: TempDir, mut command: Command, args: &[&str]) -> Self {
        let mut process = command
            .args(["up", "--json", "--quiet", "--debug-handlers"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { home, process, ready }
    }

    pub(crate) fn ask(&self, args: &[&str]) -> Answer {
        ask(self.home.path(), args)
    }

    /// The reasons why the node is not healthy, without those of the machine, which other programs
    /// fill.
    pub(crate) fn ills(&self) -> Vec<String> {
        let status = self.ask(&["status", "--json"]).json();
        let reasons = status["health"]["reasons"].as_array().expect("reasons").iter();
        let texts = reasons.filter_map(|reason| reason.as_str().map(str::to_owned));
        texts.filter(|text| !text.starts_with("disk: ") && !text.starts_with("memory: ")).collect()
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.ready[field].as_str().expect("a text")
    }

    pub(crate) fn address(&self) -> &str {
        self.ready["addresses"][0].as_str().expect("an address")
    }

    /// Waits until `peer` is ready for this node.
    pub(crate) fn until_ready(&self, peer: &str) {
        eventually("the peer is ready", || {
            let answer = self.ask(&["peers", "show", peer, "--json"]);
            answer.code == 0 && answer.json()["state"] == "ready"
        });
    }

    /// Waits for the end of a node that ends without a signal, and returns its home.
    pub(crate) fn ended(mut self) -> TempDir {
        self.process.wait().expect("it has ended");
        std::mem::replace(&mut self.home, tempfile::tempdir().expect("a folder"))
    }

    /// Ends the node by this signal; returns its exit status and its home.
    pub(crate) fn end(mut self, with: Signal) -> (ExitStatus, TempDir) {
        signal(&self.process, with);
        let status = self.process.wait().expect("it ends");
        let home = std::mem::replace(&mut self.home, tempfile::tempdir().expect("a folder"));
        (status, home)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The process may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

pub(crate) fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).expect("it is there");
}

/// A number in the environment, with which a user makes a trial longer or repeats it.
pub(crate) fn number(variable: &str) -> Option<usize> {
    env::var(variable).ok()?.parse().ok()
}

/// Prints what a trial sees; the harness shows it if the trial fails.
#[expect(clippy::print_stdout, reason = "the report of a trial")]
pub(crate) fn note(text: &str) {
    println!("{text}");
}

/// Waits until `check` returns true.
pub(crate) fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The child processes of `parent`.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("a process table");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

/// Whether a process runs. A zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    state_of(pid).is_some_and(|state| state != "Z")
}

fn parent_of(pid: u32) -> Option<u32> {
    status(pid)?.split_whitespace().nth(1)?.parse().ok()
}

fn state_of(pid: u32) -> Option<String> {
    Some(status(pid)?.split_whitespace().next()?.to_owned())
}

/// The fields after the name in `/proc/PID/stat`: state, parent, …
fn status(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.to_owned())
}

/// Records that the calling test, or a part of it, cannot run here, and why. `cargo xtask test`
/// lists these tests at its end, because the test harness counts a test that returns early as passed.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {}\n", thread.name().unwrap_or("?"), reason.replace('\n', " "));
    let file = fs::OpenOptions::new().append(true).create(true).open(SKIPPED);
    // One write, so that concurrent tests do not mix their lines.
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("a build folder");
}

/// The file from which `cargo xtask test` reads the skipped tests.
const SKIPPED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/skipped-tests");

/// Environment variable of a test that runs in a namespace.
const INSIDE: &str = "MESHWORK_TEST_IN_NAMESPACE";

/// Whether the calling test, named `test`, runs in a namespace. If not, runs it there and checks its
/// success. `enter` enters a namespace and runs the command in its arguments; exit code 77 means that
/// it cannot enter one.
pub(crate) fn is_inside(mut enter: Command, test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let program = env::current_exe().expect("a path");
    enter.arg(program).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    let output = enter.output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        skip(errors.trim());
        return false;
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{errors}");
    // A wrong name runs no test, and succeeds.
    assert!(printed.contains("1 passed"), "{printed}{errors}");
    false
}

/// A command that enters a mount namespace, or ends with 77 if it cannot.
pub(crate) fn into_mount_namespace() -> Command {
    const SCRIPT: &str = r#"
        for how in "unshare --mount" "unshare --user --map-root-user --mount"; do
            if $how -- mount -t tmpfs none /mnt 2>/dev/null; then exec $how -- "$@"; fi
        done
        echo "no mount namespace" >&2
        exit 77
    "#;
    let mut enter = Command::new("sh");
    enter.args(["-c", SCRIPT, "sh"]);
    enter
}
