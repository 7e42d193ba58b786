//! Your own handler in the simulator: how do tasks end that fail at their first attempts?
//!
//! `cargo run --release -p meshwork-sim --example own_handler`

#![expect(clippy::print_stdout, reason = "it is an example")]

use std::{collections::BTreeMap, time::Duration};

use meshwork_core::{FailureCode, Task, TaskFailure, TaskId};
use meshwork_sim::{Failure, Faults, Outcome, Scenario, SimRng};

fn main() -> Result<(), Failure> {
    let scenario = Scenario {
        nodes: 4,
        tasks: 100,
        period: Duration::from_secs(30),
        faults: Faults { worker_crashes: 10, ..Faults::none() },
        ..Scenario::default()
    };
    let mut tries: BTreeMap<TaskId, u32> = BTreeMap::new();
    let handler = |task: &Task, rng: &mut SimRng| {
        let number = tries.entry(task.id).or_default();
        *number += 1;
        let outcome = if *number == 1 {
            Outcome::Failed(TaskFailure::new(FailureCode::Handler, "not at the first try"))
        } else {
            Outcome::Output(format!("{} after {number} tries", task.id).into())
        };
        (rng.millis(10, 200), outcome)
    };
    let report = scenario.run_with(42, handler)?;
    println!("{:?}", report.ends);
    println!("{} executions in {:?}", report.executions, report.virtual_time);
    println!("{:?}", report.faults);
    Ok(())
}
