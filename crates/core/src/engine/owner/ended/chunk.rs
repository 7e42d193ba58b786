//! A few hundred archived tasks with consecutive numbers.

use super::entry::Entry;
use crate::time::Time;

/// Entries in the order of their numbers; at least one.
#[derive(Debug)]
pub(super) struct Chunk {
    entries: Vec<Entry>,
    /// Earliest submission time of the entries.
    oldest: Time,
    /// Latest submission time of the entries.
    newest: Time,
}

impl Chunk {
    pub(super) fn of(entry: Entry) -> Self {
        Self { oldest: entry.submitted, newest: entry.submitted, entries: vec![entry] }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn oldest(&self) -> Time {
        self.oldest
    }

    pub(super) fn newest(&self) -> Time {
        self.newest
    }

    pub(super) fn get(&self, at: u16) -> Option<&Entry> {
        self.entries.get(self.place(at).ok()?)
    }

    pub(super) fn get_mut(&mut self, at: u16) -> Option<&mut Entry> {
        let place = self.place(at).ok()?;
        self.entries.get_mut(place)
    }

    /// Inserts an entry whose number is free.
    pub(super) fn insert(&mut self, entry: Entry) {
        let (Ok(place) | Err(place)) = self.place(entry.at());
        self.oldest = self.oldest.min(entry.submitted);
        self.newest = self.newest.max(entry.submitted);
        self.entries.insert(place, entry);
    }

    /// Removes an entry. The caller drops the chunk if it is empty afterwards.
    pub(super) fn remove(&mut self, at: u16) -> Option<Entry> {
        let entry = self.entries.remove(self.place(at).ok()?);
        if self.entries.len() * 4 < self.entries.capacity() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        Some(entry)
    }

    /// The position of the entry with these last digits, or where it belongs. Most chunks have no
    /// holes, so the digits are the position; most new entries belong at the end.
    fn place(&self, at: u16) -> Result<usize, usize> {
        let guess = usize::from(at);
        if self.entries.get(guess).is_some_and(|entry| entry.at() == at) {
            return Ok(guess);
        }
        match self.entries.last() {
            Some(last) if last.at() < at => Err(self.entries.len()),
            _ => self.entries.binary_search_by_key(&at, |entry| entry.at()),
        }
    }
}
