//! The archive: ended tasks in files of some thousand each, in a folder of the home.
//!
//! Which files count, and which of their tasks were forgotten or handed out since, stands in the
//! journal's store. So a file that a crash has left behind is known and removed, one that is missing
//! is missed, and a file is never changed: when nothing in it is kept it is removed, and when less
//! than half of its bytes are, the rest is written into another one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use meshwork_core::engine::{ArchivedTask, Volume};

use super::JournalError;
use crate::{
    clock::Clock,
    home::{self, HomeError},
};

mod copy;
mod file;
mod mend;
mod rescue;
#[cfg(test)]
pub(super) mod tests;
mod thread;

pub(crate) use self::thread::Archiver;
pub(super) use self::thread::{Job, Moved};
pub(super) use self::{
    copy::FilesCopy,
    mend::{Found, Mended, found},
    rescue::Rescued,
};

/// Files that are written anew at once: of each, what it says is held.
pub(super) const MOVES: usize = 8;
/// What the archive's thread may be asked for at once: these, a file to close, and a look at the volume
/// that waits.
pub(super) const JOBS: usize = MOVES + 2;
/// The folder in a home.
const FOLDER: &str = "ended";

/// What the journal's store says of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// How often it was written anew.
    pub(super) generation: u32,
    /// How many numbers it takes.
    pub(super) count: u32,
    /// Tasks that are not kept any longer.
    pub(super) dead: Bits,
    /// Tasks whose results were handed out.
    pub(super) read: Bits,
    /// Bytes of the tasks in the file when it was written; 0 as long as that is not known.
    written: u64,
    /// Bytes that each task takes in the file, by its number; empty as long as that is not known.
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

    /// The same, of a file in which each task takes so many bytes.
    fn with_lengths(self, lengths: Vec<u32>) -> Self {
        let written = lengths.iter().copied().map(u64::from).sum();
        Self { written, lengths: lengths.into(), ..self }
    }

    /// Bytes of the tasks that are kept.
    fn live_bytes(&self) -> u64 {
        let kept = (0..).zip(self.lengths.iter()).filter(|(at, _)| !self.dead.has(*at));
        kept.map(|(_, length)| u64::from(*length)).sum()
    }

    fn live(&self) -> u32 {
        self.count.saturating_sub(self.dead.count())
    }

    /// As it stands in the store.
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

/// Why an archived task cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It was forgotten meanwhile.
    #[error("it is not kept any longer")]
    Gone,
    /// Its record is damaged, or the file is.
    #[error("{}", path.display())]
    Damaged { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The files of a home, for those who read them and those who write them.
#[derive(Debug)]
pub(crate) struct Archive {
    dir: PathBuf,
    clock: Clock,
    files: Mutex<BTreeMap<u64, Entry>>,
    /// Why a volume could not be written the last time; none if it could.
    failing: Mutex<Option<String>>,
}

impl Archive {
    /// The archive of a home, with the files that the store says it has. Others are removed.
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

    /// The same of a home that is only looked at.
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

    /// Removes what a crash has left behind.
    fn remove_others(&self) -> Result<(), JournalError> {
        let io = |source| HomeError::Io { path: self.dir.clone(), source };
        let names: Vec<String> =
            self.files().iter().map(|(first, entry)| name(*first, entry.generation)).collect();
        for file in fs::read_dir(&self.dir).map_err(io)? {
            let file = file.map_err(io)?;
            // No folder is ours.
            let is_folder = file.file_type().map_err(io)?.is_dir();
            if !is_folder && !names.iter().any(|name| file.file_name() == name.as_str()) {
                fs::remove_file(file.path()).map_err(io)?;
            }
        }
        Ok(())
    }

    /// Looks at each file, without a result: whether it is there and whole, and how long its tasks are.
    /// Calls `each` after each one.
    ///
    /// # Errors
    ///
    /// A file is missing, or rows of one are damaged.
    pub(super) fn look(&self, mut each: impl FnMut()) -> Result<(), JournalError> {
        for (first, entry) in self.files().iter_mut() {
            let (_, lengths) = self.index(*first, entry)?;
            *entry = entry.clone().with_lengths(lengths);
            each();
        }
        Ok(())
    }

    /// What a start must know of a file that was looked at: one at a time, as those of all files together
    /// take more memory than the node does afterwards.
    ///
    /// # Errors
    ///
    /// As [`Self::look`].
    pub(crate) fn volume(&self, first: u64) -> Result<Volume, JournalError> {
        loop {
            let entry = self.files().get(&first).cloned().unwrap_or_default();
            let is_moved =
                || self.files().get(&first).is_some_and(|now| now.generation != entry.generation);
            match self.index(first, &entry) {
                // It was written anew meanwhile.
                Err(JournalError::MissingEnded { .. }) if is_moved() => {}
                read => return read.map(|(volume, _)| volume),
            }
        }
    }

    /// The tasks of a file that are kept, and the lengths of all that are in it.
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
            // The file may have been written anew meanwhile.
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
                // It was removed or written anew since.
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

    /// A file was written, and is read from now on.
    fn add(&self, first: u64, lengths: Vec<u32>) {
        let count = u32::try_from(lengths.len()).unwrap_or(u32::MAX);
        self.files().insert(first, Entry::new(count).with_lengths(lengths));
    }

    /// These tasks are not kept any longer, or were handed out. Gives the files that this is about.
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

    /// What the store is to say of a file from now on; none if nothing in it is kept.
    pub(super) fn entry(&self, first: u64) -> Option<Entry> {
        self.files().get(&first).filter(|entry| entry.live() > 0).cloned()
    }

    /// The store does not name this file any more.
    pub(super) fn remove(&self, first: u64) {
        let Some(entry) = self.files().remove(&first) else { return };
        // What cannot be removed now is at the next start.
        fs::remove_file(self.path(first, entry.generation)).ok();
    }

    /// How many tasks are kept.
    pub(crate) fn live(&self) -> usize {
        self.files().values().map(|entry| entry.live() as usize).sum()
    }

    /// The first numbers of all files.
    pub(crate) fn firsts(&self) -> BTreeSet<u64> {
        self.files().keys().copied().collect()
    }

    /// The entry of a file, if it is to be rewritten because less than half of its bytes are kept.
    pub(super) fn sparse(&self, first: u64) -> Option<Entry> {
        let files = self.files();
        let entry = files.get(&first)?;
        (entry.live() > 0 && entry.live_bytes() * 2 < entry.written).then(|| entry.clone())
    }

    /// What the store is to say of a file that was written anew from this generation. What was forgotten
    /// meanwhile is so in the new one, too. None if nothing of it is kept any longer.
    pub(super) fn rewritten(&self, first: u64, generation: u32, written: u64) -> Option<Entry> {
        let entry = self.entry(first).filter(|entry| entry.generation == generation)?;
        Some(Entry { generation: generation + 1, written, ..entry })
    }

    /// The store says this of a file from now on.
    pub(super) fn replace(&self, first: u64, entry: Entry) {
        self.files().insert(first, entry);
    }

    /// Removes one of the files that were written of the same tasks.
    pub(super) fn remove_file(&self, first: u64, generation: u32) {
        // What cannot be removed now is at the next start.
        fs::remove_file(self.path(first, generation)).ok();
    }

    /// Tasks that are kept, and bytes of the files.
    pub(super) fn size(&self) -> (u64, u64) {
        let files = self.files();
        let bytes = |(first, entry): (&u64, &Entry)| {
            fs::metadata(self.path(*first, entry.generation)).map_or(0, |file| file.len())
        };
        let tasks = files.values().map(|entry| u64::from(entry.live())).sum();
        (tasks, files.iter().map(bytes).sum())
    }

    /// Why a volume could not be written, and is tried again: what ends stays in memory meanwhile.
    pub(crate) fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_failing(&self, error: Option<&io::Error>) {
        let why = error.map(|error| format!("cannot write {}: {error}", self.dir.display()));
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Begins a copy of all files in a folder that is made for it.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub(super) fn copy_to(&self, dir: PathBuf) -> Result<FilesCopy, JournalError> {
        let files = self.files();
        let names = files.iter().map(|(first, entry)| name(*first, entry.generation));
        FilesCopy::begin(self.dir.clone(), dir, names.collect())
    }
}

/// What is noted of archived tasks.
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

/// Gives the archive of a home another name, under which no node looks for it; says which.
pub(super) fn put_aside(home: &Path) -> Result<Option<PathBuf>, JournalError> {
    let dir = folder(home);
    // One in which there is nothing need not be kept.
    if !dir.exists() || fs::remove_dir(&dir).is_ok() {
        return Ok(None);
    }
    let name = |number: u32| home.join(format!("{FOLDER}.replaced-{number}"));
    let free = (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
    fs::rename(&dir, &free).map_err(|source| HomeError::Io { path: dir, source })?;
    Ok(Some(free))
}

/// The number behind all tasks of these files.
pub(super) fn next_number(files: &BTreeMap<u64, Entry>) -> u64 {
    files.iter().map(|(first, entry)| first + u64::from(entry.count)).max().unwrap_or(0)
}
