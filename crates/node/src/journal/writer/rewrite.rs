//! Removes files of the archive without live tasks, and has sparse ones rewritten.

use super::{moves::Unneeded, state::Writer};
use crate::journal::{
    archive::{
        Entry,
        thread::{Job, Moved},
    },
    error::JournalError,
};

impl Writer {
    /// After a commit: removes the files without live tasks, and makes the other changed ones due.
    pub(super) fn tidy_archive(&mut self, entries: Vec<(u64, Option<Entry>)>) {
        for (first, entry) in entries {
            if entry.is_none() {
                self.moves.on_removed(first);
                self.unneeded.push(Unneeded::All(first));
            } else {
                self.moves.on_changed(first);
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
        while let Some(moved) = self.moves.take_ended() {
            self.end_move(&moved)?;
        }
        while let Some(first) = self.moves.next() {
            let Some(entry) = self.archive.sparse(first) else { continue };
            if self.jobs.try_send(Job::Move(first, Box::new(entry))).is_err() {
                // The thread's queue is full.
                self.moves.on_changed(first);
                break;
            }
            self.moves.on_begun(first);
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
