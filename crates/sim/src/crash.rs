//! Crash points: a node dies exactly at a named step of what it does, just before or just after it.
//!
//! The steps are those of a task's way through its owner (A) and its worker (B). Three that one may
//! look for are no steps of the engine: A9, the check of a result, which it does not make; B3, a
//! record of what was accepted, which is not kept (what is taken lives in memory until it is
//! finished, so that this is B4); B12, the collection of what was acknowledged: here it is one with
//! B11, and in a node the journal's own affair.

use std::{fmt, time::Duration};

use meshwork_core::{Epoch, ToOwner, ToWorker, engine::Record};

use crate::{FaultKind, event::Event, world::World};

/// A step at which a node may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrashPoint {
    /// An owner is handed a task.
    A1,
    /// It commits what it has accepted.
    A2,
    /// It answers the submit.
    A3,
    /// It has chosen a worker. Nothing is committed here: epochs of a new start fence off the old.
    A4,
    /// It sends the assignment.
    A5,
    /// It is told that the worker has taken it.
    A6,
    /// It hears a heartbeat.
    A7,
    /// It receives the result.
    A8,
    /// It commits the end.
    A10,
    /// It acknowledges the result.
    A11,
    /// It tells its caller the end.
    A12,
    /// A worker receives an assignment.
    B1,
    /// It receives one that it knows already.
    B2,
    /// It tells that it has taken an assignment.
    B4,
    /// It starts the execution.
    B5,
    /// It executes: a quarter of that is over, or three.
    B6,
    /// The execution has ended.
    B7,
    /// It commits the result.
    B8,
    /// It sends the result.
    B9,
    /// It receives the acknowledgement.
    B10,
    /// It commits that it needs to keep the result no longer.
    B11,
}

impl CrashPoint {
    /// Those of an owner.
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
    /// Those of a worker.
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

    /// The point of this name, such as `A10`.
    pub fn named(name: &str) -> Option<Self> {
        let all = Self::OWNER.into_iter().chain(Self::WORKER);
        all.into_iter().find(|point| format!("{point:?}") == name)
    }

    /// Whether it is a commit: before it the medium has nothing of it, after it all.
    fn is_commit(self) -> bool {
        matches!(self, Self::A2 | Self::A10 | Self::B8 | Self::B11)
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// On which side of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// The step is not done any more.
    Before,
    /// It is done, and nothing that would follow from it.
    After,
}

/// One crash: whichever node comes to the point at that time dies there, and is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrashAt {
    /// Where.
    pub point: CrashPoint,
    /// On which side of it.
    pub moment: Moment,
    /// At which time, from 1, counted over all nodes.
    pub time: u32,
}

impl fmt::Display for CrashAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.point, self.moment, self.time)
    }
}

/// The crashes of a run, and how far they are.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    /// Those that are still to come, with how often their point was reached.
    ahead: Vec<(CrashAt, u32)>,
    pub(crate) fired: Vec<CrashAt>,
}

impl Crashes {
    pub(crate) fn new(planned: &[CrashAt]) -> Self {
        Self { ahead: planned.iter().map(|crash| (*crash, 0)).collect(), fired: Vec::new() }
    }

    /// Whether any of these steps is one at which to die now.
    fn due(&mut self, points: &[CrashPoint], moment: Moment) -> Option<CrashAt> {
        let mut due = None;
        for (at, (crash, reached)) in self.ahead.iter_mut().enumerate() {
            if !points.contains(&crash.point) {
                continue;
            }
            *reached += u32::from(moment == Moment::Before);
            // One that another crash has forestalled has its turn the next time.
            if *reached >= crash.time && moment == crash.moment {
                due = Some(at);
            }
        }
        Some(self.ahead.remove(due?).0)
    }
}

impl World<'_> {
    /// The node is before or after these steps. If it is to die there it does, and the answer is true.
    pub(crate) fn dies(&mut self, index: usize, points: &[CrashPoint], moment: Moment) -> bool {
        if points.is_empty() {
            return false;
        }
        let Some(crash) = self.crashes.due(points, moment) else { return false };
        self.die(index, crash);
        true
    }

    /// An execution that takes so long starts: the node may be to die in the midst of it.
    pub(crate) fn dies_within(&mut self, index: usize, boot: u32, takes: Duration) {
        for (moment, quarters) in [(Moment::Before, 1), (Moment::After, 3)] {
            if let Some(crash) = self.crashes.due(&[CrashPoint::B6], moment) {
                let when = self.now + takes * quarters / 4;
                self.queue.push(when, Event::Die { node: index, boot, crash });
            }
        }
    }

    /// The midst of an execution has come. If the node has died meanwhile, the crash is still to come.
    pub(crate) fn die_within(&mut self, index: usize, boot: u32, crash: CrashAt) {
        if self.nodes.get(index).is_some_and(|node| node.is_up() && node.boot == boot) {
            self.die(index, crash);
        } else {
            self.crashes.ahead.push((crash, crash.time));
        }
    }

    fn die(&mut self, index: usize, crash: CrashAt) {
        self.crashes.fired.push(crash);
        let owner = CrashPoint::OWNER.contains(&crash.point);
        let kind = if owner { FaultKind::OwnerCrash } else { FaultKind::WorkerCrash };
        self.count(kind, format_args!("n{index} at {crash}"));
        let reached = !crash.point.is_commit() && self.rngs.faults.chance(500);
        let slowly = self.rngs.faults.chance(400);
        self.go_down(index, reached, slowly);
    }

    /// Whether crash points matter in this run at all.
    pub(crate) fn watches_points(&self) -> bool {
        !self.crashes.ahead.is_empty()
    }
}

/// What an owner comes to when it hears this.
pub(crate) fn heard_by_owner(frames: &[ToOwner]) -> Vec<CrashPoint> {
    let point = |frame: &ToOwner| match frame {
        ToOwner::Accepted(_) => Some(CrashPoint::A6),
        ToOwner::Heartbeat { .. } => Some(CrashPoint::A7),
        ToOwner::Result { .. } => Some(CrashPoint::A8),
        ToOwner::Credit(_)
        | ToOwner::Busy { .. }
        | ToOwner::Refused { .. }
        | ToOwner::Unsupported { .. }
        | ToOwner::Progress { .. } => None,
    };
    frames.iter().filter_map(point).collect()
}

/// What a worker comes to when it says this.
pub(crate) fn said_by_worker(frames: &[ToOwner]) -> Vec<CrashPoint> {
    let point = |frame: &ToOwner| match frame {
        ToOwner::Accepted(_) => Some(CrashPoint::B4),
        ToOwner::Result { .. } => Some(CrashPoint::B9),
        ToOwner::Credit(_)
        | ToOwner::Busy { .. }
        | ToOwner::Refused { .. }
        | ToOwner::Unsupported { .. }
        | ToOwner::Progress { .. }
        | ToOwner::Heartbeat { .. } => None,
    };
    frames.iter().filter_map(point).collect()
}

/// What an owner comes to when it says this.
pub(crate) fn said_by_owner(frames: &[ToWorker]) -> Vec<CrashPoint> {
    let point = |frame: &ToWorker| match frame {
        ToWorker::Assign(_) => Some(CrashPoint::A5),
        ToWorker::Ack(_) => Some(CrashPoint::A11),
        ToWorker::Cancel(_) | ToWorker::Resume(_) | ToWorker::HandBack(_) => None,
    };
    frames.iter().filter_map(point).collect()
}

/// What a worker comes to when it hears this. `knows` tells whether it has seen an assignment
/// before, and takes it for seen from then on.
pub(crate) fn heard_by_worker(
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

/// What a node comes to when it commits this.
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
        | Record::GroupForgotten { .. } => None,
    };
    records.iter().filter_map(point).collect()
}
