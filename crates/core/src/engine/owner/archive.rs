//! The archived tasks, and the volume that is being written.

use rustc_hash::FxHashMap;

use super::ended::Ended;
use crate::{
    blob::BlobHash,
    engine::{gate::Gate, keys::TaskKey, record::Record},
    limits,
};

/// The table of archived tasks, and the volume that is being written.
#[derive(Debug, Default)]
pub(super) struct Archive {
    pub(super) table: Ended,
    /// The number of the next archived task.
    next: u64,
    /// The tasks of the volume that is being written, in order.
    writing: Vec<TaskKey>,
    /// The blobs that archived tasks need, by the numbers of the tasks.
    blobs: FxHashMap<u64, BlobHash>,
    /// Tasks whose results were handed out since the last [`Record::Read`].
    read: Vec<u64>,
}

impl Archive {
    /// The number of the next archived task.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The tasks of the volume that is being written, in order.
    pub(super) fn writing(&self) -> &[TaskKey] {
        &self.writing
    }

    /// A volume of these tasks is being written from now on.
    pub(super) fn on_writing(&mut self, tasks: Vec<TaskKey>) {
        self.writing = tasks;
    }

    /// The volume with this first number is on disk. Returns its tasks; `None` if another volume is
    /// being written.
    pub(super) fn on_written(&mut self, first: u64) -> Option<Vec<TaskKey>> {
        if first != self.next {
            return None;
        }
        let tasks = std::mem::take(&mut self.writing);
        self.next += tasks.len() as u64;
        Some(tasks)
    }

    /// Reserves the numbers below `next`, also those of tasks that are not kept.
    pub(super) fn take_numbers(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// An archived task needs this blob.
    pub(super) fn add_blob(&mut self, number: u64, hash: BlobHash) {
        self.blobs.insert(number, hash);
    }

    /// The blob that an archived task needs no more.
    pub(super) fn take_blob(&mut self, number: u64) -> Option<BlobHash> {
        self.blobs.remove(&number)
    }

    /// The result of an archived task was handed out.
    pub(super) fn on_read(&mut self, number: u64) {
        self.read.push(number);
    }

    /// Journals the archived tasks that were read, together with other records or when there are
    /// many. Losing this does no harm.
    pub(super) fn record_read(&mut self, gate: &mut Gate) {
        let many = self.read.len() >= limits::ARCHIVE_TASKS;
        if !self.read.is_empty() && (many || gate.has_records()) {
            gate.record(Record::Read { numbers: std::mem::take(&mut self.read) });
        }
    }
}
