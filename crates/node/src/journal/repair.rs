//! Inspects, salvages, compacts, copies and restores the journal of a stopped node.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use meshwork_core::{
    PeerId, TaskId, Time,
    engine::{Ledger, Record},
};
use serde::{Deserialize, Serialize};

use super::{
    archive::{self, Archive},
    commit_marker,
    copy::{self, Copy, Unfinished},
    error::JournalError,
    frames,
    raw::Found,
    store::{self, FILE, Marker, Store},
};
use crate::home::{self, Home, HomeError};

mod mend;

/// The contents of a journal and its archive, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalReport {
    /// Tasks that have not ended.
    pub open: usize,
    /// Ended tasks that are kept.
    pub ended: usize,
    /// Results for other owners that these have not acknowledged.
    pub results: usize,
    /// All records, including those that are no longer needed.
    pub records: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// Commits in the journal.
    pub segments: u64,
    /// Size of the journal's file in bytes.
    pub file_bytes: u64,
    /// Size of the archive in bytes. Most ended tasks are there.
    #[serde(default)]
    pub archive_bytes: u64,
}

/// Counts the contents of the journal of a home.
///
/// # Errors
///
/// A node runs with this home, or the journal cannot be opened.
pub fn stats(home: &Path) -> Result<JournalReport, JournalError> {
    match open(home) {
        Err(error) if error.is_read_only() => Ok(examine_elsewhere(home)?.all()),
        opened => report(&opened?.1),
    }
}

/// Reads the whole journal of a home and checks every checksum, including those of the store's
/// pages.
///
/// Reads a copy beside the journal: the store repairs a file after a crash when it opens it, and
/// `verify` must not change the journal.
///
/// # Errors
///
/// As for [`stats`], or there is no space for the copy.
pub fn verify(home: &Path) -> Result<JournalReport, JournalError> {
    if !home.exists() {
        return Err(JournalError::None { path: home.join(FILE) });
    }
    match Home::open(home) {
        Ok(_lock) => Ok(examine(home, &home.join(COPY))?.all()),
        Err(error) if error.is_read_only() => Ok(examine_elsewhere(home)?.all()),
        Err(error) => Err(error.into()),
    }
}

/// The contents of a journal, and the number of damaged tasks in the archive.
struct Examined {
    journal: JournalReport,
    archive_damaged: u64,
}

impl Examined {
    fn all(self) -> JournalReport {
        let damaged = self.journal.damaged + self.archive_damaged;
        JournalReport { damaged, ..self.journal }
    }
}

/// Counts the contents of the journal of a folder. Opens a copy in the folder `at`, because opening
/// changes a file that was not closed.
fn examine(home: &Path, at: &Path) -> Result<Examined, JournalError> {
    let staged = Staged::new(home, at)?;
    let unreadable = || JournalError::Unreadable { path: home.join(FILE) };
    // The store may panic on a damaged page.
    let inspected = store::guarded(|| {
        let store = Store::inspect(&staged.0)?;
        Ok((report(&store)?, store.aside()?))
    });
    // Name the original file: the user does not know the copy.
    let (mut journal, aside) = inspected
        .unwrap_or_else(|| Err(unreadable()))
        .map_err(|error| error.at(&home.join(FILE)))?;
    // The archive is not copied: reading does not change it.
    let archive = Archive::inspect(home, aside.ended);
    let (_, archive_damaged) = archive.verify()?;
    (_, journal.archive_bytes) = archive.size();
    Ok(Examined { journal, archive_damaged })
}

/// A copy of a journal's files in a temporary folder, which is removed on drop.
struct Staged(PathBuf);

impl Staged {
    fn new(from: &Path, at: &Path) -> Result<Self, JournalError> {
        let files = Store::files(from)?;
        home::make_private(at)?;
        let staged = Self(at.to_owned());
        for file in files {
            let to = at.join(file.file_name().unwrap_or_default());
            // Without the permissions of the original, which may be read-only.
            let copied = File::open(&file)
                .and_then(|mut file| io::copy(&mut file, &mut home::create_private(&to)?));
            copied.map_err(|source| HomeError::Io { path: file, source })?;
        }
        Ok(staged)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove a copy of the journal");
        }
    }
}

/// Counts the contents of a journal whose folder is not writable: it is on a read-only disk, or
/// belongs to another user.
fn examine_elsewhere(home: &Path) -> Result<Examined, JournalError> {
    let _lock = home::hold(home)?;
    let name = format!("meshwork-store-{:016x}", rand::random::<u64>());
    examine(home, &std::env::temp_dir().join(name))
}

/// The folder in a home for a temporary copy.
const COPY: &str = "journal.verifying";

/// The outcome of [`salvage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Contents of the salvaged journal.
    pub report: JournalReport,
    /// Copies of the damaged commits, or of the whole file if its pages were damaged, and of
    /// damaged files of the archive.
    pub copies: Vec<PathBuf>,
    /// Number of lost records, as far as they can be counted.
    pub lost: u64,
    /// Whether forgotten tasks may be back, because the file did not say which commits were
    /// removed.
    pub may_hold_forgotten: bool,
}

/// Keeps the records of the journal and the archive whose checksums match, and removes all others.
/// Damaged commits are copied to files beside the journal, or the whole file if its pages are
/// damaged; likewise damaged files of the archive.
///
/// # Errors
///
/// As for [`verify`], or the file holds no whole record, or the damaged commits cannot be copied.
pub fn salvage(home: &Path) -> Result<Salvaged, JournalError> {
    if !home.exists() {
        return Err(JournalError::None { path: home.join(FILE) });
    }
    let _lock = Home::open(home)?;
    if let Err(JournalError::Marker { path }) = Marker::of(home) {
        rebuild_marker(home, path)?;
    }
    let mut lost = match examine(home, &home.join(COPY)) {
        Err(
            JournalError::Damaged { .. }
            | JournalError::Pages { .. }
            | JournalError::Unreadable { .. }
            | JournalError::Store { .. }
            | JournalError::Behind { .. },
        ) => return rescue(home),
        examined => examined?.journal.damaged,
    };
    let store = Store::inspect(home)?;
    let mut copies = Vec::new();
    store.take_damaged(|number, segment| {
        let path = home.join(format!("journal.damaged-{number}"));
        let written = home::create_private(&path).and_then(|mut file| {
            file.write_all(segment)?;
            file.sync_all()
        });
        written.map_err(|source| HomeError::Io { path: path.clone(), source })?;
        copies.push(path);
        Ok(())
    })?;
    lost += mend::mend(home, &store, store.archive()?.mend()?, &mut copies)?;
    Ok(Salvaged { report: report(&store)?, copies, lost, may_hold_forgotten: false })
}

/// Shrinks the journal's file to its contents.
///
/// # Errors
///
/// As for [`stats`], or there is no space for the work.
pub fn compact(home: &Path) -> Result<JournalReport, JournalError> {
    let (_lock, mut store) = open(home)?;
    store.compact()?;
    report(&store)
}

/// Copies the journal of a home to a folder, which is created if missing. For a running node use
/// [`NetworkManager::backup`](crate::NetworkManager::backup).
///
/// The folder has the layout of a home, so it can be verified like one. It does not contain the
/// identity key.
///
/// # Errors
///
/// As for [`stats`], or the folder holds a journal already or cannot be written.
pub fn backup(home: &Path, to: &Path) -> Result<JournalReport, JournalError> {
    let (_lock, store) = open(home)?;
    home::make_private(to)?;
    let files = Unfinished::begin(to)?;
    let marker = store.marker()?;
    store.archive()?.copy_to(archive::folder(to))?.finish()?;
    Copy::begin(&store, &to.join(FILE), marker)?.finish()?;
    files.complete(marker)?;
    seal(home, to)
}

/// Adds the boot count to a copy and reads the whole copy. Removes the copy on an error.
pub(crate) fn seal(home: &Path, copy: &Path) -> Result<JournalReport, JournalError> {
    let sealed = home::raise_boot(copy, home).map_err(JournalError::from);
    let read = sealed.and_then(|()| report(&Store::inspect(copy)?));
    if read.is_err() {
        copy::discard(copy);
    }
    read
}

/// Makes a copy the journal of a home. Tasks that ended since the copy was made run again, with new
/// epochs; tasks that were accepted since are lost.
///
/// With `replace`, renames the present journal and archive, and returns their new paths. The
/// restored journal gets a new name, so the node accepts neither the replaced journal nor the copy
/// in its place.
///
/// # Errors
///
/// - A node runs with this home.
/// - A journal exists, and `replace` is false.
/// - The copy is damaged or cannot be read.
/// - The copy does not belong to `node` or, without `node`, to the owner of the present journal.
pub fn restore(
    home: &Path,
    from: &Path,
    replace: bool,
    node: Option<PeerId>,
) -> Result<(JournalReport, Vec<PathBuf>), JournalError> {
    let _lock = Home::open(home)?;
    let path = home.join(FILE);
    if path.exists() && !replace {
        return Err(JournalError::WouldReplace { path });
    }
    let (_staged, copy) = match Store::inspect(from) {
        Err(error) if error.is_read_only() => {
            let staged = Staged::new(from, &home.join(COPY))?;
            let copy = Store::inspect(&staged.0)?;
            (Some(staged), copy)
        }
        copy => (None, copy?),
    };
    // A damaged marker names no owner.
    let present = || Marker::of(home).ok().flatten().and_then(|marker| marker.owner());
    if let (Some(own), Some(owner)) = (node.or_else(present), copy.marker()?.owner())
        && own != owner
    {
        return Err(JournalError::OtherNode { path: from.join(FILE), owner, own: Box::new(own) });
    }
    let JournalReport { damaged, records: total, .. } = report(&copy)?;
    if damaged > 0 {
        return Err(JournalError::Damaged { path: from.join(FILE), damaged, total });
    }
    // Not beside the store, which may be a temporary copy.
    let archive = Archive::inspect(from, copy.aside()?.ended);
    let (total, damaged) = archive.verify()?;
    if damaged > 0 {
        return Err(JournalError::Damaged { path: archive::folder(from), damaged, total });
    }
    let marker = Marker::fresh(copy.marker()?.owner());
    let (fresh, ended) = (fresh(home)?, Restoring::new(home)?);
    archive.copy_to(ended.0.clone())?.finish()?;
    Copy::begin(&copy, &fresh, marker)?.finish()?;
    home::raise_boot(home, from)?;
    replace_with(home, &fresh, marker, Some(&ended.0))
}

/// The folder that becomes the archive after a restore. If it still exists on drop, it is removed.
struct Restoring(PathBuf);

impl Restoring {
    /// Removes the folder of an earlier, interrupted restore.
    fn new(home: &Path) -> Result<Self, JournalError> {
        let path = home.join("ended.restoring");
        if path.exists() {
            fs::remove_dir_all(&path)
                .map_err(|source| HomeError::Io { path: path.clone(), source })?;
        }
        Ok(Self(path))
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        // After a successful restore, the folder has another name.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Rewrites the marker with the name and the generation in the journal.
fn rebuild_marker(home: &Path, path: PathBuf) -> Result<(), JournalError> {
    let file = home.join(FILE);
    let found = Found::read(&file, 0).map_err(|source| HomeError::Io { path: file, source })?;
    let name = found.meta(store::NAME).into_iter().next();
    let generation = found.meta(store::GENERATION).into_iter().max();
    let Some((name, generation)) = name.zip(generation) else {
        return Err(JournalError::Marker { path });
    };
    if !path.is_file() {
        let aside = path.with_extension("id.damaged");
        fs::rename(&path, aside).map_err(|source| HomeError::Io { path, source })?;
    }
    Marker::rebuilt(name, generation).put(home)
}

/// Writes all whole records of a file that the store cannot open to a new journal.
fn rescue(home: &Path) -> Result<Salvaged, JournalError> {
    let path = home.join(FILE);
    let marker = Marker::of(home)?.ok_or_else(|| JournalError::None { path: path.clone() })?;
    let written = commit_marker::least_written(home, marker.name)?;
    let found = Found::read(&path, written);
    let found = found.map_err(|source| HomeError::Io { path: path.clone(), source })?;
    let formats = found.meta(store::FORMAT);
    if let Some(format) = formats.into_iter().min().filter(|format| *format > store::THIS_FORMAT) {
        return Err(JournalError::Format { path, format });
    }
    let names = found.meta(store::NAME);
    if !names.is_empty() && !names.contains(&marker.name) {
        return Err(JournalError::Foreign { path });
    }
    let generations = found.meta(store::GENERATION);
    if generations.into_iter().max().is_some_and(|count| count < marker.generation) {
        return Err(JournalError::Older { path });
    }
    if found.is_empty() {
        return Err(JournalError::Unreadable { path });
    }
    let fresh = fresh(home)?;
    let whole = Store::make(fresh.clone(), marker)?;
    // The files of the archive replace the lost entries, but do not say which tasks were forgotten.
    let latest = |name| found.meta(name).into_iter().max().unwrap_or(0);
    let archive::mend::Found { files: ended, mended, .. } =
        archive::mend::found(home, &tasks_of(&found))?;
    let aside = store::aside::Aside {
        numbers: latest(store::NUMBERS).max(archive::next_number(&ended)),
        up: latest(store::UP),
        forgotten_until: latest(store::FORGOTTEN_UNTIL),
        forgotten: Vec::new(),
        ended,
    };
    Store::copy_aside(&aside, &whole)?;
    let mut segments = found.segments().peekable();
    while segments.peek().is_some() {
        whole.write(|tables| {
            let mut bytes = 0;
            while bytes < PORTION
                && let Some((number, segment)) = segments.next()
            {
                tables.insert(number, &segment)?;
                tables.set_written(number + 1)?;
                bytes += segment.len();
            }
            Ok(())
        })?;
    }
    drop(segments);
    let is_back = mended.iter().any(|mended| !mended.tasks.is_empty());
    let mut damaged = Vec::new();
    let lost = found.damaged() + mend::mend(home, &whole, mended, &mut damaged)?;
    drop(whole);
    let may_hold_forgotten = !found.is_exact() || !aside.ended.is_empty() || is_back;
    let (report, mut copies) = replace_with(home, &fresh, marker, None)?;
    copies.extend(damaged);
    Ok(Salvaged { report, copies, lost, may_hold_forgotten })
}

/// The tasks in these records that were neither forgotten nor archived, and the node's uptime when
/// they were submitted.
fn tasks_of(found: &Found) -> HashMap<TaskId, Time> {
    let mut tasks = HashMap::new();
    for (_, segment) in found.segments() {
        frames::records(&segment, |record| match record {
            Some((stamp, Record::Submitted { task, .. })) => {
                tasks.insert(task.id, stamp.up);
            }
            Some((_, Record::Forgotten { id })) => drop(tasks.remove(&id)),
            Some(_) | None => {}
        });
    }
    tasks
}

/// Minimum bytes of one transaction of a new journal, except the last one.
const PORTION: usize = 4 << 20;

/// Path of the file that becomes the journal. Removes the file of an earlier, interrupted command.
fn fresh(home: &Path) -> Result<PathBuf, JournalError> {
    let fresh = home.join("journal.restoring");
    if fresh.exists() {
        fs::remove_file(&fresh).map_err(|source| HomeError::Io { path: fresh.clone(), source })?;
    }
    Ok(fresh)
}

/// Makes a file the journal and a folder its archive, and renames the present ones. If this is
/// interrupted, the marker has no journal, so no node starts.
fn replace_with(
    home: &Path,
    fresh: &Path,
    marker: Marker,
    ended: Option<&Path>,
) -> Result<(JournalReport, Vec<PathBuf>), JournalError> {
    let io = |source| HomeError::Io { path: home.to_owned(), source };
    let path = home.join(FILE);
    let mut aside: Vec<PathBuf> = path.exists().then(|| unused(home)).into_iter().collect();
    for aside in &aside {
        fs::rename(&path, aside).map_err(io)?;
    }
    if let Some(ended) = ended {
        // Files of both archives may have the same names.
        aside.extend(archive::put_aside(home)?);
        fs::rename(ended, archive::folder(home)).map_err(io)?;
    }
    commit_marker::remove(home)?;
    marker.put(home)?;
    fs::rename(fresh, &path).map_err(io)?;
    File::open(home).and_then(|dir| dir.sync_all()).map_err(io)?;
    Ok((report(&Store::inspect(home)?)?, aside))
}

/// An unused path for a replaced journal.
fn unused(home: &Path) -> PathBuf {
    let name = |number: u32| home.join(format!("journal.replaced-{number}"));
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}

/// Locks the home before it opens the journal, so that no node writes to it meanwhile.
fn open(home: &Path) -> Result<(Home, Store), JournalError> {
    if !home.exists() {
        return Err(JournalError::None { path: home.join("journal.redb") });
    }
    Ok((Home::open(home)?, Store::inspect(home)?))
}

fn report(store: &Store) -> Result<JournalReport, JournalError> {
    let mut ledger = Ledger::default();
    let replayed = store.replay(|_, stamp, record| {
        ledger.apply(record, Time::ZERO, stamp.up);
    })?;
    let (archived, archive_bytes) = store.archive()?.size();
    let (tasks, results) = ledger.into_parts();
    let (all, results) = (tasks.len(), results.len());
    let ended = tasks.filter(|task| task.ended.is_some()).count();
    Ok(JournalReport {
        open: all - ended,
        ended: ended + usize::try_from(archived).unwrap_or(usize::MAX),
        results,
        records: replayed.records + archived,
        damaged: replayed.damaged,
        segments: replayed.segments,
        file_bytes: fs::metadata(store.path()).map_or(0, |file| file.len()),
        archive_bytes,
    })
}

#[cfg(test)]
mod tests;
