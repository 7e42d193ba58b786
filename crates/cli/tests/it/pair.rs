//! An owner `ant` without slots and its worker `bee`, which tests may end and restart, and checks of
//! their tasks (H1 to H7, H12).

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::Bytes;
use meshwork_api::{Client, ClientError, Payload, TaskSpec, TaskView};
use tempfile::TempDir;

use crate::support::{Node, eventually};

/// Flags of both nodes. The heartbeat is shorter than the longest tasks.
const TIMES: [&str; 4] = ["--lease", "3s", "--heartbeat", "500ms"];
/// Longest time until a task has ended, although a node may be suspended for a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// One of the two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Owner,
    Worker,
}

/// The two nodes.
pub(crate) struct Pair {
    nodes: [Option<Node>; 2],
    args: [Vec<String>; 2],
    socket: PathBuf,
    /// Standard error of the nodes, and the log of executions.
    dir: TempDir,
}

impl Pair {
    /// Starts both nodes, each after the commands of its shell.
    pub(crate) fn up(owner_shell: &str, worker_shell: &str) -> Self {
        let listen = ["--listen", "/ip4/127.0.0.1/tcp/0", "--slots", "0"];
        let ant = Self::empty().with(Side::Owner, &listen).started(Side::Owner, owner_shell);
        let address = ant.node(Side::Owner).address().to_owned();
        // A restarted owner must have the same address.
        let listen = address.split("/p2p/").next().unwrap().to_owned();
        let ant = ant.with(Side::Owner, &["--listen", &listen, "--slots", "0"]);
        let bee = ["--listen", "/ip4/127.0.0.1/tcp/0", "--bootstrap", &address];
        let pair = ant.with(Side::Worker, &bee).started(Side::Worker, worker_shell);
        pair.acquainted()
    }

    fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (nodes, args) = (Default::default(), Default::default());
        Self { nodes, args, socket: PathBuf::new(), dir }
    }

    /// Sets the arguments for later starts of a node, in addition to the usual ones.
    fn with(mut self, side: Side, args: &[&str]) -> Self {
        let log = self.log().display().to_string();
        let name = ["ant", "bee"][side as usize];
        let mut own = vec!["--name", name, "--no-mdns"];
        if side == Side::Worker {
            own.extend(["--accept", "anyone", "--debug-log", &log]);
        }
        let all = own.iter().chain(&TIMES).chain(args);
        self.args[side as usize] = all.map(|word| (*word).to_owned()).collect();
        self
    }

    fn started(mut self, side: Side, shell: &str) -> Self {
        self.start(side, tempfile::tempdir().expect("a folder"), shell);
        self
    }

    fn acquainted(self) -> Self {
        let worker = self.node(Side::Worker).text("peer");
        self.node(Side::Owner).until_ready(worker);
        assert_eq!(self.node(Side::Owner).ask(&["peers", "trust", worker]).code, 0);
        self
    }

    pub(crate) fn start(&mut self, side: Side, home: TempDir, shell: &str) {
        let stderr = self.stderr_path(side).display().to_string();
        let args: Vec<&str> = self.args[side as usize].iter().map(String::as_str).collect();
        let node = Node::open_in_after(home, &format!("exec 2>>{stderr} && {shell}"), &args);
        if side == Side::Owner {
            self.socket = node.text("socket").into();
        }
        self.nodes[side as usize] = Some(node);
    }

    pub(crate) fn node(&self, side: Side) -> &Node {
        self.nodes[side as usize].as_ref().expect("it runs")
    }

    pub(crate) fn take(&mut self, side: Side) -> Node {
        self.nodes[side as usize].take().expect("it runs")
    }

    fn stderr(&self, side: Side) -> String {
        fs::read_to_string(self.stderr_path(side)).unwrap_or_default()
    }

    fn stderr_path(&self, side: Side) -> PathBuf {
        self.dir.path().join(format!("{side:?}"))
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// A client of the owner, which also works while the owner restarts.
    pub(crate) fn caller(&self) -> Caller {
        Caller { socket: self.socket.clone(), ends: Mutex::default() }
    }

    /// The number of executions of each task.
    pub(crate) fn executions(&self) -> HashMap<String, usize> {
        let mut executions = HashMap::new();
        for line in fs::read_to_string(self.log()).unwrap_or_default().lines() {
            *executions.entry(line.split(' ').next().unwrap().to_owned()).or_default() += 1;
        }
        executions
    }

    /// One of the counts in a node's status.
    pub(crate) fn count(&self, side: Side, what: &str) -> u64 {
        let status = self.node(side).ask(&["status", "--json"]).json();
        let count = &status["node"]["tasks"][what];
        count.as_u64().unwrap_or_else(|| panic!("{what} in {status}"))
    }

    /// Waits until no task is open and the worker holds no attempt or unacknowledged result; checks
    /// that no node has panicked (H5, H8, H12).
    pub(crate) fn at_rest(&self) {
        for what in ["queued", "running"] {
            eventually(&format!("{what} is 0"), || self.count(Side::Owner, what) == 0);
        }
        for what in ["held", "unacked"] {
            eventually(&format!("{what} is 0"), || self.count(Side::Worker, what) == 0);
        }
        assert_eq!(self.count(Side::Worker, "dropped_results"), 0);
        for side in [Side::Owner, Side::Worker] {
            let stderr = self.stderr(side);
            assert!(!stderr.contains("panicked"), "{stderr}");
        }
    }
}

/// A task and its expected output.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    spec: TaskSpec,
    output: String,
}

impl Given {
    /// Sets a total time limit of an hour.
    pub(crate) fn with_deadline(mut self) -> Self {
        self.spec.limits.total = Some(Duration::from_secs(3600));
        self
    }
}

/// A task that does not fail when its worker is killed, up to 100 times.
fn task(handler: &str, key: &str) -> TaskSpec {
    let mut spec = TaskSpec::new(handler);
    spec.idempotency_key = Some(key.to_owned());
    spec.retry.crashes = 100;
    spec
}

/// A task whose output is its input.
pub(crate) fn echo(key: &str) -> Given {
    let mut spec = task("debug/echo", key);
    spec.input = Some(Payload::of(Bytes::from(format!("for {key}"))));
    Given { spec, output: format!("for {key}") }
}

/// A task that sleeps, and whose executions are logged.
pub(crate) fn sleep(key: &str, ms: u32) -> Given {
    let mut spec = task("debug/sleep", key);
    spec.params.insert("ms".to_owned(), ms.to_string());
    Given { spec, output: String::new() }
}

/// The answer, or `None` if the request may be repeated. Panics on other errors: an unknown task is
/// lost (H1).
fn answered<T>(answer: Result<T, ClientError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(ClientError::Api(problem)) if !problem.is_retryable() => panic!("{problem:?}"),
        Err(_) => None,
    }
}

/// Asks the owner, repeats requests until there is an answer, and remembers the ends of tasks.
pub(crate) struct Caller {
    socket: PathBuf,
    ends: Mutex<HashMap<String, TaskView>>,
}

impl Caller {
    /// Repeats a request until there is an answer.
    fn ask<T>(&self, what: &str, ask: impl AsyncFn(&Client) -> Option<T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Instant::now();
        runtime.block_on(async {
            loop {
                let client = Client::new(Path::new(&self.socket));
                if let Some(answer) = ask(&client).await {
                    return answer;
                }
                assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    /// Submits a task until it is accepted, and returns its id.
    pub(crate) fn submit(&self, given: &Given) -> String {
        self.ask("it is accepted", async |client| {
            Some(answered(client.submit(&given.spec, Duration::ZERO).await)?.id)
        })
    }

    /// Waits until a task has this state.
    pub(crate) fn until(&self, id: &str, state: &str) -> TaskView {
        self.ask(&format!("{id} is {state}"), async |client| {
            let task = answered(client.task(id).await)?;
            self.see(&task);
            assert!(task.state.as_str() == state || !task.is_ended(), "not {state}: {task:?}");
            (task.state.as_str() == state).then_some(task)
        })
    }

    /// Cancels a task, and returns its state in the answer.
    pub(crate) fn cancel(&self, id: &str) -> TaskView {
        let task =
            self.ask("it is cancelled", async |client| answered(client.cancel(id, "").await));
        self.see(&task);
        task
    }

    /// An end that was seen never changes (H2, H6).
    fn see(&self, task: &TaskView) {
        let mut ends = self.ends.lock().unwrap();
        if let Some(end) = ends.get(&task.id) {
            // Without times: these depend on the clock at the start of the node.
            let of = |task: &TaskView| (task.state.clone(), task.took_us, task.output_bytes);
            assert_eq!(of(task), of(end), "an end changes: {task:?}, {end:?}");
        }
        if task.is_ended() {
            ends.insert(task.id.clone(), task.clone());
        }
    }

    /// Checks that the task has the id of its key, and succeeds with the expected output.
    pub(crate) fn check(&self, given: &Given, id: &str) {
        assert_eq!(self.submit(given), id, "one key, one task (H7)");
        self.until(id, "succeeded");
        let result = self.ask("its result", async |client| answered(client.result(id).await));
        assert_eq!(result, given.output, "{given:?}");
    }
}
