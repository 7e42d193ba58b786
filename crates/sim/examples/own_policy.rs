//! Your own policies in the simulator: how much do retries help if machines come and go, and only
//! some accept the tasks of strangers?
//!
//! `cargo run --release -p meshwork-sim --example own_policy`

#![expect(clippy::print_stdout, reason = "it is an example")]

use std::time::Duration;

use meshwork_core::{Accept, AcceptPolicy, RetryPolicy, engine::EngineConfig};
use meshwork_sim::{Failure, Faults, Policies, Report, Scenario};

/// Nodes 2 and 3 accept no tasks, 4 and 5 have a GPU.
fn set_up(index: usize, config: &mut EngineConfig) {
    match index {
        2 | 3 => config.accept = AcceptPolicy::default().with("sim", Accept::Nobody),
        4 | 5 => {
            config.advert.labels.insert("gpu".to_owned(), "yes".to_owned());
            config.slots = 4;
        }
        _ => {}
    }
}

/// Every third task needs a GPU; each task has up to `attempts` attempts.
pub(crate) fn run(attempts: u32) -> Result<Report, Failure> {
    let scenario = Scenario {
        nodes: 7,
        owners: 1,
        tasks: 300,
        period: Duration::from_secs(60),
        faults: Faults { worker_crashes: 20, connections_lost: 20, ..Faults::none() },
        ..Scenario::default()
    };
    let mut number = 0;
    let policies = Policies::default().nodes(set_up).tasks(|task, _| {
        number += 1;
        task.retry = RetryPolicy { attempts, crashes: attempts, ..task.retry };
        if number % 3 == 0 {
            task.requirements.labels.insert("gpu".to_owned(), "yes".to_owned());
        }
    });
    scenario.run_as(42, policies)
}

fn main() -> Result<(), Failure> {
    for attempts in [1, 2, 5] {
        let report = run(attempts)?;
        println!(
            "{attempts} attempts: {} of {} succeeded, {} failed; half of them in {:?}, 99 in 100 in \
             {:?}; {} executions",
            report.ends.succeeded,
            report.ends.total(),
            report.ends.failed,
            report.median_time,
            report.p99_time,
            report.executions
        );
    }
    Ok(())
}
