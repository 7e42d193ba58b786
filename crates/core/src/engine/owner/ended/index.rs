//! An index from task ids to the numbers of archived tasks.
//!
//! An entry is one word: the number, and a part of the id's hash. So a growing table reads only
//! itself, and a look-up rarely reads the entry of another task.

use std::hash::{BuildHasher as _, BuildHasherDefault};

use hashbrown::{HashTable, hash_table::Entry};
use rustc_hash::FxHasher;

use crate::{engine::forgotten::time_of, task::TaskId};

#[cfg(test)]
mod tests;

/// The index. It has one word per archived task.
#[derive(Debug)]
pub(super) struct Index {
    /// Tables, chosen by some bits of the hash. There are several, so that growing one of them is
    /// short.
    tables: Vec<HashTable<Word>>,
    /// The latest time in an id: no younger id is indexed. Most look-ups are for new ids.
    newest: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self { tables: (0..TABLES).map(|_| HashTable::new()).collect(), newest: 0 }
    }
}

impl Index {
    /// The number of the task with this id. `is_it` says whether a number belongs to it.
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

    /// Inserts a number below [`NUMBERS`]. Returns false, without a change, if `is_it` finds the id
    /// indexed already.
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

    /// Removes a task's number.
    pub(super) fn remove(&mut self, id: &TaskId, number: u64) {
        let hash = hash(id);
        if let Some(table) = self.tables.get_mut(table_of(hash))
            && let Ok(found) = table.find_entry(spread(part(hash)), |word| word.number() == number)
        {
            found.remove();
        }
    }

    /// Reserves room for `count` more numbers: a growing table leaves behind its old memory, about
    /// as much as its new one.
    pub(super) fn reserve(&mut self, count: usize) {
        self.tables.iter_mut().for_each(|table| table.reserve(count / TABLES, Word::hash));
    }
}

/// A part of an id's hash in the high bits, the task's number in the low bits.
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

/// The part of the hash that an entry stores.
fn part(hash: u64) -> u64 {
    hash >> NUMBER_BITS
}

/// The table for this hash, chosen by other bits than the part.
fn table_of(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or(0) % TABLES
}

/// A table takes the position from a hash's low bits and a mark from the high ones. A
/// multiplication by the golden ratio fills all bits (Knuth, The Art of Computer Programming 3,
/// 6.4); folding the upper half, whose bits depend on the whole part, onto the lower one spreads
/// both.
fn spread(part: u64) -> u64 {
    let product = part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

/// Bits of a number in an entry: five years at 100,000 tasks a second.
const NUMBER_BITS: u32 = 44;
/// Upper bound (exclusive) of numbers.
const NUMBERS: u64 = 1 << NUMBER_BITS;
/// Tables of one index.
const TABLES: usize = 64;
