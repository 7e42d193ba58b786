//! What a journal's records amount to.

use std::collections::BTreeMap;

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;

use super::{KeptResult, Record, Restored};
use crate::{frame::Epoch, task::TaskId, time::Time};

/// A result for another owner, and when it was made.
pub type Made = (KeptResult, Time);

/// Replays records, and holds what an engine starts from again.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By the order in which they were submitted.
    tasks: BTreeMap<u64, Restored>,
    index: FxHashMap<TaskId, u64>,
    next: u64,
    kept: BTreeMap<(PeerId, Epoch), Made>,
}

impl Ledger {
    /// One more record, and when it was made. A record about what is not known changes nothing.
    pub fn apply(&mut self, record: Record, at: Time) {
        match record {
            Record::Submitted { task, targets } => {
                self.index.insert(task.id, self.next);
                self.tasks
                    .insert(self.next, Restored { task, targets, submitted: at, ended: None });
                self.next += 1;
            }
            Record::Ended { id, end } => {
                let place = self.index.get(&id);
                if let Some(task) = place.and_then(|place| self.tasks.get_mut(place)) {
                    // The first end stands.
                    task.ended.get_or_insert((*end, at));
                }
            }
            Record::Forgotten { id } => {
                if let Some(place) = self.index.remove(&id) {
                    self.tasks.remove(&place);
                }
            }
            Record::Finished(kept) => {
                self.kept.insert((kept.owner, kept.epoch), (*kept, at));
            }
            Record::Released { owner, epoch } => {
                self.kept.remove(&(owner, epoch));
            }
        }
    }

    /// How many tasks and results there are.
    pub fn len(&self) -> usize {
        self.tasks.len() + self.kept.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tasks, in the order in which they were submitted, and the results, with the times at which
    /// they were made.
    pub fn into_parts(self) -> (Vec<Restored>, Vec<Made>) {
        (self.tasks.into_values().collect(), self.kept.into_values().collect())
    }
}
