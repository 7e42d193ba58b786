//! `meshwork-sim`: runs a built-in scenario with many seeds, or prints the history of one seed.
//!
//! Absent on purpose: other scenarios. They are a few lines of Rust, as in `examples/`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::{collections::BTreeMap, process::ExitCode, time::Instant};

use meshwork_sim::{CrashPoint, FaultKind, Invariant, Report, Scenario};

const USAGE: &str = "\
usage: meshwork-sim [NETWORK] [--seeds N] [--from K]
           run the seeds K to K+N-1; 1000 from 0 by default
       meshwork-sim [NETWORK] --seed N
           run one seed and print its trace
NETWORK is one of these (optional):
       --varied       another network for every seed
       --groups       groups of tasks whose owners die often
       --blobs        tasks with blobs, in another network for every seed
       --crash A:B    a small network whose owner dies at crash point A and a worker at B; without
                      a seed --crash all runs every pair of points, with 1000 seeds between them
       --large        a thousand nodes for an hour with a hundred thousand tasks; one seed by default";

enum Ask {
    Many { from: u64, seeds: u64 },
    One(u64),
    Help,
}

/// The scenario that a seed runs.
#[derive(Clone, Copy)]
enum Network {
    Default,
    Varied,
    Groups,
    Blobs,
    Large,
    Crash(CrashPoint, CrashPoint),
    /// All pairs of crash points in turn.
    AllCrashes,
}

impl Network {
    fn scenario(self, seed: u64) -> Scenario {
        match self {
            Self::Default => Scenario::default(),
            Self::Varied => Scenario::varied(seed),
            Self::Groups => Scenario::grouped(seed),
            Self::Blobs => Scenario::blobs(seed),
            Self::Large => Scenario::large(),
            Self::Crash(owner, worker) => Scenario::crashing(owner, worker, seed),
            Self::AllCrashes => {
                let pairs = CrashPoint::OWNER.len() * CrashPoint::WORKER.len();
                let pair = usize::try_from(seed).unwrap_or(0) % pairs;
                let (owner, worker) =
                    (pair / CrashPoint::WORKER.len(), pair % CrashPoint::WORKER.len());
                let points = CrashPoint::OWNER.get(owner).zip(CrashPoint::WORKER.get(worker));
                let (owner, worker) = points.unwrap_or((&CrashPoint::A1, &CrashPoint::B1));
                Scenario::crashing(*owner, *worker, seed)
            }
        }
    }

    fn crashes(points: &str) -> Option<Self> {
        if points == "all" {
            return Some(Self::AllCrashes);
        }
        let (owner, worker) = points.split_once(':')?;
        let owner = CrashPoint::named(owner).filter(|point| CrashPoint::OWNER.contains(point))?;
        let worker =
            CrashPoint::named(worker).filter(|point| CrashPoint::WORKER.contains(point))?;
        Some(Self::Crash(owner, worker))
    }
}

fn main() -> ExitCode {
    let (ask, network) = match parse(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(what) => {
            eprintln!("meshwork-sim: {what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match ask {
        Ask::Help => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ask::One(seed) => one(seed, network),
        Ask::Many { from, seeds } => many(from, seeds, network),
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(Ask, Network), String> {
    let (mut from, mut seeds, mut seed) = (0, None, None);
    let mut network = Network::Default;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |value: String| {
            value.parse::<u64>().map_err(|_| format!("{argument}: {value} is not a number"))
        };
        match argument.as_str() {
            "--seeds" => seeds = Some(number(value()?)?),
            "--from" => from = number(value()?)?,
            "--seed" => seed = Some(number(value()?)?),
            "--varied" => network = Network::Varied,
            "--groups" => network = Network::Groups,
            "--blobs" => network = Network::Blobs,
            "--large" => network = Network::Large,
            "--crash" => {
                let points = value()?;
                let found = Network::crashes(&points);
                network = found.ok_or_else(|| format!("--crash: unknown crash points {points}"))?;
            }
            "--help" | "-h" => return Ok((Ask::Help, network)),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    let usual = if matches!(network, Network::Large) { 1 } else { 1_000 };
    let many = Ask::Many { from, seeds: seeds.unwrap_or(usual) };
    Ok((seed.map_or(many, Ask::One), network))
}

fn one(seed: u64, network: Network) -> ExitCode {
    let scenario = Scenario { keep_trace: true, ..network.scenario(seed) };
    match scenario.run(seed) {
        Ok(report) => {
            print!("{}", report.trace);
            summary(&[report]);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            print!("{}", failure.trace);
            eprintln!("seed {seed}: broken: {}\n{}", failure.invariant, failure.details);
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, seeds: u64, network: Network) -> ExitCode {
    let began = Instant::now();
    let mut reports = Vec::new();
    for seed in from..from.saturating_add(seeds) {
        match network.scenario(seed).run(seed) {
            Ok(report) => reports.push(report),
            Err(failure) => {
                eprintln!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    summary(&reports);
    println!("{:.1} s of real time", began.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

fn summary(reports: &[Report]) {
    let mut faults: BTreeMap<FaultKind, u64> = BTreeMap::new();
    let (mut succeeded, mut failed, mut cancelled, mut expired, mut lost) = (0, 0, 0, 0, 0);
    let (mut executions, mut hedged, mut steps, mut seconds) = (0, 0, 0, 0.0);
    for report in reports {
        for (kind, count) in &report.faults {
            *faults.entry(*kind).or_default() += count;
        }
        succeeded += report.ends.succeeded;
        failed += report.ends.failed;
        cancelled += report.ends.cancelled;
        expired += report.ends.expired;
        lost += report.ends.lost;
        executions += report.executions;
        hedged += report.hedged;
        steps += report.steps;
        seconds += report.virtual_time.as_secs_f64();
    }
    println!("faults injected");
    for kind in FaultKind::ALL {
        println!("  {kind:<24} {:>9}", faults.get(&kind).copied().unwrap_or_default());
    }
    println!("invariants that held");
    for invariant in Invariant::ALL {
        println!("  {invariant}");
    }
    println!(
        "{} runs, {succeeded} tasks succeeded, {failed} failed, {cancelled} cancelled, {expired} \
         expired, {lost} in memory lost with their owner",
        reports.len()
    );
    println!(
        "{executions} executions, {hedged} of them hedges, {steps} steps, {:.1} hours of virtual time",
        seconds / 3_600.0
    );
}
