//! A task's story in the form that the journal stores: how often it was tried, and how its latest
//! attempts ended.
//!
//! A first attempt is not recorded before its end. Only unsuccessful attempts are, and the start of
//! a restored task on this machine: it may have caused the restart.

use std::time::Duration;

use libp2p_identity::PeerId;

/// A task's attempts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Number of attempts made.
    pub attempts: u32,
    /// How many of them failed with their handler.
    pub failures: u32,
    /// How many of them were lost with their worker.
    pub crashes: u32,
    /// The latest attempts, at most [`KEPT_ATTEMPTS`](crate::limits::KEPT_ATTEMPTS), plus the one
    /// that succeeded or is about to start.
    pub latest: Vec<PastAttempt>,
}

/// An attempt that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// The attempt's number, from 1.
    pub number: u32,
    /// The worker.
    pub peer: PeerId,
    /// Time between its sending and the record.
    pub ago: Duration,
    /// Time between its sending and its end.
    pub took: Duration,
    /// How it ended, in words.
    pub end: String,
}

impl Story {
    /// Bytes of the messages in it.
    pub(super) fn weight(&self) -> usize {
        self.latest.iter().map(|attempt| attempt.end.len()).sum()
    }
}
