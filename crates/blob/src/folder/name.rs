//! Paths, names and link targets: what is allowed, how paths are ordered, and how people see them.
//!
//! Names are bytes: two names that differ only in Unicode normalisation are two names.

use std::{
    ffi::OsStr,
    fmt::{self, Write as _},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::error::{PathFault, TargetFault};
use crate::limits::{LINK_TARGET_BYTES, NAME_BYTES, PATH_BYTES};

/// Checks a path relative to its folder: names joined by `/`.
pub(super) fn check_path(path: &[u8]) -> Result<(), PathFault> {
    if path.len() > PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    names(path).try_for_each(check_name)
}

/// Checks one name. A `/` cannot be in it: paths are split there.
pub(super) fn check_name(name: &[u8]) -> Result<(), PathFault> {
    match name {
        b"" => Err(PathFault::Empty),
        b"." | b".." => Err(PathFault::Dots),
        name if name.len() > NAME_BYTES => Err(PathFault::NameTooLong),
        name if name.contains(&0) => Err(PathFault::Nul),
        _ => Ok(()),
    }
}

/// Checks that the link at `path` stays inside its folder.
///
/// `..` is allowed only before the first name of the target. The kernel resolves these from the
/// directory that really holds the link, by whatever links it was reached, and that directory is
/// `path`'s: so they lead to a directory of the folder. Each name after them leads to an entry of the
/// folder, or to a link, for which the same holds. A `..` after a name could come out of a directory
/// that a link leads to, nearer to the top than the text says: combined, two such links could leave.
pub(super) fn check_target(path: &[u8], target: &[u8]) -> Result<(), TargetFault> {
    if target.is_empty() || target.contains(&0) {
        return Err(TargetFault::Invalid);
    }
    if target.len() > LINK_TARGET_BYTES {
        return Err(TargetFault::TooLong);
    }
    if target.starts_with(b"/") {
        return Err(TargetFault::Absolute);
    }
    let mut levels_left = names(path).count().saturating_sub(1);
    let mut named = false;
    for name in names(target) {
        match name {
            b"" | b"." => {}
            b".." if named => return Err(TargetFault::UpAfterName),
            b".." => {
                levels_left = levels_left.checked_sub(1).ok_or(TargetFault::Outside)?;
            }
            _ => named = true,
        }
    }
    Ok(())
}

/// The place of a byte in the order of paths: `/` comes first, so that a directory comes directly
/// before its contents. No name holds a NUL.
pub(super) fn rank(byte: u8) -> u8 {
    if byte == b'/' { 0 } else { byte }
}

/// The path of the directory that holds this entry, and the entry's name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => {
            let (parent, name) = path.split_at_checked(at).unwrap_or((path, b""));
            (parent, name.get(1..).unwrap_or(b""))
        }
        None => (b"", path),
    }
}

/// The names of a path, in order.
pub(super) fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// Whether `path` is `directory` or inside it. The empty path is the folder itself.
pub(super) fn is_within(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// A relative path as an owned path, for errors.
pub(super) fn to_path(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

/// A foreign path for people: control characters escaped, the middle of a long path left out.
pub(super) struct Shown<'a>(pub(super) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        let length = text.chars().count();
        for (at, letter) in text.chars().enumerate() {
            if length > SHOWN_LETTERS && at == SHOWN_LETTERS / 2 {
                f.write_str("…")?;
            }
            let is_end = at < SHOWN_LETTERS / 2 || length - at <= SHOWN_LETTERS / 2;
            if !is_end && length > SHOWN_LETTERS {
                continue;
            }
            if letter.is_control() {
                write!(f, "{}", letter.escape_default())?;
            } else {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

/// Letters of a path that people see at most.
const SHOWN_LETTERS: usize = 400;
