//! What a journal's records amount to.

use std::collections::BTreeMap;

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;

use super::{GroupTally, KeptResult, Record, Restored, Story};
use crate::{
    frame::Epoch,
    task::{GroupId, TaskId},
    time::Time,
};

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
    groups: BTreeMap<GroupId, GroupTally>,
}

impl Ledger {
    /// One more record, and when it was made. A record about what is not known changes nothing.
    pub fn apply(&mut self, record: Record, at: Time) {
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
                    task.ended = Some(Box::new((*end, at)));
                    task.story = Some(story)
                        .filter(|story| *story != Story::default())
                        .map(|story| Box::new((story, at)));
                }
            }
            Record::Forgotten { id } => {
                if let Some(place) = self.index.remove(&id) {
                    self.tasks.remove(&place);
                }
            }
            Record::Group(tally) => {
                self.groups.insert(tally.id, *tally);
            }
            Record::GroupForgotten { id } => {
                self.groups.remove(&id);
            }
            Record::Finished(kept) => {
                self.kept.insert((kept.owner, kept.epoch), (*kept, at));
            }
            Record::Released { owner, epoch } => {
                self.kept.remove(&(owner, epoch));
            }
        }
    }

    /// A task that has not ended: the first end stands.
    fn open(&mut self, id: &TaskId) -> Option<&mut Restored> {
        let task = self.tasks.get_mut(self.index.get(id)?)?;
        task.ended.is_none().then_some(task)
    }

    /// How many tasks and results there are.
    pub fn len(&self) -> usize {
        self.tasks.len() + self.kept.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of groups besides their tasks.
    pub fn groups(&self) -> impl Iterator<Item = &GroupTally> {
        self.groups.values()
    }

    /// The tasks, in the order in which they were submitted, and the results, with the times at which
    /// they were made. Each is let go of when it is taken: there may be more than fit twice.
    pub fn into_parts(
        self,
    ) -> (impl ExactSizeIterator<Item = Restored>, impl ExactSizeIterator<Item = Made>) {
        (self.tasks.into_values(), self.kept.into_values())
    }
}
