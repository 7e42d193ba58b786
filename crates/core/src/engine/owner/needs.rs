//! The needs of a group's open members. Most groups have few different ones, so an explanation need
//! not look at each member.

use smallvec::SmallVec;

use crate::{engine::keys::ClassKey, limits};

/// Open members by their needs, at most [`limits::GROUP_NEEDS`] different ones.
#[derive(Debug, Default)]
pub(super) struct OpenNeeds {
    counts: SmallVec<[(ClassKey, u32); 1]>,
    /// Members whose needs did not fit. While there are some, no further needs are added, so that
    /// members with equal needs are all counted in one place.
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

    /// Removes an open member with these needs.
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

    /// The distinguished needs, each with its number of members.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClassKey, u32)> {
        self.counts.iter().copied()
    }
}
