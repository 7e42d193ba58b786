//! What the executor tells its driver.

use std::time::Duration;

use meshwork_core::{AttemptEnd, engine::RunId};

/// News of an attempt that runs outside the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// It has ended. Always the last report of its attempt, and never lost while the channel is
    /// open: it waits for room.
    Ended(Ended),
    /// Its handler says how far it is. Dropped when the channel is full.
    Progress {
        /// Which execution.
        run: RunId,
        /// From 0 to 1.
        fraction: f32,
        /// In the handler's words, at most [`MESSAGE_BYTES`](meshwork_core::limits::MESSAGE_BYTES).
        message: String,
    },
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which execution.
    pub run: RunId,
    /// How it ended. The output is at most
    /// [`INLINE_BYTES`](meshwork_core::limits::INLINE_BYTES).
    pub end: AttemptEnd,
    /// From the start of the attempt to its end, waits for a free thread included.
    pub took: Duration,
}
