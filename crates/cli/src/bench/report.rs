//! The report of a bench: medians over the rounds, and each round.

use std::fmt;

use serde::Serialize;

use super::{
    BenchArgs,
    child::{MeasuredBurst, Single},
};

/// One round of nodes or floor, or the medians over all rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Measured {
    burst_per_s: f64,
    accepted_p50_us: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us_per_task: f64,
    wire_bytes_per_task: f64,
}

/// Peak resident memory in KiB.
#[derive(Clone, Copy, Debug, Serialize)]
struct PeakRss {
    owner: u64,
    worker: u64,
}

/// All rounds of the nodes or of the floor.
#[derive(Debug, Serialize)]
struct Side {
    #[serde(flatten)]
    medians: Measured,
    peak_rss_kib: PeakRss,
    rounds: Vec<Measured>,
}

/// The complete report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    tasks: u64,
    payload: usize,
    workers: usize,
    window: usize,
    transport: &'static str,
    #[serde(flatten)]
    mesh: Side,
    floor: Side,
    durability: &'static str,
    /// Median time of an fsync in the folder of the nodes' journals, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    fsync_us: Option<f64>,
}

impl Measured {
    pub(super) fn of(burst: MeasuredBurst, single: Single) -> Self {
        Self {
            burst_per_s: burst.per_s.round(),
            accepted_p50_us: round(single.accepted_p50_us),
            p50_us: round(single.p50_us),
            p99_us: round(single.p99_us),
            cpu_us_per_task: round(burst.cpu_us_per_task),
            wire_bytes_per_task: round(burst.wire_bytes_per_task),
        }
    }

    fn median(rounds: &[Self]) -> Self {
        let of = |field: fn(&Self) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(field).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        Self {
            burst_per_s: of(|round| round.burst_per_s),
            accepted_p50_us: of(|round| round.accepted_p50_us),
            p50_us: of(|round| round.p50_us),
            p99_us: of(|round| round.p99_us),
            cpu_us_per_task: of(|round| round.cpu_us_per_task),
            wire_bytes_per_task: of(|round| round.wire_bytes_per_task),
        }
    }
}

impl Side {
    fn of(rounds: Vec<Measured>, (owner, worker): (u64, u64)) -> Self {
        let medians = Measured::median(&rounds);
        Self { medians, peak_rss_kib: PeakRss { owner, worker }, rounds }
    }
}

impl Report {
    /// Creates the report. `rounds` holds the nodes and the floor of each round; the memory is that
    /// of the owner and of the largest worker.
    pub(super) fn of(
        args: &BenchArgs,
        rounds: Vec<(Measured, Measured)>,
        mesh_rss: (u64, u64),
        floor_rss: (u64, u64),
        fsync_us: Option<f64>,
    ) -> Self {
        let (mesh, floor) = rounds.into_iter().unzip();
        Self {
            tasks: args.tasks,
            payload: args.payload,
            workers: args.workers,
            window: args.window,
            transport: match args.transport {
                super::Transport::Tcp => "tcp",
                super::Transport::Quic => "quic",
            },
            mesh: Side::of(mesh, mesh_rss),
            floor: Side::of(floor, floor_rss),
            durability: args.durability.as_str(),
            fsync_us: fsync_us.map(round),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tasks, payload, workers, window, transport, mesh, floor, .. } = self;
        writeln!(
            f,
            "{tasks} tasks of {payload} bytes, {workers} workers, window {window}, {transport}, {}; \
             medians of {} rounds",
            self.durability,
            mesh.rounds.len()
        )?;
        writeln!(
            f,
            "{:<10}{:>12}{:>10}{:>10}{:>12}{:>12}",
            "", "tasks/s", "p50 µs", "p99 µs", "CPU µs/task", "wire B/task"
        )?;
        for (name, side) in [("meshwork", &mesh.medians), ("raw TCP", &floor.medians)] {
            writeln!(
                f,
                "{name:<10}{:>12.0}{:>10.1}{:>10.1}{:>12.2}{:>12.0}",
                side.burst_per_s,
                side.p50_us,
                side.p99_us,
                side.cpu_us_per_task,
                side.wire_bytes_per_task
            )?;
        }
        let PeakRss { owner, worker } = mesh.peak_rss_kib;
        write!(f, "peak memory: owner {owner} KiB, worker {worker} KiB")?;
        let accepted = mesh.medians.accepted_p50_us;
        write!(f, "\naccepted after {accepted:.1} µs (p50)")?;
        match self.fsync_us {
            Some(fsync) => write!(f, "; one fsync: {fsync:.0} µs"),
            None => Ok(()),
        }
    }
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
