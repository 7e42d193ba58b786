//! Forgotten ids, in bounded memory: a task or group whose results were dropped is answered as
//! `forgotten`, not as one that never existed.
//!
//! Most ids contain the time of their creation. For these one time suffices: an unknown id that is
//! not younger than the youngest forgotten one counts as forgotten. Other ids (of groups with a
//! key) are stored.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::record::Record;
use crate::limits;

/// The part of an id that a group and its members have in common.
type Start = [u8; 12];

/// The ids that were forgotten.
#[derive(Clone, Debug, Default)]
pub struct Forgotten {
    /// Milliseconds since 1970 up to which ids with a time count as forgotten; 0: none does.
    until: u64,
    /// Starts of ids without a time, the earliest first, at most [`limits::FORGOTTEN_IDS`].
    starts: VecDeque<Start>,
    known: FxHashSet<Start>,
}

impl Forgotten {
    /// The time in an id of version 7, in milliseconds since 1970.
    pub fn time_of(id: &[u8; 16]) -> Option<u64> {
        time_of(id)
    }

    /// Adds the ids with this start.
    pub fn add_start(&mut self, start: [u8; 12]) {
        if self.known.insert(start) {
            self.starts.push_back(start);
        }
        if self.starts.len() > limits::FORGOTTEN_IDS
            && let Some(first) = self.starts.pop_front()
        {
            self.known.remove(&first);
        }
    }

    /// The time up to which ids count as forgotten, in milliseconds since 1970.
    pub fn until(&self) -> u64 {
        self.until
    }

    /// Restores such a time from an earlier start.
    pub fn raise(&mut self, until: u64) {
        self.until = self.until.max(until);
    }

    /// Adds the id of a forgotten task or group.
    pub fn add(&mut self, id: &[u8; 16]) {
        if let Some(time) = time_of(id) {
            return self.raise(time);
        }
        if let Some(start) = id.first_chunk() {
            self.add_start(*start);
        }
    }

    /// Whether an unknown id counts as forgotten.
    pub fn has(&self, id: &[u8; 16]) -> bool {
        match time_of(id) {
            Some(time) => time <= self.until,
            None => id.first_chunk().is_some_and(|start| self.known.contains(start)),
        }
    }

    /// Adds the ids that a record says are forgotten.
    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Forgotten { id } => self.add(id.as_bytes()),
            Record::GroupForgotten { id } => self.add(id.as_bytes()),
            Record::Dropped { until, .. } => self.raise(*until),
            Record::Submitted { .. }
            | Record::Tried { .. }
            | Record::Ended { .. }
            | Record::Archived { .. }
            | Record::Read { .. }
            | Record::Group(_)
            | Record::Blob(_)
            | Record::Finished(_)
            | Record::Released { .. } => {}
        }
    }
}

/// The time in an id of version 7, in milliseconds since 1970.
pub(super) fn time_of(id: &[u8; 16]) -> Option<u64> {
    let [a, b, c, d, e, f, version, ..] = *id;
    (version >> 4 == 7).then(|| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}
