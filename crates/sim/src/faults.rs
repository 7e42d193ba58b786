//! The kinds of faults, and how many of each a run may have.

use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// A worker is killed and comes back.
    WorkerCrash,
    /// An owner is killed and comes back.
    OwnerCrash,
    /// A worker is killed and never comes back.
    WorkerGone,
    /// A worker dies right after it sent a result, before the acknowledgement.
    WorkerVanished,
    /// A node is stopped in order, and comes back later.
    Stop,
    /// A node takes no work for a while.
    Drain,
    /// A worker runs an attempt for very long; it ignores the time limit and stop requests.
    WorkerStall,
    /// A connection closes; frames in flight are lost.
    ConnectionLost,
    /// A session closes while its connection stays open.
    SessionReset,
    /// No node can reach this node for a while.
    Partition,
    /// Packets from one side of a connection are lost until it is closed.
    OneWay,
    /// A connection is slow.
    Delay,
    /// A disk is slow.
    SlowDisk,
    /// An fsync fails: the node stops at once, and restarts from the medium.
    FailedDisk,
    /// A node does not trust a connected peer for a while.
    Distrust,
    /// A node is suspended; when it resumes, its clock has jumped or stood still.
    ClockJump,
    /// A worker sends a result twice.
    ResultTwice,
    /// An owner sends an assignment twice, at once or much later.
    AssignTwice,
    /// A dishonest worker invents an attempt, or a result.
    Lie,
    /// A provider sends other bytes than those of a blob.
    WrongBytes,
    /// An owner claims to have a blob of which it knows only the hash.
    GuessedHash,
    /// The file of a blob is deleted or damaged.
    BlobDamaged,
    /// No blob can be written for a while.
    FullDisk,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 23] = [
        Self::WorkerCrash,
        Self::OwnerCrash,
        Self::WorkerGone,
        Self::WorkerVanished,
        Self::Stop,
        Self::Drain,
        Self::WorkerStall,
        Self::ConnectionLost,
        Self::SessionReset,
        Self::Partition,
        Self::OneWay,
        Self::Delay,
        Self::SlowDisk,
        Self::FailedDisk,
        Self::Distrust,
        Self::ClockJump,
        Self::ResultTwice,
        Self::AssignTwice,
        Self::Lie,
        Self::WrongBytes,
        Self::GuessedHash,
        Self::BlobDamaged,
        Self::FullDisk,
    ];

    /// The name in tables and traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkerCrash => "worker crash",
            Self::OwnerCrash => "owner crash",
            Self::WorkerGone => "worker gone for good",
            Self::WorkerVanished => "worker gone before ack",
            Self::Stop => "node stopped",
            Self::Drain => "node drains",
            Self::WorkerStall => "worker stalls",
            Self::ConnectionLost => "connection lost",
            Self::SessionReset => "session reset",
            Self::Partition => "partition",
            Self::OneWay => "one-way silence",
            Self::Delay => "delay",
            Self::SlowDisk => "slow disk",
            Self::FailedDisk => "failed fsync",
            Self::Distrust => "trust withdrawn",
            Self::ClockJump => "clock jump",
            Self::ResultTwice => "result sent twice",
            Self::AssignTwice => "assignment sent twice",
            Self::Lie => "worker lies",
            Self::WrongBytes => "wrong bytes sent",
            Self::GuessedHash => "hash guessed",
            Self::BlobDamaged => "blob damaged",
            Self::FullDisk => "disk full",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The maximum number of faults of each kind; the seed draws a number from 0 to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// [`FaultKind::WorkerCrash`].
    pub worker_crashes: u32,
    /// [`FaultKind::OwnerCrash`].
    pub owner_crashes: u32,
    /// [`FaultKind::WorkerGone`]. One honest worker is always left.
    pub workers_gone: u32,
    /// [`FaultKind::WorkerVanished`].
    pub workers_vanished: u32,
    /// [`FaultKind::Stop`].
    pub stops: u32,
    /// [`FaultKind::Drain`].
    pub drains: u32,
    /// [`FaultKind::WorkerStall`].
    pub worker_stalls: u32,
    /// [`FaultKind::ConnectionLost`].
    pub connections_lost: u32,
    /// [`FaultKind::SessionReset`].
    pub session_resets: u32,
    /// [`FaultKind::Partition`].
    pub partitions: u32,
    /// [`FaultKind::OneWay`].
    pub one_way: u32,
    /// [`FaultKind::Delay`].
    pub delays: u32,
    /// [`FaultKind::SlowDisk`].
    pub slow_disks: u32,
    /// [`FaultKind::FailedDisk`].
    pub failed_disks: u32,
    /// [`FaultKind::Distrust`].
    pub distrusts: u32,
    /// [`FaultKind::ClockJump`].
    pub clock_jumps: u32,
    /// [`FaultKind::ResultTwice`], per thousand results.
    pub results_twice: u32,
    /// [`FaultKind::AssignTwice`], per thousand assignments.
    pub assigns_twice: u32,
    /// [`FaultKind::Lie`], per thousand frames of the dishonest worker. Unless this is zero, the
    /// last node is dishonest in every other run.
    pub lies: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            worker_crashes: 4,
            owner_crashes: 2,
            workers_gone: 1,
            workers_vanished: 3,
            stops: 2,
            drains: 2,
            worker_stalls: 3,
            connections_lost: 5,
            session_resets: 4,
            partitions: 2,
            one_way: 2,
            delays: 3,
            slow_disks: 3,
            failed_disks: 2,
            distrusts: 2,
            clock_jumps: 2,
            results_twice: 30,
            assigns_twice: 30,
            lies: 50,
        }
    }
}

impl Faults {
    /// A run without faults.
    pub fn none() -> Self {
        Self {
            worker_crashes: 0,
            owner_crashes: 0,
            workers_gone: 0,
            workers_vanished: 0,
            stops: 0,
            drains: 0,
            worker_stalls: 0,
            connections_lost: 0,
            session_resets: 0,
            partitions: 0,
            one_way: 0,
            delays: 0,
            slow_disks: 0,
            failed_disks: 0,
            distrusts: 0,
            clock_jumps: 0,
            results_twice: 0,
            assigns_twice: 0,
            lies: 0,
        }
    }

    /// The kinds that are scheduled by time, and the maximum number of each.
    pub(crate) fn scheduled(&self) -> [(FaultKind, u32); 16] {
        [
            (FaultKind::WorkerCrash, self.worker_crashes),
            (FaultKind::OwnerCrash, self.owner_crashes),
            (FaultKind::WorkerGone, self.workers_gone),
            (FaultKind::WorkerVanished, self.workers_vanished),
            (FaultKind::Stop, self.stops),
            (FaultKind::Drain, self.drains),
            (FaultKind::WorkerStall, self.worker_stalls),
            (FaultKind::ConnectionLost, self.connections_lost),
            (FaultKind::SessionReset, self.session_resets),
            (FaultKind::Partition, self.partitions),
            (FaultKind::OneWay, self.one_way),
            (FaultKind::Delay, self.delays),
            (FaultKind::SlowDisk, self.slow_disks),
            (FaultKind::FailedDisk, self.failed_disks),
            (FaultKind::Distrust, self.distrusts),
            (FaultKind::ClockJump, self.clock_jumps),
        ]
    }
}
