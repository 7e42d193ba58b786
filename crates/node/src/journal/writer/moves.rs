//! Removes files of the archive without live tasks, and has sparse ones rewritten.

use std::{collections::BTreeSet, sync::mpsc as blocking};

use super::{Entry, Job, Writer};
use crate::journal::{
    JournalError,
    archive::{Archive, MOVES, Moved},
};

/// A file of the archive that can be removed.
pub(in crate::journal) enum Unneeded {
    /// No task of it is kept.
    All(u64),
    /// This generation was rewritten.
    Before(u64, u32),
}

/// Files of the archive that are rewritten, each by its first number.
pub(in crate::journal) struct Moves {
    /// Files to check because some of their tasks were forgotten; at most all files of the archive.
    due: BTreeSet<u64>,
    /// Files that are being rewritten: at most [`MOVES`].
    moving: BTreeSet<u64>,
    /// From the archive's thread. The channel has room for all in `moving`.
    moved: blocking::Receiver<Moved>,
}

impl Moves {
    /// Makes every file of the archive due.
    pub(in crate::journal) fn new(archive: &Archive, moved: blocking::Receiver<Moved>) -> Self {
        Self { due: archive.firsts(), moving: BTreeSet::new(), moved }
    }

    /// The next file to check, if another one may be rewritten now.
    fn next(&mut self) -> Option<u64> {
        if self.moving.len() >= MOVES {
            return None;
        }
        let first = *self.due.iter().find(|first| !self.moving.contains(first))?;
        self.due.remove(&first);
        Some(first)
    }
}

impl Writer {
    /// After a commit: removes the files without live tasks, and makes the other changed ones due.
    pub(super) fn tidy_archive(&mut self, entries: Vec<(u64, Option<Entry>)>) {
        for (first, entry) in entries {
            if entry.is_none() {
                self.moves.due.remove(&first);
                self.unneeded.push(Unneeded::All(first));
            } else {
                self.moves.due.insert(first);
            }
        }
        self.remove_unneeded();
    }

    pub(super) fn remove_unneeded(&mut self) {
        if self.copy.is_some() {
            return;
        }
        for unneeded in self.unneeded.drain(..) {
            match unneeded {
                Unneeded::All(first) => self.archive.remove(first),
                Unneeded::Before(first, generation) => {
                    self.archive.remove_file(first, generation);
                }
            }
        }
    }

    /// Records which files were rewritten, and has the next ones rewritten.
    ///
    /// # Errors
    ///
    /// A write to the store failed, so the contents of the disk are unknown.
    pub(super) fn rewrite_sparse(&mut self) -> Result<(), JournalError> {
        while let Ok(moved) = self.moves.moved.try_recv() {
            self.moves.moving.remove(&moved.first);
            self.end_move(&moved)?;
        }
        while let Some(first) = self.moves.next() {
            let Some(entry) = self.archive.sparse(first) else { continue };
            if self.jobs.try_send(Job::Move(first, Box::new(entry))).is_err() {
                // The thread's queue is full.
                self.moves.due.insert(first);
                break;
            }
            self.moves.moving.insert(first);
        }
        Ok(())
    }

    fn end_move(&mut self, moved: &Moved) -> Result<(), JournalError> {
        let Moved { first, generation, written } = *moved;
        let Some(written) = written else { return Ok(()) };
        let Some(entry) = self.archive.rewritten(first, generation, written) else {
            // No task of it is kept.
            self.archive.remove_file(first, generation + 1);
            return Ok(());
        };
        match self.store.write(|tables| tables.set_ended(first, Some(&entry))) {
            Ok(()) => {
                self.archive.replace(first, entry);
                self.unneeded.push(Unneeded::Before(first, generation));
            }
            Err(error) if error.is_full() => {
                // The store still names the earlier file.
                self.archive.remove_file(first, generation + 1);
                self.open_again(&error)?;
            }
            Err(error) => return Err(error),
        }
        self.remove_unneeded();
        Ok(())
    }
}
