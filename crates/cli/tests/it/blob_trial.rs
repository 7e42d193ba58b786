//! An owner without slots and its worker, which are ended while files and folders are added, fetched
//! and collected, and started again. Nothing acknowledged is lost, no wrong byte is served, and
//! nothing is left behind in their stores.
//!
//! Absent on purpose: how a node ends (`blob_kills`, `blob_power`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    load::{Acknowledged, Caller, Load, Random},
    support::{Node, eventually, meshwork, note},
};

/// One of the two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Owner,
    Worker,
}

/// The nodes that end at a point, by turns.
const VICTIMS: [&[Side]; 3] = [&[Side::Owner], &[Side::Worker], &[Side::Owner, Side::Worker]];
const SIDES: [Side; 2] = [Side::Owner, Side::Worker];
/// Longest time of one round.
const PATIENCE: Duration = Duration::from_secs(120);
/// Flags of both nodes.
const TIMES: [&str; 4] = ["--lease", "2s", "--heartbeat", "300ms"];

/// The two nodes and what they have acknowledged.
pub(crate) struct Trial {
    nodes: [Option<Node>; 2],
    args: [Vec<String>; 2],
    /// Commands before each start of a node.
    shell: String,
    socket: PathBuf,
    seed: u64,
    random: Random,
    /// Bytes that each node writes in a round of its own accord.
    usual: [u64; 2],
    /// Bytes that each node has written when it was up after its latest start.
    start: [u64; 2],
    acknowledged: Vec<Acknowledged>,
    round: usize,
}

/// What a trial saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Points at which each set of victims was ended.
    points: BTreeMap<String, usize>,
    /// Points at which the round was over already.
    late: usize,
    tasks: usize,
    blobs: usize,
}

impl Trial {
    /// Starts both nodes in these homes, and lets one round run undisturbed.
    pub(crate) fn new(seed: u64, shell: &str, [owner, worker]: [TempDir; 2]) -> Self {
        note(&format!("the seed is {seed}"));
        let strings = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        let ant = ["--no-mdns", "--name", "ant", "--slots", "0", "--listen"];
        let ant = strings(&[&ant[..], &["/ip4/127.0.0.1/tcp/0"], &TIMES].concat());
        let mut trial = Self {
            nodes: [None, None],
            args: [ant, Vec::new()],
            shell: shell.to_owned(),
            socket: PathBuf::new(),
            seed,
            random: Random(seed),
            usual: [0; 2],
            start: [0; 2],
            acknowledged: Vec::new(),
            round: 0,
        };
        trial.start(Side::Owner, owner);
        let ant = trial.node(Side::Owner);
        let address = ant.address().to_owned();
        trial.socket = ant.text("socket").into();
        // A restarted owner must have the same address.
        let listen = address.split("/p2p/").next().unwrap().to_owned();
        trial.args[0].iter_mut().filter(|arg| arg.starts_with("/ip4")).for_each(|arg| {
            arg.clone_from(&listen);
        });
        let bee = ["--no-mdns", "--name", "bee", "--slots", "2", "--accept", "anyone"];
        let own = ["--listen", "/ip4/127.0.0.1/tcp/0", "--bootstrap", &address];
        trial.args[1] = strings(&[&bee[..], &own, &TIMES].concat());
        trial.start(Side::Worker, worker);
        let worker = trial.node(Side::Worker).text("peer");
        trial.node(Side::Owner).until_ready(worker);
        assert_eq!(trial.node(Side::Owner).ask(&["peers", "trust", worker]).code, 0);
        let before = trial.written();
        trial.undisturbed();
        let after = trial.written();
        trial.usual = [after[0] - before[0], after[1] - before[1]];
        note(&format!("an undisturbed round writes {:?} bytes", trial.usual));
        trial
    }

    pub(crate) fn start(&mut self, side: Side, home: TempDir) {
        let shell = self.shell.clone();
        self.start_after(side, home, &shell);
    }

    /// Starts a node after these commands.
    fn start_after(&mut self, side: Side, home: TempDir, shell: &str) {
        let args: Vec<&str> = self.args[side as usize].iter().map(String::as_str).collect();
        self.nodes[side as usize] = Some(Node::open_in_after(home, shell, &args));
    }

    /// Stops a node in an orderly way. Also returns its process, which may be a parent of the node.
    pub(crate) fn stop(&mut self, side: Side) -> (TempDir, u32) {
        let node = self.take(side);
        assert_eq!(node.ask(&["down"]).code, 0);
        let process = node.process.id();
        (node.ended(), process)
    }

    pub(crate) fn acknowledged(&self) -> &[Acknowledged] {
        &self.acknowledged
    }

    /// Runs one round to its end.
    pub(crate) fn undisturbed(&mut self) {
        let (load, running) = self.run(|_, load| load.is_over());
        self.finish_round(&load, running);
    }

    /// Starts one node alone in a home that a power cut has left, and checks that it has all of this
    /// and that each of its blobs is whole.
    pub(crate) fn check_restored(&mut self, side: Side, home: TempDir, known: &[Acknowledged]) {
        let at = SystemTime::now();
        self.start_after(side, home, "true");
        let node = self.take(side);
        check_drafts(node.home.path(), at);
        let caller = Caller::new(Path::new(node.text("socket")));
        for item in known {
            caller.check_kept(item);
            caller.check_if_ended(item);
        }
        caller.check_blobs();
        let status = node.ask(&["status", "--json"]).json();
        assert_eq!(status["node"]["blobs"]["lost"], 0);
        let problem = foreign(&node, &["new"]);
        assert!(problem.is_empty(), "{problem}");
        // Quickly: its home is not used again.
        node.end(Signal::KILL);
    }

    fn node(&self, side: Side) -> &Node {
        self.nodes[side as usize].as_ref().expect("it runs")
    }

    /// Bytes that each node has written since its start, to files and sockets.
    fn written(&self) -> [u64; 2] {
        SIDES.map(|side| written(self.node(side).process.id()))
    }

    /// Starts a node, and kills it before it is up.
    fn kill_start(&mut self, side: Side, home: &Path) {
        let target = self.random.below(self.start[side as usize].max(1));
        let mut up = meshwork(home);
        up.args(["up", "--json", "--quiet", "--debug-handlers"]).args(&self.args[side as usize]);
        let mut process = up.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
        eventually("the start writes", || written(process.id()) >= target);
        process.kill().expect("it runs");
        process.wait().expect("it ends");
    }

    /// One round; `until` decides when the nodes are disturbed.
    fn run(&mut self, until: impl Fn(&mut Self, &Load) -> bool) -> (Arc<Load>, RunningLoad) {
        let load = Load::new(self.seed, self.round);
        self.round += 1;
        let mut running = RunningLoad(Some(load.run(&self.socket)), Arc::clone(&load));
        let start = Instant::now();
        while !until(self, &load) {
            assert!(start.elapsed() < PATIENCE, "the round does not end");
            running.check();
            std::thread::sleep(Duration::from_micros(100));
        }
        (load, running)
    }

    /// Ends nodes by `end` at this number of points, spread over the bytes that the first victim
    /// writes in a round, and checks everything after each. Every second time, their first new start
    /// is killed as well.
    pub(crate) fn end_at(
        mut self,
        points: usize,
        mut end: impl FnMut(Vec<(Side, Node)>) -> Vec<(Side, TempDir)>,
    ) -> Seen {
        let mut seen = Seen::default();
        for point in 0..points {
            let victims = VICTIMS[point % VICTIMS.len()];
            let target = self.target(point, points);
            let before = self.written()[victims[0] as usize];
            let (load, running) = self.run(|trial, load| {
                load.is_over() || trial.written()[victims[0] as usize] - before >= target
            });
            seen.late += usize::from(load.is_over());
            *seen.points.entry(format!("{victims:?}")).or_default() += 1;
            let homes = end(victims.iter().map(|side| (*side, self.take(*side))).collect());
            let acknowledged = load.acknowledged();
            let tasks = acknowledged.iter().filter(|item| item.task.is_some()).count();
            let items = acknowledged.len();
            note(&format!(
                "point {point}: {victims:?} after {target} bytes; {items} items, {tasks} tasks"
            ));
            for (side, home) in homes {
                if point % 2 == 1 {
                    self.kill_start(side, home.path());
                }
                let at = SystemTime::now();
                self.start(side, home);
                check_drafts(self.node(side).home.path(), at);
                self.start[side as usize] = written(self.node(side).process.id());
            }
            self.check(&acknowledged);
            self.finish_round(&load, running);
        }
        self.finish(&mut seen);
        seen
    }

    /// The bytes after which the first victim of a point ends.
    fn target(&mut self, point: usize, points: usize) -> u64 {
        // One point in each of as many equal parts as there are turns, in a mixed order. The last
        // bytes of a round are less certain.
        let (turn, turns) = (point / VICTIMS.len(), points.div_ceil(VICTIMS.len()));
        let part = (turn * stride(turns)) % turns;
        let usual = self.usual[VICTIMS[point % VICTIMS.len()][0] as usize];
        let width = (usual * 9 / 10 / turns as u64).max(1);
        part as u64 * width + self.random.below(width)
    }

    fn finish_round(&mut self, load: &Load, running: RunningLoad) {
        running.join();
        assert!(load.is_over());
        self.acknowledged.extend(load.acknowledged());
        self.at_rest();
    }

    fn take(&mut self, side: Side) -> Node {
        self.nodes[side as usize].take().expect("it runs")
    }

    /// What was acknowledged in this round, and some of the earlier rounds, is there.
    fn check(&mut self, acknowledged: &[Acknowledged]) {
        let caller = Caller::new(&self.socket);
        acknowledged.iter().for_each(|item| caller.check_kept(item));
        for _ in 0..3.min(self.acknowledged.len()) {
            let at = self.random.below(self.acknowledged.len() as u64) as usize;
            caller.check_kept(&self.acknowledged[at]);
        }
    }

    /// Waits until no task is open, and checks both stores.
    fn at_rest(&self) {
        for (side, what) in [
            (Side::Owner, "queued"),
            (Side::Owner, "running"),
            (Side::Worker, "held"),
            (Side::Worker, "unacked"),
        ] {
            eventually(&format!("{what} is 0"), || {
                let status = self.node(side).ask(&["status", "--json"]).json();
                status["node"]["tasks"][what] == 0
            });
        }
        for side in SIDES {
            let mut problem = String::new();
            let start = Instant::now();
            // Files of removed blobs are removed by a thread of their own.
            while start.elapsed() < Duration::from_secs(10) {
                problem = foreign(self.node(side), &["new", "partial"]);
                if problem.is_empty() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            assert!(problem.is_empty(), "{side:?}: {problem}");
        }
    }

    /// Restarts both nodes in an orderly way, and checks all that was ever acknowledged.
    fn finish(mut self, seen: &mut Seen) {
        for side in SIDES {
            let home = self.take(side).end(Signal::TERM).1;
            self.start(side, home);
        }
        let caller = Caller::new(&self.socket);
        for item in &self.acknowledged {
            caller.check_kept(item);
            caller.check_end(item);
            seen.tasks += usize::from(item.task.is_some());
        }
        seen.blobs = self.acknowledged.len();
        self.at_rest();
        for side in SIDES {
            let status = self.node(side).ask(&["status", "--json"]).json();
            assert_eq!(status["node"]["blobs"]["lost"], 0, "{side:?}");
        }
    }
}

/// Bytes that a process has written since its start, to files and sockets.
fn written(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.unwrap().parse().unwrap()
}

/// A number without a common divisor with `turns`, near its golden section.
fn stride(turns: usize) -> usize {
    let shares = |at: usize| (2..=at).any(|by| [at, turns].iter().all(|of| of.is_multiple_of(by)));
    (1 + turns * 5 / 8..).find(|at| !shares(*at)).unwrap_or(1)
}

/// The thread of a load. Its panic is that of the trial.
struct RunningLoad(Option<std::thread::JoinHandle<()>>, Arc<Load>);

impl RunningLoad {
    /// Panics if the thread did.
    fn check(&mut self) {
        let is_finished = self.0.as_ref().is_some_and(std::thread::JoinHandle::is_finished);
        if is_finished && !self.1.is_over() {
            self.end();
        }
    }

    fn join(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(Err(panic)) = self.0.take().map(std::thread::JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for RunningLoad {
    fn drop(&mut self) {
        if self.0.is_some() {
            // The trial has failed, and its thread goes on until the process ends.
            self.1.remove_files();
        }
    }
}

/// A start has removed the files that were being written before it.
fn check_drafts(home: &Path, start: SystemTime) {
    for path in list(&home.join("blobs/new")) {
        // The process may have removed or published its own file already.
        let Ok(facts) = fs::metadata(&path) else { continue };
        assert!(facts.modified().unwrap() > start, "a draft is left: {}", path.display());
    }
}

/// What is in a store at rest and does not belong there, or is missing.
/// In `empty` nothing may be.
fn foreign(node: &Node, empty: &[&str]) -> String {
    let blobs = node.home.path().join("blobs");
    let mut expected = BTreeSet::new();
    for blob in node.ask(&["blob", "list", "--json"]).json()["items"].as_array().unwrap() {
        let hash = blob["hash"].as_str().unwrap();
        let size = blob["size"].as_u64().unwrap();
        expected.insert((hash.to_owned(), size));
        let groups = size.div_ceil(64 * 1024);
        if groups > 1 {
            expected.insert((format!("{hash}.tree"), (groups - 1) * 64));
        }
    }
    let mut found = BTreeSet::new();
    for path in list(&blobs.join("data")).iter().flat_map(|dir| list(dir)) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        found.insert((name, fs::metadata(&path).map_or(0, |facts| facts.len())));
    }
    let mut problems = String::new();
    for (what, set) in [
        ("foreign", found.difference(&expected).collect::<Vec<_>>()),
        ("missing", expected.difference(&found).collect()),
    ] {
        if !set.is_empty() {
            problems.push_str(&format!("{what}: {set:?}; "));
        }
    }
    for dir in empty {
        let left = list(&blobs.join(dir));
        if !left.is_empty() {
            problems.push_str(&format!("in {dir}: {left:?}; "));
        }
    }
    problems
}

fn list(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}
