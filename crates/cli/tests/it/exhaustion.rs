//! Nodes that run out of descriptors, memory, threads, processor time or disk: F-16 to F-19. Each
//! works on with the rest, reports the lack, and recovers when the resource is available again.

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

/// Connections of each kind: several times the smallest limit.
const CONNECTIONS: usize = 300;
/// Number of results of 1 MiB: more than fit into the free pages of a journal.
const LARGE: usize = 12;

fn port(node: &Node) -> u16 {
    node.address().split('/').nth(4).unwrap().parse().unwrap()
}

/// Number of open descriptors of a process.
fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it is alive").count()
}

/// Processor time used by a process.
fn used(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is alive");
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}

/// Runs `tasks` tasks with inputs of `bytes` on `target`; all must succeed.
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

/// An owner without slots, and a worker that is started after the commands in `shell`.
fn pair(shell: &str) -> (Node, Node) {
    let owner = Node::up(&["--name", "ant", "--slots", "0", "--lease", "3s", "--heartbeat", "1s"]);
    let worker = ["--name", "bee", "--accept", "anyone", "--bootstrap", owner.address()];
    let worker = Node::up_after(shell, &worker);
    owner.until_ready(worker.text("peer"));
    (owner, worker)
}

/// F-16: the listener and the local API wait for descriptors without busy loops, existing connections
/// work on, and the node recovers when descriptors are free again.
#[test]
fn node_without_descriptors_works_on_and_recovers() {
    for limit in [32, 64, 128] {
        let (owner, worker) = pair(&format!("ulimit -n {limit}"));
        let pid = worker.process.id();
        let before = descriptors(pid);
        let peers: Vec<TcpStream> = (0..CONNECTIONS)
            .map(|_| TcpStream::connect(("127.0.0.1", port(&worker))).unwrap())
            .collect();
        // The system refuses connections above the backlog of the socket.
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
        assert!(share < 0.5, "{limit}: a busy loop: {share} of a processor");

        drop((peers, users));
        eventually("descriptors are free again", || descriptors(pid) <= before + 2);
        assert_eq!(worker.ask(&["status"]).code, 0);
        if limit == 32 {
            let page = worker.ask(&["metrics"]).stdout;
            let errors = page.lines().find(|line| line.starts_with("network_errors_total"));
            assert!(errors.is_some_and(|line| !line.ends_with(" 0")), "{errors:?}");
        }
        let late = ["--name", "cat", "--bootstrap", worker.address()];
        let late = Node::up(&late);
        late.until_ready(worker.text("peer"));
    }
}

/// F-17: the waiting attempts of a worker are bounded, so that little memory is enough. When the
/// system kills a worker for its memory, its owner loses time but no task.
#[test]
fn worker_killed_for_its_memory_loses_no_task() {
    let Some(group) = Group::new("memory") else { return };
    let (owner, worker) = pair(&group.joining());
    run(&owner, "bee", 20, 100);
    let pid = worker.process.id();

    // Less than the inputs of the next attempts.
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

/// F-19: a worker with a fifth of a processor is slow but not lost: no attempt is repeated.
#[test]
fn slow_worker_is_not_lost() {
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

/// F-18: a node that cannot start threads runs tasks on the existing ones, and reports the lack.
#[test]
fn node_without_threads_works_on_and_recovers() {
    let Some(group) = Group::new("pids") else { return };
    let (owner, worker) = pair(&group.joining());
    assert_eq!(worker.ills(), [""; 0]);
    group.set("pids.max", 1);
    eventually("it reports that it cannot measure the machine", || {
        worker.ills().iter().any(|ill| ill.contains("no thread can be started"))
    });
    run(&owner, "bee", 20, 100);
    group.set("pids.max", 1_000);
    eventually("it is healthy again", || worker.ills().is_empty());
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

/// A backup that runs out of space at any point leaves no files, and the node works on; with space it
/// succeeds in the same folder.
#[test]
fn backup_without_space_leaves_no_files() {
    let name = "exhaustion::backup_without_space_leaves_no_files";
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
        let answer = backup();
        if answer.code == 0 {
            break;
        }
        failures += 1;
        assert_eq!(answer.code, 1, "{pages} pages: {answer:?}");
        let error: Value = serde_json::from_str(&answer.stderr).unwrap();
        assert_eq!(error["error"]["code"], "disk_full", "{pages} pages: {answer:?}");
        let left = fs::read_dir(&copy).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{pages} pages: {:?}", fs::read_dir(&copy));
        assert_eq!(submit(), 0, "{pages} pages");
    }
    assert!(failures > 3, "{failures}");
    fs::remove_file(&filling).unwrap();
    let home = copy.to_str().unwrap();
    let whole = node.ask(&["store", "verify", "--home", home, "--json"]);
    assert_eq!(whole.json()["open"], failures + 1);
    // The namespace unmounts the disk when it ends.
    std::mem::forget(disk);
}

/// Submits tasks of 1 MiB for a worker with the capability `large`, and returns their ids.
fn submit_large(node: &Node, dir: &Path) -> Vec<String> {
    let input = dir.join("input");
    fs::write(&input, vec![b'x'; 1 << 20]).unwrap();
    let input = format!("@{}", input.display());
    let submit = || node.ask(&["submit", "text/upper", &input, "--capability", "large"]);
    (0..LARGE).map(|_| submit().stdout.trim().to_owned()).collect()
}

/// With a full disk, a node keeps its durable tasks and runs tasks in memory; it accepts durable
/// tasks again when there is space.
#[test]
fn node_with_a_full_disk_works_on_and_recovers() {
    let name = "exhaustion::node_with_a_full_disk_works_on_and_recovers";
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
    // A durable task that waits for a worker.
    let waiting = node.ask(&["submit", "text/upper", "kept", "--capability", "late"]);
    assert_eq!(waiting.code, 0, "{waiting:?}");
    let id = waiting.stdout.trim().to_owned();
    fill();
    eventually("it refuses durable tasks", || {
        // The reserved space of the journal may hold a few.
        let refused = node.ask(&["submit", "text/upper", "more", "--capability", "late"]);
        refused.code != 0 && refused.stderr.contains("disk of the node's home is full")
    });
    // The node has freed some space: fill that too.
    fill();
    assert_eq!(node.ask(&["run", "text/upper", "a", "--durability", "memory"]).stdout, "A");
    let trust = || node.ask(&["peers", "trust", other.text("peer")]);
    trust().error(1, &["No space left", "trusted"]);
    assert!(node.ask(&["status", "--json"]).stdout.contains("\"disk: "));

    fs::remove_file(&filling).unwrap();
    eventually("it accepts again", || node.ask(&["run", "text/upper", "a"]).stdout == "A");
    assert_eq!(trust().code, 0);
    // Results that arrive while the disk is full are computed again after the next start.
    let joining = ["--accept", "anyone", "--capability", "large", "--bootstrap", node.address()];
    let worker = Node::up(&joining);
    node.until_ready(worker.text("peer"));
    assert_eq!(node.ask(&["peers", "trust", worker.text("peer")]).code, 0);
    let worker = worker.end(Signal::TERM).1;
    let large = submit_large(&node, other.home.path());
    fill();
    eventually("it refuses again", || {
        node.ask(&["submit", "text/upper", "more", "--capability", "late"]).code != 0
    });
    fill();
    let worker = Node::up_in(worker, &joining);
    eventually("all results have arrived", || {
        let succeeded = ["state=\"succeeded\""];
        sum(&page(&node), "meshwork_tasks_ended_total", &succeeded) >= LARGE as f64
    });
    // The node does not report a success before it is on disk.
    let shown = node.ask(&["status", "--json"]).json()["node"]["tasks"]["succeeded"].as_u64();
    assert!(shown.unwrap() < LARGE as u64, "{shown:?}");
    let (status, home) = node.end(Signal::TERM);
    assert!(status.success(), "it stops without an error");
    // Closing the journal may have freed some space.
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
