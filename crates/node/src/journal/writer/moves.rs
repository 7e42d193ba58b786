//! The files of the archive that can be removed, and those that are rewritten.

use std::{collections::BTreeSet, sync::mpsc as blocking};

use crate::journal::archive::{Archive, MOVES, thread::Moved};

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
    pub(super) fn next(&mut self) -> Option<u64> {
        if self.moving.len() >= MOVES {
            return None;
        }
        let first = *self.due.iter().find(|first| !self.moving.contains(first))?;
        self.due.remove(&first);
        Some(first)
    }

    /// A file has changed: it is to be checked.
    pub(super) fn on_changed(&mut self, first: u64) {
        self.due.insert(first);
    }

    /// A file is removed.
    pub(super) fn on_removed(&mut self, first: u64) {
        self.due.remove(&first);
    }

    /// A file is being rewritten.
    pub(super) fn on_begun(&mut self, first: u64) {
        self.moving.insert(first);
    }

    /// The next file whose rewriting has ended.
    pub(super) fn take_ended(&mut self) -> Option<Moved> {
        let moved = self.moved.try_recv().ok()?;
        self.moving.remove(&moved.first);
        Some(moved)
    }
}
