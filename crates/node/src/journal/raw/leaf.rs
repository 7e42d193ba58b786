//! Reads single pages of the store's file, which may be damaged.
//!
//! A leaf page: type (1 byte), unused (1), number of entries (2), the end of each value (4 each),
//! the keys (8 each), the values. Absent on purpose: the places of pages, and the choice among them
//! (`raw`).

use std::{collections::HashMap, ops::Range};

use super::super::frames::{self, UNSUMMED};

/// The entries of a leaf page of the table of segments.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    pub(super) entries: Vec<Entry>,
    /// Whether all damage is inside records whose lengths are right.
    is_intact: bool,
    /// Whether the records led to the end of the last value.
    is_at_end: bool,
}

/// A segment: its number, the places of its whole records in the page, and the number of its
/// damaged records.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) records: Vec<Range<usize>>,
    pub(super) damaged: u64,
}

impl Leaf {
    /// Reads a page of the table in spite of damage. None if it does not look like a leaf.
    pub(super) fn read(page: &[u8]) -> Option<Self> {
        let stored = Self::read_as(page, usize::from(u16_at(page, 2)?));
        if stored.is_intact {
            return Some(stored);
        }
        // The number of entries may be damaged: tries every number for which the first record would
        // be whole.
        let others = (1..=MAX_ENTRIES)
            .filter(|count| whole_record_end(page, values_start(*count)).is_some());
        let others = others.map(|count| Self::read_as(page, count));
        let best = std::iter::once(stored)
            .chain(others)
            .reduce(|best, other| if other.records() > best.records() { other } else { best });
        best.filter(|leaf| leaf.records() > 0 || leaf.is_at_end)
    }

    /// Reads a page of unknown content. None if it is no leaf of this table, or has damage outside
    /// its records.
    pub(super) fn read_intact(page: &[u8]) -> Option<Self> {
        let leaf = Self::read_as(page, usize::from(u16_at(page, 2)?));
        let is_sorted = leaf.entries.is_sorted_by(|one, next| one.number < next.number);
        (leaf.is_intact && is_sorted && leaf.records() > 0).then_some(leaf)
    }

    fn records(&self) -> usize {
        self.entries.iter().map(|entry| entry.records.len()).sum()
    }

    /// Reads a page as a leaf with `count` entries, and skips damaged records.
    fn read_as(page: &[u8], count: usize) -> Self {
        let numbers = (0..count).map_while(|n| u64_at(page, 4 + 4 * count + 8 * n));
        let entries = numbers.map(|number| Entry { number, ..Entry::default() });
        let mut leaf = Self { entries: entries.collect(), is_intact: true, is_at_end: false };
        let (ends, all_ends) = ends(page, count);
        leaf.is_intact &= all_ends && count > 0 && leaf.entries.len() == count;
        let end = ends.last().filter(|_| all_ends).map_or(page.len(), |(_, end)| *end);
        let mut at = values_start(count);
        loop {
            let next = whole_record_end(page, at);
            if at == end || (at > end && next.is_none()) {
                break;
            }
            let index = ends.iter().rev().find(|(_, end)| *end <= at).map_or(0, |(n, _)| n + 1);
            let Some(entry) = leaf.entries.get_mut(index) else { break };
            if let Some(next) = next {
                if page.get(at + UNSUMMED..next).and_then(frames::timed).is_some() {
                    entry.records.push(at..next);
                } else {
                    entry.damaged += 1;
                }
                at = next;
                continue;
            }
            entry.damaged += 1;
            let by_length = record_end(page, at).filter(|next| is_boundary(page, *next, &ends));
            leaf.is_intact &= by_length.is_some();
            let next =
                by_length.or_else(|| (at + 1..=end).find(|at| leads_to_end(page, *at, &ends)));
            let Some(next) = next else { break };
            at = next;
        }
        leaf.is_at_end = all_ends && at == end;
        leaf.is_intact &= leaf.is_at_end;
        leaf
    }
}

/// The index of a value and its end in the page.
type End = (usize, usize);

/// The ends of a leaf's values without those out of order, and whether none is out of order.
fn ends(page: &[u8], count: usize) -> (Vec<End>, bool) {
    let all: Vec<usize> =
        (0..count).map_while(|n| u32_at(page, 4 + 4 * n)).map(|end| end as usize).collect();
    let mut last = values_start(count);
    let mut ordered = Vec::new();
    for (n, end) in all.iter().copied().enumerate() {
        let next = all.get(n + 1).copied().filter(|next| *next > last).unwrap_or(usize::MAX);
        if last < end && end < next && end <= page.len() {
            ordered.push((n, end));
            last = end;
        }
    }
    let all = ordered.len() == count;
    (ordered, all)
}

/// Offset of the first value in a leaf with `count` entries.
fn values_start(count: usize) -> usize {
    4 + 12 * count
}

/// The end of a leaf's content, if `page` may be the first bytes of a leaf.
pub(super) fn content_end(page: &[u8]) -> Option<usize> {
    let count = usize::from(u16_at(page, 2)?);
    let last = u32_at(page, 4 * count).filter(|_| count > 0)? as usize;
    (page.first() == Some(&LEAF) && last > values_start(count) && last <= MAX_LEAF).then_some(last)
}

/// The end of the record at `at`, if its length is possible.
fn record_end(page: &[u8], at: usize) -> Option<usize> {
    let length = u32_at(page, at)? as usize;
    let end = at.checked_add(UNSUMMED)?.checked_add(length)?;
    (length > TIME_BYTES && end <= page.len()).then_some(end)
}

/// The end of the record at `at`, if the record is whole.
fn whole_record_end(page: &[u8], at: usize) -> Option<usize> {
    let end = record_end(page, at)?;
    let sum = u32_at(page, at + 4)?;
    (crc32fast::hash(page.get(at + UNSUMMED..end)?) == sum).then_some(end)
}

/// Whether a record ends at `at`: a value ends there, or a whole record begins.
fn is_boundary(page: &[u8], at: usize, ends: &[End]) -> bool {
    ends.iter().any(|(_, end)| *end == at) || whole_record_end(page, at).is_some()
}

/// Whether whole records lead from `at` to the end of a value. Otherwise `at` may be inside a
/// record.
fn leads_to_end(page: &[u8], mut at: usize, ends: &[End]) -> bool {
    let is_end = |at: usize| ends.iter().any(|(_, end)| *end == at);
    if is_end(at) {
        return true;
    }
    while let Some(next) = whole_record_end(page, at) {
        if is_end(next) {
            return true;
        }
        at = next;
    }
    false
}

/// The entries of a leaf whose keys are names. `value_size`: the fixed size of its values, if they
/// have one.
pub(super) fn named_entries(page: &[u8], value_size: Option<usize>) -> HashMap<Vec<u8>, Vec<u8>> {
    let Some(count) = u16_at(page, 2).map(usize::from) else { return HashMap::new() };
    let tables = if value_size.is_some() { 1 } else { 2 };
    let number = |n: usize| u32_at(page, 4 + 4 * n).map(|end| end as usize);
    let mut named = HashMap::new();
    let mut key_start = 4 + 4 * count * tables;
    let Some(mut value_start) = count.checked_sub(1).and_then(number) else { return named };
    for n in 0..count {
        let Some(key_end) = number(n) else { break };
        let value_end = value_size.map(|size| value_start + size).or_else(|| number(count + n));
        let Some(value_end) = value_end else { break };
        let pair = page.get(key_start..key_end).zip(page.get(value_start..value_end));
        named.extend(pair.map(|(key, value)| (key.to_vec(), value.to_vec())));
        (key_start, value_start) = (key_end, value_end);
    }
    named
}

/// The children of a branch page: type (1 byte), unused (1), number of keys (2), unused (4), a
/// checksum for each child (16), the page of each child (8), the keys.
pub(super) fn children(page: &[u8]) -> Vec<u64> {
    let count = u16_at(page, 2).map_or(0, usize::from) + 1;
    let child = |n| u64_at(page, 8 + 16 * count + 8 * n);
    if count == 1 || page.first() != Some(&BRANCH) {
        return Vec::new();
    }
    (0..count).map_while(child).collect()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// The first byte of a leaf page.
const LEAF: u8 = 1;

/// The length of a record includes its time, of this many bytes, and is greater.
const TIME_BYTES: usize = 8;
/// Maximum entries of the smallest page; a larger page holds only one or a few segments.
const MAX_ENTRIES: usize = 4_096 / 12;
/// Maximum bytes of a leaf's content: more than any segment has.
const MAX_LEAF: usize = 64 << 20;

/// The first byte of a branch page.
pub(super) const BRANCH: u8 = 2;
