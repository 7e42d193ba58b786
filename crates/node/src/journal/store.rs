//! The journal's file, and the marker beside it that identifies the file.
//!
//! `journal.redb` holds segments: the records of one commit each, every record with its own time
//! and checksum. `journal.id` names the store and counts its starts. Together they distinguish a
//! node's first start from a file that is missing, another node's, or an old copy.

use std::{
    fmt::Write as _,
    fs,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use meshwork_core::{PeerId, engine::Record};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::{
    commit_marker::{self, CommitMarker},
    error::JournalError,
    frames::{Stamp, Timed, append, records},
};
use crate::home;

pub(super) mod aside;
pub(super) mod shrink;

/// The file's name in a home.
pub(super) const FILE: &str = "journal.redb";
/// The marker's name in a home.
const MARKER: &str = "journal.id";
/// Records by the number of their commit.
const SEGMENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("segments");
/// Numbers about the store itself: see the keys below.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const FORMAT: &str = "format";
pub(super) const GENERATION: &str = "generation";
pub(super) const NAME: &str = "name";
const WRITTEN: &str = "written";
/// The number of the next archived task.
pub(super) const NUMBERS: &str = "numbers";
/// The node's uptime over all its starts, in milliseconds.
pub(super) const UP: &str = "up";
/// Ids with a time up to this one count as forgotten, in milliseconds since 1970.
pub(super) const FORGOTTEN_UNTIL: &str = "forgotten";
/// Valid files of the archive, by the number of their first task.
const ENDED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("ended");
/// Starts of forgotten ids without a time, the earliest first.
const FORGOTTEN: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("forgotten");

/// The format that this version writes, and the latest that it reads.
pub(super) const THIS_FORMAT: u64 = 3;
/// Bytes of the file in memory: a few segments. A running node reads segments again only to move
/// records; redb's default of 1 GiB would fill with pages that are never read.
const CACHE: usize = 16 << 20;

/// The contents of `journal.id`: they identify the journal's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// Whether the file was ever complete.
    ready: bool,
    /// A random number, which is in the file as well.
    pub(super) name: u64,
    /// Number of starts with this file.
    pub(super) generation: u64,
    /// The node that the journal belongs to; none if an earlier version made the marker.
    owner: Option<PeerId>,
}

impl Marker {
    /// The marker of a new journal.
    pub(super) fn fresh(owner: Option<PeerId>) -> Self {
        Self { ready: true, name: rand::random(), generation: 1, owner }
    }

    /// The node that the journal belongs to, if the marker names it.
    pub(super) fn owner(&self) -> Option<PeerId> {
        self.owner
    }

    /// A new marker for an existing store whose marker is lost.
    pub(super) fn rebuilt(name: u64, generation: u64) -> Self {
        Self { ready: true, name, generation, owner: None }
    }

    /// The marker of the journal in a home, if the journal was ever complete.
    pub(super) fn of(dir: &Path) -> Result<Option<Self>, JournalError> {
        Ok(Self::read(&paths(dir).1)?.filter(|marker| marker.ready))
    }

    fn read(path: &Path) -> Result<Option<Self>, JournalError> {
        let damaged = || JournalError::Marker { path: path.to_owned() };
        let text = match home::read(path) {
            Err(home::HomeError::Damaged { .. }) => return Err(damaged()),
            text => text?,
        };
        let Some(text) = text else { return Ok(None) };
        let mut words = text.split_whitespace();
        let state = words.next();
        let name = words.next().and_then(|name| u64::from_str_radix(name, 16).ok());
        let generation = words.next().and_then(|count| count.parse().ok());
        let owner = words.next().map(str::parse).transpose();
        match (state, name, generation, owner) {
            (Some(state @ ("new" | "ready")), Some(name), Some(generation), Ok(owner)) => {
                Ok(Some(Self { ready: state == "ready", name, generation, owner }))
            }
            _ => Err(damaged()),
        }
    }

    /// Writes the marker to a home whose journal is complete.
    pub(super) fn put(self, dir: &Path) -> Result<(), JournalError> {
        self.write(&paths(dir).1)
    }

    fn write(self, path: &Path) -> Result<(), JournalError> {
        let mut text = String::new();
        let state = if self.ready { "ready" } else { "new" };
        write!(text, "{state} {:016x} {}", self.name, self.generation).ok();
        if let Some(owner) = self.owner {
            write!(text, " {owner}").ok();
        }
        text.push('\n');
        Ok(home::write(path, &text)?)
    }
}

/// An open journal file.
pub(super) struct Store {
    /// None only while the file is reopened.
    db: Option<Database>,
    path: PathBuf,
    skips_fsync: bool,
}

impl Store {
    /// Opens the store of a home, and creates it only at the first start. Refuses the journal of
    /// another node if `owner` is given.
    pub(super) fn open(dir: &Path, owner: Option<PeerId>) -> Result<Self, JournalError> {
        let (path, marker_path) = paths(dir);
        let exists = path
            .try_exists()
            .map_err(|source| home::HomeError::Io { path: path.clone(), source })?;
        match Marker::read(&marker_path)? {
            None if exists => Err(JournalError::NoMarker { path, marker: marker_path }),
            Some(marker) if marker.ready && !exists => Err(JournalError::Missing { path }),
            Some(Marker { ready: true, owner: Some(other), .. })
                if owner.is_some_and(|own| own != other) =>
            {
                Err(JournalError::OtherKey { path, owner: other })
            }
            Some(marker) if marker.ready && !path.is_file() => {
                Err(JournalError::Unreadable { path })
            }
            Some(marker) if marker.ready => {
                remove_smaller(&path)?;
                let marker = Marker { owner: marker.owner.or(owner), ..marker };
                Self::reopen(path, marker)?.count(&marker_path, marker)
            }
            None | Some(_) => {
                if exists {
                    // The file was never complete, so the node never acted on anything in it.
                    fs::remove_file(&path)
                        .map_err(|source| home::HomeError::Io { path: path.clone(), source })?;
                }
                Self::create(path, &marker_path, owner)
            }
        }
    }

    fn create(
        path: PathBuf,
        marker_path: &Path,
        owner: Option<PeerId>,
    ) -> Result<Self, JournalError> {
        let marker = Marker::fresh(owner);
        Marker { ready: false, ..marker }.write(marker_path)?;
        let store = Self::make(path, marker)?;
        marker.write(marker_path)?;
        Ok(store)
    }

    /// Creates an empty file for a marker, with mode 0600.
    pub(super) fn make(path: PathBuf, marker: Marker) -> Result<Self, JournalError> {
        let mut private = fs::OpenOptions::new();
        private.write(true).create(true).truncate(false).mode(0o600);
        let db = private.open(&path).map_err(redb::Error::Io);
        let db = db.and_then(|_| Ok(cached().create(&path)?));
        let db = db.map_err(|error| JournalError::store(&path, error))?;
        let store = Self { db: Some(db), path, skips_fsync: false };
        store.write(|tables| {
            tables.set(FORMAT, THIS_FORMAT)?;
            tables.set(NAME, marker.name)?;
            tables.set(GENERATION, marker.generation)
        })?;
        Ok(store)
    }

    /// Opens the existing store of a home without starting a node.
    pub(super) fn inspect(dir: &Path) -> Result<Self, JournalError> {
        let (path, marker_path) = paths(dir);
        match Marker::read(&marker_path)? {
            Some(marker) if marker.ready && path.is_file() => Self::reopen(path, marker),
            Some(marker) if marker.ready && path.exists() => Err(JournalError::Unreadable { path }),
            Some(_) => Err(JournalError::Missing { path }),
            None if path.exists() => Err(JournalError::NoMarker { path, marker: marker_path }),
            None => Err(JournalError::None { path }),
        }
    }

    /// The files of the journal in a home.
    pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
        let (path, marker) = paths(dir);
        let commits = Some(commit_marker::path(dir)).filter(|path| path.is_file());
        if path.exists() && !path.is_file() {
            return Err(JournalError::Unreadable { path });
        }
        if marker.exists() && !marker.is_file() {
            return Err(JournalError::Marker { path: marker });
        }
        match (path.exists(), marker.exists()) {
            (true, true) => Ok([path, marker].into_iter().chain(commits).collect()),
            (true, false) => Err(JournalError::NoMarker { path, marker }),
            (false, true) => Err(JournalError::Missing { path }),
            (false, false) => Err(JournalError::None { path }),
        }
    }

    fn reopen(path: PathBuf, marker: Marker) -> Result<Self, JournalError> {
        // A start reads the whole file anyway; without the check, redb accepts damaged pages.
        let opened = cached().set_check_integrity_on_open(true).open(&path);
        let db = opened.map_err(|error| damage(&path, error.into()))?;
        Self { db: Some(db), path, skips_fsync: false }.check(marker)?.check_commits(marker)
    }

    /// Refuses a store that lacks commits which the commit marker counts.
    fn check_commits(self, marker: Marker) -> Result<Self, JournalError> {
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        let committed = commit_marker::least_written(dir, marker.name)?;
        let missing = committed.saturating_sub(self.written()?);
        if missing > 0 {
            return Err(JournalError::Behind { path: self.path, missing });
        }
        Ok(self)
    }

    /// Refuses a store that the marker does not identify.
    fn check(self, marker: Marker) -> Result<Self, JournalError> {
        let path = self.path.clone();
        let (format, name) = (self.meta(FORMAT)?, self.meta(NAME)?);
        if format == 0 || format > THIS_FORMAT {
            return Err(JournalError::Format { path, format });
        }
        if name != marker.name {
            return Err(JournalError::Foreign { path });
        }
        // One more if the node died after it wrote the store and before the marker.
        let generation = self.meta(GENERATION)?;
        if generation < marker.generation || generation > marker.generation + 1 {
            return Err(JournalError::Older { path });
        }
        Ok(self)
    }

    /// Counts a start in the store, then in the marker. A start that died in between did nothing
    /// else, so the next one takes over its count: the store is never ahead by more than one.
    fn count(self, marker_path: &Path, marker: Marker) -> Result<Self, JournalError> {
        let marker = Marker { generation: marker.generation + 1, ..marker };
        // The new format makes earlier versions refuse the file: those of format 1 would not notice
        // that tasks in the archive are missing, and those of format 2 would take the records of
        // blobs for damage.
        if self.meta(GENERATION)? < marker.generation || self.meta(FORMAT)? < THIS_FORMAT {
            self.write(|tables| {
                tables.set(FORMAT, THIS_FORMAT)?;
                tables.set(GENERATION, marker.generation)
            })?;
        }
        marker.write(marker_path)?;
        Ok(self)
    }

    /// Stops syncing commits if a test asks for it.
    pub(super) fn may_skip_fsync(&mut self) {
        self.skips_fsync = skips_fsync();
    }

    /// Reopens the file after a failed write, in the state of the last commit.
    pub(super) fn open_again(&mut self) -> Result<(), JournalError> {
        self.db = None;
        let db = cached().open(&self.path);
        self.db = Some(db.map_err(|error| JournalError::store(&self.path, error.into()))?);
        Ok(())
    }

    /// The file beside the journal that reserves disk space.
    pub(super) fn reserve(&self) -> PathBuf {
        self.path.with_extension("reserve")
    }

    fn db(&self) -> Result<&Database, redb::Error> {
        self.db.as_ref().ok_or(redb::Error::PreviousIo)
    }

    /// Commits one transaction; it is on disk when this returns.
    pub(super) fn write(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<(), redb::Error>,
    ) -> Result<(), JournalError> {
        let commit = || {
            let mut transaction = self.db()?.begin_write()?;
            if self.skips_fsync {
                transaction.set_durability(redb::Durability::None)?;
            }
            {
                let mut tables = Tables {
                    segments: transaction.open_table(SEGMENTS)?,
                    meta: transaction.open_table(META)?,
                    ended: transaction.open_table(ENDED)?,
                    forgotten: transaction.open_table(FORGOTTEN)?,
                };
                change(&mut tables)?;
            }
            Ok(transaction.commit()?)
        };
        commit().map_err(|error| JournalError::store(&self.path, error))
    }

    fn meta(&self, key: &str) -> Result<u64, JournalError> {
        let get = || {
            let table = self.db()?.begin_read()?.open_table(META)?;
            Ok(table.get(key)?.map_or(0, |value| value.value()))
        };
        get().map_err(|error| JournalError::store(&self.path, error))
    }

    /// The records of one segment with their times, without damaged ones.
    pub(super) fn segment(&self, number: u64) -> Result<Vec<Timed>, JournalError> {
        let read = || {
            let table = self.db()?.begin_read()?.open_table(SEGMENTS)?;
            let mut found = Vec::new();
            if let Some(segment) = table.get(number)? {
                records(segment.value(), |record| found.extend(record));
            }
            Ok(found)
        };
        read().map_err(|error| JournalError::store(&self.path, error))
    }

    /// The marker that identifies this file now.
    pub(super) fn marker(&self) -> Result<Marker, JournalError> {
        let (name, generation) = (self.meta(NAME)?, self.meta(GENERATION)?);
        let marker = self.path.parent().map(Marker::of).transpose()?.flatten();
        let owner = marker.and_then(|marker| marker.owner);
        Ok(Marker { ready: true, name, generation, owner })
    }

    /// The segments of the last commit, unaffected by later writes.
    pub(super) fn snapshot(&self) -> Result<Segments, JournalError> {
        let open = || Ok(self.db()?.begin_read()?.open_table(SEGMENTS)?);
        let table = open().map_err(|error| JournalError::store(&self.path, error))?;
        Ok(Segments { table, path: self.path.clone() })
    }

    /// Number of segments ever written; 0 if the file does not say.
    pub(super) fn written(&self) -> Result<u64, JournalError> {
        self.meta(WRITTEN)
    }

    /// Opens the commit marker; none if commits are not synced.
    pub(super) fn commit_marker(&self) -> Result<Option<CommitMarker>, JournalError> {
        let dir = self.path.parent().filter(|_| !self.skips_fsync);
        let name = self.meta(NAME)?;
        Ok(dir.map(|dir| CommitMarker::open(dir, name)))
    }

    /// Number of segments in the file.
    pub(super) fn segments(&self) -> Result<u64, JournalError> {
        let count = || Ok(self.db()?.begin_read()?.open_table(SEGMENTS)?.len()?);
        count().map_err(|error| JournalError::store(&self.path, error))
    }

    /// Calls `each` with the segment, the time and every whole record, in order, and counts the
    /// damaged ones.
    pub(super) fn replay(
        &self,
        mut each: impl FnMut(u64, Stamp, Record),
    ) -> Result<Replayed, JournalError> {
        let mut replayed = Replayed::default();
        let mut read = || {
            let table = self.db()?.begin_read()?.open_table(SEGMENTS)?;
            for row in table.iter()? {
                let (number, segment) = row?;
                replayed.segments += 1;
                replayed.bytes += segment.value().len() as u64;
                let whole = records(segment.value(), |record| {
                    replayed.records += 1;
                    match record {
                        Some((at, record)) => each(number.value(), at, record),
                        None => replayed.damaged += 1,
                    }
                });
                replayed.damaged += u64::from(!whole);
            }
            Ok(())
        };
        read().map_err(|error| JournalError::store(&self.path, error))?;
        Ok(replayed)
    }

    /// Removes damaged records. Calls `keep` with each damaged segment before it changes.
    pub(super) fn take_damaged(
        &self,
        mut keep: impl FnMut(u64, &[u8]) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let mut damaged = Vec::new();
        let mut read = || {
            let table = self.db()?.begin_read()?.open_table(SEGMENTS)?;
            for row in table.iter()? {
                let (number, segment) = row?;
                let (mut whole, mut all) = (Vec::new(), true);
                all &= records(segment.value(), |record| match record {
                    Some((at, record)) => append(&mut whole, at, &record),
                    None => all = false,
                });
                if !all {
                    damaged.push((number.value(), segment.value().to_vec(), whole));
                }
            }
            Ok(())
        };
        read().map_err(|error| JournalError::store(&self.path, error))?;
        for (number, segment, _) in &damaged {
            keep(*number, segment)?;
        }
        self.write(|tables| {
            damaged.iter().try_for_each(|(number, _, whole)| tables.insert(*number, whole))
        })
    }

    /// Returns the file's free space to the file system.
    pub(super) fn compact(&mut self) -> Result<(), JournalError> {
        let Some(db) = &mut self.db else { return Ok(()) };
        db.compact().map(drop).map_err(|error| JournalError::store(&self.path, error.into()))
    }

    /// Path of the journal's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Options to open a file with a cache of [`CACHE`] bytes.
fn cached() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

/// The journal's error for a store that does not open. If pages are damaged, reads the records to
/// count the lost ones.
fn damage(path: &Path, error: redb::Error) -> JournalError {
    if let redb::Error::Io(io) = &error
        && matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
    {
        // The file is empty, shorter than a header, or no redb file.
        return JournalError::Unreadable { path: path.to_owned() };
    }
    if !matches!(error, redb::Error::Corrupted(_)) {
        return JournalError::store(path, error);
    }
    let count = || {
        let db = Some(cached().open(path).ok()?);
        let store = Store { db, path: path.to_owned(), skips_fsync: false };
        store.replay(|_, _, _| {}).ok()
    };
    let path = path.to_owned();
    match guarded(count).flatten() {
        Some(Replayed { damaged, records: total, .. }) if damaged > 0 => {
            JournalError::Damaged { path, damaged, total }
        }
        _ => JournalError::Pages { path, source: Box::new(error) },
    }
}

/// Reads a damaged file; none if the store panics, which redb documents as possible.
pub(super) fn guarded<R>(read: impl FnOnce() -> R) -> Option<R> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).ok()
}

/// Whether a test, in a debug build, asks for a journal that does not sync its commits. It shows
/// that the tests of power cuts detect a missing sync.
fn skips_fsync() -> bool {
    cfg!(debug_assertions) && std::env::var_os("MESHWORK_TEST_SKIP_FSYNC").is_some()
}

/// Totals of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    pub(super) segments: u64,
    /// Bytes of the segments.
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) damaged: u64,
}

/// The number and the bytes of a segment or of another row.
type Numbered = (u64, Vec<u8>);

/// The segments of one commit.
pub(super) struct Segments {
    table: redb::ReadOnlyTable<u64, &'static [u8]>,
    path: PathBuf,
}

impl Segments {
    /// Segments from number `from` on, until they have at least `bytes` bytes together.
    pub(super) fn portion(&self, from: u64, bytes: usize) -> Result<Vec<Numbered>, JournalError> {
        let read = || {
            let (mut portion, mut read) = (Vec::new(), 0);
            for row in self.table.range(from..)? {
                let (number, segment) = row?;
                portion.push((number.value(), segment.value().to_vec()));
                read += segment.value().len();
                if read >= bytes {
                    break;
                }
            }
            Ok(portion)
        };
        read().map_err(|error| JournalError::store(&self.path, error))
    }
}

/// Paths of the journal's file and its marker in a home.
pub(super) fn paths(dir: &Path) -> (PathBuf, PathBuf) {
    (dir.join(FILE), dir.join(MARKER))
}

/// Removes the smaller file that a killed node was writing.
fn remove_smaller(journal: &Path) -> Result<(), JournalError> {
    let path = smaller(journal);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(home::HomeError::Io { path, source: error }.into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Path of the smaller file.
fn smaller(journal: &Path) -> PathBuf {
    journal.with_extension("shrinking")
}

/// The tables of one transaction.
pub(super) struct Tables<'t> {
    segments: redb::Table<'t, u64, &'static [u8]>,
    meta: redb::Table<'t, &'static str, u64>,
    ended: redb::Table<'t, u64, &'static [u8]>,
    forgotten: redb::Table<'t, u64, &'static [u8]>,
}

impl Tables<'_> {
    fn set(&mut self, key: &str, value: u64) -> Result<(), redb::Error> {
        self.meta.insert(key, value)?;
        Ok(())
    }

    /// Sets the number of segments ever written, including this commit.
    pub(super) fn set_written(&mut self, written: u64) -> Result<(), redb::Error> {
        self.set(WRITTEN, written)
    }

    pub(super) fn insert(&mut self, number: u64, segment: &[u8]) -> Result<(), redb::Error> {
        self.segments.insert(number, segment)?;
        Ok(())
    }

    /// Removes a segment and returns its size in bytes; 0 if it does not exist.
    pub(super) fn remove(&mut self, number: u64) -> Result<u64, redb::Error> {
        let removed = self.segments.remove(number)?;
        Ok(removed.map_or(0, |segment| segment.value().len() as u64))
    }
}

#[cfg(test)]
mod tests;
