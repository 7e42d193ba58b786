//! The processes of a bench. The parent starts them and sends one command per line; a child answers
//! with one line of JSON, and exits when its standard input ends.

use std::{process::Stdio, time::Duration};

use anyhow::Context;
use clap::{Args, ValueEnum};
use meshwork_core::Durability;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{BenchArgs, Transport, floor, mesh};
use crate::args::values;

/// The role of a process in a bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// A node that submits tasks.
    Owner,
    /// A node that echoes inputs.
    Worker,
    /// The client of raw TCP.
    FloorOwner,
    /// An echo server of raw TCP.
    FloorWorker,
}

/// The arguments of a process of a bench.
#[derive(Args, Clone, Debug)]
pub(crate) struct RoleArgs {
    /// Role of the process
    #[arg(value_enum)]
    role: Role,
    /// Bytes of each task's input
    #[arg(long)]
    payload: usize,
    /// Maximum number of open tasks
    #[arg(long)]
    window: usize,
    /// Transport of the frames
    #[arg(long, value_enum)]
    transport: Transport,
    /// Durability of the tasks
    #[arg(long, value_parser = values::durability)]
    durability: Durability,
    /// Addresses of the workers, for an owner
    #[arg(long)]
    worker: Vec<String>,
}

/// The commands of the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Run this many tasks with a full window.
    Burst(u64),
    /// Run this many tasks one at a time.
    Single(u64),
    /// Report the used CPU time and memory.
    Usage,
    /// Trust this peer; for a worker.
    Trust(String),
    /// Stay on the first core if true, else use all.
    Pin(bool),
}

/// The answer to [`Ask::Burst`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Burst {
    pub(super) seconds: f64,
}

/// The answer to [`Ask::Single`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Single {
    /// Time until a task was accepted.
    pub(super) accepted_p50_us: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// CPU time and memory of a process, by `getrusage`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) cpu_us: u64,
    pub(super) peak_rss_kib: u64,
}

/// The first line of every child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// A worker's address, or an owner's peer id.
    pub(super) name: String,
}

/// A burst as the parent measures it, including the CPU time of all processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeasuredBurst {
    pub(super) per_s: f64,
    pub(super) cpu_us_per_task: f64,
    pub(super) wire_bytes_per_task: f64,
}

/// One owner and its workers.
pub(super) struct Children {
    owner: Process,
    workers: Vec<Process>,
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Children {
    /// Starts the workers, then the owner with their addresses.
    pub(super) async fn start(args: &BenchArgs, owner: Role, worker: Role) -> anyhow::Result<Self> {
        let mut workers = Vec::new();
        let mut addresses = Vec::new();
        for _ in 0..args.workers {
            let mut process = Process::start(args, worker, &[])?;
            addresses.push(process.read::<Ready>().await?.name);
            workers.push(process);
        }
        let mut owner = Process::start(args, owner, &addresses)?;
        let name = owner.read::<Ready>().await?.name;
        for worker in &mut workers {
            let () = worker.ask(&Ask::Trust(name.clone())).await?;
        }
        // The first tasks also pay for connections, sessions and first estimates.
        let mut children = Self { owner, workers };
        children.burst(args.tasks.min(WARM_UP)).await?;
        Ok(children)
    }

    pub(super) async fn burst(&mut self, tasks: u64) -> anyhow::Result<MeasuredBurst> {
        let (cpu, wire) = (self.cpu_us().await?, loopback_bytes()?);
        let burst: Burst = self.owner.ask(&Ask::Burst(tasks)).await?;
        let (cpu_after, wire_after) = (self.cpu_us().await?, loopback_bytes()?);
        let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / tasks as f64;
        Ok(MeasuredBurst {
            per_s: tasks as f64 / burst.seconds,
            cpu_us_per_task: each(cpu, cpu_after),
            wire_bytes_per_task: each(wire, wire_after),
        })
    }

    /// Runs one task at a time with all processes on one core. Otherwise it is chance whether the
    /// scheduler puts owner and worker on one core or two, and waking a sleeping core takes longer
    /// than the measured work.
    pub(super) async fn single(&mut self, tasks: u64) -> anyhow::Result<Single> {
        self.pin(true).await?;
        let single = self.owner.ask(&Ask::Single(tasks)).await?;
        self.pin(false).await?;
        Ok(single)
    }

    async fn pin(&mut self, pinned: bool) -> anyhow::Result<()> {
        for process in self.workers.iter_mut().chain([&mut self.owner]) {
            let () = process.ask(&Ask::Pin(pinned)).await?;
        }
        Ok(())
    }

    /// Peak memory of the owner, and of the largest worker.
    pub(super) async fn peak_rss(&mut self) -> anyhow::Result<(u64, u64)> {
        let owner: Usage = self.owner.ask(&Ask::Usage).await?;
        let mut largest = 0;
        for worker in &mut self.workers {
            largest = largest.max(worker.ask::<Usage>(&Ask::Usage).await?.peak_rss_kib);
        }
        Ok((owner.peak_rss_kib, largest))
    }

    async fn cpu_us(&mut self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for process in self.workers.iter_mut().chain([&mut self.owner]) {
            sum += process.ask::<Usage>(&Ask::Usage).await?.cpu_us;
        }
        Ok(sum)
    }

    /// Ends all processes and waits for them.
    pub(super) async fn stop(self) {
        for process in self.workers.into_iter().chain([self.owner]) {
            process.stop().await;
        }
    }
}

impl Process {
    fn start(args: &BenchArgs, role: Role, workers: &[String]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let transport = args.transport.to_possible_value();
        let mut command = Command::new(program);
        command
            .arg("bench-role")
            .arg(role.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned()))
            .args(["--payload", &args.payload.to_string(), "--window", &args.window.to_string()])
            .arg("--transport")
            .arg(transport.map_or_else(String::new, |value| value.get_name().to_owned()))
            .args(["--durability", args.durability.as_str()]);
        for worker in workers {
            command.args(["--worker", worker]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a process of the bench")?;
        let stdin = child.stdin.take().context("a child without standard input")?;
        let stdout = child.stdout.take().context("a child without standard output")?;
        Ok(Self { child, stdin, lines: BufReader::new(stdout).lines() })
    }

    async fn ask<T: DeserializeOwned>(&mut self, ask: &Ask) -> anyhow::Result<T> {
        let mut line = serde_json::to_string(ask)?;
        line.push('\n');
        self.stdin.write_all(line.as_bytes()).await.context("a process of the bench has ended")?;
        self.read().await
    }

    async fn read<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let line = self.lines.next_line().await?.context("a process of the bench has ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    async fn stop(mut self) {
        drop(self.stdin);
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            // Otherwise the child is killed when it is dropped.
            self.child.kill().await.ok();
        }
    }
}

/// Runs one role until standard input ends.
pub(crate) async fn run_role(args: RoleArgs) -> anyhow::Result<u8> {
    let RoleArgs { role, payload, window, transport, durability, worker } = args;
    match role {
        Role::Owner => local(mesh::owner(payload, window, durability, &worker)).await?,
        Role::Worker => mesh::worker(transport, durability).await?,
        Role::FloorOwner => local(floor::owner(payload, window, &worker)).await?,
        Role::FloorWorker => floor::worker().await?,
    }
    Ok(crate::exit::DONE)
}

/// Runs an owner on a [`LocalSet`](tokio::task::LocalSet), where it can spawn its lanes.
async fn local(owner: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::task::LocalSet::new().run_until(owner).await
}

/// A child's connection to its parent.
pub(super) struct Parent {
    lines: Lines<BufReader<tokio::io::Stdin>>,
    stdout: tokio::io::Stdout,
    /// The cores that this process may use.
    cores: CpuSet,
}

impl Parent {
    /// Reports that the child is ready.
    pub(super) async fn greet(name: String) -> anyhow::Result<Self> {
        let lines = BufReader::new(tokio::io::stdin()).lines();
        let cores = sched_getaffinity(Pid::from_raw(0))?;
        let mut parent = Self { lines, stdout: tokio::io::stdout(), cores };
        parent.answer(&Ready { name }).await?;
        Ok(parent)
    }

    /// The next command; `None` when the parent is gone. Answers `Usage` and `Pin` itself.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Ask>> {
        while let Some(line) = self.lines.next_line().await? {
            match serde_json::from_str(&line)? {
                Ask::Usage => self.answer(&usage()?).await?,
                Ask::Pin(pinned) => self.answer(&pin(pinned, &self.cores)?).await?,
                ask @ (Ask::Burst(_) | Ask::Single(_) | Ask::Trust(_)) => return Ok(Some(ask)),
            }
        }
        Ok(None)
    }

    pub(super) async fn answer<T: Serialize>(&mut self, answer: &T) -> anyhow::Result<()> {
        let mut line = serde_json::to_string(answer)?;
        line.push('\n');
        self.stdout.write_all(line.as_bytes()).await?;
        Ok(self.stdout.flush().await?)
    }
}

fn usage() -> anyhow::Result<Usage> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000
            + u64::try_from(time.tv_usec()).unwrap_or(0)
    };
    Ok(Usage {
        cpu_us: micros(usage.user_time()) + micros(usage.system_time()),
        peak_rss_kib: u64::try_from(usage.max_rss()).unwrap_or(0),
    })
}

/// Binds this thread, which does all the work of the process, to its first core; or releases it to
/// all cores again.
fn pin(pinned: bool, cores: &CpuSet) -> nix::Result<()> {
    let mut chosen = *cores;
    if pinned {
        let usable = |core: &usize| cores.is_set(*core).unwrap_or(false);
        chosen = CpuSet::new();
        chosen.set((0..CpuSet::count()).find(usable).unwrap_or(0))?;
    }
    sched_setaffinity(Pid::from_raw(0), &chosen)
}

/// Bytes that crossed the loopback interface, including headers, acknowledgements and unrelated
/// traffic.
fn loopback_bytes() -> anyhow::Result<u64> {
    let text = match std::fs::read_to_string("/proc/net/dev") {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let received = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(received.unwrap_or(0))
}

/// Tasks of the warm-up before the first round.
const WARM_UP: u64 = 20_000;
/// How long a child may take to exit.
const STOP: Duration = Duration::from_secs(5);
