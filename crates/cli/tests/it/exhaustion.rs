//! Nodes that run out of what the system gives: F-16 to F-19, and a full disk. Each goes on with what it has, says
//! what is missing, and is as before once there is more.

use std::{
    fs,
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use bytes::Bytes;
use meshwork_api::{Client, Payload, TaskSpec};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    control_group::Group,
    measured::{page, sum},
    support::{Node, eventually, into_mount_namespace, is_alive, is_inside},
};

/// Of each kind, several times what the smallest limit allows.
const CONNECTIONS: usize = 300;
/// Results of 1 MiB: more than a journal has room for inside.
const LARGE: usize = 12;

fn health(node: &Node) -> (String, String) {
    let health = node.ask(&["status", "--json"]).json()["health"].clone();
    (health["status"].as_str().unwrap().to_owned(), health["reasons"].to_string())
}

fn port(node: &Node) -> u16 {
    node.address().split('/').nth(4).unwrap().parse().unwrap()
}

/// Descriptors that a process has open.
fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it is alive").count()
}

/// Processor time that a process has used.
fn used(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is alive");
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}

/// Runs so many tasks of `bytes` on `target`; all must succeed.
fn run(owner: &Node, target: &str, tasks: usize, bytes: usize) {
    let client = Client::new(Path::new(owner.text("socket")));
    let lane = async |tasks: usize| {
        for _ in 0..tasks {
            let mut spec = TaskSpec::new("debug/echo");
            spec.input = Some(Payload::of(Bytes::from(vec![b'x'; bytes])));
            spec.targets = vec![target.to_owned()];
            let task = client.submit(&spec, Duration::from_secs(60)).await.unwrap();
            assert_eq!(task.state, "succeeded".into(), "{task:?}");
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lanes = 10.min(tasks);
    runtime.block_on(futures::future::join_all((0..lanes).map(|_| lane(tasks / lanes))));
}

/// An owner that runs nothing itself, and a worker of its that was started by a shell after this.
fn pair(shell: &str) -> (Node, Node) {
    let owner = Node::up(&["--name", "ant", "--slots", "0", "--lease", "3s", "--heartbeat", "1s"]);
    let worker = ["--name", "bee", "--accept", "anyone", "--bootstrap", owner.address()];
    let worker = Node::up_after(shell, &worker);
    owner.until_ready(worker.text("peer"));
    (owner, worker)
}

/// F-16: the listener and the local API wait for descriptors without turning in circles, what is
/// connected works on, and all is as before when there are descriptors again.
#[test]
fn a_node_without_descriptors_works_on_and_recovers() {
    for limit in [32, 64, 128] {
        let (owner, worker) = pair(&format!("ulimit -n {limit}"));
        let pid = worker.process.id();
        let before = descriptors(pid);
        let peers: Vec<TcpStream> = (0..CONNECTIONS)
            .map(|_| TcpStream::connect(("127.0.0.1", port(&worker))).unwrap())
            .collect();
        // Those that find no place in the queue of the socket are refused by the system.
        let users: Vec<UnixStream> = (0..CONNECTIONS)
            .map_while(|_| {
                let socket = UnixStream::connect(worker.text("socket")).ok()?;
                socket.set_nonblocking(true).ok().map(|()| socket)
            })
            .collect();
        eventually("no descriptor is left", || descriptors(pid) >= limit.min(before + 64));
        run(&owner, "bee", 20, 100);
        let (start, at_start) = (Instant::now(), used(pid));
        sleep(Duration::from_secs(1));
        let share = (used(pid) - at_start).as_secs_f64() / start.elapsed().as_secs_f64();
        assert!(share < 0.5, "{limit}: it turns in circles: {share} of a processor");

        drop((peers, users));
        eventually("descriptors are free again", || descriptors(pid) <= before + 2);
        assert_eq!(worker.ask(&["status"]).code, 0);
        if limit == 32 {
            let told = worker.ask(&["metrics"]).stdout;
            let errors = told.lines().find(|line| line.starts_with("network_errors_total"));
            assert!(errors.is_some_and(|line| !line.ends_with(" 0")), "{errors:?}");
        }
        let late = ["--name", "cat", "--bootstrap", worker.address()];
        let late = Node::up(&late);
        late.until_ready(worker.text("peer"));
    }
}

/// F-17: what waits at a worker is bounded, so that little memory is enough whatever is sent; one
/// that is killed for want of it costs its owner time and nothing else.
#[test]
fn a_worker_that_is_killed_for_its_memory_loses_no_task() {
    let Some(group) = Group::new("memory") else { return };
    let (owner, worker) = pair(&group.joining());
    run(&owner, "bee", 20, 100);
    let pid = worker.process.id();

    // Less than one round of what comes now.
    let has: u64 = group.get("memory.usage_in_bytes");
    group.set("memory.limit_in_bytes", has + (1 << 20));
    let args = ["--name", "bee", "--accept", "anyone", "--bootstrap", owner.address()];
    let worker = std::thread::scope(|scope| {
        scope.spawn(|| run(&owner, "bee", 60, 1 << 20));
        eventually("it is killed", || !is_alive(pid));
        let (status, home) = worker.end(Signal::KILL);
        assert!(!status.success());
        group.set("memory.limit_in_bytes", 128 << 20);
        Node::up_in_after(home, &group.joining(), &args)
    });
    run(&owner, "bee", 120, 1 << 20);
    assert!(is_alive(worker.process.id()), "128 MiB are enough");
    let done = owner.ask(&["status", "--json"]).json()["node"]["tasks"].clone();
    assert_eq!((&done["succeeded"], &done["failed"]), (&Value::from(200), &Value::from(0)));
}

/// F-19: a worker that gets a fifth of a processor is slow, and not taken for dead: nothing is made
/// twice.
#[test]
fn a_worker_that_starves_is_not_taken_for_dead() {
    let Some(group) = Group::new("cpu") else { return };
    let (owner, worker) = pair(&group.joining());
    group.set("cpu.cfs_period_us", 10_000);
    group.set("cpu.cfs_quota_us", 2_000);
    run(&owner, "bee", 400, 10_000);
    let throttled = group.text("cpu.stat");
    assert!(!throttled.contains("nr_throttled 0\n"), "it starves: {throttled}");
    let of = |node: &Node| node.ask(&["status", "--json"]).json()["node"]["tasks"].clone();
    assert_eq!((&of(&owner)["succeeded"], &of(&owner)["late"]), (&400.into(), &0.into()));
    assert_eq!(of(&worker)["executed"], 400);
}

/// F-18: a node that can start no thread runs tasks on those it has, and says what it cannot do.
#[test]
fn a_node_without_threads_works_on_and_recovers() {
    let Some(group) = Group::new("pids") else { return };
    let (owner, worker) = pair(&group.joining());
    assert_eq!(health(&worker), ("healthy".to_owned(), "[]".to_owned()));
    group.set("pids.max", 1);
    eventually("it says that it cannot measure the machine", || {
        let (status, reasons) = health(&worker);
        status == "degraded" && reasons.contains("no thread can be started")
    });
    run(&owner, "bee", 20, 100);
    group.set("pids.max", 1_000);
    eventually("it is well again", || health(&worker).0 == "healthy");
    run(&owner, "bee", 20, 100);
}

/// A folder with 64 MiB of space.
fn small_disk() -> tempfile::TempDir {
    let disk = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=64m", "none"]).arg(disk.path());
    assert!(mount.status().unwrap().success());
    disk
}

/// Wherever a copy runs out of space, nothing of it is left, and the node works on; with space the same
/// folder has it whole.
#[test]
fn a_copy_for_which_there_is_no_space_leaves_nothing_behind() {
    let name = "exhaustion::a_copy_for_which_there_is_no_space_leaves_nothing_behind";
    if !is_inside(into_mount_namespace(), name) {
        return;
    }
    let node = Node::up(&["--slots", "0"]);
    let submit = || node.ask(&["submit", "text/upper", "kept"]).code;
    assert_eq!(submit(), 0);
    let disk = small_disk();
    let copy = disk.path().join("copy");
    let backup = || node.ask(&["store", "backup", copy.to_str().unwrap(), "--json"]);
    let filling = disk.path().join("filling");
    let mut failures = 0;
    for pages in 0.. {
        let full = fs::write(&filling, vec![0; 65 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        let file = fs::OpenOptions::new().write(true).open(&filling).unwrap();
        file.set_len(file.metadata().unwrap().len() - (pages << 12)).unwrap();
        let told = backup();
        if told.code == 0 {
            break;
        }
        failures += 1;
        assert_eq!(told.code, 1, "{pages} pages: {told:?}");
        let error: Value = serde_json::from_str(&told.stderr).unwrap();
        assert_eq!(error["error"]["code"], "disk_full", "{pages} pages: {told:?}");
        let left = fs::read_dir(&copy).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{pages} pages: {:?}", fs::read_dir(&copy));
        assert_eq!(submit(), 0, "{pages} pages");
    }
    assert!(failures > 3, "{failures}");
    fs::remove_file(&filling).unwrap();
    let home = copy.to_str().unwrap();
    let whole = node.ask(&["store", "verify", "--home", home, "--json"]);
    assert_eq!(whole.json()["open"], failures + 1);
    // The disk goes with the namespace.
    std::mem::forget(disk);
}

/// Tasks for a worker that is capable of `large`, each with 1 MiB; their ids.
fn submit_large(node: &Node, dir: &Path) -> Vec<String> {
    let input = dir.join("input");
    fs::write(&input, vec![b'x'; 1 << 20]).unwrap();
    let input = format!("@{}", input.display());
    let submit = || node.ask(&["submit", "text/upper", &input, "--capability", "large"]);
    (0..LARGE).map(|_| submit().stdout.trim().to_owned()).collect()
}

/// What a node keeps is as it was when its disk is full; it works on with what need not be kept, and
/// goes on by itself when there is space.
#[test]
fn a_node_whose_disk_is_full_works_on_and_recovers() {
    let name = "exhaustion::a_node_whose_disk_is_full_works_on_and_recovers";
    if !is_inside(into_mount_namespace(), name) {
        return;
    }
    let disk = small_disk();
    let node = Node::up_in(tempfile::tempdir_in(disk.path()).unwrap(), &[]);
    let other = Node::up(&[]);
    let filling = disk.path().join("filling");
    let fill = || {
        let full = fs::write(&filling, vec![0; 64 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    };
    // Waits for a worker, and is kept.
    let waiting = node.ask(&["submit", "text/upper", "kept", "--capability", "late"]);
    assert_eq!(waiting.code, 0, "{waiting:?}");
    let id = waiting.stdout.trim().to_owned();
    fill();
    eventually("it refuses what must be kept", || {
        // What was set aside may take a few.
        let refused = node.ask(&["submit", "text/upper", "more", "--capability", "late"]);
        refused.code != 0 && refused.stderr.contains("disk of the node's home is full")
    });
    // And what it has given up is gone as well.
    fill();
    assert_eq!(node.ask(&["run", "text/upper", "a", "--durability", "memory"]).stdout, "A");
    let trust = || node.ask(&["peers", "trust", other.text("peer")]);
    trust().error(1, &["No space left", "trusted"]);
    assert!(health(&node).1.contains("disk"));

    fs::remove_file(&filling).unwrap();
    eventually("it accepts again", || node.ask(&["run", "text/upper", "a"]).stdout == "A");
    assert_eq!(trust().code, 0);
    // Results that come while there is no space are made again after the next start.
    let near = ["--accept", "anyone", "--capability", "large", "--bootstrap", node.address()];
    let worker = Node::up(&near);
    node.until_ready(worker.text("peer"));
    assert_eq!(node.ask(&["peers", "trust", worker.text("peer")]).code, 0);
    let worker = worker.end(Signal::TERM).1;
    let large = submit_large(&node, other.home.path());
    fill();
    eventually("it refuses again", || {
        node.ask(&["submit", "text/upper", "more", "--capability", "late"]).code != 0
    });
    fill();
    let worker = Node::up_in(worker, &near);
    eventually("all results are there", || {
        let came = ["state=\"succeeded\""];
        sum(&page(&node), "meshwork_tasks_ended_total", &came) >= LARGE as f64
    });
    // What is not kept yet is not told.
    let told = node.ask(&["status", "--json"]).json()["node"]["tasks"]["succeeded"].as_u64();
    assert!(told.unwrap() < LARGE as u64, "{told:?}");
    let (status, home) = node.end(Signal::TERM);
    assert!(status.success(), "it stops as it should");
    // A journal that is closed may have given some back.
    fill();
    let up = ["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
    crate::support::ask(home.path(), &up).error(1, &["No space left"]);
    fs::remove_file(&filling).unwrap();
    let joining = ["--capability", "late", "--bootstrap", worker.address()];
    let node = Node::up_in(home, &joining);
    node.until_ready(worker.text("peer"));
    for id in &large {
        assert_eq!(node.ask(&["wait", id]).code, 0);
    }
    assert_eq!(node.ask(&["wait", &id]).code, 0);
    assert_eq!(node.ask(&["task", "result", &id]).stdout, "KEPT");
}
