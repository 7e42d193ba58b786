//! The outcome of a run: a report, or the invariant that it broke.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{crash::CrashAt, faults::FaultKind};

/// A property that must hold under all faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// H1: an answered submit is known after any restart.
    AnsweredIsKnown,
    /// H2: a task has exactly one end, within its limit, and the end never changes.
    OneEnd,
    /// H3: a result was produced by an execution of an attempt of that task.
    ResultWasProduced,
    /// H4: an attempt runs at most once per boot of its worker.
    RunsOnce,
    /// H5: a finished result is eventually delivered and acknowledged.
    ResultIsDelivered,
    /// R4: a finished durable result stays on its worker's disk until its owner has stored it.
    ResultIsKept,
    /// H6: a cancelled task does not succeed.
    CancelledStays,
    /// H7: the same idempotency key names the same task.
    SameKeySameTask,
    /// The engine's counts equal the number of its tasks.
    Accounts,
    /// An owner connected to its worker does not wait for long for an attempt that the worker does
    /// not have.
    NoMissingAttempt,
    /// Without faults all work ends in bounded time.
    WorkEnds,
    /// H8: when all tasks have ended, the engine's tables are empty.
    NothingLeft,
    /// No table of an engine is ever larger than its bound.
    Bounds,
    /// H9: no durable fact is reported before it is on the medium.
    DurableBeforeReported,
    /// A task does not wait while a suitable worker is free.
    NoIdleWorker,
    /// The counts of a group equal the states of its members, also after a restart.
    GroupCounts,
    /// A group that was cancelled or has too many failures starts no further member, also after a
    /// restart; other groups cancel none.
    GroupStops,
    /// A task is at one worker, or at two if it is hedged.
    AtMostTwo,
    /// A worker that still runs an ended task receives a cancel.
    NoWaste,
    /// Tasks go only to workers that their owner trusts.
    OnlyTrusted,
    /// Every refusal and failure has a cause.
    RefusalHasCause,
    /// A blob stays on disk while a task, a kept result or a folder needs it, also over a restart.
    BlobIsKept,
    /// An attempt starts only when all bytes of its input are at its worker, and its owner has shown
    /// them.
    InputIsThere,
    /// A task succeeds only when all bytes of its output are on its owner's disk.
    OutputIsThere,
    /// A node sends blobs only to peers of whose tasks they are inputs or outputs.
    OnlyGiven,
    /// The bytes that an engine counts for blobs are those on its disk.
    BlobSpace,
    /// No code panics.
    NoPanic,
}

impl Invariant {
    /// All invariants.
    pub const ALL: [Self; 27] = [
        Self::AnsweredIsKnown,
        Self::OneEnd,
        Self::ResultWasProduced,
        Self::RunsOnce,
        Self::ResultIsDelivered,
        Self::ResultIsKept,
        Self::CancelledStays,
        Self::SameKeySameTask,
        Self::Accounts,
        Self::NoMissingAttempt,
        Self::WorkEnds,
        Self::NothingLeft,
        Self::Bounds,
        Self::DurableBeforeReported,
        Self::NoIdleWorker,
        Self::GroupCounts,
        Self::GroupStops,
        Self::AtMostTwo,
        Self::NoWaste,
        Self::OnlyTrusted,
        Self::RefusalHasCause,
        Self::BlobIsKept,
        Self::InputIsThere,
        Self::OutputIsThere,
        Self::OnlyGiven,
        Self::BlobSpace,
        Self::NoPanic,
    ];

    /// The invariant in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnsweredIsKnown => "H1: an answered submit is known after any restart",
            Self::OneEnd => "H2: a task has exactly one end, within its limit, that never changes",
            Self::ResultWasProduced => "H3: a result was produced by an execution of its task",
            Self::RunsOnce => "H4: an attempt runs at most once per boot of its worker",
            Self::ResultIsDelivered => "H5: a finished result is delivered and acknowledged",
            Self::ResultIsKept => "R4: a result stays on its worker's disk until its owner has it",
            Self::CancelledStays => "H6: a cancelled task does not succeed",
            Self::SameKeySameTask => "H7: the same idempotency key names the same task",
            Self::Accounts => "the engine's counts equal its tasks",
            Self::NoMissingAttempt => "an owner does not wait for attempts that no worker has",
            Self::WorkEnds => "without faults all work ends",
            Self::NothingLeft => "H8: the tables are empty when all tasks have ended",
            Self::Bounds => "no table is larger than its bound",
            Self::DurableBeforeReported => "H9: no durable fact is reported before it is on disk",
            Self::NoIdleWorker => "a task does not wait while a worker is free",
            Self::GroupCounts => "a group's counts equal the states of its members",
            Self::GroupStops => "a group that must stop stays stopped, and no other stops",
            Self::AtMostTwo => "a task is at one worker, or at two if it is hedged",
            Self::NoWaste => "a worker that runs an ended task receives a cancel",
            Self::OnlyTrusted => "tasks go only to workers that their owner trusts",
            Self::RefusalHasCause => "every refusal and failure has a cause",
            Self::BlobIsKept => "a blob stays while a task, a result or a folder needs it",
            Self::InputIsThere => "an attempt starts with its input, which its owner has shown",
            Self::OutputIsThere => "a task succeeds with its output on its owner's disk",
            Self::OnlyGiven => "a blob goes only to nodes that were given it",
            Self::BlobSpace => "the space of blobs is that of their files",
            Self::NoPanic => "no code panics",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number of tasks by their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Tasks with a result.
    pub succeeded: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks that a caller or a group cancelled.
    pub cancelled: u64,
    /// Tasks that reached a time limit.
    pub expired: u64,
    /// Tasks in memory that were lost with their owner's process.
    pub lost: u64,
    /// Tasks that were forgotten before their end was reported, because their owner died.
    pub unreported: u64,
    /// Members that were refused because their group had ended.
    pub refused: u64,
}

impl Ends {
    /// The sum of all counts.
    pub fn total(&self) -> u64 {
        self.succeeded
            + self.failed
            + self.cancelled
            + self.expired
            + self.lost
            + self.unreported
            + self.refused
    }
}

/// A run in which all invariants held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed; the same seed repeats the run.
    pub seed: u64,
    /// Number of injected faults by kind; a missing kind was not injected.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Crashes at named points that happened, in order. They also count as faults.
    pub crashes: Vec<CrashAt>,
    /// Tasks by their end.
    pub ends: Ends,
    /// Median time from a task's submission to its end.
    pub median_time: Duration,
    /// 99th percentile of the time from a task's submission to its end.
    pub p99_time: Duration,
    /// Number of executions started.
    pub executions: u64,
    /// Number of executions that were hedges: another attempt of the task was running.
    pub hedged: u64,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// Number of events handled.
    pub steps: u64,
    /// Hash of the trace: runs with equal hashes were equal.
    pub trace_hash: u64,
    /// The trace, if [`Scenario::keep_trace`](crate::Scenario::keep_trace) asked for it.
    pub trace: String,
}

/// A run that broke an invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: broken: {invariant}\n{details}\nreplay: {replay}\n{trace}")]
pub struct Failure {
    /// The seed; the same seed repeats the run.
    pub seed: u64,
    /// The invariant that did not hold.
    pub invariant: Invariant,
    /// The task, node or call, and the observed values.
    pub details: String,
    /// How to repeat the run.
    pub replay: String,
    /// The trace up to the failure: all of it if `keep_trace` is set, else the last lines.
    pub trace: String,
}

/// The invariant that did not hold, and the details.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) invariant: Invariant,
    pub(crate) details: String,
}

impl Broken {
    pub(crate) fn new(invariant: Invariant, details: impl Into<String>) -> Self {
        Self { invariant, details: details.into() }
    }
}

/// The outcome of a step: an error if an invariant is broken.
pub(crate) type Step = Result<(), Broken>;
