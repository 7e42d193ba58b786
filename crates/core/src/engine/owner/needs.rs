//! What the open members of a group need: mostly the same, so that why they wait can be told without a
//! look at each.

use smallvec::SmallVec;

use crate::{engine::keys::ClassKey, limits};

/// Open members by their needs, at most [`limits::GROUP_NEEDS`] different ones.
#[derive(Debug, Default)]
pub(super) struct OpenNeeds {
    counts: SmallVec<[(ClassKey, u32); 1]>,
    /// Members whose needs found no place. As long as there are some no other needs get one, or those
    /// of one kind would be partly here and partly there.
    others: u32,
}

impl OpenNeeds {
    pub(super) fn add(&mut self, needs: ClassKey) {
        if let Some((_, count)) = self.counts.iter_mut().find(|(key, _)| *key == needs) {
            *count += 1;
        } else if self.others == 0 && self.counts.len() < limits::GROUP_NEEDS {
            self.counts.push((needs, 1));
        } else {
            self.others += 1;
        }
    }

    /// One that was added is open no more.
    pub(super) fn remove(&mut self, needs: ClassKey) {
        let Some(at) = self.counts.iter().position(|(key, _)| *key == needs) else {
            self.others = self.others.saturating_sub(1);
            return;
        };
        if let Some((_, count)) = self.counts.get_mut(at) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(at);
            }
        }
    }

    /// The needs that are told apart, each with its members.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClassKey, u32)> {
        self.counts.iter().copied()
    }
}
