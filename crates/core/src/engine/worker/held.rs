//! Attempts that this node holds for owners: waiting, running, or finished and not acknowledged.

use std::time::Duration;

use slab::Slab;

use crate::{
    blob::{BlobHash, BlobRef},
    engine::{input::RunId, keys::PeerKey, kinds::Kind},
    frame::{Assignment, AttemptEnd, Epoch},
    task::TaskId,
    time::Time,
};

/// Names a slot of the table, and which of its successive occupants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct HeldKey {
    index: u32,
    generation: u32,
}

impl HeldKey {
    /// The execution of this attempt.
    pub(super) fn run(self) -> RunId {
        RunId((u64::from(self.generation) << 32) | u64::from(self.index))
    }

    /// The attempt whose execution is `run`.
    pub(super) fn of(run: RunId) -> Self {
        // The inverse of `run`: splits the two halves.
        Self { index: (run.0 & u64::from(u32::MAX)) as u32, generation: (run.0 >> 32) as u32 }
    }
}

/// An attempt that this node holds.
#[derive(Debug)]
pub(super) struct Held {
    generation: u32,
    pub(super) owner: PeerKey,
    pub(super) epoch: Epoch,
    share: Share,
    /// Whether its result outlives the process.
    pub(super) durable: bool,
    /// Its input, if it is a blob: held until the attempt has ended.
    input: Option<Box<BlobHash>>,
    stage: Stage,
}

/// The expected run time of another node's attempt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    /// Its handler; `None` for attempts of this node.
    pub(super) kind: Option<Kind>,
    /// In nanoseconds; 0 if it is unknown.
    pub(super) nanos: u64,
}

/// The part of its owner's credit that an unfinished attempt uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) bytes: u64,
    pub(super) expected: Expected,
}

/// `Staging → Waiting → Running → Finished`; each may end early with `Finished`. Only an attempt whose
/// input has to be fetched is in `Staging`.
#[derive(Debug)]
pub(super) enum Stage {
    /// The input is being fetched. The attempt takes no slot.
    Staging(Box<Assignment>),
    Waiting(Box<Assignment>),
    /// `is_noted`: the execution starts once its record is on disk.
    Running {
        task: TaskId,
        is_noted: bool,
    },
    Finished(Finished),
}

/// The end of an attempt, kept until its owner has acknowledged it.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) end: AttemptEnd,
    /// How long the handler ran.
    pub(super) took: Duration,
    /// When the attempt ended.
    pub(super) since: Time,
    /// Whether the result is in the journal.
    pub(super) recorded: bool,
}

impl Finished {
    /// The blob that is the output, if it is one.
    pub(super) fn output(&self) -> Option<BlobRef> {
        if let AttemptEnd::Output(output) = &self.end { output.blob() } else { None }
    }

    /// Bytes that the kept result counts, at least [`ENTRY`].
    pub(super) fn weight(&self) -> usize {
        ENTRY
            + match &self.end {
                AttemptEnd::Output(output) => output.weight(),
                AttemptEnd::Failed(failure) => failure.message.len(),
                AttemptEnd::Cancelled => 0,
            }
    }
}

/// Bytes that an empty result counts: several times its table entries, so that at most 262,144
/// results are kept.
const ENTRY: usize = 1_024;

impl Held {
    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(super) fn expected(&self) -> Expected {
        self.share.expected
    }

    /// The part of its owner's credit that it uses until it has finished.
    pub(super) fn share(&self) -> Share {
        self.share
    }

    /// Whether it waits for a slot.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }

    /// Whether its input is being fetched.
    pub(super) fn is_staging(&self) -> bool {
        matches!(self.stage, Stage::Staging(_))
    }

    /// Its input, if it is a blob and the attempt has not ended.
    pub(super) fn input(&self) -> Option<BlobHash> {
        self.input.as_deref().copied().filter(|_| self.finished().is_none())
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running { .. })
    }

    pub(super) fn finished(&self) -> Option<&Finished> {
        match &self.stage {
            Stage::Finished(finished) => Some(finished),
            Stage::Staging(_) | Stage::Waiting(_) | Stage::Running { .. } => None,
        }
    }
}

/// The table of held attempts. [`HELD_ATTEMPTS`](crate::limits::HELD_ATTEMPTS) bounds the
/// unfinished ones, [`UNACKED_BYTES`](crate::limits::UNACKED_BYTES) the finished ones.
#[derive(Debug, Default)]
pub(super) struct HeldTable {
    slab: Slab<Held>,
    next_generation: u32,
    running: u32,
    /// Number of attempts that wait or run.
    unfinished: usize,
    unacked_bytes: usize,
}

impl HeldTable {
    /// Inserts an attempt that waits, or whose input is to be fetched first. `None` if the table is
    /// full.
    pub(super) fn insert(
        &mut self,
        owner: PeerKey,
        work: Box<Assignment>,
        share: Share,
        stages: bool,
    ) -> Option<HeldKey> {
        let (epoch, durable) = (work.epoch, work.durable);
        let input = work.input.blob().map(|blob| Box::new(blob.hash));
        let stage = if stages { Stage::Staging(work) } else { Stage::Waiting(work) };
        let key = self.place(|generation| Held {
            generation,
            owner,
            epoch,
            share,
            durable,
            input,
            stage,
        })?;
        self.unfinished += 1;
        Some(key)
    }

    /// Inserts an attempt that finished in an earlier start of the node.
    pub(super) fn insert_finished(
        &mut self,
        owner: PeerKey,
        epoch: Epoch,
        finished: Finished,
    ) -> Option<HeldKey> {
        let bytes = finished.weight();
        let stage = Stage::Finished(finished);
        let share = Share { bytes: 0, expected: Expected::default() };
        let key = self.place(|generation| Held {
            generation,
            owner,
            epoch,
            share,
            durable: true,
            input: None,
            stage,
        })?;
        self.unacked_bytes += bytes;
        Some(key)
    }

    fn place(&mut self, make: impl FnOnce(u32) -> Held) -> Option<HeldKey> {
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).ok()?;
        self.next_generation = self.next_generation.wrapping_add(1);
        entry.insert(make(self.next_generation));
        Some(HeldKey { index, generation: self.next_generation })
    }

    pub(super) fn get(&self, key: HeldKey) -> Option<&Held> {
        self.slab.get(key.index as usize).filter(|held| held.generation == key.generation)
    }

    fn get_mut(&mut self, key: HeldKey) -> Option<&mut Held> {
        self.slab.get_mut(key.index as usize).filter(|held| held.generation == key.generation)
    }

    /// The input of an attempt has arrived: it waits. Returns its owner and its priority; `None`,
    /// without a change, if its input was not being fetched.
    pub(super) fn on_staged(&mut self, key: HeldKey) -> Option<(PeerKey, i8)> {
        let held = self.get_mut(key).filter(|held| held.is_staging())?;
        let placeholder = Stage::Running { task: TaskId::from_bytes([0; 16]), is_noted: false };
        let Stage::Staging(work) = std::mem::replace(&mut held.stage, placeholder) else {
            return None;
        };
        let priority = work.priority;
        held.stage = Stage::Waiting(work);
        Some((held.owner, priority))
    }

    /// Starts a waiting attempt and returns its assignment. `None`, without a change, if it does
    /// not wait.
    pub(super) fn start(&mut self, key: HeldKey) -> Option<Box<Assignment>> {
        let held = self.get_mut(key)?;
        let Stage::Waiting(work) = &held.stage else { return None };
        let running = Stage::Running { task: work.task, is_noted: false };
        let Stage::Waiting(work) = std::mem::replace(&mut held.stage, running) else { return None };
        self.running += 1;
        Some(work)
    }

    /// Notes that the execution starts once its record is on disk.
    pub(super) fn note_start(&mut self, key: HeldKey) {
        if let Some(Held { stage: Stage::Running { is_noted, .. }, .. }) = self.get_mut(key) {
            *is_noted = true;
        }
    }

    /// Ends an attempt. Returns false, without a change, if it had ended.
    pub(super) fn finish(&mut self, key: HeldKey, finished: Finished) -> bool {
        let bytes = finished.weight();
        let Some(held) = self.get_mut(key) else { return false };
        let was_running = held.is_running();
        if held.finished().is_some() {
            return false;
        }
        held.stage = Stage::Finished(finished);
        self.running -= u32::from(was_running);
        self.unfinished -= 1;
        self.unacked_bytes += bytes;
        true
    }

    /// The blob that a finished attempt keeps for its owner.
    pub(super) fn output(&self, key: HeldKey) -> Option<BlobRef> {
        self.get(key)?.finished()?.output()
    }

    /// Removes and returns an attempt that waits, or whose input is being fetched.
    pub(super) fn remove_unstarted(&mut self, key: HeldKey) -> Option<Held> {
        self.get(key).filter(|held| held.is_waiting() || held.is_staging())?;
        self.unfinished -= 1;
        self.slab.try_remove(key.index as usize)
    }

    /// Removes and returns a finished attempt.
    pub(super) fn remove_finished(&mut self, key: HeldKey) -> Option<Finished> {
        let bytes = self.get(key)?.finished()?.weight();
        self.unacked_bytes -= bytes;
        match self.slab.try_remove(key.index as usize)?.stage {
            Stage::Finished(finished) => Some(finished),
            Stage::Staging(_) | Stage::Waiting(_) | Stage::Running { .. } => None,
        }
    }

    /// Number of attempts in any stage.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Number of attempts that run.
    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// Number of attempts that wait or run.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Bytes of unacknowledged results.
    pub(super) fn unacked_bytes(&self) -> usize {
        self.unacked_bytes
    }
}
