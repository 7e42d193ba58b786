//! Crash points: a node dies exactly at a named step of its work, just before or just after it.
//!
//! The steps follow a task through its owner (A) and its worker (B). Three numbers are not steps of
//! the engine: A9, the check of a result, does not exist. B3, a record of accepted attempts, is not
//! written: an accepted attempt lives in memory until it has finished, so this is B4. B12, the
//! collection of acknowledged results, is part of B11 here and the journal's own task in a node.

use std::fmt;

use meshwork_core::{Epoch, ToOwner, ToWorker, engine::Record};

/// A step at which a node can be made to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrashPoint {
    /// An owner receives a task.
    A1,
    /// The owner commits the accepted task.
    A2,
    /// The owner answers the submit.
    A3,
    /// The owner has chosen a worker. Nothing is committed: a new boot's epochs fence off old ones.
    A4,
    /// The owner sends the assignment.
    A5,
    /// The owner receives the worker's acceptance.
    A6,
    /// The owner receives a heartbeat.
    A7,
    /// The owner receives the result.
    A8,
    /// The owner commits the task's end.
    A10,
    /// The owner acknowledges the result.
    A11,
    /// The owner reports the end to its caller.
    A12,
    /// A worker receives an assignment.
    B1,
    /// The worker receives an assignment that it knows already.
    B2,
    /// The worker accepts an assignment.
    B4,
    /// The worker starts the execution.
    B5,
    /// The worker executes: one or three quarters of the execution time have passed.
    B6,
    /// The execution has ended.
    B7,
    /// The worker commits the result.
    B8,
    /// The worker sends the result.
    B9,
    /// The worker receives the acknowledgement.
    B10,
    /// The worker commits that it no longer keeps the result.
    B11,
}

impl CrashPoint {
    /// The crash points of an owner.
    pub const OWNER: [Self; 11] = [
        Self::A1,
        Self::A2,
        Self::A3,
        Self::A4,
        Self::A5,
        Self::A6,
        Self::A7,
        Self::A8,
        Self::A10,
        Self::A11,
        Self::A12,
    ];
    /// The crash points of a worker.
    pub const WORKER: [Self; 10] = [
        Self::B1,
        Self::B2,
        Self::B4,
        Self::B5,
        Self::B6,
        Self::B7,
        Self::B8,
        Self::B9,
        Self::B10,
        Self::B11,
    ];

    /// The point with this name, such as `A10`.
    pub fn named(name: &str) -> Option<Self> {
        let all = Self::OWNER.into_iter().chain(Self::WORKER);
        all.into_iter().find(|point| format!("{point:?}") == name)
    }

    /// Whether the step is a commit: before it the medium has none of the batch, after it all.
    pub(crate) fn is_commit(self) -> bool {
        matches!(self, Self::A2 | Self::A10 | Self::B8 | Self::B11)
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The side of a step on which a node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// The node dies before the step.
    Before,
    /// The node dies after the step, before anything that follows from it.
    After,
}

/// One crash: the node that reaches the point for the given time dies there, and is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrashAt {
    /// The step.
    pub point: CrashPoint,
    /// The side of the step.
    pub moment: Moment,
    /// At which visit of the step, from 1, counted over all nodes.
    pub time: u32,
}

impl fmt::Display for CrashAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.point, self.moment, self.time)
    }
}

/// The planned crashes of a run, and their counts of visits.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    /// Crashes that have not happened yet, each with the number of visits of its point.
    ahead: Vec<(CrashAt, u32)>,
    happened: Vec<CrashAt>,
}

impl Crashes {
    pub(crate) fn new(planned: &[CrashAt]) -> Self {
        Self { ahead: planned.iter().map(|crash| (*crash, 0)).collect(), happened: Vec::new() }
    }

    /// Takes out a crash that is due at one of these steps.
    pub(crate) fn take_due(&mut self, points: &[CrashPoint], moment: Moment) -> Option<CrashAt> {
        let mut due = None;
        for (at, (crash, reached)) in self.ahead.iter_mut().enumerate() {
            if !points.contains(&crash.point) {
                continue;
            }
            *reached += u32::from(moment == Moment::Before);
            // A crash that another one has preempted happens at the next visit.
            if *reached >= crash.time && moment == crash.moment {
                due = Some(at);
            }
        }
        Some(self.ahead.remove(due?).0)
    }

    /// Plans a crash again that was due, and did not happen.
    pub(crate) fn put_back(&mut self, crash: CrashAt) {
        self.ahead.push((crash, crash.time));
    }

    pub(crate) fn on_happened(&mut self, crash: CrashAt) {
        self.happened.push(crash);
    }

    /// Whether crashes are planned that have not happened.
    pub(crate) fn are_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// The crashes that happened, in order.
    pub(crate) fn into_happened(self) -> Vec<CrashAt> {
        self.happened
    }
}

/// The steps that an owner reaches when it receives these frames.
pub(crate) fn received_by_owner(frames: &[ToOwner]) -> Vec<CrashPoint> {
    let point = |frame: &ToOwner| match frame {
        ToOwner::Accepted(_) => Some(CrashPoint::A6),
        ToOwner::Heartbeat { .. } => Some(CrashPoint::A7),
        ToOwner::Result { .. } => Some(CrashPoint::A8),
        ToOwner::Credit(_)
        | ToOwner::Busy { .. }
        | ToOwner::Refused { .. }
        | ToOwner::Unsupported { .. }
        | ToOwner::Started(_)
        | ToOwner::Progress { .. } => None,
    };
    frames.iter().filter_map(point).collect()
}

/// The steps that a worker reaches when it sends these frames.
pub(crate) fn sent_by_worker(frames: &[ToOwner]) -> Vec<CrashPoint> {
    let point = |frame: &ToOwner| match frame {
        ToOwner::Accepted(_) => Some(CrashPoint::B4),
        ToOwner::Result { .. } => Some(CrashPoint::B9),
        ToOwner::Credit(_)
        | ToOwner::Busy { .. }
        | ToOwner::Refused { .. }
        | ToOwner::Unsupported { .. }
        | ToOwner::Started(_)
        | ToOwner::Progress { .. }
        | ToOwner::Heartbeat { .. } => None,
    };
    frames.iter().filter_map(point).collect()
}

/// The steps that an owner reaches when it sends these frames.
pub(crate) fn sent_by_owner(frames: &[ToWorker]) -> Vec<CrashPoint> {
    let point = |frame: &ToWorker| match frame {
        ToWorker::Assign(_) => Some(CrashPoint::A5),
        ToWorker::Ack(_) => Some(CrashPoint::A11),
        ToWorker::Cancel(_) | ToWorker::Resume(_) | ToWorker::HandBack(_) => None,
    };
    frames.iter().filter_map(point).collect()
}

/// The steps that a worker reaches when it receives these frames. `knows` returns whether the
/// worker has seen an assignment before, and marks it as seen.
pub(crate) fn received_by_worker(
    frames: &[ToWorker],
    mut knows: impl FnMut(Epoch) -> bool,
) -> Vec<CrashPoint> {
    let point = |frame: &ToWorker| match frame {
        ToWorker::Assign(work) if knows(work.epoch) => Some(CrashPoint::B2),
        ToWorker::Assign(_) => Some(CrashPoint::B1),
        ToWorker::Ack(_) => Some(CrashPoint::B10),
        ToWorker::Cancel(_) | ToWorker::Resume(_) | ToWorker::HandBack(_) => None,
    };
    frames.iter().filter_map(point).collect()
}

/// The steps that a node reaches when it commits these records.
pub(crate) fn committed(records: &[Record]) -> Vec<CrashPoint> {
    let point = |record: &Record| match record {
        Record::Submitted { .. } => Some(CrashPoint::A2),
        Record::Ended { .. } => Some(CrashPoint::A10),
        Record::Finished(_) => Some(CrashPoint::B8),
        Record::Released { .. } => Some(CrashPoint::B11),
        Record::Tried { .. }
        | Record::Forgotten { .. }
        | Record::Archived { .. }
        | Record::Dropped { .. }
        | Record::Read { .. }
        | Record::Group(_)
        | Record::Blob(_)
        | Record::GroupForgotten { .. } => None,
    };
    records.iter().filter_map(point).collect()
}
