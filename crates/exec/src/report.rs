//! The reports that the executor sends to the driver.

use std::time::Duration;

use meshwork_blob::Ready;
use meshwork_core::{AttemptEnd, BlobHash, engine::RunId};

/// A report about an attempt that runs in the pool.
#[derive(Debug)]
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
#[derive(Debug)]
pub struct Ended {
    /// The run of the attempt on this node.
    pub run: RunId,
    /// How it ended. An output above [`INLINE_BYTES`](meshwork_core::limits::INLINE_BYTES) is a blob.
    pub end: AttemptEnd,
    /// The blobs of the output. They are complete; the node publishes them before it tells anybody
    /// of the end. Dropping them removes them.
    pub blobs: Vec<Ready>,
    /// Blobs of the input whose stored files the handler wrote to: the node must not use them again
    /// before it has verified them.
    pub written: Vec<BlobHash>,
    /// Time from the attempt's start until its handler returned, including the wait for a free
    /// thread, without the time for storing the output.
    pub took: Duration,
}
