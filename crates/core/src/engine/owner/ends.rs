//! Counts of ended tasks, which tell apart the ends that are not on disk yet.

use std::collections::VecDeque;

use crate::{
    engine::{gate::Gate, record::Seq, view::EndCounts},
    task::TaskState,
};

#[cfg(test)]
mod tests;

/// Ended tasks by how they ended.
#[derive(Debug, Default)]
pub(super) struct Ends {
    all: EndCounts,
    /// Ends by the batch that contains them; some batches may be on disk already.
    unpersisted: VecDeque<(Seq, EndCounts)>,
}

impl Ends {
    /// These ends, all on disk.
    pub(super) fn of(all: EndCounts) -> Self {
        Self { all, unpersisted: VecDeque::new() }
    }

    /// Adds an end that is on disk, or kept in memory only.
    pub(super) fn add(&mut self, state: &TaskState) {
        self.all.add(state);
    }

    /// Adds an end whose record is in the current batch.
    pub(super) fn add_unpersisted(&mut self, state: &TaskState, gate: &Gate) {
        self.all.add(state);
        let batch = gate.next();
        while self.unpersisted.front().is_some_and(|(batch, _)| gate.is_persisted(*batch)) {
            self.unpersisted.pop_front();
        }
        match self.unpersisted.back_mut() {
            Some((at, ends)) if *at == batch => ends.add(state),
            _ => {
                let mut ends = EndCounts::default();
                ends.add(state);
                self.unpersisted.push_back((batch, ends));
            }
        }
    }

    /// Removes the end of a task that is no longer kept. If its batch is not on disk yet, as when
    /// space is short, [`Self::safe`] counts one end too few until it is.
    pub(super) fn remove(&mut self, state: &TaskState) {
        let mut one = EndCounts::default();
        one.add(state);
        self.all.take(&one);
    }

    /// All ends.
    pub(super) fn all(&self) -> EndCounts {
        self.all
    }

    /// The ends that are on disk, or kept in memory only.
    pub(super) fn safe(&self, gate: &Gate) -> EndCounts {
        let mut safe = self.all;
        for (_, ends) in self.unpersisted.iter().filter(|(batch, _)| !gate.is_persisted(*batch)) {
            safe.take(ends);
        }
        safe
    }
}
