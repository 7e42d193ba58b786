//! Waiting items in one lane per priority, and the turns of lanes that are not the most urgent.
//!
//! Absent on purpose: time. A lane's age is the number of starts in other lanes since its own last
//! start, so it depends on no clock, and nothing ages on an idle node.

use std::collections::{BTreeMap, VecDeque};

use crate::limits;

/// A negated priority: the lowest rank is the most urgent.
pub(super) type Rank = i16;

/// Counts starts. Most go to the most urgent lane; now and then one goes to the lane that has
/// waited longest for a start, so that no priority starves.
#[derive(Debug, Default)]
pub(super) struct Turns {
    starts: u64,
    /// No lane is due before `starts` reaches this value.
    next: u64,
}

impl Turns {
    /// Whether a lane may be due. Stays true until a lane got its turn or none is old enough, so
    /// that a turn is not lost when there was no room for it.
    pub(super) fn is_due(&self) -> bool {
        self.starts >= self.next
    }

    /// Whether a lane whose last start was at count `served` is due.
    pub(super) fn has_turn(&self, served: u64) -> bool {
        served + limits::STARTS_BY_PRIORITY <= self.starts
    }

    /// The longest-waiting lane had its last start at count `served`: no lane is due before this
    /// one.
    pub(super) fn wait_for(&mut self, served: u64) {
        self.next = self.next.max(served + limits::STARTS_BY_PRIORITY);
    }

    /// Counts a start. `in_turn`: the lane was chosen by its age, not by its priority.
    pub(super) fn note_start(&mut self, in_turn: bool) {
        self.starts += 1;
        if in_turn {
            self.next = self.starts + limits::STARTS_BY_PRIORITY;
        }
    }
}

/// The waiting items, by priority.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    lanes: BTreeMap<Rank, Lane<T>>,
}

#[derive(Debug)]
struct Lane<T> {
    line: VecDeque<T>,
    /// The start count at the lane's last start, or at its creation.
    served: u64,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new() }
    }
}

impl<T: Copy + PartialEq> Lanes<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Number of waiting items. Takes time proportional to the number of priorities.
    pub(super) fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.line.len()).sum()
    }

    /// Whether items of more than one priority wait.
    pub(super) fn is_mixed(&self) -> bool {
        self.lanes.len() > 1
    }

    /// Adds an item behind all others of its priority, or before them if `front`.
    pub(super) fn push(&mut self, priority: i8, item: T, front: bool, turns: &Turns) {
        let new = || Lane { line: VecDeque::new(), served: turns.starts };
        let lane = self.lanes.entry(-Rank::from(priority)).or_insert_with(new);
        if front { lane.line.push_front(item) } else { lane.line.push_back(item) }
    }

    /// The most urgent lane.
    pub(super) fn head(&self) -> Option<Rank> {
        self.lanes.first_key_value().map(|(rank, _)| *rank)
    }

    /// The lane that has waited longest for a start, and the start count at its last one.
    pub(super) fn longest(&self) -> Option<(u64, Rank)> {
        self.lanes.iter().map(|(rank, lane)| (lane.served, *rank)).min()
    }

    /// The first live item of a lane. Removes items before it that are not `live`, and counts them
    /// in `gone`.
    pub(super) fn front(
        &mut self,
        rank: Rank,
        is_live: impl Fn(T) -> bool,
        gone: &mut usize,
    ) -> Option<T> {
        let lane = self.lanes.get_mut(&rank)?;
        while let Some(item) = lane.line.front().copied() {
            if is_live(item) {
                return Some(item);
            }
            lane.line.pop_front();
            *gone += 1;
        }
        self.lanes.remove(&rank);
        None
    }

    /// Removes the first item of a lane, because it starts.
    pub(super) fn take(&mut self, rank: Rank, turns: &Turns) -> Option<T> {
        let lane = self.lanes.get_mut(&rank)?;
        lane.served = turns.starts;
        let item = lane.line.pop_front();
        if lane.line.is_empty() {
            self.lanes.remove(&rank);
        }
        item
    }

    /// Removes an item from anywhere in its lane.
    pub(super) fn remove(&mut self, priority: i8, item: T) {
        let rank = -Rank::from(priority);
        let Some(lane) = self.lanes.get_mut(&rank) else { return };
        if let Some(at) = lane.line.iter().position(|waiting| *waiting == item) {
            lane.line.remove(at);
        }
        if lane.line.is_empty() {
            self.lanes.remove(&rank);
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(T) -> bool) {
        self.lanes.retain(|_, lane| {
            lane.line.retain(|item| keep(*item));
            !lane.line.is_empty()
        });
    }

    /// All waiting items, the most urgent first.
    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        self.lanes.into_values().flat_map(|lane| lane.line)
    }
}
