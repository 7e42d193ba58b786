//! Which segments are still needed.

use meshwork_core::{Epoch, PeerId, TaskId, engine::Record};
use rustc_hash::FxHashMap;

/// Where what is live was written. A segment is needed as long as one of its records is.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The segments of a task's acceptance and of its end.
    tasks: FxHashMap<TaskId, (u64, Option<u64>)>,
    kept: FxHashMap<(PeerId, Epoch), u64>,
    /// Records of each segment that are needed.
    needed: FxHashMap<u64, u32>,
    /// Segments with records that undo what is in the segment of the key: needed as long as it is
    /// there, or it would be undone no more.
    undone_by: FxHashMap<u64, Vec<u64>>,
    /// Segments of which perhaps nothing is needed any more.
    unneeded: Vec<u64>,
}

impl Index {
    /// `record` is in this segment.
    pub(super) fn add(&mut self, record: &Record, segment: u64) {
        self.needed.entry(segment).or_insert_with(|| {
            self.unneeded.push(segment);
            0
        });
        match record {
            Record::Submitted { task, .. } => {
                self.tasks.insert(task.id, (segment, None));
                self.need(segment);
            }
            Record::Ended { id, .. } => {
                if let Some((_, ended @ None)) = self.tasks.get_mut(id) {
                    *ended = Some(segment);
                    self.need(segment);
                }
            }
            Record::Forgotten { id } => {
                let Some((submitted, ended)) = self.tasks.remove(id) else { return };
                self.free(submitted);
                if let Some(ended) = ended {
                    self.free(ended);
                }
                self.undo(submitted, segment);
            }
            Record::Finished(kept) => {
                self.kept.insert((kept.owner, kept.epoch), segment);
                self.need(segment);
            }
            Record::Released { owner, epoch } => {
                let Some(finished) = self.kept.remove(&(*owner, *epoch)) else { return };
                self.free(finished);
                self.undo(finished, segment);
            }
        }
    }

    /// Takes out the segments that are needed no more.
    pub(super) fn take_dead(&mut self) -> Vec<u64> {
        let mut dead = Vec::new();
        while let Some(segment) = self.unneeded.pop() {
            if self.needed.get(&segment).is_none_or(|needed| *needed > 0) {
                continue;
            }
            self.needed.remove(&segment);
            dead.push(segment);
            for undoing in self.undone_by.remove(&segment).unwrap_or_default() {
                self.free(undoing);
            }
        }
        dead
    }

    fn need(&mut self, segment: u64) {
        *self.needed.entry(segment).or_default() += 1;
    }

    fn free(&mut self, segment: u64) {
        let Some(needed) = self.needed.get_mut(&segment) else { return };
        *needed = needed.saturating_sub(1);
        if *needed == 0 {
            self.unneeded.push(segment);
        }
    }

    fn undo(&mut self, done: u64, segment: u64) {
        if done != segment {
            self.undone_by.entry(done).or_default().push(segment);
            self.need(segment);
        }
    }
}

#[cfg(test)]
mod tests;
