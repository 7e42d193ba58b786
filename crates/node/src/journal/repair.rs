//! Looking at the journal of a node that does not run, mending it, and putting back a copy.

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
    JournalError,
    archive::{self, Archive},
    copy::{self, Copy, Unfinished},
    frames,
    raw::Found,
    store::{self, FILE, Marker, Store},
    told,
};
use crate::home::{self, Home, HomeError};

mod mend;

/// What is in a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalReport {
    /// Tasks that have not ended.
    pub open: usize,
    /// Tasks that have, and are kept.
    pub ended: usize,
    /// Results for other owners, until these have them for good.
    pub results: usize,
    /// Records of these, and of what is not needed any more.
    pub records: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// Commits that the records are from.
    pub segments: u64,
    /// Size of the file.
    pub file_bytes: u64,
    /// Size of the archive, in which most of those that have ended are.
    #[serde(default)]
    pub archive_bytes: u64,
}

/// Says what is in the journal of a home, and whether every record in it is whole.
///
/// # Errors
///
/// A node runs there, or the journal cannot be opened.
pub fn stats(home: &Path) -> Result<JournalReport, JournalError> {
    match open(home) {
        Err(error) if error.is_read_only() => Ok(examine_elsewhere(home)?.all()),
        opened => report(&opened?.1),
    }
}

/// Reads the whole journal of a home and every checksum in it, those of the store's own pages as well.
/// A copy is read, beside the journal: the store mends what a crash has left, and the file is to stay
/// as it is.
///
/// # Errors
///
/// As [`stats`]; there is no space for the copy.
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

/// What is in a journal, and how many tasks of the archive are damaged.
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

/// What is in the journal of a folder. A copy of it in the folder `at` is opened, for that changes a
/// file that was not closed.
fn examine(home: &Path, at: &Path) -> Result<Examined, JournalError> {
    let staged = Staged::new(home, at)?;
    let unreadable = || JournalError::Unreadable { path: home.join(FILE) };
    // The store may panic over a damaged page.
    let inspected = store::guarded(|| {
        let store = Store::inspect(&staged.0)?;
        Ok((report(&store)?, store.aside()?))
    });
    // The user knows the file that was copied.
    let (mut journal, aside) = inspected
        .unwrap_or_else(|| Err(unreadable()))
        .map_err(|error| error.at(&home.join(FILE)))?;
    // The archive is not copied: nothing that reads it changes it.
    let archive = Archive::inspect(home, aside.ended);
    let (_, archive_damaged) = archive.verify()?;
    (_, journal.archive_bytes) = archive.size();
    Ok(Examined { journal, archive_damaged })
}

/// A copy of a journal's files in a folder of its own, which goes with it.
struct Staged(PathBuf);

impl Staged {
    fn new(from: &Path, at: &Path) -> Result<Self, JournalError> {
        let files = Store::files(from)?;
        home::make_private(at)?;
        let staged = Self(at.to_owned());
        for file in files {
            let to = at.join(file.file_name().unwrap_or_default());
            // Without the rights of the original: it may be read-only.
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

/// What is in the journal of a folder that cannot be written: on a read-only disk, or of another user.
fn examine_elsewhere(home: &Path) -> Result<Examined, JournalError> {
    let _lock = home::hold(home)?;
    let name = format!("meshwork-store-{:016x}", rand::random::<u64>());
    examine(home, &std::env::temp_dir().join(name))
}

/// The folder in a home for a copy that is read.
const COPY: &str = "journal.verifying";

/// A journal that was repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// What is in it now.
    pub report: JournalReport,
    /// The damaged commits as they were, or the whole file if its pages were damaged; damaged files of the
    /// archive.
    pub kept: Vec<PathBuf>,
    /// Records that are lost, as far as they can be counted.
    pub lost: u64,
    /// Whether the file no longer said which commits were removed: tasks that were forgotten may be
    /// there again.
    pub may_hold_forgotten: bool,
}

/// Continues with the records that are whole, each by its own checksum, those of the archive as well.
/// The damaged commits are kept beside the journal, or the whole file if its pages are damaged, and so
/// are damaged files of the archive.
///
/// # Errors
///
/// As [`verify`]; the file holds no whole record; the damaged commits cannot be kept.
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
    let mut kept = Vec::new();
    store.take_damaged(|number, segment| {
        let path = home.join(format!("journal.damaged-{number}"));
        let written = home::create_private(&path).and_then(|mut file| {
            file.write_all(segment)?;
            file.sync_all()
        });
        written.map_err(|source| HomeError::Io { path: path.clone(), source })?;
        kept.push(path);
        Ok(())
    })?;
    lost += mend::mend(home, &store, store.archive()?.mend()?, &mut kept)?;
    Ok(Salvaged { report: report(&store)?, kept, lost, may_hold_forgotten: false })
}

/// Makes the file as small as what is in it.
///
/// # Errors
///
/// As [`verify`]; there is no space to work in.
pub fn compact(home: &Path) -> Result<JournalReport, JournalError> {
    let (_lock, mut store) = open(home)?;
    store.compact()?;
    report(&store)
}

/// Copies the journal of a home to a folder, which is made if there is none. Of a node that runs,
/// [`NetworkManager::backup`](crate::NetworkManager::backup) makes the copy.
///
/// The folder is laid out like a home, so that it can be verified like one. The identity key is not
/// in it.
///
/// # Errors
///
/// As [`verify`]; the folder holds a journal already, or cannot be written.
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

/// Adds the count of starts to a copy, and reads all of it. One that cannot be completed is removed.
pub(crate) fn seal(home: &Path, copy: &Path) -> Result<JournalReport, JournalError> {
    let sealed = home::raise_boot(copy, home).map_err(JournalError::from);
    let read = sealed.and_then(|()| report(&Store::inspect(copy)?));
    if read.is_err() {
        copy::discard(copy);
    }
    read
}

/// Makes a copy the journal of a home. What ended since the copy was made runs again, under attempts
/// of a later start; what was accepted since is not known any more. A journal that is there is put
/// aside if `replace` says so; where it is then, is told.
///
/// From then on it is another journal, so that neither the one it replaces nor the same copy is taken
/// for it.
///
/// # Errors
///
/// A node runs there, or a journal is there and `replace` is not said; the copy is damaged or cannot
/// be read; it is not that of `node`, or if none is named, of the node whose journal is there.
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
    // A marker that is damaged names nobody.
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
    // Not beside the store: of a read-only copy that is elsewhere.
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

/// A folder that is to become the archive. What is left of it when this is dropped is removed.
struct Restoring(PathBuf);

impl Restoring {
    /// Removes what is left of one by a command that was cut short.
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
        // It has another name, if the command has succeeded.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Writes the marker anew from what the journal says of itself.
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

/// Makes a new journal of all whole records in a file that the store does not open.
fn rescue(home: &Path) -> Result<Salvaged, JournalError> {
    let path = home.join(FILE);
    let marker = Marker::of(home)?.ok_or_else(|| JournalError::None { path: path.clone() })?;
    let told = told::least(home, marker.name)?;
    let found = Found::read(&path, told);
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
    // What stands in the store about the archive is found in the files themselves, but for what was
    // forgotten of them.
    let latest = |name| found.meta(name).into_iter().max().unwrap_or(0);
    let archive::Found { files: ended, mended, .. } = archive::found(home, &tasks_of(&found))?;
    let aside = store::Aside {
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
    let (report, mut kept) = replace_with(home, &fresh, marker, None)?;
    kept.extend(damaged);
    Ok(Salvaged { report, kept, lost, may_hold_forgotten })
}

/// The tasks that these records are about and that were neither forgotten nor archived, and how long the
/// node had been up when they came.
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

/// Bytes that are written in one transaction of a new journal, at least.
const PORTION: usize = 4 << 20;

/// A file that is to become the journal; what was left of one by a command that was cut short, is
/// removed.
fn fresh(home: &Path) -> Result<PathBuf, JournalError> {
    let fresh = home.join("journal.restoring");
    if fresh.exists() {
        fs::remove_file(&fresh).map_err(|source| HomeError::Io { path: fresh.clone(), source })?;
    }
    Ok(fresh)
}

/// Makes a file the journal, and a folder its archive, and puts the present ones aside. Cut short on the
/// way, there is no journal for the marker, and no node starts.
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
        // Its files have the names that others of this home may have.
        aside.extend(archive::put_aside(home)?);
        fs::rename(ended, archive::folder(home)).map_err(io)?;
    }
    told::forget(home)?;
    marker.put(home)?;
    fs::rename(fresh, &path).map_err(io)?;
    File::open(home).and_then(|dir| dir.sync_all()).map_err(io)?;
    Ok((report(&Store::inspect(home)?)?, aside))
}

/// A name for a journal that is put aside.
fn unused(home: &Path) -> PathBuf {
    let name = |number: u32| home.join(format!("journal.replaced-{number}"));
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}

/// The lock of the home comes first: nobody looks at a file that a node writes.
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
