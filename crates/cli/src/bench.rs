//! `meshwork bench`: tasks per second and latency on this machine.
//!
//! An owner and some workers run as separate processes on loopback. In the same run, alternating
//! with them, runs the floor: as many processes with the same runtime that echo length-prefixed
//! frames over raw TCP. The bench uses the public API: it submits a task, awaits its result, and
//! compares the bytes.
//!
//! Absent on purpose: absolute judgements. Machines are noisy; only the ratio to the floor of the
//! same round is comparable.

use clap::{Args, ValueEnum};

use meshwork_core::Durability;

use crate::{args::values, failure::Failure, output::Output};

mod child;
mod disk;
mod floor;
mod lanes;
mod mesh;
mod report;

pub(crate) use self::child::{RoleArgs, run_role};
use self::{
    child::{Children, Role},
    report::{Measured, Report},
};

/// Measure tasks per second and latency: an owner and workers as separate processes on loopback.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    /// Tasks in a burst
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) tasks: u64,
    /// Bytes of each task's input, and of its result
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub(crate) payload: usize,
    /// Worker processes
    #[arg(long, value_name = "W", default_value_t = 1)]
    pub(crate) workers: usize,
    /// Maximum number of open tasks
    #[arg(long, value_name = "K", default_value_t = 4_096)]
    pub(crate) window: usize,
    /// Transport of the frames
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    pub(crate) transport: Transport,
    /// Durability of the tasks: memory, or disk, where each answer is written before it is sent (to
    /// the folder for temporary files, see TMPDIR)
    #[arg(long, value_name = "KIND", default_value = "memory", value_parser = values::durability)]
    pub(crate) durability: Durability,
    /// Number of rounds; the medians are printed
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) rounds: usize,
}

/// The transport between the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// TCP with Noise and Yamux.
    Tcp,
    /// QUIC, with TLS 1.3.
    Quic,
}

/// Measures, prints the report, and returns the exit code.
pub(crate) async fn run(args: BenchArgs, out: &Output) -> anyhow::Result<u8> {
    check(&args)?;
    let mut floor = Children::start(&args, Role::FloorOwner, Role::FloorWorker).await?;
    let mut mesh = Children::start(&args, Role::Owner, Role::Worker).await?;
    let singles = args.tasks.clamp(1, SINGLES);
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        out.say(format!("round {round} of {}", args.rounds));
        let floor_burst = floor.burst(args.tasks).await?;
        let mesh_burst = mesh.burst(args.tasks).await?;
        let floor_single = floor.single(singles).await?;
        let mesh_single = mesh.single(singles).await?;
        rounds
            .push((Measured::of(mesh_burst, mesh_single), Measured::of(floor_burst, floor_single)));
    }
    let fsync = (args.durability == Durability::Disk).then(disk::fsync_us).transpose()?;
    let (mesh_rss, floor_rss) = (mesh.peak_rss().await?, floor.peak_rss().await?);
    let report = Report::of(&args, rounds, mesh_rss, floor_rss, fsync);
    mesh.stop().await;
    floor.stop().await;
    if out.json {
        out.value(&report)?
    } else {
        out.line(report.to_string())?
    }
    Ok(crate::exit::DONE)
}

fn check(args: &BenchArgs) -> Result<(), Failure> {
    let wrong = |flag: &str, why: &str| Err(Failure::new(2, "usage", format!("{flag}: {why}")));
    if args.tasks == 0 || args.tasks > MAX_TASKS {
        return wrong("--tasks", "1 to 100,000,000");
    }
    if args.payload > meshwork_core::limits::INLINE_BYTES {
        return wrong("--payload", "must be at most 1,048,576 bytes");
    }
    if args.workers == 0 || args.workers > MAX_WORKERS {
        return wrong("--workers", "1 to 64");
    }
    if args.window == 0 || args.window > MAX_WINDOW {
        return wrong("--window", "1 to 1,000,000");
    }
    if args.rounds == 0 || args.rounds > MAX_ROUNDS {
        return wrong("--rounds", "1 to 1,000");
    }
    Ok(())
}

/// Tasks that run one at a time in each round: enough for a 99th percentile.
const SINGLES: u64 = 2_000;
/// Maximum number of tasks in a burst; keeps the run time bounded.
const MAX_TASKS: u64 = 100_000_000;
/// Maximum number of workers; more do not help on one machine.
const MAX_WORKERS: usize = 64;
/// Maximum number of open tasks: that of a node.
const MAX_WINDOW: usize = meshwork_core::limits::OWNED_TASKS;
/// Maximum number of rounds; keeps the run time bounded.
const MAX_ROUNDS: usize = 1_000;
