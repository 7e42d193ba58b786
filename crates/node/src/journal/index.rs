//! Which segments are still needed, and which are hardly needed any more.

use std::collections::BTreeSet;

use meshwork_core::{Epoch, GroupId, PeerId, TaskId, engine::Record};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Timed;

/// Where what is live was written. A segment is needed as long as one of its records is.
#[derive(Debug, Default)]
pub(super) struct Index {
    tasks: FxHashMap<TaskId, Places>,
    kept: FxHashMap<(PeerId, Epoch), u64>,
    /// The segment of a group's latest tally.
    groups: FxHashMap<GroupId, u64>,
    segments: FxHashMap<u64, Segment>,
    /// Those that were sparse when something in them became needless.
    sparse: BTreeSet<u64>,
    /// Segments with records that undo what is in the segment of the key: needed as long as it is
    /// there, or it would be undone no more.
    undone_by: FxHashMap<u64, Vec<u64>>,
    /// Segments of which perhaps nothing is needed any more.
    unneeded: Vec<u64>,
}

/// The segments of a task's records.
#[derive(Clone, Copy, Debug)]
struct Places {
    submitted: u64,
    /// The latest.
    tried: Option<u64>,
    ended: Option<u64>,
}

impl Places {
    fn all(&self) -> impl Iterator<Item = u64> + use<> {
        let Self { submitted, tried, ended } = *self;
        [Some(submitted), tried, ended].into_iter().flatten()
    }

    /// Whether everything about it is in one segment.
    fn are_one(&self) -> bool {
        self.all().all(|at| at == self.submitted)
    }
}

/// Of how many records, how many are needed, and how many of these cannot be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Segment {
    records: u32,
    needed: u32,
    /// Needed records that say something about what is in another segment.
    bound: u32,
}

impl Segment {
    /// Whether so little is needed that it is worth writing anew, and all of it can be.
    fn is_sparse(&self) -> bool {
        self.needed > 0 && self.bound == 0 && self.needed * SPARSE < self.records
    }
}

impl Index {
    /// `record` is in this segment.
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
                    // The end tells the whole story.
                    self.place(*id, Places { tried: None, ended: Some(segment), ..places });
                }
            }
            Record::Forgotten { id } => self.forget(id, segment),
            Record::Group(tally) => {
                self.need(segment, false);
                if let Some(before) = self.groups.insert(tally.id, segment) {
                    // The earlier one must not count again when this one is gone.
                    self.free(before, false);
                    self.undo(before, segment);
                }
            }
            Record::GroupForgotten { id } => {
                let Some(before) = self.groups.remove(id) else { return };
                self.free(before, false);
                self.undo(before, segment);
            }
            Record::Finished(kept) => {
                self.kept.insert((kept.owner, kept.epoch), segment);
                self.need(segment, false);
            }
            Record::Released { owner, epoch } => {
                let Some(finished) = self.kept.remove(&(*owner, *epoch)) else { return };
                self.free(finished, false);
                self.undo(finished, segment);
            }
            // The store itself says it.
            Record::Archived { .. } | Record::Dropped { .. } | Record::Read { .. } => {}
        }
    }

    fn forget(&mut self, id: &TaskId, segment: u64) {
        let Some(places) = self.tasks.remove(id) else { return };
        self.leave_places(places);
        self.undo(places.submitted, segment);
    }

    /// What is needed of a task is in these places from now on.
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

    /// Takes out the segments that are needed no more.
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

    /// A few segments of which so little is needed that they are not worth their place, and all of that
    /// can be written anew; others the next time.
    pub(super) fn sparse(&mut self) -> Vec<u64> {
        let mut found = Vec::new();
        while found.len() < LOOKED_AT
            && let Some(number) = self.sparse.pop_first()
        {
            // Something may have become needed there, or been told elsewhere, meanwhile.
            if self.segments.get(&number).is_some_and(Segment::is_sparse) {
                found.push(number);
            }
        }
        found
    }

    /// Which of a segment's records are needed, if these may be moved behind all others: nothing
    /// about what they say may be in any later segment.
    pub(super) fn movable(&self, segment: u64, records: Vec<Timed>) -> Option<Vec<Timed>> {
        let needed = self.segments.get(&segment)?.needed;
        let (mut tried, mut tallied) = (FxHashSet::default(), FxHashSet::default());
        let (mut submitted, mut ended) = (FxHashSet::default(), FxHashSet::default());
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
            Record::Finished(kept) => self.kept.get(&(kept.owner, kept.epoch)) == Some(&segment),
            Record::Group(tally) => {
                self.groups.get(&tally.id) == Some(&segment) && tallied.insert(tally.id)
            }
            Record::Forgotten { .. }
            | Record::GroupForgotten { .. }
            | Record::Released { .. }
            | Record::Archived { .. }
            | Record::Dropped { .. }
            | Record::Read { .. } => false,
        };
        // From behind: of several records of a task, or tallies of a group, the latest counts.
        let later = records.into_iter().rev();
        let mut moved: Vec<_> = later.filter(|(_, record)| is_needed(record)).collect();
        moved.reverse();
        (moved.len() == needed as usize).then_some(moved)
    }

    /// These records of a segment are about to be added anew.
    pub(super) fn leave(&mut self, segment: u64, records: &[Timed]) {
        for (_, record) in records {
            match record {
                Record::Submitted { task, .. } => {
                    self.tasks.remove(&task.id);
                }
                Record::Finished(kept) => {
                    self.kept.remove(&(kept.owner, kept.epoch));
                }
                Record::Group(tally) => {
                    self.groups.remove(&tally.id);
                }
                Record::Tried { .. }
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

    /// A record that is `bound` to another segment cannot be moved.
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

/// A segment is sparse when less than one of so many records is needed: the file is at most so many
/// times as large as what is.
const SPARSE: u32 = 4;
/// Segments that are looked at for each commit.
const LOOKED_AT: usize = 8;

#[cfg(test)]
mod tests;
