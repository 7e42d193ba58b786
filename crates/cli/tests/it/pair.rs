//! An owner `ant` that runs nothing itself and its worker `bee`, both of which may be ended and
//! started again, and what must hold of the tasks that were given to them (H1 to H7, H12).

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

/// Shorter than the longest tasks, so that heartbeats come.
const TIMES: [&str; 4] = ["--lease", "3s", "--heartbeat", "500ms"];
/// Longest time until a task has ended, also where a node stands still for a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Owner,
    Worker,
}

/// The nodes.
pub(crate) struct Pair {
    nodes: [Option<Node>; 2],
    args: [Vec<String>; 2],
    socket: PathBuf,
    /// What the nodes say on standard error, and which executions there were.
    dir: TempDir,
}

impl Pair {
    /// Both, started by a shell each, that does something before.
    pub(crate) fn up(owner_shell: &str, worker_shell: &str) -> Self {
        let listen = ["--listen", "/ip4/127.0.0.1/tcp/0", "--slots", "0"];
        let ant = Self::empty().with(Side::Owner, &listen).started(Side::Owner, owner_shell);
        let address = ant.node(Side::Owner).address().to_owned();
        // Wherever it is found after a restart.
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

    /// What that one is started with from now on, besides what it always is.
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
        let told = self.told_in(side).display().to_string();
        let args: Vec<&str> = self.args[side as usize].iter().map(String::as_str).collect();
        let node = Node::open_in_after(home, &format!("exec 2>>{told} && {shell}"), &args);
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

    fn told(&self, side: Side) -> String {
        fs::read_to_string(self.told_in(side)).unwrap_or_default()
    }

    fn told_in(&self, side: Side) -> PathBuf {
        self.dir.path().join(format!("{side:?}"))
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Whoever asks the owner, also while it is started again.
    pub(crate) fn caller(&self) -> Caller {
        Caller { socket: self.socket.clone(), ends: Mutex::default() }
    }

    /// Executions of each task.
    pub(crate) fn executions(&self) -> HashMap<String, usize> {
        let mut executions = HashMap::new();
        for line in fs::read_to_string(self.log()).unwrap_or_default().lines() {
            *executions.entry(line.split(' ').next().unwrap().to_owned()).or_default() += 1;
        }
        executions
    }

    /// What a node counts of its tasks and of those of others.
    pub(crate) fn count(&self, side: Side, what: &str) -> u64 {
        let status = self.node(side).ask(&["status", "--json"]).json();
        let count = &status["node"]["tasks"][what];
        count.as_u64().unwrap_or_else(|| panic!("{what} in {status}"))
    }

    /// That nothing is left: no open task, no attempt, no result that was not acknowledged, and no
    /// panic was told (H5, H8, H12).
    pub(crate) fn at_rest(&self) {
        for what in ["queued", "running"] {
            eventually(&format!("{what} is 0"), || self.count(Side::Owner, what) == 0);
        }
        for what in ["held", "unacked"] {
            eventually(&format!("{what} is 0"), || self.count(Side::Worker, what) == 0);
        }
        assert_eq!(self.count(Side::Worker, "dropped_results"), 0);
        for side in [Side::Owner, Side::Worker] {
            let told = self.told(side);
            assert!(!told.contains("panicked"), "{told}");
        }
    }
}

/// A task that was given, and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    spec: TaskSpec,
    output: String,
}

impl Given {
    /// With an hour for all of it.
    pub(crate) fn hurried(mut self) -> Self {
        self.spec.limits.total = Some(Duration::from_secs(3600));
        self
    }
}

/// One that is not given up however often its worker is killed.
fn task(handler: &str, key: &str) -> TaskSpec {
    let mut spec = TaskSpec::new(handler);
    spec.idempotency_key = Some(key.to_owned());
    spec.retry.crashes = 100;
    spec
}

/// A task that puts out what it is given, at once.
pub(crate) fn echo(key: &str) -> Given {
    let mut spec = task("debug/echo", key);
    spec.input = Some(Payload::of(Bytes::from(format!("for {key}"))));
    Given { spec, output: format!("for {key}") }
}

/// A task that takes a while, and whose executions are counted.
pub(crate) fn sleep(key: &str, ms: u32) -> Given {
    let mut spec = task("debug/sleep", key);
    spec.params.insert("ms".to_owned(), ms.to_string());
    Given { spec, output: String::new() }
}

/// None where nobody has answered, or only for the moment. A task that is not known any more is lost (H1).
fn answered<T>(answer: Result<T, ClientError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(ClientError::Api(problem)) if !problem.is_retryable() => panic!("{problem:?}"),
        Err(_) => None,
    }
}

/// Asks the owner, again and again where there is no answer, and remembers which ends it has seen.
pub(crate) struct Caller {
    socket: PathBuf,
    ends: Mutex<HashMap<String, TaskView>>,
}

impl Caller {
    /// Until there is an answer.
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

    /// Submits it until it is accepted; its id.
    pub(crate) fn submit(&self, given: &Given) -> String {
        self.ask("it is accepted", async |client| {
            Some(answered(client.submit(&given.spec, Duration::ZERO).await)?.id)
        })
    }

    /// Waits until it is as it should be.
    pub(crate) fn until(&self, id: &str, state: &str) -> TaskView {
        self.ask(&format!("{id} is {state}"), async |client| {
            let task = answered(client.task(id).await)?;
            self.see(&task);
            assert!(task.state.as_str() == state || !task.is_ended(), "not {state}: {task:?}");
            (task.state.as_str() == state).then_some(task)
        })
    }

    /// Cancels it until that is answered; what it is then.
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
            // Not when: that is told by the clock that the node had at its start.
            let of = |task: &TaskView| (task.state.clone(), task.took_us, task.output_bytes);
            assert_eq!(of(task), of(end), "an end changes: {task:?}, {end:?}");
        }
        if task.is_ended() {
            ends.insert(task.id.clone(), task.clone());
        }
    }

    /// That this task is the one of its key, is known, and has ended well with the right result.
    pub(crate) fn check(&self, given: &Given, id: &str) {
        assert_eq!(self.submit(given), id, "one key, one task (H7)");
        self.until(id, "succeeded");
        let result = self.ask("its result", async |client| answered(client.result(id).await));
        assert_eq!(result, given.output, "{given:?}");
    }
}
