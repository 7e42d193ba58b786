//! What the exit codes mean, and which one a task's end gives.

use meshwork_api::{ErrorCode, TaskView};

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
    let own = || error.exit.filter(|exit| (1..=LAST_OF_TASK).contains(exit)).unwrap_or(FAILED);
    listed(&OF_TASK, &error.code).unwrap_or_else(own)
}

/// The last code that is a task's own.
const LAST_OF_TASK: u8 = 123;

/// The exit code for an error of the API, by its code.
pub(crate) fn of_code(code: &ErrorCode) -> u8 {
    listed(&ALONE, code).unwrap_or(FAILED)
}

/// The exit code for an error with this code beside a task, whose own codes end at 123.
pub(crate) fn beside_task(code: &ErrorCode) -> u8 {
    listed(&BESIDE_TASK, code).unwrap_or(OWN_FAILURE)
}

/// Codes by the exit code that they give.
type Exits = [(u8, &'static [ErrorCode])];

fn listed(exits: &Exits, code: &ErrorCode) -> Option<u8> {
    exits.iter().find(|(_, codes)| codes.contains(code)).map(|(exit, _)| *exit)
}

/// Of tasks, in place of an exit code of their own.
const OF_TASK: [(u8, &[ErrorCode]); 4] = [
    (TIME_LIMIT, &[ErrorCode::Expired, ErrorCode::TimedOut]),
    (NO_HANDLER, &[ErrorCode::UnknownHandler]),
    (REFUSED, &[ErrorCode::Refused]),
    // Nothing that the task did.
    (OWN_FAILURE, &[ErrorCode::Lost, ErrorCode::Cancelled]),
];

/// Of commands whose exit code is their own.
const ALONE: [(u8, &[ErrorCode]); 4] = [
    (UNREACHABLE, &[ErrorCode::Unreachable]),
    (
        NOT_FOUND,
        &[ErrorCode::NotFound, ErrorCode::Forgotten, ErrorCode::PeerNotFound, ErrorCode::Ambiguous],
    ),
    (
        DENIED,
        &[
            ErrorCode::Denied,
            ErrorCode::NotAccepted,
            ErrorCode::NotAdmitted,
            ErrorCode::WrongNetwork,
        ],
    ),
    (
        USAGE,
        &[
            ErrorCode::BadRequest,
            ErrorCode::InvalidTask,
            ErrorCode::TooLarge,
            ErrorCode::UnknownFamily,
            ErrorCode::BadConfig,
        ],
    ),
];

/// Of commands whose exit code is that of a task.
const BESIDE_TASK: [(u8, &[ErrorCode]); 2] = [
    (NO_HANDLER, &[ErrorCode::UnknownHandler]),
    (
        REFUSED,
        &[
            ErrorCode::Denied,
            ErrorCode::NotAccepted,
            ErrorCode::NotAdmitted,
            ErrorCode::WrongNetwork,
            ErrorCode::QueueFull,
            ErrorCode::DiskFull,
            ErrorCode::Busy,
            ErrorCode::Recovering,
            ErrorCode::ShuttingDown,
            ErrorCode::Conflict,
        ],
    ),
];
