//! The rules between an entry and the entry before it: rising order, and a listed parent.

use super::{
    error::{FormatError, PathFault},
    name::{check_name, names, rank, to_path},
};
use crate::limits::PATH_BYTES;

/// The last entry of a folder's list. It holds one path, however many entries follow each other.
#[derive(Debug)]
pub(super) struct Trail {
    path: Vec<u8>,
    /// The end of the next path, from its first new name.
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
    ///
    /// # Errors
    /// The path is not allowed here. The trail stays where it is.
    pub(super) fn follow(&mut self, path: &[u8], is_directory: bool) -> Result<(), FormatError> {
        let shared = self.shared(path);
        self.advance(shared, path.get(shared..).unwrap_or_default(), is_directory)
    }

    /// Goes on to the entry whose path begins with `shared` bytes of the last one. It looks at the
    /// rest only: a hostile list has few bytes for each of many long paths.
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
        let next = self.path.get(shared);
        if shared > self.path.len() || next.is_some_and(|byte| rest.first() == Some(byte)) {
            return Err(FormatError::Prefix);
        }
        self.advance(shared, rest, is_directory)
    }

    fn advance(
        &mut self,
        shared: usize,
        rest: &[u8],
        is_directory: bool,
    ) -> Result<(), FormatError> {
        let beginning = self.path.get(..shared).unwrap_or_default();
        // The names before this place are those of the last entry, which were checked.
        let kept = beginning.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        self.next.clear();
        self.next.extend_from_slice(beginning.get(kept..).unwrap_or_default());
        self.next.extend_from_slice(rest);
        let mut checked = names(&self.next).try_for_each(check_name);
        if shared + rest.len() > PATH_BYTES {
            checked = Err(PathFault::TooLong);
        }
        let path = || to_path(&[beginning, rest].concat());
        checked.map_err(|fault| FormatError::Path { path: path(), fault })?;
        if self.last != Last::Unknown {
            if !self.is_rising(shared, rest) {
                return Err(FormatError::Order { path: path() });
            }
            let slash = self.next.iter().rposition(|byte| *byte == b'/');
            let parent = slash.map_or_else(|| kept.saturating_sub(1), |slash| kept + slash);
            if !self.is_listed(shared, parent) {
                return Err(FormatError::Parent { path: path() });
            }
        }
        self.path.truncate(kept);
        self.path.append(&mut self.next);
        self.last = if is_directory { Last::Directory } else { Last::Leaf };
        Ok(())
    }

    /// Whether the path with this rest comes after the last entry.
    fn is_rising(&self, shared: usize, rest: &[u8]) -> bool {
        match (self.path.get(shared), rest.first()) {
            (Some(last), Some(next)) => rank(*last) < rank(*next),
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// Whether the directory is listed whose path is the first `parent` bytes of the next path.
    ///
    /// The list goes into a directory and comes out of it once. So a listed directory is the last
    /// entry, or one of the directories above it, all of which are listed.
    fn is_listed(&self, shared: usize, parent: usize) -> bool {
        let is_last = parent == shared && parent == self.path.len();
        parent == 0 || parent < shared || is_last && self.last == Last::Directory
    }
}
