//! What an engine is configured with, and which optional effects it reports.

use std::time::Duration;

use libp2p_identity::PeerId;

use crate::{
    advert::Advert,
    policy::AcceptPolicy,
    reason::Reason,
    task::{Durability, Task},
    time::Time,
};

/// What an engine must know before it starts.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Who this node is.
    pub local: PeerId,
    /// How often this identity has started, at least 1: fences off the attempts of earlier starts.
    pub boot: u32,
    /// All that this node has; tasks of its own may use all of it.
    pub advert: Advert,
    /// Whose tasks run here.
    pub accept: AcceptPolicy,
    /// Attempts that run here at once; 0: none, not even the node's own.
    pub slots: u32,
    /// Lease: a worker that is silent for this long is treated as lost.
    pub lease: Duration,
    /// How often owners are told what runs here.
    pub heartbeat: Duration,
    /// The durability of tasks that do not set their own.
    pub durability: Durability,
    /// Own tasks that may wait or run, at most [`limits::OWNED_TASKS`](crate::limits::OWNED_TASKS).
    pub max_owned: usize,
    /// Bytes of ended tasks that are kept on disk, each of which counts at least
    /// [`limits::ENDED_WEIGHT`](crate::limits::ENDED_WEIGHT).
    pub keep_bytes: u64,
    /// The same of those that are kept in memory only.
    pub memory_bytes: u64,
    /// How long ended tasks are kept, and results for owners that do not fetch them, in time that
    /// the node is up.
    pub keep_results: Duration,
    /// How long the node was up in all its earlier starts.
    pub up_before: Duration,
    /// When this start began.
    pub started: Time,
}

impl EngineConfig {
    /// How long the node has been up at `now`, over all its starts.
    pub(super) fn up(&self, now: Time) -> Time {
        Time::ZERO + self.up_before + now.since(self.started)
    }

    /// Whether a task is to outlive the process.
    pub(super) fn is_durable(&self, task: &Task) -> bool {
        task.durability.unwrap_or(self.durability) == Durability::Disk
    }

    /// The reason given for what was forgotten.
    pub(super) fn forgotten(&self) -> Reason {
        Reason::Forgotten { keep: self.keep_results, keep_bytes: self.keep_bytes }
    }
}

/// Optional effects that somebody subscribes to. Each costs something per task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// [`Effect::TaskChanged`](super::Effect::TaskChanged) and
    /// [`Effect::TaskProgress`](super::Effect::TaskProgress).
    pub tasks: bool,
    /// [`Effect::Message`](super::Effect::Message).
    pub messages: bool,
}
