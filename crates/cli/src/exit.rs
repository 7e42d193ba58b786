//! What the exit codes mean, and which one a task's end gives.

use meshwork_api::TaskView;

#[cfg(test)]
mod tests;

/// Done.
pub(crate) const DONE: u8 = 0;
/// Failed.
pub(crate) const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub(crate) const USAGE: u8 = 2;
/// The daemon cannot be reached.
pub(crate) const UNREACHABLE: u8 = 3;
/// No such task or peer.
pub(crate) const NOT_FOUND: u8 = 4;
/// Not allowed.
pub(crate) const DENIED: u8 = 5;
/// Of `task explain`: no connected worker can run it.
pub(crate) const NO_PEER: u8 = 6;
/// Of `run` and `wait`: a time limit was reached.
pub(crate) const TIME_LIMIT: u8 = 124;
/// Of `run` and `wait`: anything that is not the task's own failure.
pub(crate) const OWN_FAILURE: u8 = 125;
/// Of `run` and `wait`: the task was refused.
pub(crate) const REFUSED: u8 = 126;
/// Of `run` and `wait`: nobody has the handler.
pub(crate) const NO_HANDLER: u8 = 127;
/// Interrupted by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of `run` and `wait` for a task that has ended.
pub(crate) fn of_task(task: &TaskView) -> u8 {
    let Some(error) = &task.error else { return DONE };
    match error.code.as_str() {
        "expired" | "timed_out" => TIME_LIMIT,
        "unknown_handler" => NO_HANDLER,
        "refused" => REFUSED,
        // Nothing that the task did.
        "lost" | "cancelled" => OWN_FAILURE,
        _ => error.exit.filter(|exit| (1..=LAST_OF_TASK).contains(exit)).unwrap_or(FAILED),
    }
}

/// The last code that is a task's own.
const LAST_OF_TASK: u8 = 123;

/// The exit code for an error of the API, by its code.
pub(crate) fn of_code(code: &str) -> u8 {
    match code {
        "unreachable" => UNREACHABLE,
        "not_found" | "forgotten" | "peer_not_found" | "ambiguous" => NOT_FOUND,
        "denied" | "not_accepted" | "not_admitted" | "wrong_network" => DENIED,
        "bad_request" | "invalid_task" | "too_large" | "unknown_family" | "bad_config" => USAGE,
        _ => FAILED,
    }
}

/// The exit code for the same error beside a task, whose own codes end at 123.
pub(crate) fn beside_task(code: &str) -> u8 {
    match code {
        "unknown_handler" => NO_HANDLER,
        "denied" | "not_accepted" | "not_admitted" | "wrong_network" | "queue_full"
        | "disk_full" | "busy" | "recovering" | "shutting_down" | "conflict" => REFUSED,
        "time_limit" => TIME_LIMIT,
        "interrupted" => INTERRUPTED,
        _ => OWN_FAILURE,
    }
}
