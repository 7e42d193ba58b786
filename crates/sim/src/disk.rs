//! A node's disk: the files of its blobs, the records that were fsynced, and those still being written.
//!
//! As in the real journal, one batch is in flight at a time; later records form the next batch.

use std::collections::{BTreeMap, BTreeSet};

use meshwork_core::{
    BlobHash, Epoch, GroupId, PeerId, TaskEnd, TaskId, TaskState, Time,
    engine::{ArchivedTask, BlobRecord, Ledger, Record, Seq, Volume},
};

pub(crate) use self::files::Files;

mod files;

/// What the medium knows of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The task was accepted.
    Accepted,
    /// The task was accepted and has ended.
    Ended,
    /// The task has ended and was forgotten.
    Forgotten,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    ledger: Ledger,
    in_flight: Option<(Seq, Vec<Record>)>,
    waiting: Vec<Record>,
    last: Seq,
    safe: Seq,
    /// Tasks on the medium. Kept apart from the ledger, because the ledger is under test.
    tasks: BTreeMap<TaskId, Kept>,
    /// The ends of these tasks, also of forgotten ones.
    ends: BTreeMap<TaskId, TaskState>,
    /// Groups with a record of cancellation on the medium.
    cancelled: BTreeSet<GroupId>,
    /// Results for other owners on the medium, also kept apart from the ledger.
    results: BTreeSet<(PeerId, Epoch)>,
    /// Blobs with a record on the medium.
    blobs: BTreeSet<BlobHash>,
    /// The next fsync fails.
    fail_next: bool,
    pub(crate) files: Files,
}

impl Disk {
    pub(crate) fn push(&mut self, seq: Seq, records: Vec<Record>) {
        self.last = seq;
        self.waiting.extend(records);
    }

    /// Starts the next fsync. Returns false if nothing is to be written, or an fsync is running.
    pub(crate) fn start(&mut self) -> bool {
        if self.in_flight.is_some() || self.waiting.is_empty() {
            return false;
        }
        self.in_flight = Some((self.last, std::mem::take(&mut self.waiting)));
        true
    }

    /// Writes a batch at once, on an idle disk.
    pub(crate) fn write_at_once(&mut self, seq: Seq, records: Vec<Record>, at: Time) {
        self.push(seq, records);
        self.start();
        self.finish(at);
    }

    /// Ends the fsync. Returns the number up to which everything is on disk.
    pub(crate) fn finish(&mut self, at: Time) -> Option<Seq> {
        let (seq, records) = self.in_flight.take()?;
        self.safe = seq;
        for record in records {
            match &record {
                Record::Submitted { task, .. } => {
                    self.tasks.insert(task.id, Kept::Accepted);
                    self.ends.remove(&task.id);
                }
                Record::Ended { id, end, .. } => {
                    self.tasks.insert(*id, Kept::Ended);
                    self.ends.insert(*id, end.state());
                }
                Record::Forgotten { id } => {
                    self.tasks.insert(*id, Kept::Forgotten);
                }
                Record::Finished(kept) => {
                    self.results.insert((kept.owner, kept.epoch));
                }
                Record::Released { owner, epoch } => {
                    self.results.remove(&(*owner, *epoch));
                }
                Record::Group(tally) => {
                    if tally.cancelled.is_some() {
                        self.cancelled.insert(tally.id);
                    }
                }
                Record::GroupForgotten { id } => {
                    self.cancelled.remove(id);
                }
                Record::Dropped { numbers, .. } => {
                    let dropped = numbers.iter().filter_map(|number| self.ledger.archived(*number));
                    for task in dropped {
                        self.tasks.insert(task.task.task.id, Kept::Forgotten);
                    }
                }
                Record::Blob(BlobRecord::Stored { hash, .. }) => {
                    self.blobs.insert(*hash);
                }
                Record::Blob(BlobRecord::Removed { hashes }) => {
                    self.blobs.retain(|hash| !hashes.contains(hash));
                }
                Record::Tried { .. }
                | Record::Archived { .. }
                | Record::Read { .. }
                | Record::Blob(BlobRecord::Pinned { .. }) => {}
            }
            // In the simulator a node's clock begins at its first start.
            self.ledger.apply(record, at, at);
        }
        Some(seq)
    }

    /// Makes the next fsync fail.
    pub(crate) fn fail_next(&mut self) {
        self.fail_next = true;
    }

    /// Whether the fsync that ends now fails.
    pub(crate) fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.fail_next)
    }

    /// Writes a volume of the archive. It becomes valid with the record that names it.
    pub(crate) fn write(&mut self, volume: Volume, tasks: Vec<ArchivedTask>) {
        self.ledger.write(volume, tasks);
    }

    /// The record of an archived task.
    pub(crate) fn archived(&self, number: u64) -> Option<&ArchivedTask> {
        self.ledger.archived(number)
    }

    /// What the medium knows of this task; `None` if nothing.
    pub(crate) fn has(&self, id: &TaskId) -> Option<Kept> {
        self.tasks.get(id).copied()
    }

    /// The end of this task, if it is on the medium.
    pub(crate) fn end_of(&self, id: &TaskId) -> Option<&TaskState> {
        self.ends.get(id)
    }

    /// Whether the medium has no record of this task, or has forgotten it.
    pub(crate) fn is_forgotten(&self, id: &TaskId) -> bool {
        matches!(self.has(id), None | Some(Kept::Forgotten))
    }

    /// Removes the memory of a forgotten task.
    pub(crate) fn erase_forgotten(&mut self, id: &TaskId) {
        if self.is_forgotten(id) {
            self.tasks.remove(id);
            self.ends.remove(id);
        }
    }

    /// Whether the medium has a record that this group was cancelled.
    pub(crate) fn is_cancelled(&self, group: &GroupId) -> bool {
        self.cancelled.contains(group)
    }

    /// Whether this task is being written.
    pub(crate) fn is_writing(&self, task: TaskId) -> bool {
        let in_flight = self.in_flight.iter().flat_map(|(_, records)| records);
        let mut records = in_flight.chain(&self.waiting);
        records.any(|record| matches!(record, Record::Submitted { task: of, .. } if of.id == task))
    }

    /// Whether this result for another owner is on the medium.
    pub(crate) fn has_result(&self, owner: PeerId, epoch: Epoch) -> bool {
        self.results.contains(&(owner, epoch))
    }

    /// Whether a record of this blob is on the medium.
    pub(crate) fn has_blob_record(&self, hash: &BlobHash) -> bool {
        self.blobs.contains(hash)
    }

    /// Number of batches that were handed over and are not known to be on disk.
    pub(crate) fn batches(&self) -> u64 {
        self.last.0.saturating_sub(self.safe.0)
    }

    /// The process died. If `reached`, the batch in flight is on the medium, but no caller was
    /// answered.
    pub(crate) fn crash(&mut self, reached: bool, at: Time) {
        if reached {
            self.finish(at);
        }
        self.ledger.discard_written();
        *self = Self {
            ledger: std::mem::take(&mut self.ledger),
            tasks: std::mem::take(&mut self.tasks),
            ends: std::mem::take(&mut self.ends),
            cancelled: std::mem::take(&mut self.cancelled),
            results: std::mem::take(&mut self.results),
            blobs: std::mem::take(&mut self.blobs),
            files: std::mem::take(&mut self.files),
            ..Self::default()
        };
    }

    /// The records in flight.
    pub(crate) fn in_flight(&self) -> &[Record] {
        self.in_flight.as_ref().map_or(&[], |(_, records)| records)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.waiting.is_empty()
    }

    /// Whether the end of this task is being written.
    pub(crate) fn is_writing_end(&self, task: TaskId) -> bool {
        self.end_in_flight(task).is_some()
    }

    /// The end of this task that is being written, if any.
    pub(crate) fn end_in_flight(&self, task: TaskId) -> Option<&TaskEnd> {
        let in_flight = self.in_flight.iter().flat_map(|(_, records)| records);
        in_flight.chain(&self.waiting).find_map(|record| {
            let Record::Ended { id, end, .. } = record else { return None };
            (*id == task).then_some(&**end)
        })
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }
}
