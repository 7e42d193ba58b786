//! Files of the archive that are removed because nothing of them is kept, or written anew because little
//! is.

use std::{collections::BTreeSet, sync::mpsc as blocking};

use super::{Entry, Job, Writer};
use crate::journal::{
    JournalError,
    archive::{Archive, MOVES, Moved},
};

/// A file of the archive that can be removed: all of it, or one of which another was written.
pub(in crate::journal) enum Unneeded {
    All(u64),
    Before(u64, u32),
}

/// Files of the archive that are written anew, each by its first number.
pub(in crate::journal) struct Moves {
    /// Files to look at, since something of them was forgotten: no more than there are in the archive.
    due: BTreeSet<u64>,
    /// Files that are being written anew: at most [`MOVES`].
    moving: BTreeSet<u64>,
    /// From the archive's thread. There is place for all in `moving`.
    moved: blocking::Receiver<Moved>,
}

impl Moves {
    /// At a start, each file is looked at.
    pub(in crate::journal) fn new(archive: &Archive, moved: blocking::Receiver<Moved>) -> Self {
        Self { due: archive.firsts(), moving: BTreeSet::new(), moved }
    }

    /// The next file to look at, if one may be written anew.
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
    /// Removes files of which nothing is kept, after a commit has said this of them; the others are looked
    /// at.
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

    /// Notes which files were written anew, and has the next ones written.
    ///
    /// # Errors
    ///
    /// What is on disk is unknown.
    pub(super) fn go_on_moving(&mut self) -> Result<(), JournalError> {
        while let Ok(moved) = self.moves.moved.try_recv() {
            self.moves.moving.remove(&moved.first);
            self.end_move(&moved)?;
        }
        while let Some(first) = self.moves.next() {
            let Some(entry) = self.archive.sparse(first) else { continue };
            if self.jobs.try_send(Job::Move(first, Box::new(entry))).is_err() {
                // The thread has too much to do for now.
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
            // Nothing of it is kept any longer.
            self.archive.remove_file(first, generation + 1);
            return Ok(());
        };
        match self.store.write(|tables| tables.set_ended(first, Some(&entry))) {
            Ok(()) => {
                self.archive.replace(first, entry);
                self.unneeded.push(Unneeded::Before(first, generation));
            }
            Err(error) if error.is_full() => {
                // On disk is the earlier one still.
                self.archive.remove_file(first, generation + 1);
                self.open_again(&error)?;
            }
            Err(error) => return Err(error),
        }
        self.remove_unneeded();
        Ok(())
    }
}
