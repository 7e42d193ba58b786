//! What a run tells: a report, or which invariant it broke.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{CrashAt, FaultKind};

/// What must hold, whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// H1: a submit that was answered is known after any restart.
    AnsweredIsKnown,
    /// H2: a task has exactly one end, in time, and it never changes.
    OneEnd,
    /// H3: a result is what an execution of an attempt of that task has produced.
    ResultWasProduced,
    /// H4: an attempt runs once at the most, for each start of its worker.
    RunsOnce,
    /// H5: a finished result is delivered and acknowledged in the end.
    ResultIsDelivered,
    /// R4: a durable result that is finished is on its worker's disk until its owner has it for good.
    ResultIsKept,
    /// H6: what was cancelled does not succeed.
    CancelledStays,
    /// H7: the same idempotency key names the same task.
    SameKeySameTask,
    /// The engine's numbers are those of the tasks that it has.
    Accounts,
    /// An owner that can talk to its worker does not believe for long in an attempt that is not
    /// there.
    NoGhosts,
    /// Without faults all comes to rest in bounded time.
    ComesToRest,
    /// H8: when all has ended, nothing is left in the engine's tables.
    NothingLeft,
    /// No table of an engine is ever larger than its bound.
    Bounds,
    /// H9: nothing that promises durability is told before it is on the medium.
    SafeBeforeTold,
    /// A task does not wait for a worker that is free for it.
    NobodyIdle,
    /// What is counted of a group is what has become of its members, also after a restart.
    GroupCounts,
    /// A group in which too many have failed, or that was cancelled, starts no further member, also after
    /// a restart, and no other cancels any.
    GroupStops,
    /// A task is at one worker, or at two if it asks for a second attempt.
    AtMostTwo,
    /// A worker that goes on with a task which has ended is told to stop.
    NoWaste,
    /// Work goes only to whom its owner trusts.
    OnlyTrusted,
    /// Nobody is refused or told anything without a cause.
    NoFalseBlame,
    /// Nothing panics.
    NoPanic,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::AnsweredIsKnown,
        Self::OneEnd,
        Self::ResultWasProduced,
        Self::RunsOnce,
        Self::ResultIsDelivered,
        Self::ResultIsKept,
        Self::CancelledStays,
        Self::SameKeySameTask,
        Self::Accounts,
        Self::NoGhosts,
        Self::ComesToRest,
        Self::NothingLeft,
        Self::Bounds,
        Self::SafeBeforeTold,
        Self::NobodyIdle,
        Self::GroupCounts,
        Self::GroupStops,
        Self::AtMostTwo,
        Self::NoWaste,
        Self::OnlyTrusted,
        Self::NoFalseBlame,
        Self::NoPanic,
    ];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnsweredIsKnown => "H1: an answered submit is known after any restart",
            Self::OneEnd => "H2: a task has exactly one end, in time, which never changes",
            Self::ResultWasProduced => "H3: a result is what an execution of that task produced",
            Self::RunsOnce => "H4: an attempt runs once for each start of its worker",
            Self::ResultIsDelivered => "H5: a finished result is delivered and acknowledged",
            Self::ResultIsKept => "R4: a result is on its worker's disk until its owner has it",
            Self::CancelledStays => "H6: what was cancelled does not succeed",
            Self::SameKeySameTask => "H7: the same idempotency key names the same task",
            Self::Accounts => "the engine's accounts are those of its tasks",
            Self::NoGhosts => "an owner does not believe in attempts that are not there",
            Self::ComesToRest => "without faults all comes to rest",
            Self::NothingLeft => "H8: nothing is left in the tables when all has ended",
            Self::Bounds => "no table is larger than its bound",
            Self::SafeBeforeTold => "H9: what is told is on the disk before",
            Self::NobodyIdle => "a task does not wait for a worker that is free",
            Self::GroupCounts => "a group's counts are those of its members",
            Self::GroupStops => "a group that is to stop does so for good, and no other",
            Self::AtMostTwo => "a task is at one worker, or at two if it asks for that",
            Self::NoWaste => "a worker that goes on with what has ended is told to stop",
            Self::OnlyTrusted => "work goes only to whom its owner trusts",
            Self::NoFalseBlame => "nobody is refused or told anything without a cause",
            Self::NoPanic => "nothing panics",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How tasks ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// With a result.
    pub succeeded: u64,
    /// With a failure.
    pub failed: u64,
    /// By request.
    pub cancelled: u64,
    /// By a time limit.
    pub expired: u64,
    /// With the process of their owner, which they were not to outlive.
    pub lost: u64,
    /// In a way that was not told before it was forgotten: their owner died over it.
    pub untold: u64,
    /// Not at all: members of groups that were over before they were handed in.
    pub refused: u64,
}

impl Ends {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.succeeded
            + self.failed
            + self.cancelled
            + self.expired
            + self.lost
            + self.untold
            + self.refused
    }
}

/// A run in which everything held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// From which it can be run again.
    pub seed: u64,
    /// Faults injected, by kind; a kind that is not there was not injected.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Crashes at named points that took place, in their order; they are counted as faults as well.
    pub crashes: Vec<CrashAt>,
    /// Tasks by their end.
    pub ends: Ends,
    /// Within this time after it was handed in, half of the tasks had ended.
    pub median_time: Duration,
    /// Within this time, 99 in a hundred.
    pub p99_time: Duration,
    /// Executions started.
    pub executions: u64,
    /// How many of them began while another attempt at the same task was under way, which had taken
    /// unusually long.
    pub hedged: u64,
    /// How much virtual time passed.
    pub virtual_time: Duration,
    /// Events handled.
    pub steps: u64,
    /// Hash of the trace: two runs with the same one were the same.
    pub trace_hash: u64,
    /// The trace, if [`Scenario::keep_trace`](crate::Scenario::keep_trace) asked for it.
    pub trace: String,
}

/// A run that broke an invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: broken: {invariant}\n{details}\nreplay: {replay}\n{trace}")]
pub struct Failure {
    /// From which it can be run again.
    pub seed: u64,
    /// What did not hold.
    pub invariant: Invariant,
    /// Which task, node or call, and what was seen.
    pub details: String,
    /// How to see it again.
    pub replay: String,
    /// The trace up to there: all of it if that was asked for, the last lines otherwise.
    pub trace: String,
}
