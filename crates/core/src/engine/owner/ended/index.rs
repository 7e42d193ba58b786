//! Numbers of archived tasks by the tasks' ids.
//!
//! An entry is one word: the number, and a part of the id's hash. So a table that grows reads nothing but
//! itself, and a look-up rarely reads the entry of another task.

use std::hash::{BuildHasher as _, BuildHasherDefault};

use hashbrown::{HashTable, hash_table::Entry};
use rustc_hash::FxHasher;

use crate::{engine::forgotten::time_of, task::TaskId};

#[cfg(test)]
mod tests;

/// The index. As large as the table that it belongs to.
#[derive(Debug)]
pub(super) struct Index {
    /// By some bits of the hash. Several tables, so that one that grows is never long at it.
    tables: Vec<HashTable<Word>>,
    /// The latest time in an id: no younger id is here. Most that are looked for are new.
    newest: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self { tables: (0..TABLES).map(|_| HashTable::new()).collect(), newest: 0 }
    }
}

impl Index {
    /// The number of the task with this id. `is_it` says whether a number is its.
    pub(super) fn find(&self, id: &TaskId, is_it: impl Fn(u64) -> bool) -> Option<u64> {
        if time_of(id.as_bytes()).is_some_and(|time| time > self.newest) {
            return None;
        }
        let hash = hash(id);
        let table = self.tables.get(table_of(hash))?;
        let part = part(hash);
        let word = table.find(spread(part), |word| word.part() == part && is_it(word.number()));
        word.map(|word| word.number())
    }

    /// Inserts a number below [`NUMBERS`]. False, and nothing changes, if the id has one, as `is_it` says.
    pub(super) fn insert(&mut self, id: &TaskId, number: u64, is_it: impl Fn(u64) -> bool) -> bool {
        let hash = hash(id);
        let (Some(table), true) = (self.tables.get_mut(table_of(hash)), number < NUMBERS) else {
            return false;
        };
        let part = part(hash);
        let is_same = |word: &Word| word.part() == part && is_it(word.number());
        let Entry::Vacant(place) = table.entry(spread(part), is_same, Word::hash) else {
            return false;
        };
        place.insert(Word(part << NUMBER_BITS | number));
        self.newest = self.newest.max(time_of(id.as_bytes()).unwrap_or(0));
        true
    }

    /// Removes the number of a task.
    pub(super) fn remove(&mut self, id: &TaskId, number: u64) {
        let hash = hash(id);
        if let Some(table) = self.tables.get_mut(table_of(hash))
            && let Ok(found) = table.find_entry(spread(part(hash)), |word| word.number() == number)
        {
            found.remove();
        }
    }

    /// Makes room for so many more: tables that grow leave behind the memory that they had before, about as
    /// much as they have then.
    pub(super) fn reserve(&mut self, count: usize) {
        self.tables.iter_mut().for_each(|table| table.reserve(count / TABLES, Word::hash));
    }
}

/// A part of an id's hash, above the number of its task.
#[derive(Clone, Copy, Debug)]
struct Word(u64);

impl Word {
    fn part(self) -> u64 {
        self.0 >> NUMBER_BITS
    }

    fn number(self) -> u64 {
        self.0 & (NUMBERS - 1)
    }

    fn hash(&self) -> u64 {
        spread(self.part())
    }
}

fn hash(id: &TaskId) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one(id.as_bytes())
}

/// The part that an entry keeps.
fn part(hash: u64) -> u64 {
    hash >> NUMBER_BITS
}

/// From other bits than the part.
fn table_of(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or(0) % TABLES
}

/// A table takes the place from the low bits of a hash and a mark from the high ones. A multiplication
/// fills all of them (Knuth, The Art of Computer Programming 3, 6.4: by the golden ratio), and the upper
/// half, in which each bit depends on the whole part, is folded onto the lower.
fn spread(part: u64) -> u64 {
    let product = part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

/// Bits of a number in an entry: enough for five years of 100,000 tasks a second.
const NUMBER_BITS: u32 = 44;
/// No number is as high.
const NUMBERS: u64 = 1 << NUMBER_BITS;
/// Tables of one index.
const TABLES: usize = 64;
