//! The archive: ended tasks in files of some thousand each, in a folder of the home.
//!
//! The journal's store lists the valid files, and which of their tasks were forgotten or handed
//! out. So a start removes the leftovers of a crash and detects a missing file. Files are
//! immutable: a file without live tasks is removed, and one with less than half of its bytes live
//! is rewritten to another file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use meshwork_core::engine::{ArchivedTask, Volume};

use self::copy::FilesCopy;
use super::error::JournalError;
use crate::{
    clock::Clock,
    home::{self, HomeError},
};

pub(super) mod copy;
mod file;
pub(super) mod mend;
pub(super) mod rescue;
#[cfg(test)]
pub(super) mod tests;
pub(super) mod thread;

/// Files that are rewritten at once: the entry of each is in memory.
pub(super) const MOVES: usize = 8;
/// Jobs of the archive's thread at once: [`MOVES`], one [`Job::Close`] and one [`Job::Write`].
pub(super) const JOBS: usize = MOVES + 2;
/// The archive's folder in a home.
const FOLDER: &str = "ended";

/// The entry of one file in the journal's store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// How often the file was rewritten.
    pub(super) generation: u32,
    /// How many task numbers the file covers.
    pub(super) count: u32,
    /// Forgotten tasks.
    pub(super) dead: Bits,
    /// Tasks whose results were handed out.
    pub(super) read: Bits,
    /// Bytes of the tasks in the file when it was written; 0 if not known yet.
    written: u64,
    /// Bytes of each task in the file, by its number in the file; empty if not known yet.
    lengths: Arc<[u32]>,
}

/// A set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits(Vec<u8>);

impl Bits {
    fn set(&mut self, at: u32) {
        let byte = at as usize / 8;
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        if let Some(byte) = self.0.get_mut(byte) {
            *byte |= 1 << (at % 8);
        }
    }

    pub(super) fn has(&self, at: u32) -> bool {
        self.0.get(at as usize / 8).is_some_and(|byte| byte & (1 << (at % 8)) != 0)
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }
}

impl Entry {
    fn new(count: u32) -> Self {
        Self { count, ..Self::default() }
    }

    /// Sets the bytes of each task in the file.
    fn with_lengths(self, lengths: Vec<u32>) -> Self {
        let written = lengths.iter().copied().map(u64::from).sum();
        Self { written, lengths: lengths.into(), ..self }
    }

    /// Bytes of the tasks that are kept.
    fn live_bytes(&self) -> u64 {
        let live = (0..).zip(self.lengths.iter()).filter(|(at, _)| !self.dead.has(*at));
        live.map(|(_, length)| u64::from(*length)).sum()
    }

    fn live(&self) -> u32 {
        self.count.saturating_sub(self.dead.count())
    }

    /// Encodes the entry for the store.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(u32::try_from(self.dead.0.len()).unwrap_or(0).to_le_bytes());
        bytes.extend(&self.dead.0);
        bytes.extend(&self.read.0);
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (generation, bytes) = bytes.split_first_chunk()?;
        let (count, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let (dead, read) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let count = u32::from_le_bytes(*count);
        Some(Self {
            generation: u32::from_le_bytes(*generation),
            count,
            dead: Bits(dead.to_vec()),
            read: Bits(read.to_vec()),
            ..Self::default()
        })
    }
}

/// Why an archived task cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The task was forgotten meanwhile.
    #[error("the task was forgotten")]
    Gone,
    /// The task's record or its file is damaged.
    #[error("{}", path.display())]
    Damaged { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The archive of a home, shared by the threads that read and write it.
#[derive(Debug)]
pub(crate) struct Archive {
    dir: PathBuf,
    clock: Clock,
    files: Mutex<BTreeMap<u64, Entry>>,
    /// Why the last try to write a volume failed; none if it succeeded.
    failing: Mutex<Option<String>>,
}

impl Archive {
    /// Opens the archive of a home with the entries of the store. Removes files without an entry.
    pub(super) fn open(
        home: &Path,
        clock: Clock,
        entries: BTreeMap<u64, Entry>,
    ) -> Result<Arc<Self>, JournalError> {
        let dir = home.join(FOLDER);
        home::make_private(&dir)?;
        let archive = Self { dir, clock, files: Mutex::new(entries), failing: Mutex::new(None) };
        archive.remove_others()?;
        Ok(Arc::new(archive))
    }

    /// The archive of a home, for reading.
    pub(super) fn inspect(home: &Path, entries: BTreeMap<u64, Entry>) -> Self {
        let (dir, files) = (home.join(FOLDER), Mutex::new(entries));
        Self { dir, clock: Clock::start(), files, failing: Mutex::new(None) }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, first: u64, generation: u32) -> PathBuf {
        self.dir.join(name(first, generation))
    }

    /// Removes the leftovers of a crash.
    fn remove_others(&self) -> Result<(), JournalError> {
        let io = |source| HomeError::Io { path: self.dir.clone(), source };
        let names: Vec<String> =
            self.files().iter().map(|(first, entry)| name(*first, entry.generation)).collect();
        for file in fs::read_dir(&self.dir).map_err(io)? {
            let file = file.map_err(io)?;
            // The archive has no subfolders, so a folder is not its own.
            let is_folder = file.file_type().map_err(io)?.is_dir();
            if !is_folder && !names.iter().any(|name| file.file_name() == name.as_str()) {
                fs::remove_file(file.path()).map_err(io)?;
            }
        }
        Ok(())
    }

    /// Checks the rows of each file, and notes the lengths of its tasks. Calls `each` after each
    /// file.
    ///
    /// # Errors
    ///
    /// A file is missing, or some of its rows are damaged.
    pub(super) fn scan(&self, mut each: impl FnMut()) -> Result<(), JournalError> {
        for (first, entry) in self.files().iter_mut() {
            let (_, lengths) = self.index(*first, entry)?;
            *entry = entry.clone().with_lengths(lengths);
            each();
        }
        Ok(())
    }

    /// The volume in one file, without forgotten tasks. The volumes of all files at once would take
    /// more memory than the node needs later.
    ///
    /// # Errors
    ///
    /// As for [`Self::scan`].
    pub(crate) fn volume(&self, first: u64) -> Result<Volume, JournalError> {
        loop {
            let entry = self.files().get(&first).cloned().unwrap_or_default();
            let is_moved =
                || self.files().get(&first).is_some_and(|now| now.generation != entry.generation);
            match self.index(first, &entry) {
                // The file was rewritten meanwhile.
                Err(JournalError::MissingEnded { .. }) if is_moved() => {}
                read => return read.map(|(volume, _)| volume),
            }
        }
    }

    /// The live tasks of a file, and the lengths of all tasks in it.
    fn index(&self, first: u64, entry: &Entry) -> Result<(Volume, Vec<u32>), JournalError> {
        let path = self.path(first, entry.generation);
        let total = u64::from(entry.count);
        let damaged = |damaged| JournalError::Damaged { path: path.clone(), damaged, total };
        let index = match file::index(&path, &self.clock) {
            Ok(index) => index.ok_or_else(|| damaged(total))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(JournalError::MissingEnded { path });
            }
            Err(source) => return Err(HomeError::Io { path, source }.into()),
        };
        if index.damaged > 0 || index.first != first {
            return Err(damaged(index.damaged.max(1)));
        }
        let lengths = index.lengths();
        let mut volume = index.into_volume();
        volume.rows.retain(|row| !entry.dead.has(row.at));
        for row in &mut volume.rows {
            row.read |= entry.read.has(row.at);
        }
        if (volume.rows.len() as u64) < u64::from(entry.live()) {
            return Err(damaged(1));
        }
        Ok((volume, lengths))
    }

    /// Reads archived tasks by their numbers, in any order.
    pub(crate) fn read(&self, numbers: &[u64]) -> Vec<Result<ArchivedTask, ReadError>> {
        let mut open: Option<(u64, u32, file::Reading)> = None;
        let mut read = |number: &u64| match self.read_one(*number, &mut open) {
            // The file may have been rewritten meanwhile.
            Err(ReadError::Gone) => self.read_one(*number, &mut open),
            read => read,
        };
        numbers.iter().map(&mut read).collect()
    }

    fn read_one(
        &self,
        number: u64,
        open: &mut Option<(u64, u32, file::Reading)>,
    ) -> Result<ArchivedTask, ReadError> {
        let (first, generation) = {
            let files = self.files();
            let (first, entry) = files.range(..=number).next_back().ok_or(ReadError::Gone)?;
            let at = u32::try_from(number - first).unwrap_or(u32::MAX);
            if at >= entry.count || entry.dead.has(at) {
                return Err(ReadError::Gone);
            }
            (*first, entry.generation)
        };
        let path = self.path(first, generation);
        let io = |source: io::Error| {
            if source.kind() == io::ErrorKind::NotFound && !self.is_current(first, generation) {
                // The file was removed or rewritten meanwhile.
                ReadError::Gone
            } else if source.kind() == io::ErrorKind::UnexpectedEof {
                ReadError::Damaged { path: path.clone() }
            } else {
                ReadError::Io { path: path.clone(), source }
            }
        };
        if open.as_ref().is_none_or(|(of, at, _)| (*of, *at) != (first, generation)) {
            let damaged = || ReadError::Damaged { path: path.clone() };
            let reading = file::Reading::open(&path).map_err(io)?.ok_or_else(damaged)?;
            *open = Some((first, generation, reading));
        }
        let Some((_, _, reading)) = open else { return Err(ReadError::Gone) };
        let at = u32::try_from(number - first).unwrap_or(u32::MAX);
        let task = reading.task(at, &self.clock).map_err(io)?;
        task.ok_or_else(|| ReadError::Damaged { path: path.clone() })
    }

    fn is_current(&self, first: u64, generation: u32) -> bool {
        self.files().get(&first).is_some_and(|entry| entry.generation == generation)
    }

    /// Adds a new file.
    fn add(&self, first: u64, lengths: Vec<u32>) {
        let count = u32::try_from(lengths.len()).unwrap_or(u32::MAX);
        self.files().insert(first, Entry::new(count).with_lengths(lengths));
    }

    /// Notes that tasks were forgotten or handed out. Returns the files that they are in.
    pub(super) fn note(&self, numbers: &[u64], what: Noted) -> Vec<u64> {
        let mut files = self.files();
        let mut touched: Vec<u64> = Vec::new();
        for number in numbers {
            let Some((first, entry)) = files.range_mut(..=*number).next_back() else { continue };
            let at = u32::try_from(number - first).unwrap_or(u32::MAX);
            if at >= entry.count {
                continue;
            }
            match what {
                Noted::Dead => entry.dead.set(at),
                Noted::Read => entry.read.set(at),
            }
            if touched.last() != Some(first) && !touched.contains(first) {
                touched.push(*first);
            }
        }
        touched
    }

    /// The entry of a file for the store; none if no task in the file is live.
    pub(super) fn entry(&self, first: u64) -> Option<Entry> {
        self.files().get(&first).filter(|entry| entry.live() > 0).cloned()
    }

    /// Removes a file that the store no longer lists.
    pub(super) fn remove(&self, first: u64) {
        let Some(entry) = self.files().remove(&first) else { return };
        // If this fails, the next start removes the file.
        fs::remove_file(self.path(first, entry.generation)).ok();
    }

    /// Number of live tasks.
    pub(crate) fn live(&self) -> usize {
        self.files().values().map(|entry| entry.live() as usize).sum()
    }

    /// The number of the first task of each file.
    pub(crate) fn firsts(&self) -> BTreeSet<u64> {
        self.files().keys().copied().collect()
    }

    /// The entry of a file that should be rewritten: less than half of its bytes are live.
    pub(super) fn sparse(&self, first: u64) -> Option<Entry> {
        let files = self.files();
        let entry = files.get(&first)?;
        (entry.live() > 0 && entry.live_bytes() * 2 < entry.written).then(|| entry.clone())
    }

    /// The entry for the rewritten form of this generation, including tasks forgotten meanwhile.
    /// None if no task is live.
    pub(super) fn rewritten(&self, first: u64, generation: u32, written: u64) -> Option<Entry> {
        let entry = self.entry(first).filter(|entry| entry.generation == generation)?;
        Some(Entry { generation: generation + 1, written, ..entry })
    }

    /// Replaces the entry of a file, after the store has it.
    pub(super) fn replace(&self, first: u64, entry: Entry) {
        self.files().insert(first, entry);
    }

    /// Removes one generation of a file.
    pub(super) fn remove_file(&self, first: u64, generation: u32) {
        // If this fails, the next start removes the file.
        fs::remove_file(self.path(first, generation)).ok();
    }

    /// Number of live tasks, and bytes of all files.
    pub(super) fn size(&self) -> (u64, u64) {
        let files = self.files();
        let bytes = |(first, entry): (&u64, &Entry)| {
            fs::metadata(self.path(*first, entry.generation)).map_or(0, |file| file.len())
        };
        let tasks = files.values().map(|entry| u64::from(entry.live())).sum();
        (tasks, files.iter().map(bytes).sum())
    }

    /// Why a volume could not be written. While it is retried, ended tasks stay in memory.
    pub(crate) fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_failing(&self, error: Option<&io::Error>) {
        let why = error.map(|error| format!("cannot write {}: {error}", self.dir.display()));
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Begins a copy of all files to a new folder.
    ///
    /// # Errors
    ///
    /// The folder cannot be created.
    pub(super) fn copy_to(&self, dir: PathBuf) -> Result<FilesCopy, JournalError> {
        let files = self.files();
        let names = files.iter().map(|(first, entry)| name(*first, entry.generation));
        FilesCopy::begin(self.dir.clone(), dir, names.collect())
    }
}

/// An event that [`Archive::note`] records about tasks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Noted {
    Dead,
    Read,
}

fn name(first: u64, generation: u32) -> String {
    format!("{first:012}-{generation}")
}

/// The folder of the archive in a home.
pub(super) fn folder(home: &Path) -> PathBuf {
    home.join(FOLDER)
}

/// Renames the archive's folder and returns its new path; none if there was nothing in it.
pub(super) fn put_aside(home: &Path) -> Result<Option<PathBuf>, JournalError> {
    let dir = folder(home);
    // An empty folder need not be kept.
    if !dir.exists() || fs::remove_dir(&dir).is_ok() {
        return Ok(None);
    }
    let name = |number: u32| home.join(format!("{FOLDER}.replaced-{number}"));
    let free = (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
    fs::rename(&dir, &free).map_err(|source| HomeError::Io { path: dir, source })?;
    Ok(Some(free))
}

/// The number after the last task of these files.
pub(super) fn next_number(files: &BTreeMap<u64, Entry>) -> u64 {
    files.iter().map(|(first, entry)| first + u64::from(entry.count)).max().unwrap_or(0)
}
