//! The store's tables beside its segments: the valid files of the archive, the forgotten ids, and
//! the node's uptime.

use std::{collections::BTreeMap, path::Path};

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::{
    super::{
        archive::{self, Archive},
        error::JournalError,
    },
    ENDED, FORGOTTEN, FORGOTTEN_UNTIL, NUMBERS, Store, Tables, UP,
};

/// The contents of a store beside its segments.
#[derive(Clone, Debug, Default)]
pub(in crate::journal) struct Aside {
    /// Valid files of the archive, by the number of their first task.
    pub(in crate::journal) ended: BTreeMap<u64, archive::Entry>,
    /// Starts of forgotten ids without a time.
    pub(in crate::journal) forgotten: Vec<Vec<u8>>,
    /// The number of the next archived task.
    pub(in crate::journal) numbers: u64,
    /// The node's uptime over all its starts, in milliseconds.
    pub(in crate::journal) up: u64,
    /// Ids with a time up to this one count as forgotten, in milliseconds since 1970.
    pub(in crate::journal) forgotten_until: u64,
}

impl Store {
    /// Reads the store's contents beside its segments.
    pub(in crate::journal) fn aside(&self) -> Result<Aside, JournalError> {
        let read = || {
            let mut aside = Aside::default();
            let transaction = self.db()?.begin_read()?;
            match transaction.open_table(ENDED) {
                Ok(table) => {
                    let damaged = || redb::Error::Corrupted("an entry of the archive".to_owned());
                    for row in table.iter()? {
                        let (first, entry) = row?;
                        let entry = archive::Entry::parse(entry.value()).ok_or_else(damaged)?;
                        aside.ended.insert(first.value(), entry);
                    }
                }
                // An earlier version created the file.
                Err(redb::TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
            match transaction.open_table(FORGOTTEN) {
                Ok(table) => {
                    for row in table.iter()? {
                        aside.forgotten.push(row?.1.value().to_vec());
                    }
                }
                Err(redb::TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(aside)
        };
        let mut aside = read().map_err(|error| JournalError::store(&self.path, error))?;
        aside.numbers = self.meta(NUMBERS)?;
        aside.up = self.meta(UP)?;
        aside.forgotten_until = self.meta(FORGOTTEN_UNTIL)?;
        Ok(aside)
    }

    /// Writes these contents to another store.
    pub(in crate::journal) fn copy_aside(aside: &Aside, to: &Self) -> Result<(), JournalError> {
        to.write(|tables| {
            for (first, entry) in &aside.ended {
                tables.set_ended(*first, Some(entry))?;
            }
            aside.forgotten.iter().try_for_each(|start| tables.forget(start))?;
            tables.set_numbers(aside.numbers)?;
            tables.set_up(aside.up)?;
            tables.set_forgotten_until(aside.forgotten_until)
        })
    }

    /// The archive beside this store, for reading.
    pub(in crate::journal) fn archive(&self) -> Result<Archive, JournalError> {
        let home = self.path.parent().unwrap_or_else(|| Path::new("."));
        Ok(Archive::inspect(home, self.aside()?.ended))
    }
}

impl Tables<'_> {
    /// Sets the node's uptime over all its starts, in milliseconds.
    pub(in crate::journal) fn set_up(&mut self, up: u64) -> Result<(), redb::Error> {
        self.set(UP, up)
    }

    /// Sets the number of the next archived task.
    pub(in crate::journal) fn set_numbers(&mut self, next: u64) -> Result<(), redb::Error> {
        self.set(NUMBERS, next)
    }

    /// Sets the time up to which ids count as forgotten, in milliseconds since 1970.
    pub(in crate::journal) fn set_forgotten_until(
        &mut self,
        until: u64,
    ) -> Result<(), redb::Error> {
        self.set(FORGOTTEN_UNTIL, until)
    }

    /// Adds the start of a forgotten id, and drops the earliest one beyond
    /// [`limits::FORGOTTEN_IDS`](meshwork_core::limits::FORGOTTEN_IDS).
    pub(in crate::journal) fn forget(&mut self, start: &[u8]) -> Result<(), redb::Error> {
        let last =
            self.forgotten.last()?.map(|(number, last)| (number.value(), last.value() == start));
        if last.is_some_and(|(_, is_same)| is_same) {
            // Another member of the same group.
            return Ok(());
        }
        let next = last.map_or(0, |(number, _)| number + 1);
        self.forgotten.insert(next, start)?;
        if self.forgotten.len()? > meshwork_core::limits::FORGOTTEN_IDS as u64 {
            self.forgotten.pop_first()?;
        }
        Ok(())
    }

    /// Sets the entry of a file of the archive. `None`: the file is no longer valid.
    pub(in crate::journal) fn set_ended(
        &mut self,
        first: u64,
        entry: Option<&archive::Entry>,
    ) -> Result<(), redb::Error> {
        match entry {
            Some(entry) => drop(self.ended.insert(first, entry.bytes().as_slice())?),
            None => drop(self.ended.remove(first)?),
        }
        Ok(())
    }
}
