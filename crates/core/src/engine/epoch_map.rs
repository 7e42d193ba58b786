//! Attempts by epoch: a sorted queue with holes.
//!
//! Epochs rise, and attempts end roughly in the order in which they began, so a sorted queue beats
//! a hash table: insertion at the back, removal near the front, lookup by bisection. A peer that
//! chooses epochs cannot make it slow.

use std::collections::VecDeque;

use crate::frame::Epoch;

#[derive(Debug)]
pub(super) struct EpochMap<T> {
    entries: VecDeque<(Epoch, Option<T>)>,
    live: usize,
}

impl<T> Default for EpochMap<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), live: 0 }
    }
}

impl<T> EpochMap<T> {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Appends an entry. Returns false and inserts nothing if `epoch` is not higher than all
    /// others.
    pub(super) fn push(&mut self, epoch: Epoch, value: T) -> bool {
        if self.entries.back().is_some_and(|(last, _)| *last >= epoch) {
            return false;
        }
        self.entries.push_back((epoch, Some(value)));
        self.live += 1;
        true
    }

    pub(super) fn get(&self, epoch: Epoch) -> Option<&T> {
        let at = self.position(epoch)?;
        self.entries.get(at)?.1.as_ref()
    }

    pub(super) fn get_mut(&mut self, epoch: Epoch) -> Option<&mut T> {
        let at = self.position(epoch)?;
        self.entries.get_mut(at)?.1.as_mut()
    }

    pub(super) fn remove(&mut self, epoch: Epoch) -> Option<T> {
        let at = self.position(epoch)?;
        let value = self.entries.get_mut(at)?.1.take()?;
        self.live -= 1;
        while self.entries.front().is_some_and(|(_, value)| value.is_none()) {
            self.entries.pop_front();
        }
        if self.entries.len() > 2 * self.live + SLACK {
            self.entries.retain(|(_, value)| value.is_some());
        }
        Some(value)
    }

    /// Removes all entries and returns them in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Epoch, T)> + use<T> {
        self.live = 0;
        std::mem::take(&mut self.entries)
            .into_iter()
            .filter_map(|(epoch, value)| value.map(|value| (epoch, value)))
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Epoch, &T)> {
        self.entries.iter().filter_map(|(epoch, value)| value.as_ref().map(|value| (*epoch, value)))
    }

    fn position(&self, epoch: Epoch) -> Option<usize> {
        // Most lookups are for the oldest entry.
        if self.entries.front()?.0 == epoch {
            return Some(0);
        }
        self.entries.binary_search_by(|(at, _)| at.cmp(&epoch)).ok()
    }
}

/// Holes tolerated beyond the number of entries.
const SLACK: usize = 64;
