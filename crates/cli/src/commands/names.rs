//! The names of the input files of a group, for results that are saved later, by another command.
//!
//! They are kept beside the node's files, in `input-names/GROUP` of its home: names end with a zero byte,
//! because they may have all other bytes. The node does not read them: to it a name is not a part of
//! a task. Without the file, results are numbered.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io::{self, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::DirBuilderExt as _},
    path::{Component, Path, PathBuf},
};

use meshwork_api::{Client, ErrorCode, GroupView};

use crate::{exit, failure::Failure, limits};

#[cfg(test)]
mod tests;

/// The names of a group's results.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Those of the input files, relative to the folder that they share.
    OfFiles(Vec<PathBuf>),
    /// Numbers from 1 on, all with as many digits as the largest.
    Numbers { digits: usize },
}

impl Names {
    /// The names of a group's results, as far as they are known.
    pub(super) fn of(group: &GroupView, client: &Client) -> Self {
        let kept = folder(client).and_then(|dir| fs::read(dir.join(&group.id)).ok());
        let names = kept.and_then(|kept| decode(&kept));
        names.map_or_else(|| Self::numbers(group.members), Self::OfFiles)
    }

    fn numbers(members: u64) -> Self {
        Self::Numbers { digits: members.to_string().len() }
    }

    /// The name of a member's result.
    pub(super) fn of_member(&self, index: u32) -> PathBuf {
        let digits = match self {
            Self::Numbers { digits } => *digits,
            Self::OfFiles(names) => {
                match usize::try_from(index).ok().and_then(|index| names.get(index)) {
                    Some(name) => return name.clone(),
                    None => 1,
                }
            }
        };
        format!("{:0digits$}", u64::from(index) + 1).into()
    }
}

/// Keeps the names of a group's input files, before the group is submitted. The names of the oldest
/// groups are dropped.
///
/// # Errors
///
/// The node's home cannot be written; or the group was submitted before, by its key, with other files.
pub(super) fn keep(group: &str, names: &[PathBuf], client: &Client) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(exit::FAILED, "unwritable", "cannot keep the names of the files")
            .because(error)
    };
    let Some(dir) = folder(client) else { return Ok(()) };
    if let Some(kept) = fs::read(dir.join(group)).ok().and_then(|kept| decode(&kept)) {
        if kept.starts_with(names) {
            return Ok(());
        }
        if !names.starts_with(&kept) {
            let message = "the key names a group that was submitted before, with other files";
            let failure = Failure::new(exit::FAILED, ErrorCode::Conflict, message);
            return Err(failure.with_hint("submit with another --key"));
        }
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(&dir).map_err(failed)?;
    file.write_all(&encode(names)).map_err(failed)?;
    file.persist(dir.join(group)).map_err(|error| failed(error.error))?;
    // Old ones take some space only.
    drop_oldest(&dir).ok();
    Ok(())
}

/// The folder in the home of the client's node.
fn folder(client: &Client) -> Option<PathBuf> {
    client.path().parent().map(|home| home.join("input-names"))
}

fn encode(names: &[PathBuf]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        bytes.extend_from_slice(name.as_os_str().as_bytes());
        bytes.push(0);
    }
    bytes
}

/// The names, if all of them stay within the folder of the results.
fn decode(bytes: &[u8]) -> Option<Vec<PathBuf>> {
    let bytes = bytes.strip_suffix(b"\0")?;
    let names = bytes.split(|byte| *byte == 0).map(|name| PathBuf::from(OsStr::from_bytes(name)));
    let names: Vec<PathBuf> = names.collect();
    names.iter().all(|name| is_inside(name)).then_some(names)
}

fn is_inside(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_)))
        && name.components().next().is_some()
}

fn drop_oldest(dir: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort_unstable();
    let surplus = files.len().saturating_sub(limits::NAMES_KEPT);
    files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}
