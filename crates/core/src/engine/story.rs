//! What has become of a task so far, in the form in which it outlives the process: how often it was
//! tried, and how the latest attempts ended.
//!
//! A first attempt leaves nothing behind until it ends: its story is that of the end. Only what came
//! to nothing is recorded, and that a task of an earlier life starts on this very machine: it may be
//! the reason why that life ended.

use std::time::Duration;

use libp2p_identity::PeerId;

/// What has become of a task so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Attempts made.
    pub attempts: u32,
    /// Of these, how many failed with their handler.
    pub failures: u32,
    /// And how many were lost with their worker.
    pub crashes: u32,
    /// The latest attempts, at most [`KEPT_ATTEMPTS`](crate::limits::KEPT_ATTEMPTS), and beside them
    /// the one that succeeded or that is about to start.
    pub latest: Vec<PastAttempt>,
}

/// An attempt that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// Which one, from 1.
    pub number: u32,
    /// Where.
    pub peer: PeerId,
    /// How long before the record it was sent.
    pub ago: Duration,
    /// How long it took, from then on.
    pub took: Duration,
    /// How it ended, in words.
    pub end: String,
}

impl Story {
    /// Bytes of the words in it.
    pub(super) fn weight(&self) -> usize {
        self.latest.iter().map(|attempt| attempt.end.len()).sum()
    }
}
