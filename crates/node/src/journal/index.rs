//! Which segments are still needed, and which are sparse.

use std::collections::BTreeSet;

use meshwork_core::{
    BlobHash, Epoch, GroupId, PeerId, TaskId,
    engine::{BlobRecord, Record},
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::frames::Timed;

/// The segments of all live records. A segment is needed as long as one of its records is.
#[derive(Debug, Default)]
pub(super) struct Index {
    tasks: FxHashMap<TaskId, Places>,
    /// The segment of each kept result.
    results: FxHashMap<(PeerId, Epoch), u64>,
    /// The segments of a blob: of its bytes' record, and of its latest pin.
    blobs: FxHashMap<BlobHash, BlobPlaces>,
    /// The segment of a group's latest tally.
    groups: FxHashMap<GroupId, u64>,
    segments: FxHashMap<u64, Segment>,
    /// Segments that were sparse when one of their records was last freed.
    sparse: BTreeSet<u64>,
    /// For each segment, the segments with records that undo some of its records. They are needed
    /// as long as it exists; without them a replay would restore the undone records.
    undone_by: FxHashMap<u64, Vec<u64>>,
    /// Segments that may no longer be needed.
    unneeded: Vec<u64>,
}

/// The segments of a task's records.
#[derive(Clone, Copy, Debug)]
struct Places {
    submitted: u64,
    /// The segment of the latest story.
    tried: Option<u64>,
    ended: Option<u64>,
}

impl Places {
    fn all(&self) -> impl Iterator<Item = u64> + use<> {
        let Self { submitted, tried, ended } = *self;
        [Some(submitted), tried, ended].into_iter().flatten()
    }

    /// Whether all records of the task are in one segment.
    fn are_one(&self) -> bool {
        self.all().all(|at| at == self.submitted)
    }
}

/// The segments of a blob's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlobPlaces {
    stored: u64,
    /// The segment of the latest pin; none if it was never pinned.
    pinned: Option<u64>,
}

/// Numbers of records in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Segment {
    records: u32,
    needed: u32,
    /// Needed records that refer to records in other segments; these cannot be moved.
    bound: u32,
}

impl Segment {
    /// Whether few records are needed, and all of these can be moved.
    fn is_sparse(&self) -> bool {
        self.needed > 0 && self.bound == 0 && self.needed * SPARSE < self.records
    }
}

impl Index {
    /// Adds a record that is in this segment.
    pub(super) fn add(&mut self, record: &Record, segment: u64) {
        let entry = self.segments.entry(segment).or_insert_with(|| {
            self.unneeded.push(segment);
            Segment::default()
        });
        entry.records += 1;
        match record {
            Record::Submitted { task, .. } => {
                let places = Places { submitted: segment, tried: None, ended: None };
                self.place(task.id, places);
            }
            Record::Tried { id, .. } => {
                if let Some(places @ Places { ended: None, .. }) = self.tasks.get(id).copied() {
                    self.place(*id, Places { tried: Some(segment), ..places });
                }
            }
            Record::Ended { id, .. } => {
                if let Some(places @ Places { ended: None, .. }) = self.tasks.get(id).copied() {
                    // The record of the end contains the story.
                    self.place(*id, Places { tried: None, ended: Some(segment), ..places });
                }
            }
            Record::Forgotten { id } => self.forget(id, segment),
            Record::Group(tally) => {
                self.need(segment, false);
                if let Some(before) = self.groups.insert(tally.id, segment) {
                    // A replay must not see the earlier tally without this one.
                    self.free(before, false);
                    self.undo(before, segment);
                }
            }
            Record::GroupForgotten { id } => {
                let Some(before) = self.groups.remove(id) else { return };
                self.free(before, false);
                self.undo(before, segment);
            }
            Record::Finished(result) => {
                self.results.insert((result.owner, result.epoch), segment);
                self.need(segment, false);
            }
            Record::Released { owner, epoch } => {
                let Some(finished) = self.results.remove(&(*owner, *epoch)) else { return };
                self.free(finished, false);
                self.undo(finished, segment);
            }
            Record::Blob(record) => self.add_blob(record, segment),
            // The store keeps these in tables of their own.
            Record::Archived { .. } | Record::Dropped { .. } | Record::Read { .. } => {}
        }
    }

    fn add_blob(&mut self, record: &BlobRecord, segment: u64) {
        match record {
            BlobRecord::Stored { hash, .. } => {
                self.remove_blob(hash, segment);
                self.need(segment, false);
                self.blobs.insert(*hash, BlobPlaces { stored: segment, pinned: None });
            }
            BlobRecord::Pinned { hash, .. } => {
                let Some(places) = self.blobs.get(hash).copied() else { return };
                let pinned = Some(segment);
                // Bound: it refers to the record of the bytes, which is usually elsewhere.
                self.need(segment, true);
                self.free_pin(places, segment);
                self.blobs.insert(*hash, BlobPlaces { pinned, ..places });
            }
            BlobRecord::Removed { hashes } => {
                hashes.iter().for_each(|hash| self.remove_blob(hash, segment));
            }
        }
    }

    fn remove_blob(&mut self, hash: &BlobHash, segment: u64) {
        let Some(places) = self.blobs.remove(hash) else { return };
        self.free_pin(places, segment);
        self.free(places.stored, false);
        self.undo(places.stored, segment);
    }

    fn free_pin(&mut self, places: BlobPlaces, segment: u64) {
        if let Some(pinned) = places.pinned {
            self.free(pinned, true);
            self.undo(pinned, segment);
        }
    }

    fn forget(&mut self, id: &TaskId, segment: u64) {
        let Some(places) = self.tasks.remove(id) else { return };
        self.leave_places(places);
        self.undo(places.submitted, segment);
    }

    /// Sets the places of a task's needed records.
    fn place(&mut self, id: TaskId, places: Places) {
        let bound = !places.are_one();
        for place in places.all() {
            self.need(place, bound);
        }
        if let Some(before) = self.tasks.insert(id, places) {
            self.leave_places(before);
        }
    }

    fn leave_places(&mut self, places: Places) {
        let bound = !places.are_one();
        for place in places.all() {
            self.free(place, bound);
        }
    }

    /// Removes and returns the segments that are no longer needed.
    pub(super) fn take_dead(&mut self) -> Vec<u64> {
        let mut dead = Vec::new();
        while let Some(segment) = self.unneeded.pop() {
            if self.segments.get(&segment).is_none_or(|segment| segment.needed > 0) {
                continue;
            }
            self.segments.remove(&segment);
            self.sparse.remove(&segment);
            dead.push(segment);
            for undoing in self.undone_by.remove(&segment).unwrap_or_default() {
                self.free(undoing, true);
            }
        }
        dead
    }

    /// Removes and returns up to [`LOOKED_AT`] sparse segments; the others follow with later calls.
    pub(super) fn sparse(&mut self) -> Vec<u64> {
        let mut found = Vec::new();
        while found.len() < LOOKED_AT
            && let Some(number) = self.sparse.pop_first()
        {
            // The segment may have changed since it was added.
            if self.segments.get(&number).is_some_and(Segment::is_sparse) {
                found.push(number);
            }
        }
        found
    }

    /// The needed records of a segment, if they may move behind all others: no later segment may
    /// have records about the same tasks, groups or results.
    pub(super) fn movable(&self, segment: u64, records: Vec<Timed>) -> Option<Vec<Timed>> {
        let needed = self.segments.get(&segment)?.needed;
        let (mut tried, mut tallied) = (FxHashSet::default(), FxHashSet::default());
        let (mut submitted, mut ended) = (FxHashSet::default(), FxHashSet::default());
        let mut stored = FxHashSet::default();
        let is_here = |places: &Places| places.submitted == segment && places.are_one();
        let mut is_needed = |record: &Record| match record {
            Record::Submitted { task, .. } => {
                self.tasks.get(&task.id).is_some_and(&is_here) && submitted.insert(task.id)
            }
            Record::Tried { id, .. } => self.tasks.get(id).is_some_and(|places| {
                is_here(places) && places.tried.is_some() && tried.insert(*id)
            }),
            Record::Ended { id, .. } => self.tasks.get(id).is_some_and(|places| {
                is_here(places) && places.ended.is_some() && ended.insert(*id)
            }),
            Record::Finished(result) => {
                self.results.get(&(result.owner, result.epoch)) == Some(&segment)
            }
            Record::Group(tally) => {
                self.groups.get(&tally.id) == Some(&segment) && tallied.insert(tally.id)
            }
            Record::Blob(BlobRecord::Stored { hash, .. }) => {
                let here = BlobPlaces { stored: segment, pinned: None };
                self.blobs.get(hash) == Some(&here) && stored.insert(*hash)
            }
            Record::Blob(BlobRecord::Pinned { .. } | BlobRecord::Removed { .. })
            | Record::Forgotten { .. }
            | Record::GroupForgotten { .. }
            | Record::Released { .. }
            | Record::Archived { .. }
            | Record::Dropped { .. }
            | Record::Read { .. } => false,
        };
        // From the end: of several records of a task or a group, only the latest is needed.
        let later = records.into_iter().rev();
        let mut moved: Vec<_> = later.filter(|(_, record)| is_needed(record)).collect();
        moved.reverse();
        (moved.len() == needed as usize).then_some(moved)
    }

    /// Frees these records of a segment, before they are added again.
    pub(super) fn leave(&mut self, segment: u64, records: &[Timed]) {
        for (_, record) in records {
            match record {
                Record::Submitted { task, .. } => {
                    self.tasks.remove(&task.id);
                }
                Record::Finished(result) => {
                    self.results.remove(&(result.owner, result.epoch));
                }
                Record::Group(tally) => {
                    self.groups.remove(&tally.id);
                }
                Record::Blob(BlobRecord::Stored { hash, .. }) => {
                    self.blobs.remove(hash);
                }
                Record::Blob(BlobRecord::Pinned { .. } | BlobRecord::Removed { .. })
                | Record::Tried { .. }
                | Record::Ended { .. }
                | Record::Forgotten { .. }
                | Record::GroupForgotten { .. }
                | Record::Released { .. }
                | Record::Archived { .. }
                | Record::Dropped { .. }
                | Record::Read { .. } => {}
            }
            self.free(segment, false);
        }
    }

    /// Counts a needed record. `bound`: it refers to records in another segment.
    fn need(&mut self, number: u64, bound: bool) {
        let segment = self.segments.entry(number).or_default();
        segment.needed += 1;
        segment.bound += u32::from(bound);
    }

    fn free(&mut self, number: u64, bound: bool) {
        let Some(segment) = self.segments.get_mut(&number) else { return };
        segment.needed = segment.needed.saturating_sub(1);
        segment.bound = segment.bound.saturating_sub(u32::from(bound));
        if segment.needed == 0 {
            self.unneeded.push(number);
        } else if segment.is_sparse() {
            self.sparse.insert(number);
        }
    }

    fn undo(&mut self, done: u64, segment: u64) {
        if done != segment {
            self.undone_by.entry(done).or_default().push(segment);
            self.need(segment, true);
        }
    }
}

/// A segment is sparse when less than one in `SPARSE` of its records is needed. It bounds the size
/// of the file to this multiple of the needed records.
const SPARSE: u32 = 4;
/// Sparse segments that one commit moves at most.
const LOOKED_AT: usize = 8;

#[cfg(test)]
mod tests;
