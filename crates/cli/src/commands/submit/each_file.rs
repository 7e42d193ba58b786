//! `--each-file`: finds files, names them, and sends them as the inputs of a group.
//!
//! All are found and checked before the first byte is sent.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, stream};
use globset::GlobBuilder;
use indicatif::ProgressBar;
use meshwork_api::{Blobs, Client, ErrorCode, MemberSpec, Payload, TransferError};
use meshwork_blob::folder::{self, Links, PlanError};
use meshwork_core::limits::{GROUP_MEMBERS, INLINE_BYTES};
use tokio::sync::mpsc;
use walkdir::WalkDir;

use crate::{
    commands::files,
    failure::Failure,
    limits,
    output::{Output, byte_bar, format},
};

#[cfg(test)]
mod tests;

/// The input files of a group, in order.
#[derive(Debug, Default)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// Bytes of all files.
    bytes: u64,
    /// Bytes of the largest file.
    largest: u64,
    /// Entries of folders that are neither files nor folders, such as links.
    pub(super) skipped: u64,
}

impl Files {
    /// The files that these words name: a file, a folder with all files in it, or a pattern.
    ///
    /// # Errors
    ///
    /// A word names no file, a file cannot be read, or there are too many.
    pub(super) fn find(words: &[OsString], links: Links) -> Result<Self, Failure> {
        let mut files = Self::default();
        for word in words {
            let path = Path::new(word);
            // A name with signs of a pattern is itself, if it exists.
            if path.symlink_metadata().is_ok() {
                files.add_named(path, links)?;
                continue;
            }
            let matches = matches(word)?;
            if matches.is_empty() {
                let shown = path.to_string_lossy();
                return Err(Failure::usage(format!("--each-file: no file {shown}")).with_hint(
                    "meshwork submit --each-file PATH… HANDLER: the handler comes last",
                ));
            }
            for path in matches {
                files.add_named(&path, links)?;
            }
        }
        Ok(files)
    }

    fn add_named(&mut self, path: &Path, links: Links) -> Result<(), Failure> {
        let facts = path.metadata().map_err(|error| unreadable(path, &error))?;
        if !facts.is_dir() {
            return self.add(path);
        }
        for entry in WalkDir::new(path).follow_links(links == Links::Follow).sort_by_file_name() {
            let entry = entry.map_err(|error| unreadable_entry(path, error))?;
            if entry.file_type().is_file() {
                self.add(entry.path())?;
            } else if !entry.file_type().is_dir() {
                self.skipped += 1;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> Result<(), Failure> {
        let file = folder::open_regular(path).map_err(|error| refused(path, error))?;
        let bytes = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        if u32::try_from(self.paths.len()).is_ok_and(|count| count >= GROUP_MEMBERS) {
            let most = format::count(GROUP_MEMBERS.into());
            return Err(Failure::usage(format!("a group has at most {most} tasks")));
        }
        self.paths.push(path.to_owned());
        self.bytes = self.bytes.saturating_add(bytes);
        self.largest = self.largest.max(bytes);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether a file does not fit into a task.
    pub(super) fn has_large(&self) -> bool {
        usize::try_from(self.largest).map_or(true, |largest| largest > INLINE_BYTES)
    }

    /// Checks that the largest file fits into the node's store at all.
    pub(super) async fn require_space(&self, client: &Client) -> anyhow::Result<()> {
        let Some(space) = client.node().await?.blobs else { return Ok(()) };
        if self.largest <= space.budget_bytes {
            return Ok(());
        }
        let (need, budget) = (format::size(self.largest), format::size(space.budget_bytes));
        let why = format!("a file has {need}, and the node keeps files of {budget} in all");
        let failure = Failure::new(crate::exit::FAILED, ErrorCode::NoSpace, why);
        Err(failure.with_hint("meshwork up --disk SIZE").into())
    }

    /// The name of each file's result: its path, relative to the folder that all files share.
    ///
    /// # Errors
    ///
    /// Two results would have one name.
    pub(super) fn names(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut whole = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            whole.push(absolute(path).map_err(|error| unreadable(path, &error))?);
        }
        let mut known = BTreeSet::new();
        if let Some(twice) = whole.iter().find(|path| !known.insert(*path)) {
            let why = format!("--each-file: {} is named twice", twice.display());
            return Err(Failure::usage(why).with_hint("name each file once"));
        }
        let mut shared =
            whole.first().and_then(|path| path.parent()).unwrap_or_else(|| Path::new("/"));
        for path in &whole {
            while !path.starts_with(shared) {
                shared = shared.parent().unwrap_or_else(|| Path::new("/"));
            }
        }
        let name = |path: &PathBuf| path.strip_prefix(shared).unwrap_or(path).to_owned();
        Ok(whole.iter().map(name).collect())
    }

    /// Reads small files and sends large ones, a few at once; the members come in order.
    pub(super) fn send(
        self,
        client: &Client,
        out: &Output,
    ) -> mpsc::Receiver<Result<MemberSpec, Failure>> {
        let (sender, members) = mpsc::channel(limits::READ_AHEAD);
        let (client, out) = (client.clone(), out.clone());
        // Ends when the receiver is dropped.
        drop(tokio::spawn(async move {
            let bar = byte_bar(&out, self.bytes);
            let blobs = files::blobs(&client, &out, &bar);
            let sent = self.paths.into_iter().map(|path| member(path, &blobs, &bar, &out));
            let mut sent = stream::iter(sent).buffered(limits::TRANSFERS);
            while let Some(member) = sent.next().await {
                let failed = member.is_err();
                if sender.send(member).await.is_err() || failed {
                    break;
                }
            }
            bar.finish_and_clear();
        }));
        members
    }
}

async fn member(
    path: PathBuf,
    blobs: &Blobs,
    bar: &ProgressBar,
    out: &Output,
) -> Result<MemberSpec, Failure> {
    let small = path.clone();
    let read = tokio::task::spawn_blocking(move || files::read_small(&small)).await;
    let read = read.map_err(|error| Failure::of(error.into()))?;
    let input = match read.map_err(|error| Failure::of(error.into()))? {
        Some(bytes) => {
            bar.inc(bytes.len() as u64);
            Payload::of(bytes)
        }
        None => Payload::Blob(send_when_free(&path, blobs, bar, out).await?),
    };
    Ok(MemberSpec { input: Some(input), ..MemberSpec::default() })
}

/// Sends a file; waits and retries while the node has no space.
async fn send_when_free(
    path: &Path,
    blobs: &Blobs,
    bar: &ProgressBar,
    out: &Output,
) -> Result<meshwork_core::BlobRef, Failure> {
    let mut warned = false;
    loop {
        let error = match blobs.add_file(path, |bytes| bar.inc(bytes)).await {
            Ok(blob) => return Ok(blob),
            Err(error) => error,
        };
        let is_full = [ErrorCode::NoSpace, ErrorCode::DiskFull].contains(&error.code());
        if !(is_full && error.is_retryable() && matches!(error, TransferError::Request(_))) {
            return Err(Failure::of(error.into()));
        }
        if !std::mem::replace(&mut warned, true) {
            bar.suspend(|| out.say(format!("{error}: the other files wait for room")));
        }
        tokio::time::sleep(limits::FULL_REST).await;
    }
}

/// The files and folders that match a pattern, in order. As in a shell, hidden ones match only a
/// pattern with a dot at the start of a name.
fn matches(pattern: &OsString) -> Result<Vec<PathBuf>, Failure> {
    let Some(text) = pattern.to_str().filter(|text| text.contains(SIGNS)) else {
        return Ok(Vec::new());
    };
    let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|error| {
        Failure::usage(format!("--each-file: {text} is no pattern")).because(error)
    })?;
    let glob = glob.compile_matcher();
    // Only names behind the first sign vary.
    let fixed = text.split(SIGNS).next().unwrap_or_default();
    let base = fixed.rsplit_once('/').map_or("", |(base, _)| base);
    let base = if base.is_empty() && fixed.starts_with('/') { "/" } else { base };
    let rest = text.get(base.len()..).unwrap_or_default().trim_start_matches('/');
    let depth = if rest.contains("**") { usize::MAX } else { rest.split('/').count() };
    let shows_hidden = rest.starts_with('.') || rest.contains("/.");
    let walk = WalkDir::new(if base.is_empty() { "." } else { base });
    let walk = walk.min_depth(1).max_depth(depth).sort_by_file_name().into_iter();
    let is_seen = |entry: &walkdir::DirEntry| {
        shows_hidden || entry.depth() == 0 || !entry.file_name().as_bytes().starts_with(b".")
    };
    let (mut walk, mut found) = (walk.filter_entry(is_seen), Vec::new());
    while let Some(entry) = walk.next() {
        let entry = entry.map_err(|error| unreadable_entry(Path::new(base), error))?;
        let path = entry.path();
        let path = if base.is_empty() { path.strip_prefix(".").unwrap_or(path) } else { path };
        if glob.is_match(path) {
            found.push(path.to_owned());
            if entry.file_type().is_dir() {
                // All that is in it belongs to it.
                walk.skip_current_dir();
            }
        }
    }
    Ok(found)
}

/// The signs that make a word a pattern.
const SIGNS: [char; 4] = ['*', '?', '[', '{'];

/// The path without links and dots in its folders, so that one file has one name.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else { return path.canonicalize() };
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    Ok(folder.unwrap_or_else(|| Path::new(".")).canonicalize()?.join(name))
}

fn unreadable_entry(folder: &Path, error: walkdir::Error) -> Failure {
    let path = error.path().unwrap_or(folder).to_owned();
    unreadable(&path, &error.into())
}

fn refused(path: &Path, error: PlanError) -> Failure {
    let PlanError::Unreadable { source, .. } = error else {
        let shown = format::shell(&path.to_string_lossy());
        let hint = format!("leave it out, or run it alone: cat {shown} | meshwork run HANDLER -");
        return Failure::of(TransferError::from(error).into()).with_hint(hint);
    };
    unreadable(path, &source)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("--each-file: cannot read {}", path.display())).because(error)
}
