//! The exit codes, and the mapping of errors and ended tasks to them.

use meshwork_api::{ErrorCode, TaskView};

#[cfg(test)]
mod tests;

/// The command succeeded.
pub(crate) const DONE: u8 = 0;
/// The command failed.
pub(crate) const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub(crate) const USAGE: u8 = 2;
/// The node cannot be reached.
pub(crate) const UNREACHABLE: u8 = 3;
/// No task or peer matches, or several do.
pub(crate) const NOT_FOUND: u8 = 4;
/// The node does not allow it.
pub(crate) const DENIED: u8 = 5;
/// `task explain`: no connected worker can run the task.
pub(crate) const NO_PEER: u8 = 6;
/// `run` and `wait`: a time limit was reached.
pub(crate) const TIME_LIMIT: u8 = 124;
/// `run` and `wait`: the command itself failed, or the task was lost or cancelled.
pub(crate) const OWN_FAILURE: u8 = 125;
/// `run` and `wait`: the node refused the task or its input, or workers refused the task.
pub(crate) const REFUSED: u8 = 126;
/// `run` and `wait`: no worker has the handler.
pub(crate) const NO_HANDLER: u8 = 127;
/// Interrupted by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of `run` and `wait` for an ended task.
pub(crate) fn of_task(task: &TaskView) -> u8 {
    let Some(error) = &task.error else { return DONE };
    let own = || error.exit.filter(|exit| (1..=LAST_OF_TASK).contains(exit)).unwrap_or(FAILED);
    listed(&OF_TASK, &error.code).unwrap_or_else(own)
}

/// The highest exit code that a task can have.
const LAST_OF_TASK: u8 = 123;

/// The exit code for an error of the API.
pub(crate) fn of_code(code: &ErrorCode) -> u8 {
    listed(&ALONE, code).unwrap_or(FAILED)
}

/// The exit code for an error of the API when the command otherwise exits with its task's code, 0
/// to 123.
pub(crate) fn beside_task(code: &ErrorCode) -> u8 {
    listed(&BESIDE_TASK, code).unwrap_or(OWN_FAILURE)
}

/// Error codes, grouped by exit code.
type Exits = [(u8, &'static [ErrorCode])];

fn listed(exits: &Exits, code: &ErrorCode) -> Option<u8> {
    exits.iter().find(|(_, codes)| codes.contains(code)).map(|(exit, _)| *exit)
}

/// For ended tasks, in place of their own exit code.
const OF_TASK: [(u8, &[ErrorCode]); 4] = [
    (TIME_LIMIT, &[ErrorCode::Expired, ErrorCode::TimedOut]),
    (NO_HANDLER, &[ErrorCode::UnknownHandler]),
    (REFUSED, &[ErrorCode::Refused]),
    // The task itself did not fail.
    (OWN_FAILURE, &[ErrorCode::Lost, ErrorCode::Cancelled]),
];

/// For commands with their own exit codes.
const ALONE: [(u8, &[ErrorCode]); 4] = [
    (UNREACHABLE, &[ErrorCode::Unreachable]),
    (
        NOT_FOUND,
        &[
            ErrorCode::NotFound,
            ErrorCode::Forgotten,
            ErrorCode::PeerNotFound,
            ErrorCode::Ambiguous,
            ErrorCode::BlobMissing,
        ],
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
            ErrorCode::InputUnreadable,
            ErrorCode::UnsupportedFile,
            ErrorCode::UnsupportedLink,
            ErrorCode::UnsupportedName,
            ErrorCode::TargetExists,
        ],
    ),
];

/// For commands that exit with their task's code.
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
            ErrorCode::NoSpace,
            ErrorCode::Busy,
            ErrorCode::Recovering,
            ErrorCode::ShuttingDown,
            ErrorCode::Conflict,
        ],
    ),
];
