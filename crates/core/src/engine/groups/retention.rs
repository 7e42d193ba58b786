//! Which groups may be forgotten.

use super::{Group, GroupSlot, Groups};
use crate::{limits, task::GroupId, time::Time};

/// A group that has ended, and what speaks for keeping it.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct EndedGroup {
    pub(in crate::engine) id: GroupId,
    pub(in crate::engine) slot: GroupSlot,
    /// How long the node had been up when its last member ended.
    pub(in crate::engine) last_end: Time,
    pub(in crate::engine) weight: u64,
    /// Members whose results nobody was given.
    pub(in crate::engine) unread: u32,
    pub(in crate::engine) durable: bool,
    /// Whether it is being forgotten already.
    pub(in crate::engine) leaving: bool,
}

impl Group {
    /// Whether nothing is open and nothing more is expected.
    fn has_ended(&self, now: Time) -> bool {
        let is_closed = self.complete || self.stop().is_some();
        self.open == 0 && (is_closed || self.handed_in + limits::GROUP_IDLE <= now)
    }
}

impl Groups {
    /// Adds so many groups that have not ended.
    #[cfg(test)]
    pub(in crate::engine) fn fill(&mut self, count: usize) {
        for _ in 0..count {
            self.add(GroupId::new(), None, false);
        }
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.slab.len()
    }

    /// One group, if it has ended.
    pub(in crate::engine) fn ended_group(&self, id: &GroupId, now: Time) -> Option<EndedGroup> {
        let slot = self.any_slot(id)?;
        self.slab.get(slot.at()).and_then(|group| ended(slot, group, now))
    }

    /// All that have ended, in no order.
    pub(in crate::engine) fn ended_groups(&self, now: Time) -> Vec<EndedGroup> {
        let all = self.slab.iter();
        all.filter_map(|(at, group)| ended(GroupSlot::of(at)?, group, now)).collect()
    }

    /// The highest place of a group that may have a member.
    pub(in crate::engine) fn received(&self, slot: GroupSlot) -> u32 {
        self.slab.get(slot.at()).map_or(0, |group| group.received)
    }
}

fn ended(slot: GroupSlot, group: &Group, now: Time) -> Option<EndedGroup> {
    let Group { id, last_end, weight, durable, leaving, .. } = *group;
    let unread = group.kept.saturating_sub(group.read);
    let ended = EndedGroup { id, slot, last_end, weight, unread, durable, leaving };
    group.has_ended(now).then_some(ended)
}
