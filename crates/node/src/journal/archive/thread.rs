//! The archive's thread: writes volumes that the engine hands out, and files anew of which little is
//! kept. Commits of the journal wait for neither.

use std::{
    fs::File,
    io,
    sync::{Arc, mpsc as blocking},
    thread,
};

use meshwork_core::engine::{ArchivedTask, Volume};
use tokio::sync::mpsc;

use super::{
    super::{FULL_RETRY, JournalError, Work, store::Replaced},
    Archive, Entry, file,
};

/// What the thread is asked for.
pub(in crate::journal) enum Job {
    Write(Box<Volume>, Vec<ArchivedTask>),
    /// A file, and what is said of it.
    Move(u64, Box<Entry>),
    /// A file of the journal that another one has replaced.
    Close(Replaced),
}

/// The driver's end of the archive.
#[derive(Debug)]
pub(crate) struct Archiver {
    jobs: blocking::SyncSender<Job>,
    written: mpsc::Receiver<u64>,
    archive: Arc<Archive>,
}

impl Archiver {
    /// Starts the thread. What was written anew is told to the journal's thread.
    pub(in crate::journal) fn start(
        archive: Arc<Archive>,
        jobs: (blocking::SyncSender<Job>, blocking::Receiver<Job>),
        journal: blocking::SyncSender<Work>,
    ) -> Result<Self, JournalError> {
        let (told, written) = mpsc::channel(1);
        let (jobs, asked) = jobs;
        let of_thread = Arc::clone(&archive);
        let run = move || run(&of_thread, &asked, &told, &journal);
        let thread = thread::Builder::new().name("meshwork-archive".to_owned());
        thread.spawn(run).map_err(JournalError::Thread)?;
        Ok(Self { jobs, written, archive })
    }

    /// Writes a volume; [`Self::written`] says when it is on disk. The engine hands out one at a time.
    pub(crate) fn write(&self, volume: Box<Volume>, tasks: Vec<ArchivedTask>) {
        // There is place. A thread that has ended shows in `written`.
        self.jobs.try_send(Job::Write(volume, tasks)).ok();
    }

    /// Waits until a volume is on disk; its first number. Never, if the thread has ended.
    pub(crate) async fn written(&mut self) -> u64 {
        match self.written.recv().await {
            Some(first) => first,
            None => std::future::pending().await,
        }
    }

    /// Where its tasks are read.
    pub(crate) fn archive(&self) -> Arc<Archive> {
        Arc::clone(&self.archive)
    }
}

fn run(
    archive: &Archive,
    jobs: &blocking::Receiver<Job>,
    told: &mpsc::Sender<u64>,
    journal: &blocking::SyncSender<Work>,
) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Write(volume, tasks) => {
                let first = volume.first;
                let Some(lengths) = write(archive, &volume, &tasks, || told.is_closed()) else {
                    return;
                };
                // Before it is told: whoever hears of it may read it.
                archive.add(first, lengths);
                if told.blocking_send(first).is_err() {
                    return;
                }
            }
            Job::Close(replaced) => drop(replaced),
            Job::Move(first, entry) => {
                let written = rewrite(archive, first, &entry);
                if let Err(error) = &written {
                    tracing::warn!(%error, "a file of ended tasks is not made smaller for now");
                }
                let (generation, written) = (entry.generation, written.ok());
                if journal.send(Work::Moved { first, generation, written }).is_err() {
                    return;
                }
            }
        }
    }
}

/// Writes a volume as soon as there is space; gives the bytes of its tasks, none if nobody waits for it
/// any more.
fn write(
    archive: &Archive,
    volume: &Volume,
    tasks: &[ArchivedTask],
    is_over: impl Fn() -> bool,
) -> Option<Vec<u32>> {
    let clock = &archive.clock;
    let path = archive.path(volume.first, 0);
    let mut warned = false;
    loop {
        let records = tasks.iter().map(|task| (file::records(task, clock), task.input_bytes));
        let written = file::write(&path, volume, clock, records);
        let error = match written.and_then(|lengths| sync(archive).map(|()| lengths)) {
            Ok(lengths) => return Some(lengths),
            Err(error) => error,
        };
        if is_over() {
            return None;
        }
        if !std::mem::replace(&mut warned, true) {
            tracing::warn!(%error, "ended tasks stay in the journal until they can be archived");
        }
        std::fs::remove_file(&path).ok();
        thread::sleep(FULL_RETRY);
    }
}

/// Writes a file without the tasks that are not kept; gives the bytes of those in it.
pub(super) fn rewrite(archive: &Archive, first: u64, entry: &Entry) -> io::Result<u64> {
    let clock = &archive.clock;
    let from = archive.path(first, entry.generation);
    let (index, reading) = (file::index(&from, clock)?, file::Reading::open(&from)?);
    let (Some(index), Some(reading)) = (index, reading) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut volume = index.volume;
    volume.rows.retain(|row| !entry.dead.has(row.at));
    for row in &mut volume.rows {
        row.read |= entry.read.has(row.at);
    }
    let kept = index.places.iter().filter(|place| !entry.dead.has(place.row.at));
    let mut tasks = Vec::with_capacity(volume.rows.len());
    for place in kept {
        // Damaged records are moved as they are: whoever asks for them is told.
        let bytes = reading.bytes(place)?.ok_or(io::ErrorKind::InvalidData)?;
        tasks.push((bytes, place.input_bytes()));
    }
    let to = archive.path(first, entry.generation + 1);
    let written = file::write(&to, &volume, clock, tasks.into_iter());
    let written = written.and_then(|lengths| sync(archive).map(|()| lengths));
    if written.is_err() {
        std::fs::remove_file(&to).ok();
    }
    Ok(written?.into_iter().map(u64::from).sum())
}

fn sync(archive: &Archive) -> io::Result<()> {
    File::open(&archive.dir)?.sync_all()
}
