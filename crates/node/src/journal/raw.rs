//! Reads segments from the bytes of a journal file, for `salvage`: the store refuses a whole file
//! for one page with a wrong checksum, but each record has its own checksum.
//!
//! The file has two commit slots: the latest commit and the one before. Each leads through pages to
//! its segments. Pages are not overwritten in place, so freed pages still hold removed segments,
//! perhaps without the records that undo theirs. Therefore:
//!
//! - If the latest commit leads to all its segments, these and no others are taken. Other pages
//!   only replace a damaged copy of one of them.
//! - Else the segments of the commit before are taken as well, and later ones from freed pages; if
//!   neither commit leads to all its segments, the segments of all pages. Then a removed segment
//!   may come back, and [`Found::is_exact`] is false.
//!
//! Absent on purpose: the checksums of pages, and any write. The layout is redb's file format 3;
//! tests compare this module with the store.

mod leaf;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
};

use self::leaf::{BRANCH, Leaf, u32_at, u64_at};

/// The readable contents of a file.
pub(super) struct Found {
    bytes: Bytes,
    segments: BTreeMap<u64, Segment>,
    exact: bool,
    metas: Vec<Meta>,
}

/// Places in the file of the whole records of one segment.
#[derive(Clone, Debug, Default)]
struct Segment {
    records: Vec<Range<u64>>,
    /// Number of damaged records, as far as they can be counted.
    damaged: u64,
}

/// The table of the store's own numbers in one commit.
type Meta = HashMap<Vec<u8>, u64>;

impl Found {
    /// Reads a file to which at least `least_written` segments were written.
    pub(super) fn read(path: &Path, least_written: u64) -> io::Result<Self> {
        let bytes = Bytes::open(path)?;
        let mut walks = SLOTS.map(|slot| Walk::of(&bytes, slot));
        let written = walks.iter().filter_map(|walk| walk.written()).max();
        let limit = written.map_or(u64::MAX, |written| written.saturating_add(SLACK));
        walks.iter_mut().for_each(|walk| walk.order(limit));
        walks.sort_by(|one, other| other.compare_age(one));
        let [latest, before] = &walks;
        let mut segments: BTreeMap<_, _> = latest.segments.iter().cloned().collect();
        let mut exact = latest.is_complete();
        let newer = if exact { u64::MAX } else { before.next() };
        for (number, segment) in &before.segments {
            if !exact || segments.contains_key(number) || *number >= latest.next() {
                keep_better(&mut segments, *number, segment);
            }
        }
        // If the latest commit counts as many segments, none of these was removed by it.
        let is_before_complete = before.is_complete();
        exact |= is_before_complete && latest.length == Some(segments.len() as u64);
        let newer = if exact || is_before_complete { newer } else { 0 };
        // The store goes back one commit when it opens a file whose latest commit is damaged.
        let is_back = latest.written().is_some_and(|written| written < least_written);
        exact &= !is_back;
        let newer = if is_back { newer.min(latest.next()) } else { newer };
        let metas = walks.iter().map(|walk| walk.meta.clone()).collect();
        let used = walks.into_iter().flat_map(|walk| walk.pages).collect();
        let mut found = Self { bytes, segments, exact, metas };
        found.search_freed(&used, newer);
        Ok(found)
    }

    /// Whether these are exactly the segments of the latest commit, without removed ones.
    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    /// The values of one of the store's own numbers, one for each commit that has it.
    pub(super) fn meta(&self, key: &str) -> Vec<u64> {
        self.metas.iter().filter_map(|meta| meta.get(key.as_bytes()).copied()).collect()
    }

    /// Number of lost records, as far as they can be counted.
    pub(super) fn damaged(&self) -> u64 {
        self.segments.values().map(|segment| segment.damaged).sum()
    }

    /// Whether no record is whole.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.values().all(|segment| segment.records.is_empty())
    }

    /// The segments with whole records: their numbers, in order, and these records.
    pub(super) fn segments(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        let whole = self.segments.iter().filter(|(_, segment)| !segment.records.is_empty());
        whole.map(|(number, segment)| (*number, self.bytes.join(&segment.records)))
    }

    /// Searches the pages that no commit uses for better copies of damaged segments, and for
    /// segments from number `newer` on.
    fn search_freed(&mut self, used: &HashMap<u64, u64>, newer: u64) {
        let damaged: HashSet<u64> = self
            .segments
            .iter()
            .filter(|(_, segment)| segment.damaged > 0)
            .map(|(number, _)| *number)
            .collect();
        if damaged.is_empty() && newer == u64::MAX {
            return;
        }
        let mut at = PAGE;
        while at < self.bytes.len {
            if let Some(size) = used.get(&at) {
                at += size;
                continue;
            }
            for (number, segment) in self.bytes.freed_leaf(at) {
                if number >= newer && !damaged.contains(&number) {
                    keep_better(&mut self.segments, number, &segment);
                } else if damaged.contains(&number) && self.mends(number, &segment) {
                    self.segments.insert(number, segment);
                }
            }
            at += PAGE;
        }
    }

    /// Whether a copy of a segment has all its whole records and more.
    fn mends(&self, number: u64, copy: &Segment) -> bool {
        let Some(present) = self.segments.get(&number) else { return false };
        let read = |segment: &Segment| -> HashSet<Vec<u8>> {
            segment.records.iter().map(|record| self.bytes.read(record)).collect()
        };
        let (present, copy) = (read(present), read(copy));
        copy.len() > present.len() && present.is_subset(&copy)
    }
}

fn keep_better(segments: &mut BTreeMap<u64, Segment>, number: u64, other: &Segment) {
    let present = segments.entry(number).or_insert_with(|| other.clone());
    if present.records.len() < other.records.len() {
        other.clone_into(present);
    }
}

/// A file's bytes and the layout of its pages.
struct Bytes {
    file: File,
    len: u64,
    /// Bytes of a region, including its header.
    region: u64,
    region_header: u64,
}

impl Bytes {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let bytes = Self { file, len, region: PAGE << 20, region_header: 0 };
        let header = bytes.read(&(0..PAGE));
        let pages = |at| u32_at(&header, at).map(|pages| u64::from(pages) * PAGE);
        let of_region = pages(REGION_HEADER_PAGES).zip(pages(REGION_PAGES));
        // A region has at most 2^20 pages; if the file's header says more, it is damaged.
        let Some((header, data)) = of_region.filter(|(h, d)| *h <= PAGE << 20 && *d <= PAGE << 20)
        else {
            return Ok(bytes);
        };
        Ok(Self { region: header + data, region_header: header, ..bytes })
    }

    /// Reads these bytes; fewer at the end of the file or on an error of the disk.
    fn read(&self, range: &Range<u64>) -> Vec<u8> {
        let end = range.end.min(self.len);
        let wanted = usize::try_from(end.saturating_sub(range.start)).unwrap_or(0);
        let mut bytes = vec![0; wanted];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, range.start + read as u64) {
                Ok(0) | Err(_) => break,
                Ok(more) => read += more,
            }
        }
        bytes.truncate(read);
        bytes
    }

    fn join(&self, ranges: &[Range<u64>]) -> Vec<u8> {
        ranges.iter().flat_map(|range| self.read(range)).collect()
    }

    /// The place of a page and its size.
    fn place(&self, page: u64) -> Option<(u64, u64)> {
        let order = page >> 59;
        let size = PAGE.checked_shl(u32::try_from(order).ok()?).filter(|_| order <= MAX_ORDER)?;
        let index = page & (MAX_INDEX >> order);
        let region = (page >> 20) & MAX_INDEX;
        let at = PAGE + region.checked_mul(self.region)? + self.region_header + index * size;
        (at < self.len).then_some((at, size))
    }

    /// The segments of a freed page, if it looks like an undamaged leaf.
    fn freed_leaf(&self, at: u64) -> Vec<(u64, Segment)> {
        let start = self.read(&(at..at + PAGE));
        let Some(end) = leaf::content_end(&start) else { return Vec::new() };
        if end as u64 <= PAGE {
            return Leaf::read_intact(&start).map_or_else(Vec::new, |leaf| segments(leaf, at));
        }
        let page = self.read(&(at..at + end as u64));
        Leaf::read_intact(&page).map_or_else(Vec::new, |leaf| segments(leaf, at))
    }
}

fn segments(leaf: Leaf, at: u64) -> Vec<(u64, Segment)> {
    let place = |range: &Range<usize>| at + range.start as u64..at + range.end as u64;
    let entries = leaf.entries.into_iter().map(|entry| {
        let records = entry.records.iter().map(place).collect();
        (entry.number, Segment { records, damaged: entry.damaged })
    });
    entries.collect()
}

/// The pages and segments that one commit leads to.
#[derive(Default)]
struct Walk {
    /// In the order of the tree.
    segments: Vec<(u64, Segment)>,
    meta: Meta,
    /// The places and sizes of the leaf pages with segments.
    pages: Vec<(u64, u64)>,
    visited: HashSet<u64>,
    /// Number of segments according to the table.
    length: Option<u64>,
    transaction: Option<u64>,
    /// Whether some page was not found.
    is_cut: bool,
}

impl Walk {
    fn of(bytes: &Bytes, slot: u64) -> Self {
        let mut walk = Self::default();
        let slot = bytes.read(&(slot..slot + SLOT));
        let root = u64_at(&slot, ROOT);
        let tables = root.and_then(|root| bytes.place(root)).map(|(at, size)| {
            let page = bytes.read(&(at..at + size));
            leaf::named_entries(&page, None)
        });
        let tables = tables.unwrap_or_default();
        let root_of = |name: &str| {
            let table = tables.get(name.as_bytes())?;
            Some(u64_at(table, TABLE_ROOT)?).filter(|_| table.get(TABLE_ROOT - 1) != Some(&0))
        };
        if let Some((at, size)) = root_of("meta").and_then(|root| bytes.place(root)) {
            let values = leaf::named_entries(&bytes.read(&(at..at + size)), Some(8));
            let number = |(name, value): (Vec<u8>, Vec<u8>)| Some((name, u64_at(&value, 0)?));
            walk.meta = values.into_iter().filter_map(number).collect();
        }
        walk.transaction = u64_at(&slot, TRANSACTION);
        walk.length = tables.get("segments".as_bytes()).and_then(|table| u64_at(table, 1));
        match root_of("segments") {
            Some(root) => walk.descend(bytes, root, 0),
            // An empty table has no root.
            None => walk.is_cut = !tables.contains_key("segments".as_bytes()),
        }
        walk
    }

    /// Number of segments ever written.
    fn written(&self) -> Option<u64> {
        self.meta.get("written".as_bytes()).copied()
    }

    /// Compares the ages of two commits by the majority of three numbers, one of which may be
    /// damaged.
    fn compare_age(&self, other: &Self) -> Ordering {
        let next = |walk: &Self| (!walk.is_cut).then(|| walk.next());
        let of = |walk: &Self| [next(walk), walk.written(), walk.transaction];
        let known = of(self).into_iter().zip(of(other)).map(|(one, two)| Some(one?.cmp(&two?)));
        let sum: i32 = known.flatten().map(|order| order as i32).sum();
        sum.cmp(&0).then(self.transaction.cmp(&other.transaction))
    }

    /// Whether the walk found all segments of the commit.
    fn is_complete(&self) -> bool {
        !self.is_cut && self.length == Some(self.segments.len() as u64)
    }

    /// The number after the last segment.
    fn next(&self) -> u64 {
        self.segments.last().map_or(0, |(number, _)| number + 1)
    }

    fn descend(&mut self, bytes: &Bytes, page: u64, depth: usize) {
        let Some((at, size)) = bytes.place(page).filter(|_| depth < MAX_DEPTH) else {
            self.is_cut = true;
            return;
        };
        if !self.visited.insert(at) {
            self.is_cut = true;
            return;
        }
        let content = bytes.read(&(at..at + size));
        if content.first() != Some(&BRANCH)
            && let Some(leaf) = Leaf::read(&content)
        {
            self.pages.push((at, size));
            self.segments.extend(segments(leaf, at));
            return;
        }
        let children = leaf::children(&content);
        self.is_cut |= children.is_empty();
        for child in children {
            self.descend(bytes, child, depth + 1);
        }
    }

    /// Repairs the order of segment numbers, which rise along the tree. A number out of order has a
    /// flipped bit, which is repaired, or is from a page outside the tree, which is left out.
    fn order(&mut self, limit: u64) {
        let numbers: Vec<u64> = self.segments.iter().map(|(number, _)| *number).collect();
        let rise = rising(&numbers, limit);
        let mut next = limit;
        let mut bounds: Vec<u64> = Vec::with_capacity(numbers.len());
        for (number, rises) in numbers.iter().zip(&rise).rev() {
            bounds.push(next);
            next = if *rises { *number } else { next };
        }
        let mut least = 0;
        let mut ordered = Vec::with_capacity(numbers.len());
        let bounded = rise.into_iter().zip(bounds.into_iter().rev());
        for ((number, segment), (rises, next)) in self.segments.drain(..).zip(bounded) {
            let repaired =
                || (0..64).map(|bit| number ^ (1 << bit)).find(|n| (least..next).contains(n));
            let Some(number) = rises.then_some(number).or_else(repaired) else {
                self.is_cut = true;
                continue;
            };
            least = number.saturating_add(1);
            ordered.push((number, segment));
        }
        self.segments = ordered;
    }
}

/// For each number, whether it belongs to the longest rising sequence of numbers below `limit`.
fn rising(numbers: &[u64], limit: u64) -> Vec<bool> {
    // For each length, the index of the lowest last number of a sequence; for each index, the one
    // before.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; numbers.len()];
    let at = |index: usize| numbers.get(index).copied().unwrap_or(u64::MAX);
    for (index, number) in numbers.iter().enumerate().filter(|(_, number)| **number < limit) {
        let length = ends.partition_point(|end| at(*end) < *number);
        if let Some(before) = before.get_mut(index) {
            *before = length.checked_sub(1).and_then(|length| ends.get(length)).copied();
        }
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut rise = vec![false; numbers.len()];
    let mut last = ends.last().copied();
    while let Some(index) = last {
        if let Some(rises) = rise.get_mut(index) {
            *rises = true;
        }
        last = before.get(index).copied().flatten();
    }
    rise
}

/// Bytes of the smallest page, and of the file's header.
const PAGE: u64 = 4_096;
/// Offsets of the two commit slots in the file.
const SLOTS: [u64; 2] = [64, 192];
const SLOT: u64 = 128;
/// Offsets in a slot: of the page with the table of tables, and of the transaction's number.
const ROOT: usize = 8;
const TRANSACTION: usize = 104;
/// Offsets in the file's header.
const REGION_HEADER_PAGES: usize = 16;
const REGION_PAGES: usize = 20;
/// Offset in a table's definition; the byte before says whether the table has a root.
const TABLE_ROOT: usize = 10;
/// Segment numbers may exceed the count of written segments by this much: that count may be
/// damaged.
const SLACK: u64 = 1 << 16;
/// Bits of a page's index in its region.
const MAX_INDEX: u64 = (1 << 20) - 1;
/// The largest page has 2^20 times the bytes of the smallest.
const MAX_ORDER: u64 = 20;
/// A tree of this depth would have more pages than any file.
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests;
