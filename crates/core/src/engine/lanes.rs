//! What waits, in one line for each priority, and how lines that are not the first get their turn.
//!
//! Absent on purpose: time. A line is as old as the starts that others had since its own last one, so
//! that nothing depends on a clock and an idle node ages nothing.

use std::collections::{BTreeMap, VecDeque};

use crate::limits;

/// A priority, negated: the lowest is the most urgent.
pub(super) type Rank = i16;

/// Counts starts. Most go to the most urgent line; now and then one goes to the line that has had none
/// for longest, so that no priority starves.
#[derive(Debug, Default)]
pub(super) struct Turns {
    starts: u64,
    /// Before as many starts no line has its turn.
    next: u64,
}

impl Turns {
    /// Whether there may be a line that has its turn. It stays so until one has had it, or none is old
    /// enough: a turn for which there was no room is not lost.
    pub(super) fn is_due(&self) -> bool {
        self.starts >= self.next
    }

    /// Whether a line that was served then has its turn.
    pub(super) fn has_turn(&self, served: u64) -> bool {
        served + limits::STARTS_BY_PRIORITY <= self.starts
    }

    /// No line was served before this one: until it has its turn, none has.
    pub(super) fn wait_for(&mut self, served: u64) {
        self.next = self.next.max(served + limits::STARTS_BY_PRIORITY);
    }

    /// Something was started. `in_turn`: not by its priority.
    pub(super) fn note_start(&mut self, in_turn: bool) {
        self.starts += 1;
        if in_turn {
            self.next = self.starts + limits::STARTS_BY_PRIORITY;
        }
    }
}

/// Lines of what waits, by priority.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    lanes: BTreeMap<Rank, Lane<T>>,
}

#[derive(Debug)]
struct Lane<T> {
    line: VecDeque<T>,
    /// How much had been started when something of it was, or when it began.
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

    /// All that stands in line. Looks at each priority.
    pub(super) fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.line.len()).sum()
    }

    /// Whether more than one priority waits.
    pub(super) fn is_mixed(&self) -> bool {
        self.lanes.len() > 1
    }

    /// Something waits, behind what has its priority, or before it.
    pub(super) fn push(&mut self, priority: i8, item: T, front: bool, turns: &Turns) {
        let new = || Lane { line: VecDeque::new(), served: turns.starts };
        let lane = self.lanes.entry(-Rank::from(priority)).or_insert_with(new);
        if front { lane.line.push_front(item) } else { lane.line.push_back(item) }
    }

    /// The most urgent line.
    pub(super) fn head(&self) -> Option<Rank> {
        self.lanes.first_key_value().map(|(rank, _)| *rank)
    }

    /// The line that has had no start for longest, and since when.
    pub(super) fn longest(&self) -> Option<(u64, Rank)> {
        self.lanes.iter().map(|(rank, lane)| (lane.served, *rank)).min()
    }

    /// What is next in a line. What is not `live` before it leaves the line, and is counted in `gone`.
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

    /// What is next in a line starts.
    pub(super) fn take(&mut self, rank: Rank, turns: &Turns) -> Option<T> {
        let lane = self.lanes.get_mut(&rank)?;
        lane.served = turns.starts;
        let item = lane.line.pop_front();
        if lane.line.is_empty() {
            self.lanes.remove(&rank);
        }
        item
    }

    /// Takes something out of its line, wherever it stands.
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

    /// All that waits, the most urgent first.
    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        self.lanes.into_values().flat_map(|lane| lane.line)
    }
}
