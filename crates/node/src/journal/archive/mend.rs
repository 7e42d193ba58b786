//! Damaged files of a node that does not run: what is damaged in them, and what is kept of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use meshwork_core::{TaskId, Time, engine::Volume};

use super::{Archive, Entry, JournalError, Rescued, file, folder, rescue};
use crate::{clock::Clock, home::HomeError};

/// How a damaged file is mended.
#[derive(Debug)]
pub(in crate::journal) struct Mended {
    /// The first number of the file.
    pub(in crate::journal) first: u64,
    /// What the store is to say of it from now on; none: it does not count.
    pub(in crate::journal) entry: Option<Entry>,
    /// Whole tasks of a file that does not count any more: they go back to the journal.
    pub(in crate::journal) tasks: Vec<Rescued>,
    /// Tasks that are lost.
    pub(in crate::journal) lost: u64,
    /// The damaged file; none if it is missing.
    pub(in crate::journal) file: Option<PathBuf>,
}

/// The files of an archive of which the store says nothing.
#[derive(Debug, Default)]
pub(in crate::journal) struct Found {
    /// Files that count.
    pub(in crate::journal) files: BTreeMap<u64, Entry>,
    /// Tasks in them.
    pub(in crate::journal) tasks: HashSet<TaskId>,
    /// Damaged ones.
    pub(in crate::journal) mended: Vec<Mended>,
}

impl Archive {
    /// Reads every record, and says how many tasks there are and how many of them are damaged.
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

    /// How files that are missing or damaged are mended, so that a node starts with all that is whole.
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

    /// Reads all records that are kept of a file; none if it is missing, or damaged as a whole.
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

/// What of a file is whole.
struct Checked {
    /// All rows.
    rows: bool,
    /// So many tasks that are kept.
    whole: u64,
    /// Tasks that are kept and are not.
    damaged: Vec<u32>,
}

/// The files of an archive as they are in the folder, where the store does not say which count: of
/// several of the same tasks the latest. What was forgotten of them is there again, but for ids that were
/// used once more since. A file that is cut short may have been about to be written; `journal` are the
/// tasks that the journal has, and how long the node had been up when they came.
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
    // The members of a group whose key was used again have the same ids: the last of them counts.
    for (first, (generation, volume)) in latest.into_iter().rev() {
        let mut rows = volume.rows;
        let count = rows.last().map_or(0, |row| row.at.saturating_add(1));
        rows.retain(|row| {
            let came_later = journal.get(&row.id).is_some_and(|up| *up > row.up);
            !came_later && found.tasks.insert(row.id)
        });
        let mut entry = Entry { generation, ..Entry::new(count) };
        let kept: BTreeSet<u32> = rows.iter().map(|row| row.at).collect();
        (0..count).filter(|at| !kept.contains(at)).for_each(|at| entry.dead.set(at));
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

/// A file with the name of one of an archive: first number, generation, path.
type Named = (u64, u32, PathBuf);

/// The files in a folder with the names of files of an archive.
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
