//! The engine's configuration, and the optional effects.

use std::time::Duration;

use libp2p_identity::PeerId;

use crate::{
    advert::Advert,
    policy::AcceptPolicy,
    reason::Reason,
    task::{Durability, Task},
    time::Time,
};

/// The engine's configuration.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// This node's id.
    pub local: PeerId,
    /// The node's boot count, at least 1: it distinguishes attempts of this start from earlier
    /// ones.
    pub boot: u32,
    /// This node's full advert; its own tasks may use all of it.
    pub advert: Advert,
    /// The policy: whose work runs here.
    pub accept: AcceptPolicy,
    /// Attempts that run here at the same time; 0: none, not even the node's own.
    pub slots: u32,
    /// Lease: a worker that is silent for this long is treated as lost.
    pub lease: Duration,
    /// Interval between heartbeats to owners.
    pub heartbeat: Duration,
    /// The durability of tasks that do not set one.
    pub durability: Durability,
    /// Own tasks that may wait or run, at most [`limits::OWNED_TASKS`](crate::limits::OWNED_TASKS).
    pub max_owned: usize,
    /// Bytes of ended tasks kept on disk; each counts at least
    /// [`limits::ENDED_WEIGHT`](crate::limits::ENDED_WEIGHT).
    pub keep_bytes: u64,
    /// Bytes of ended tasks kept in memory only; the same minimum applies.
    pub memory_bytes: u64,
    /// Bytes that blobs may take on disk.
    pub blob_bytes: u64,
    /// Retention of ended tasks, and of results that their owners do not fetch, in time that the
    /// node is up.
    pub keep_results: Duration,
    /// Total uptime of the node in all earlier starts.
    pub up_before: Duration,
    /// When this start began.
    pub started: Time,
}

impl EngineConfig {
    /// The node's uptime at `now`, over all its starts.
    pub(super) fn up(&self, now: Time) -> Time {
        Time::ZERO + self.up_before + now.since(self.started)
    }

    /// Whether a task outlives the process.
    pub(super) fn is_durable(&self, task: &Task) -> bool {
        task.durability.unwrap_or(self.durability) == Durability::Disk
    }

    /// The refusal for a forgotten task or group.
    pub(super) fn forgotten(&self) -> Reason {
        Reason::Forgotten { keep: self.keep_results, keep_bytes: self.keep_bytes }
    }
}

/// The optional effects that somebody subscribes to. Each costs time per task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Emit [`Effect::TaskChanged`](super::Effect::TaskChanged) and
    /// [`Effect::TaskProgress`](super::Effect::TaskProgress).
    pub tasks: bool,
    /// Emit [`Effect::Message`](super::Effect::Message).
    pub messages: bool,
}
