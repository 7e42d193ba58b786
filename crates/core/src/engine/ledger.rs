//! The ledger: the state that a journal's records describe.

use std::{collections::BTreeMap, time::Duration};

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;

use super::{
    blob_input::BlobRecord,
    forgotten::Forgotten,
    record::{GroupTally, KeptResult, Record, Restored, RestoredEnd},
    story::Story,
    volume::{ArchivedTask, Volume},
};
use crate::{
    blob::BlobHash,
    frame::Epoch,
    task::{GroupId, TaskId},
    time::Time,
};

/// A result for another owner, and the node's uptime when it was made.
pub type Made = (KeptResult, Time);

/// The part of a journal's state that is restored before the tasks and results.
#[derive(Debug)]
pub(super) struct ArchiveParts {
    /// The node's uptime, over all its starts.
    pub(super) up: Duration,
    pub(super) forgotten: Forgotten,
    pub(super) groups: Vec<GroupTally>,
    pub(super) blobs: BTreeMap<BlobHash, KnownBlob>,
    /// Volumes of the archive, by the number of their first task.
    pub(super) volumes: BTreeMap<u64, Volume>,
    /// The number of the next archived task.
    pub(super) next_number: u64,
}

/// A blob of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBlob {
    /// Size in bytes.
    pub size: u64,
    /// The blobs that it names.
    pub links: Box<[BlobHash]>,
    /// Whether the user pinned it.
    pub pinned: bool,
}

/// Replays a journal's records into the state that an engine is restored from.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Tasks, by the order in which they were submitted.
    tasks: BTreeMap<u64, Restored>,
    index: FxHashMap<TaskId, u64>,
    next: u64,
    kept: BTreeMap<(PeerId, Epoch), Made>,
    groups: BTreeMap<GroupId, GroupTally>,
    blobs: BTreeMap<BlobHash, KnownBlob>,
    /// Valid volumes, by the number of their first task.
    volumes: BTreeMap<u64, Volume>,
    /// The number of the next archived task.
    numbers: u64,
    /// Records of archived tasks, when this ledger itself holds the archive.
    archived: BTreeMap<u64, ArchivedTask>,
    /// Volumes that were written and are not valid yet.
    written: BTreeMap<u64, (Volume, Vec<ArchivedTask>)>,
    forgotten: Forgotten,
    /// The node's uptime, over all its starts.
    up: Duration,
}

impl Ledger {
    /// Applies a record that was written at `at`, when the node's uptime over all its starts was
    /// `up`. A record about an unknown task changes nothing.
    pub fn apply(&mut self, record: Record, at: Time, up: Time) {
        self.forgotten.apply(&record);
        match record {
            Record::Submitted { task, targets } => {
                self.index.insert(task.id, self.next);
                let task = Restored { task, targets, submitted: at, story: None, ended: None };
                self.tasks.insert(self.next, task);
                self.next += 1;
            }
            Record::Tried { id, story } => {
                if let Some(task) = self.open(&id) {
                    task.story = Some(Box::new((story, at)));
                }
            }
            Record::Ended { id, end, story } => {
                if let Some(task) = self.open(&id) {
                    task.ended = Some(Box::new(RestoredEnd { end: *end, at, up }));
                    task.story = Some(story)
                        .filter(|story| *story != Story::default())
                        .map(|story| Box::new((story, at)));
                }
            }
            Record::Forgotten { id } => self.remove(&id),
            Record::Archived { first, count, ids } => {
                ids.iter().for_each(|id| self.remove(id));
                self.numbers = self.numbers.max(first + u64::from(count));
                if let Some((volume, tasks)) = self.written.remove(&first) {
                    let numbers = volume.rows.iter().map(|row| first + u64::from(row.at));
                    self.archived.extend(numbers.zip(tasks));
                    self.volumes.insert(first, volume);
                }
            }
            Record::Dropped { numbers, .. } => {
                for number in numbers {
                    self.archived.remove(&number);
                    self.change(number, None);
                }
            }
            Record::Read { numbers } => {
                numbers.into_iter().for_each(|number| self.change(number, Some(true)));
            }
            Record::Group(tally) => {
                self.groups.insert(tally.id, *tally);
            }
            Record::GroupForgotten { id } => {
                self.groups.remove(&id);
            }
            Record::Blob(record) => self.apply_blob(record),
            Record::Finished(kept) => {
                self.kept.insert((kept.owner, kept.epoch), (*kept, up));
            }
            Record::Released { owner, epoch } => {
                self.kept.remove(&(owner, epoch));
            }
        }
    }

    fn apply_blob(&mut self, record: BlobRecord) {
        match record {
            BlobRecord::Stored { hash, size, links } => {
                let links = links.into_boxed_slice();
                self.blobs.insert(hash, KnownBlob { size, links, pinned: false });
            }
            BlobRecord::Pinned { hash, pinned } => {
                if let Some(blob) = self.blobs.get_mut(&hash) {
                    blob.pinned = pinned;
                }
            }
            BlobRecord::Removed { hashes } => {
                for hash in &hashes {
                    self.blobs.remove(hash);
                }
            }
        }
    }

    /// Removes a task that was archived or forgotten. The caller records which of the two.
    pub fn remove(&mut self, id: &TaskId) {
        if let Some(place) = self.index.remove(id) {
            self.tasks.remove(&place);
        }
    }

    /// Marks an archived task as read, or removes it if `read` is `None`.
    fn change(&mut self, number: u64, read: Option<bool>) {
        let Some((first, volume)) = self.volumes.range_mut(..=number).next_back() else { return };
        let at = number - first;
        let Ok(place) = volume.rows.binary_search_by_key(&at, |row| row.at.into()) else { return };
        match (read, volume.rows.get_mut(place)) {
            (Some(read), Some(row)) => row.read = read,
            _ => drop(volume.rows.remove(place)),
        }
        if volume.rows.is_empty() {
            let first = *first;
            self.volumes.remove(&first);
        }
    }

    /// Adds a volume that is on disk; it becomes valid with [`Record::Archived`].
    pub fn write(&mut self, volume: Volume, tasks: Vec<ArchivedTask>) {
        self.written.insert(volume.first, (volume, tasks));
    }

    /// Drops volumes that never became valid, as a restarted node does.
    pub fn discard_written(&mut self) {
        self.written.clear();
    }

    /// Sets the number of the next archived task.
    pub fn set_numbers(&mut self, next: u64) {
        self.numbers = self.numbers.max(next);
    }

    /// Sets the node's uptime, over all its starts.
    pub fn set_up(&mut self, up: Duration) {
        self.up = up;
    }

    /// The ids that earlier starts have forgotten.
    pub fn forgotten_mut(&mut self) -> &mut Forgotten {
        &mut self.forgotten
    }

    /// The record of an archived task, if this ledger holds the archive; also before its volume is
    /// valid.
    pub fn archived(&self, number: u64) -> Option<&ArchivedTask> {
        let written = || {
            let (first, (volume, tasks)) = self.written.range(..=number).next_back()?;
            let at = volume.rows.iter().position(|row| first + u64::from(row.at) == number)?;
            tasks.get(at)
        };
        self.archived.get(&number).or_else(written)
    }

    /// Number of archived tasks.
    pub fn archived_len(&self) -> usize {
        self.volumes.values().map(|volume| volume.rows.len()).sum()
    }

    /// Takes out the part that an engine restores before the tasks and results of
    /// [`Self::into_parts`].
    pub(super) fn take_archive(&mut self) -> ArchiveParts {
        ArchiveParts {
            up: self.up,
            forgotten: self.forgotten.clone(),
            groups: self.groups.values().cloned().collect(),
            blobs: std::mem::take(&mut self.blobs),
            volumes: std::mem::take(&mut self.volumes),
            next_number: self.numbers,
        }
    }

    /// The task, if it has not ended: the first end is final.
    fn open(&mut self, id: &TaskId) -> Option<&mut Restored> {
        let task = self.tasks.get_mut(self.index.get(id)?)?;
        task.ended.is_none().then_some(task)
    }

    /// Number of tasks and results, archived ones included.
    pub fn len(&self) -> usize {
        self.tasks.len() + self.kept.len() + self.archived_len()
    }

    /// Whether the ledger is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The blobs whose bytes were on disk.
    pub fn blobs(&self) -> &BTreeMap<BlobHash, KnownBlob> {
        &self.blobs
    }

    /// What the journal says about groups, besides their tasks.
    pub fn groups(&self) -> impl Iterator<Item = &GroupTally> {
        self.groups.values()
    }

    /// The unarchived tasks in the order of their submission, and the results for other owners.
    /// Each is freed as it is taken: memory may not hold all of them twice.
    pub fn into_parts(
        self,
    ) -> (impl ExactSizeIterator<Item = Restored>, impl ExactSizeIterator<Item = Made>) {
        (self.tasks.into_values(), self.kept.into_values())
    }
}
