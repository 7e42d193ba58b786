//! Ended tasks whose records are in the archive: 64 bytes each, and no result.
//!
//! An entry is found by its number in the archive, by the task's id, or by its idempotency key.
//! Numbers rise in the order in which tasks ended, so that the first entry is the oldest.

use std::collections::{BTreeMap, btree_map::Entry as Place};

use rustc_hash::FxHashMap;

pub(super) use self::entry::Entry;
use self::{chunk::Chunk, index::Index};
use crate::{engine::view::EndCounts, task::TaskId, time::Time};

mod chunk;
mod entry;
mod index;
#[cfg(test)]
mod tests;

/// The table of archived tasks. Each entry counts at least a kibibyte against the bytes that may be
/// kept, which bounds the table.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Entries by the leading digits of their numbers.
    chunks: BTreeMap<u64, Chunk>,
    /// Numbers by id.
    index: Index,
    keys: FxHashMap<u64, u64>,
    bytes: u64,
    counts: EndCounts,
}

impl Ended {
    /// Reserves room for the ids of `count` more entries.
    pub(super) fn reserve(&mut self, count: usize) {
        self.index.reserve(count);
    }

    /// The weight of all entries.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The entries by how their tasks ended.
    pub(super) fn counts(&self) -> EndCounts {
        self.counts
    }

    /// Inserts an entry. Its number is higher than all others, or after a restart anywhere in
    /// between. Returns false, without a change, if the number or the id is taken.
    pub(super) fn insert(&mut self, number: u64, mut entry: Entry) -> bool {
        let (chunk, at) = split(number);
        entry.set_at(at);
        let (id, key, weight, ending) = (entry.id, entry.key, entry.weight, entry.ending);
        if self.get(number).is_some() {
            return false;
        }
        let is_it = |number| find(&self.chunks, number).is_some_and(|entry| entry.id == id);
        if !self.index.insert(&id, number, is_it) {
            return false;
        }
        match self.chunks.entry(chunk) {
            Place::Occupied(chunk) => chunk.into_mut().insert(entry),
            Place::Vacant(place) => drop(place.insert(Chunk::of(entry))),
        }
        self.bytes += u64::from(weight);
        self.counts.add(&ending.state());
        if key != 0 {
            self.keys.insert(key, number);
        }
        true
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        find(&self.chunks, number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let (chunk, at) = split(number);
        self.chunks.get_mut(&chunk)?.get_mut(at)
    }

    pub(super) fn by_id(&self, id: &TaskId) -> Option<(u64, &Entry)> {
        let is_it = |number| find(&self.chunks, number).is_some_and(|entry| entry.id == *id);
        let number = self.index.find(id, is_it)?;
        Some((number, self.get(number)?))
    }

    /// The entry whose idempotency key has this hash, and its number.
    pub(super) fn by_key(&self, key: u64) -> Option<(u64, &Entry)> {
        let number = *self.keys.get(&key)?;
        Some((number, self.get(number)?))
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
        let (first, at) = split(number);
        let chunk = self.chunks.get_mut(&first)?;
        let entry = chunk.remove(at)?;
        if chunk.entries().is_empty() {
            self.chunks.remove(&first);
        }
        self.index.remove(&entry.id, number);
        self.bytes -= u64::from(entry.weight);
        let mut one = EndCounts::default();
        one.add(&entry.ending.state());
        self.counts.take(&one);
        if entry.key != 0 && self.keys.get(&entry.key) == Some(&number) {
            self.keys.remove(&entry.key);
        }
        Some(entry)
    }

    /// The latest submitted entries before `before` that fit, unordered: at least `limit` of them
    /// if there are so many, or all if `limit` is 0. Skips chunks of other times.
    pub(super) fn newest(
        &self,
        before: Option<(Time, TaskId)>,
        limit: usize,
        fits: impl Fn(&Entry) -> bool,
    ) -> Vec<(Time, TaskId, u64)> {
        let is_before = |time: Time| before.is_none_or(|(before, _)| time <= before);
        let chunks = self.chunks.iter().filter(|(_, chunk)| is_before(chunk.oldest()));
        let mut chunks: Vec<(Time, u64, &Chunk)> =
            chunks.map(|(first, chunk)| (chunk.newest(), *first, chunk)).collect();
        chunks.sort_unstable_by_key(|(newest, first, _)| std::cmp::Reverse((*newest, *first)));
        let mut found: Vec<(Time, TaskId, u64)> = Vec::new();
        for (newest, first, chunk) in chunks {
            if limit > 0 && found.len() >= limit {
                let order = |entry: &(Time, TaskId, u64)| std::cmp::Reverse((entry.0, entry.1));
                let (_, last, _) = found.select_nth_unstable_by_key(limit - 1, order);
                if last.0 > newest {
                    break;
                }
                found.truncate(limit);
            }
            let entries = chunk.entries().iter();
            let is_next =
                |entry: &&Entry| before.is_none_or(|before| (entry.submitted, entry.id) < before);
            found.extend(
                entries.filter(is_next).filter(|entry| fits(entry)).map(|entry| {
                    (entry.submitted, entry.id, first << DIGITS | u64::from(entry.at()))
                }),
            );
        }
        found
    }

    /// The entries from this number on, the oldest first.
    pub(super) fn iter_from(&self, number: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let (first, _) = split(number);
        let entries = self.chunks.range(first..).flat_map(numbered);
        entries.skip_while(move |(of, _)| *of < number)
    }

    /// All entries with their numbers, the oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        self.chunks.iter().flat_map(numbered)
    }
}

/// The entries of a chunk with their numbers.
fn numbered<'c>(
    (first, chunk): (&'c u64, &'c Chunk),
) -> impl DoubleEndedIterator<Item = (u64, &'c Entry)> {
    let entries = chunk.entries().iter();
    entries.map(move |entry| (first << DIGITS | u64::from(entry.at()), entry))
}

fn find(chunks: &BTreeMap<u64, Chunk>, number: u64) -> Option<&Entry> {
    let (chunk, at) = split(number);
    chunks.get(&chunk)?.get(at)
}

fn split(number: u64) -> (u64, u16) {
    let last = number & ((1 << DIGITS) - 1);
    (number >> DIGITS, u16::try_from(last).unwrap_or(0))
}

/// Bits of a number that distinguish the entries of one chunk.
const DIGITS: u32 = 8;
