//! `meshwork bench`: how fast it is, on this machine alone.
//!
//! An owner and some workers, each a process of its own, on loopback. Beside them, in the same
//! run and by turns, the floor: processes of the same number and runtime that echo length-prefixed
//! frames over raw TCP. What is measured is the public API: a task is submitted, its result is
//! awaited, its bytes are compared.
//!
//! Absent on purpose: absolute judgements. Machines are noisy; the ratio to the floor of the same
//! round is what can be compared.

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
    /// Tasks of the burst
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) tasks: u64,
    /// Bytes of each task's input, and of its result
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub(crate) payload: usize,
    /// Worker processes
    #[arg(long, value_name = "W", default_value_t = 1)]
    pub(crate) workers: usize,
    /// Tasks that are under way at once
    #[arg(long, value_name = "K", default_value_t = 4_096)]
    pub(crate) window: usize,
    /// What the frames travel over
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    pub(crate) transport: Transport,
    /// What outlives the processes: memory, or disk, where each answer is on disk before (in the
    /// folder for temporary files, see TMPDIR)
    #[arg(long, value_name = "KIND", default_value = "memory", value_parser = values::durability)]
    pub(crate) durability: Durability,
    /// Rounds, of which the medians are told
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) rounds: usize,
}

/// What the frames travel over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// TCP, Noise, Yamux.
    Tcp,
    /// QUIC.
    Quic,
}

/// Measures, prints, and gives the exit code.
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
        return wrong("--payload", "at most 1,048,576 bytes travel with a task");
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

/// Tasks that are run one at a time in a round: enough for a 99th percentile.
const SINGLES: u64 = 2_000;
/// Tasks of a burst; a bound for patience.
const MAX_TASKS: u64 = 100_000_000;
/// Worker processes; one machine has no use for more.
const MAX_WORKERS: usize = 64;
/// Tasks under way at once: what a node may own.
const MAX_WINDOW: usize = meshwork_core::limits::OWNED_TASKS;
/// Rounds; a bound for patience.
const MAX_ROUNDS: usize = 1_000;
