//! Verifies and mends the files of a stopped node's archive.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use meshwork_core::{TaskId, Time, engine::Volume};

use super::{
    super::error::JournalError,
    Archive, Entry, file, folder,
    rescue::{self, Rescued},
};
use crate::{clock::Clock, home::HomeError};

/// The changes that mend one damaged file.
#[derive(Debug)]
pub(in crate::journal) struct Mended {
    /// The first number of the file.
    pub(in crate::journal) first: u64,
    /// The file's new entry in the store; none: the file is no longer valid.
    pub(in crate::journal) entry: Option<Entry>,
    /// Whole tasks of a file that is no longer valid: they go back to the journal.
    pub(in crate::journal) tasks: Vec<Rescued>,
    /// Number of lost tasks.
    pub(in crate::journal) lost: u64,
    /// The damaged file; none if it is missing.
    pub(in crate::journal) file: Option<PathBuf>,
}

/// The files of an archive whose entries in the store are lost.
#[derive(Debug, Default)]
pub(in crate::journal) struct Found {
    /// Valid files.
    pub(in crate::journal) files: BTreeMap<u64, Entry>,
    /// Tasks in the valid files.
    pub(in crate::journal) tasks: HashSet<TaskId>,
    /// Damaged files.
    pub(in crate::journal) mended: Vec<Mended>,
}

impl Archive {
    /// Reads every record. Returns the number of live tasks, and of damaged ones among them.
    pub(in crate::journal) fn verify(&self) -> Result<(u64, u64), JournalError> {
        let (mut total, mut bad) = (0, 0);
        for (first, entry) in self.files().iter() {
            total += u64::from(entry.live());
            let checked = self.check(*first, entry)?;
            let whole = checked.map_or(0, |checked| checked.whole);
            bad += u64::from(entry.live()).saturating_sub(whole);
        }
        Ok((total, bad))
    }

    /// How to mend the missing and damaged files, so that a node starts with all whole tasks.
    pub(in crate::journal) fn mend(&self) -> Result<Vec<Mended>, JournalError> {
        let mut mended = Vec::new();
        for (first, entry) in self.files().iter() {
            mended.extend(self.mend_one(*first, entry)?);
        }
        Ok(mended)
    }

    fn mend_one(&self, first: u64, entry: &Entry) -> Result<Option<Mended>, JournalError> {
        let path = self.path(first, entry.generation);
        let file = path.exists().then(|| path.clone());
        let live = u64::from(entry.live());
        if let Some(Checked { rows: true, damaged, .. }) = self.check(first, entry)? {
            let mut without = entry.clone();
            damaged.iter().for_each(|at| without.dead.set(*at));
            let entry = Some(without).filter(|entry| entry.live() > 0);
            let lost = damaged.len() as u64;
            let mended = Mended { first, entry, tasks: Vec::new(), lost, file };
            return Ok((lost > 0).then_some(mended));
        }
        let mut tasks = Vec::new();
        if file.is_some() {
            let read = rescue::rescue(&path, &self.clock);
            (tasks, _) = read.map_err(|source| HomeError::Io { path, source })?;
        }
        tasks.retain(|task| !entry.dead.has(task.at));
        let lost = live.saturating_sub(tasks.len() as u64);
        Ok(Some(Mended { first, entry: None, tasks, lost, file }))
    }

    /// Reads the records of all live tasks in a file; none if the file is missing, or its foot or
    /// names are damaged.
    fn check(&self, first: u64, entry: &Entry) -> Result<Option<Checked>, JournalError> {
        let path = self.path(first, entry.generation);
        let io = |source| HomeError::Io { path: path.clone(), source };
        let index = file::index(&path, &self.clock);
        let (index, reading) = match index.and_then(|i| Ok((i, file::Reading::open(&path)?))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io)?,
        };
        let (Some(index), Some(reading)) = (index, reading) else { return Ok(None) };
        let mut whole = BTreeSet::new();
        for place in index.places.iter().filter(|place| !entry.dead.has(place.row.at)) {
            if reading.is_whole(place, &self.clock).map_err(io)? {
                whole.insert(place.row.at);
            }
        }
        let is_lost = |at: &u32| !entry.dead.has(*at) && !whole.contains(at);
        let damaged = (0..entry.count).filter(is_lost).collect();
        let rows = index.damaged == 0 && index.first == first;
        Ok(Some(Checked { rows, whole: whole.len() as u64, damaged }))
    }
}

/// The result of checking a file.
struct Checked {
    /// Whether all rows are whole.
    rows: bool,
    /// Number of live tasks with whole records.
    whole: u64,
    /// Live tasks with damaged records.
    damaged: Vec<u32>,
}

/// Finds the valid files in an archive's folder when the store has lost their entries: of several
/// generations, the latest. Forgotten tasks come back, except those whose ids were used again.
///
/// A truncated file may be one that was being written when the node died: its tasks count only if
/// the journal lacks them. `journal`: the tasks in the journal, and the node's uptime at their
/// submission.
pub(in crate::journal) fn found(
    home: &Path,
    journal: &HashMap<TaskId, Time>,
) -> Result<Found, JournalError> {
    let mut found = Found::default();
    let mut damaged: BTreeMap<u64, (u32, PathBuf)> = BTreeMap::new();
    let mut latest: BTreeMap<u64, (u32, Volume)> = BTreeMap::new();
    let clock = Clock::start();
    for (first, generation, path) in files(&folder(home))? {
        let index = file::index(&path, &clock);
        let index = index.map_err(|source| HomeError::Io { path: path.clone(), source })?;
        let Some(index) = index.filter(|index| index.damaged == 0) else {
            if damaged.get(&first).is_none_or(|(other, _)| *other < generation) {
                damaged.insert(first, (generation, path));
            }
            continue;
        };
        let is_later = latest.get(&first).is_none_or(|(other, _)| *other < generation);
        if is_later && !index.places.is_empty() {
            latest.insert(first, (generation, index.into_volume()));
        }
    }
    // A reused group key gives its members the same ids: the latest task with an id counts.
    for (first, (generation, volume)) in latest.into_iter().rev() {
        let mut rows = volume.rows;
        let count = rows.last().map_or(0, |row| row.at.saturating_add(1));
        rows.retain(|row| {
            let came_later = journal.get(&row.id).is_some_and(|up| *up > row.up);
            !came_later && found.tasks.insert(row.id)
        });
        let mut entry = Entry { generation, ..Entry::new(count) };
        let live: BTreeSet<u32> = rows.iter().map(|row| row.at).collect();
        (0..count).filter(|at| !live.contains(at)).for_each(|at| entry.dead.set(at));
        if entry.live() > 0 {
            found.files.insert(first, entry);
        }
    }
    let archive = Archive::inspect(home, found.files.clone());
    for mended in archive.mend()? {
        match &mended.entry {
            Some(entry) => drop(found.files.insert(mended.first, entry.clone())),
            None => drop(found.files.remove(&mended.first)),
        }
        found.mended.push(mended);
    }
    damaged.retain(|first, _| !found.files.contains_key(first));
    for (first, (_, path)) in damaged {
        let read = rescue::rescue(&path, &clock);
        let (mut tasks, all) =
            read.map_err(|source| HomeError::Io { path: path.clone(), source })?;
        let lost = all.saturating_sub(tasks.len() as u64);
        tasks.retain(|task| !journal.contains_key(&task.id) && !found.tasks.contains(&task.id));
        found.mended.push(Mended { first, entry: None, tasks, lost, file: Some(path) });
    }
    Ok(found)
}

/// A file of an archive by its name: first number, generation, path.
type Named = (u64, u32, PathBuf);

/// The files in a folder whose names are those of an archive's files.
fn files(dir: &Path) -> Result<Vec<Named>, JournalError> {
    let io = |source| HomeError::Io { path: dir.to_owned(), source };
    let mut files = Vec::new();
    if !dir.exists() {
        return Ok(files);
    }
    for file in fs::read_dir(dir).map_err(io)? {
        let file = file.map_err(io)?;
        let name = file.file_name();
        let parts = name.to_str().and_then(|name| name.split_once('-'));
        if let Some((Ok(first), Ok(generation))) =
            parts.map(|(first, generation)| (first.parse(), generation.parse()))
        {
            files.push((first, generation, file.path()));
        }
    }
    Ok(files)
}
