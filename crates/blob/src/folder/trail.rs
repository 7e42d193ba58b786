//! The rules between an entry and the entry before it: rising order, and a listed parent.

use std::{cmp::Ordering, mem};

use super::{
    error::FormatError,
    name::{check_path, compare, is_within, parent, to_path},
};

/// The last entry of a folder's list. It holds one path, however many entries follow each other.
#[derive(Debug)]
pub(super) struct Trail {
    path: Vec<u8>,
    next: Vec<u8>,
    last: Last,
}

/// What the last entry was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Nobody knows: a part is read without the parts before it.
    Unknown,
    /// The folder itself, or a directory in it.
    Directory,
    /// A file or a link.
    Leaf,
}

impl Trail {
    /// Before the first entry of a folder.
    pub(super) fn at_top() -> Self {
        Self { path: Vec::new(), next: Vec::new(), last: Last::Directory }
    }

    /// Before the first entry of some part.
    pub(super) fn at_unknown_place() -> Self {
        Self { last: Last::Unknown, ..Self::at_top() }
    }

    /// The path of the last entry.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Number of bytes at the beginning that `path` has in common with the last entry.
    pub(super) fn shared(&self, path: &[u8]) -> usize {
        self.path.iter().zip(path).take_while(|(left, right)| left == right).count()
    }

    /// Goes on to the entry at `path`.
    pub(super) fn follow(&mut self, path: &[u8], is_directory: bool) -> Result<(), FormatError> {
        self.next.clear();
        self.next.extend_from_slice(path);
        self.advance(is_directory)
    }

    /// Goes on to the entry whose path begins with `shared` bytes of the last one.
    ///
    /// # Errors
    /// The path is not allowed here, or `shared` is not the number that [`shared`](Self::shared)
    /// gives: one list has one encoding.
    pub(super) fn follow_shared(
        &mut self,
        shared: usize,
        rest: &[u8],
        is_directory: bool,
    ) -> Result<(), FormatError> {
        let beginning = self.path.get(..shared).ok_or(FormatError::Prefix)?;
        if self.path.get(shared).is_some_and(|byte| rest.first() == Some(byte)) {
            return Err(FormatError::Prefix);
        }
        self.next.clear();
        self.next.extend_from_slice(beginning);
        self.next.extend_from_slice(rest);
        self.advance(is_directory)
    }

    fn advance(&mut self, is_directory: bool) -> Result<(), FormatError> {
        let next = &self.next;
        check_path(next).map_err(|fault| FormatError::Path { path: to_path(next), fault })?;
        if self.last != Last::Unknown {
            if compare(&self.path, next) != Ordering::Less {
                return Err(FormatError::Order { path: to_path(next) });
            }
            // The list goes into a directory and comes out of it once. So a listed parent is the last
            // entry or one of the directories above it, all of which are listed.
            let parent = parent(next);
            let is_leaf = self.path == parent && self.last == Last::Leaf;
            if is_leaf || !is_within(&self.path, parent) {
                return Err(FormatError::Parent { path: to_path(next) });
            }
        }
        mem::swap(&mut self.path, &mut self.next);
        self.last = if is_directory { Last::Directory } else { Last::Leaf };
        Ok(())
    }
}
