//! Finds the task or group that a typed text refers to.
//!
//! A search by the end of an id compares every known id. It runs in portions, and the driver does
//! other work between them.

use super::{reader::Reader, task::Owned};
use crate::{
    engine::{keys::GroupSlot, view::Found},
    limits,
    task::{GroupId, TaskId},
};

/// A search for a typed text: `last`, a whole id, or the end of one.
#[derive(Clone, Debug)]
pub struct Search {
    /// The rest of the search; `None` if it is over.
    rest: Option<(IdEnd, Part)>,
    first: Option<Found>,
    others: usize,
}

/// Where a search by the end of an id continues. `Groups → Table → Archive`: tasks only move from
/// the table to the archive, so the search misses none.
#[derive(Clone, Copy, Debug)]
enum Part {
    Groups,
    /// At this position of the table.
    Table(usize),
    /// At this number of the archive.
    Archive(u64),
}

impl Search {
    /// Whether every id was compared.
    pub fn is_over(&self) -> bool {
        self.rest.is_none()
    }

    /// The first match, and the number of other matches.
    pub fn found(&self) -> Option<(Found, usize)> {
        Some((self.first?, self.others))
    }

    fn over(found: Option<Found>) -> Self {
        Self { rest: None, first: found, others: 0 }
    }

    fn add(&mut self, found: Found) {
        match self.first {
            None => self.first = Some(found),
            // A task that was archived during the search is found twice.
            Some(first) => self.others += usize::from(first != found),
        }
    }
}

impl Reader<'_> {
    /// Starts a search. It ends at once unless `selector` is the end of an id; then call
    /// [`Self::continue_search`].
    pub fn search(&self, selector: &str) -> Search {
        if selector == "last" {
            return Search::over(self.last());
        }
        if let Ok(id) = selector.parse::<TaskId>() {
            let group = GroupId::from_bytes(*id.as_bytes());
            let task = self.owner.store.is_known(&id).then_some(Found::Task(id));
            let group = self.owner.store.groups.slot(&group).map(|_| Found::Group(group));
            return Search::over(task.or(group));
        }
        match IdEnd::parse(selector) {
            Some(end) => Search { rest: Some((end, Part::Groups)), first: None, others: 0 },
            None => Search::over(None),
        }
    }

    /// Compares the next [`limits::SEARCHED_AT_ONCE`] ids.
    pub fn continue_search(&self, search: &mut Search) {
        let Some((end, from)) = search.rest.take() else { return };
        let next = match from {
            Part::Groups => {
                let groups = self
                    .owner
                    .store
                    .groups
                    .iter()
                    .filter(|(_, group)| end.fits(group.id.as_bytes()));
                groups.for_each(|(_, group)| search.add(Found::Group(group.id)));
                Some(Part::Table(0))
            }
            Part::Table(from) => {
                let until = from.saturating_add(limits::SEARCHED_AT_ONCE);
                let tasks = &self.owner.store.tasks;
                let fitting = tasks.ending(from..until, end.bits, end.mask);
                fitting.for_each(|task| search.add(Found::Task(task.id)));
                let is_last = until >= tasks.slots();
                Some(if is_last { Part::Archive(0) } else { Part::Table(until) })
            }
            Part::Archive(from) => {
                let mut entries = self.owner.store.archive.table.iter_from(from);
                for (_, entry) in entries.by_ref().take(limits::SEARCHED_AT_ONCE) {
                    if end.fits(entry.id.as_bytes()) {
                        search.add(Found::Task(entry.id));
                    }
                }
                entries.next().map(|(number, _)| Part::Archive(number))
            }
        };
        search.rest = next.map(|next| (end, next));
    }

    /// The latest submitted task, or its group if it has one.
    fn last(&self) -> Option<Found> {
        let here = self.last_here().map(|task| (task.submitted, task.id, task.member));
        let archived = self.owner.store.archive.table.newest(None, 1, |_| true).into_iter().max();
        let archived = archived.and_then(|(_, _, number)| {
            let entry = self.owner.store.archive.table.get(number)?;
            Some((entry.submitted, entry.id, entry.group))
        });
        let (_, id, member) =
            here.into_iter().chain(archived).max_by_key(|last| (last.0, last.1))?;
        Some(self.whole(id, member))
    }

    /// The latest submitted task outside the archive; `None` if the archive has a later one.
    fn last_here(&self) -> Option<&Owned> {
        let (id, key) = self.owner.store.tasks.last()?;
        if let Some(task) = self.owner.store.tasks.get(key) {
            return Some(task);
        }
        if self.owner.store.archive.table.by_id(&id).is_some() {
            return None;
        }
        // It was forgotten before older ones, as a task in memory may be.
        self.owner.store.tasks.iter().max_by_key(|task| (task.submitted, task.id))
    }

    fn whole(&self, id: TaskId, member: Option<GroupSlot>) -> Found {
        let group = member.and_then(|slot| self.owner.store.groups.id(slot));
        group.map_or(Found::Task(id), Found::Group)
    }
}

/// The typed end of an id.
#[derive(Clone, Copy, Debug)]
struct IdEnd {
    bits: u128,
    /// The bits of an id that are compared.
    mask: u128,
}

impl IdEnd {
    /// `None` if the text is not the end of an id.
    fn parse(text: &str) -> Option<Self> {
        let (mut bits, mut mask) = (0, 0);
        for c in text.chars().filter(|c| *c != '-') {
            if mask >> 124 != 0 {
                // An id has fewer digits.
                return None;
            }
            bits = bits << 4 | u128::from(c.to_digit(16)?);
            mask = mask << 4 | 15;
        }
        (mask != 0).then_some(Self { bits, mask })
    }

    fn fits(self, id: &[u8; 16]) -> bool {
        u128::from_be_bytes(*id) & self.mask == self.bits
    }
}
