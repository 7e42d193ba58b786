//! Where results go with `--out`: one file or folder for each, named after its input.
//!
//! Nothing is ever replaced: a name that is taken is an error of that result alone.

use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, stream};
use indicatif::ProgressBar;
use meshwork_api::{Client, ErrorCode, GroupView, MemberResult, Payload, TaskView, TransferError};
use meshwork_blob::{NewFile, folder::UnpackError};

use super::{names::Names, results::Output as TaskOutput, spec, story};
use crate::{
    exit,
    failure::Failure,
    limits,
    output::{Output, bar, format},
};

#[cfg(test)]
mod tests;

/// Where the result of one task goes.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    /// The name of the input file, if the task has one that this command knows.
    name: Option<OsString>,
}

impl Place {
    /// A place in this folder for the result of a task with this INPUT.
    pub(super) fn of(dir: PathBuf, input: &[OsString]) -> Self {
        let name = match input {
            [one] => spec::path(one).and_then(Path::file_name).map(OsString::from),
            _ => None,
        };
        Self { dir, name }
    }

    /// Checks, before the task is submitted, that the name is not taken.
    pub(super) fn require_free(&self) -> Result<(), Failure> {
        self.name.as_ref().map_or(Ok(()), |name| require_free(&self.dir.join(name)))
    }

    /// Saves the result of a task, or prints why it has none.
    pub(super) async fn save(
        self,
        task: TaskView,
        client: &Client,
        out: &Output,
    ) -> anyhow::Result<()> {
        if task.error.is_some() {
            if out.json {
                return out.value(&task);
            }
            out.failure(&story::failure(&task));
            return Ok(());
        }
        let path = self.dir.join(self.name.unwrap_or_else(|| task.short.clone().into()));
        let output = TaskOutput::of(&task, client).await?;
        save(output.into_payload(), &path, client).await?;
        if out.json {
            return out.value(&task);
        }
        let shown = path.to_string_lossy();
        out.say(format!("task {}: {}", task.short, format::printable(&shown)));
        Ok(())
    }
}

fn require_free(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let failure = Failure::usage(format!("--out: {} exists already", path.display()));
    Err(failure.with_hint("choose another folder, or remove it first"))
}

/// Saves each result of a group. Returns the exit code: failed if a result could not be saved.
pub(super) async fn save_group(
    group: &GroupView,
    dir: &Path,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    let names = Names::of(group, client);
    let bar = bar(out, group.members, std::time::Duration::ZERO);
    let (mut from, mut saved, mut lost) = (0, 0_u64, 0_u64);
    loop {
        let page = client.group_results(&group.id, from).await?;
        let count = page.items.len();
        let saves = page.items.into_iter().filter_map(|member| {
            let name = names.of_member(member.index);
            Some(save_member(member.index, output(member)?, dir.join(name), client))
        });
        let mut ends = stream::iter(saves).buffered(limits::TRANSFERS);
        while let Some((index, end)) = ends.next().await {
            match end {
                Ok(()) => saved += 1,
                Err(error) => {
                    lost += 1;
                    report(index, error, &bar, out);
                }
            }
            bar.inc(1);
        }
        drop(ends);
        from += u32::try_from(count).unwrap_or(u32::MAX);
        if page.next_cursor.is_none() || count == 0 {
            break;
        }
    }
    bar.finish_and_clear();
    let shown = dir.to_string_lossy();
    out.say(format!("{} results in {}", format::count(saved), format::printable(&shown)));
    Ok(if lost == 0 { exit::DONE } else { exit::FAILED })
}

fn report(index: u32, error: anyhow::Error, bar: &ProgressBar, out: &Output) {
    let failure = Failure::of(error);
    let message = format!("task {} of the group: {}", u64::from(index) + 1, failure.message);
    bar.suspend(|| out.failure(&Failure { message, ..failure }));
}

/// The result of a member that succeeded; an error if it is no longer there. Nothing for the others,
/// which the summary of the group counts.
fn output(member: MemberResult) -> Option<Result<Payload, Failure>> {
    match (member.output, member.error) {
        (Some(output), _) => Some(Ok(output)),
        (None, Some(_)) => None,
        (None, None) => {
            let what = "its result is not kept";
            Some(Err(Failure::new(exit::FAILED, "forgotten", what)))
        }
    }
}

async fn save_member(
    index: u32,
    output: Result<Payload, Failure>,
    path: PathBuf,
    client: &Client,
) -> (u32, anyhow::Result<()>) {
    let saved = match output {
        Ok(output) => save(output, &path, client).await,
        Err(failure) => Err(failure.into()),
    };
    (index, saved)
}

/// Saves one result at `path`, in folders that are made if they are missing.
async fn save(output: Payload, path: &Path, client: &Client) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|error| {
            let what = format!("cannot write {}", path.display());
            Failure::new(exit::FAILED, ErrorCode::Unwritable, what).because(error)
        })?;
    }
    match output {
        Payload::Blob(blob) => client.blobs().save(&blob, path, |_| {}).await?,
        Payload::Text(text) => write(text.as_bytes(), path)?,
        Payload::Base64(bytes) => write(&bytes, path)?,
    }
    Ok(())
}

/// Makes a new file. It has its name only when it is complete.
fn write(bytes: &[u8], path: &Path) -> Result<(), TransferError> {
    let new = NewFile::create(path, false)?;
    new.file()
        .write_all(bytes)
        .map_err(|source| UnpackError::Failed { path: path.to_owned(), source })?;
    Ok(new.keep()?)
}
