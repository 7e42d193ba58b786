//! The reports that the executor sends to the driver.

use std::time::Duration;

use meshwork_core::{AttemptEnd, engine::RunId};

/// A report about an attempt that runs in the pool.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The attempt has ended. Always the last report of its attempt. It waits for room in the
    /// channel, so it is lost only if the channel is closed.
    Ended(Ended),
    /// The handler reports progress. Dropped when the channel is full.
    Progress {
        /// The run of the attempt on this node.
        run: RunId,
        /// The part that is done, from 0 to 1.
        fraction: f32,
        /// The handler's message, at most [`MESSAGE_BYTES`](meshwork_core::limits::MESSAGE_BYTES).
        message: String,
    },
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The run of the attempt on this node.
    pub run: RunId,
    /// How it ended. The output is at most
    /// [`INLINE_BYTES`](meshwork_core::limits::INLINE_BYTES).
    pub end: AttemptEnd,
    /// Time from the attempt's start to its end, including the wait for a free thread.
    pub took: Duration,
}
