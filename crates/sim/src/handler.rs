//! The simulated handler: it decides how an attempt ends, and computes nothing.

use std::time::Duration;

use bytes::Bytes;
use meshwork_core::{FailureCode, Task, TaskFailure};

use crate::rng::SimRng;

/// How an execution ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A result of these bytes. Make them different for each execution, so that a result of another
    /// execution is noticed.
    Output(Bytes),
    /// A failure.
    Failed(TaskFailure),
}

/// Mostly quick successes, a few failures, and a few runs of several seconds. The output names the
/// task and the execution.
pub fn default_handler(task: &Task, rng: &mut SimRng) -> (Duration, Outcome) {
    let took = match rng.below(100) {
        0..75 => rng.millis(1, 60),
        75..92 => rng.millis(60, 600),
        _ => rng.millis(600, 8_000),
    };
    let failed = |code, words: &str| Outcome::Failed(TaskFailure::new(code, words));
    let outcome = match rng.below(100) {
        0..10 => failed(FailureCode::Handler, "may pass"),
        10..12 => failed(FailureCode::Permanent, "never passes"),
        _ => {
            let mut output = task.id.as_bytes().to_vec();
            output.extend(rng.bytes());
            Outcome::Output(output.into())
        }
    };
    (took, outcome)
}
