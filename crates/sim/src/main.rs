//! `meshwork-sim`: runs the default scenario, or a varied one, from many seeds, or shows the history
//! of one.
//!
//! Absent on purpose: all other scenarios. Those are a few lines of Rust, as in `examples/`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::{collections::BTreeMap, process::ExitCode, time::Instant};

use meshwork_sim::{FaultKind, Invariant, Report, Scenario};

const USAGE: &str = "\
usage: meshwork-sim [--varied] [--seeds N] [--from K]
           run the seeds K to K+N-1; 1000 from 0 by default
       meshwork-sim [--varied] --seed N
           run one seed and print its trace
       --varied: another network for every seed, not the default one";

enum Ask {
    Many { from: u64, seeds: u64 },
    One(u64),
    Help,
}

/// The scenario of a seed.
type Choice = fn(u64) -> Scenario;

fn main() -> ExitCode {
    let (ask, choice) = match parse(std::env::args().skip(1)) {
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
        Ask::One(seed) => one(seed, choice),
        Ask::Many { from, seeds } => many(from, seeds, choice),
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(Ask, Choice), String> {
    let (mut from, mut seeds, mut seed) = (0, 1_000, None);
    let mut choice: Choice = |_| Scenario::default();
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
            value.parse::<u64>().map_err(|_| format!("{argument}: {value} is not a number"))
        };
        match argument.as_str() {
            "--seeds" => seeds = number()?,
            "--from" => from = number()?,
            "--seed" => seed = Some(number()?),
            "--varied" => choice = Scenario::varied,
            "--help" | "-h" => return Ok((Ask::Help, choice)),
            other => return Err(format!("what is {other}?")),
        }
    }
    Ok((seed.map_or(Ask::Many { from, seeds }, Ask::One), choice))
}

fn one(seed: u64, choice: Choice) -> ExitCode {
    let scenario = Scenario { keep_trace: true, ..choice(seed) };
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

fn many(from: u64, seeds: u64, choice: Choice) -> ExitCode {
    let began = Instant::now();
    let mut reports = Vec::new();
    for seed in from..from.saturating_add(seeds) {
        match choice(seed).run(seed) {
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
    let (mut executions, mut steps, mut seconds) = (0, 0, 0.0);
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
         expired, {lost} were not to outlive their owner",
        reports.len()
    );
    println!(
        "{executions} executions, {steps} steps, {:.1} hours of virtual time",
        seconds / 3_600.0
    );
}
