//! The archive's thread: writes the engine's volumes, and rewrites sparse files. Commits of the
//! journal wait for neither.

use std::{
    fs::File,
    io,
    sync::{Arc, mpsc as blocking},
    thread,
};

use meshwork_core::engine::{ArchivedTask, Volume};
use tokio::sync::{mpsc, oneshot};

use super::{
    super::{error::JournalError, store::shrink::Replaced, work::FULL_RETRY},
    Archive, Entry,
    file::{self, Records},
};

/// A request to the archive's thread.
pub(in crate::journal) enum Job {
    /// Writes the volume in the channel for volumes.
    Write,
    /// Rewrites the file with this first number and entry.
    Move(u64, Box<Entry>),
    /// Closes a replaced file of the journal.
    Close(Replaced),
}

/// The end of a [`Job::Move`]; each job sends one.
#[derive(Debug)]
pub(in crate::journal) struct Moved {
    pub(in crate::journal) first: u64,
    /// The generation of the earlier file.
    pub(in crate::journal) generation: u32,
    /// Bytes of the tasks in the new file; none if the file was not rewritten.
    pub(in crate::journal) written: Option<u64>,
}

type Jobs = (blocking::SyncSender<Job>, blocking::Receiver<Job>);
type Waiting = (Box<Volume>, Vec<ArchivedTask>);

/// The driver's end of the archive.
#[derive(Debug)]
pub(crate) struct Archiver {
    jobs: blocking::SyncSender<Job>,
    /// Holds the one volume that the engine hands out at a time, so that a full job queue cannot
    /// delay it.
    volumes: blocking::SyncSender<Waiting>,
    written: mpsc::Receiver<u64>,
    ended: oneshot::Receiver<()>,
    archive: Arc<Archive>,
}

impl Archiver {
    /// Starts the thread. `moved` has room for the end of every [`Job::Move`].
    pub(in crate::journal) fn start(
        archive: Arc<Archive>,
        jobs: Jobs,
        moved: blocking::SyncSender<Moved>,
    ) -> Result<Self, JournalError> {
        let (done, written) = mpsc::channel(1);
        let (volumes, waiting) = blocking::sync_channel(1);
        let (alive, ended) = oneshot::channel();
        let (jobs, queue) = jobs;
        let mut thread = Thread {
            archive: Arc::clone(&archive),
            jobs: queue,
            waiting,
            done,
            moved,
            records: Records::default(),
        };
        let run = move || {
            thread.run();
            // `alive` is dropped last: its end means that all files are closed.
            drop(thread);
            drop::<oneshot::Sender<()>>(alive);
        };
        let builder = thread::Builder::new().name("meshwork-archive".to_owned());
        builder.spawn(run).map_err(JournalError::Thread)?;
        Ok(Self { jobs, volumes, written, ended, archive })
    }

    /// Writes a volume; [`Self::written`] reports when it is on disk. The engine hands out one at a
    /// time.
    pub(crate) fn write(&self, volume: Box<Volume>, tasks: Vec<ArchivedTask>) {
        // The channel has room. If the thread has ended, `written` reports it.
        self.volumes.try_send((volume, tasks)).ok();
        // If the queue is full, the thread finds the volume after another job.
        self.jobs.try_send(Job::Write).ok();
    }

    /// Waits until a volume is on disk and returns its first number. None if the thread has ended.
    pub(crate) async fn written(&mut self) -> Option<u64> {
        self.written.recv().await
    }

    /// Whether the last try to write a volume failed.
    pub(in crate::journal) fn is_failing(&self) -> bool {
        self.archive.failing().is_some()
    }

    /// The archive, to read tasks from.
    pub(crate) fn archive(&self) -> Arc<Archive> {
        Arc::clone(&self.archive)
    }

    /// Asks the thread to end after its current file. The receiver fails when the thread has ended.
    pub(crate) fn close(self) -> oneshot::Receiver<()> {
        self.ended
    }
}

/// The state of the archive's thread.
struct Thread {
    archive: Arc<Archive>,
    jobs: blocking::Receiver<Job>,
    waiting: blocking::Receiver<Waiting>,
    /// To the driver: the first number of each written volume.
    done: mpsc::Sender<u64>,
    moved: blocking::SyncSender<Moved>,
    /// The records of the volume that is being written.
    records: Records,
}

impl Thread {
    /// Runs until the driver drops its end.
    fn run(&mut self) {
        while let Ok(job) = self.jobs.recv() {
            if self.done.is_closed() {
                return;
            }
            let goes_on = match job {
                Job::Write => true,
                Job::Close(replaced) => {
                    drop(replaced);
                    true
                }
                Job::Move(first, entry) => self.rewrite(first, &entry),
            };
            if !goes_on || !self.write_waiting() {
                return;
            }
        }
    }

    /// Writes the waiting volume, if there is one. False if the driver has dropped its end.
    fn write_waiting(&mut self) -> bool {
        let Ok((volume, tasks)) = self.waiting.try_recv() else { return true };
        let archive = &self.archive;
        tasks.into_iter().for_each(|task| self.records.push(task, &archive.clock));
        let Some(lengths) = write(archive, &volume, &self.records, || self.done.is_closed()) else {
            return false;
        };
        self.records.clear();
        // Added before the report: the driver may read the volume at once.
        archive.add(volume.first, lengths);
        self.done.blocking_send(volume.first).is_ok()
    }

    /// Rewrites a file, if it is still valid. False if the journal's thread has ended.
    fn rewrite(&self, first: u64, entry: &Entry) -> bool {
        let generation = entry.generation;
        let written = self.archive.is_current(first, generation).then(|| {
            rewrite(&self.archive, first, entry)
                .inspect_err(|error| {
                    tracing::warn!(%error, "cannot rewrite a file of the archive; it stays as it is");
                })
                .ok()
        });
        let written = written.flatten();
        self.moved.send(Moved { first, generation, written }).is_ok()
    }
}

/// Writes a volume, and retries until it succeeds. Returns the bytes of its tasks; none if
/// `is_over` after a failed try.
fn write(
    archive: &Archive,
    volume: &Volume,
    records: &Records,
    is_over: impl Fn() -> bool,
) -> Option<Vec<u32>> {
    let clock = &archive.clock;
    let path = archive.path(volume.first, 0);
    let mut warned = false;
    loop {
        let written = file::write(&path, volume, clock, records);
        let error = match written.and_then(|lengths| sync(archive).map(|()| lengths)) {
            Ok(lengths) => {
                archive.set_failing(None);
                return Some(lengths);
            }
            Err(error) => error,
        };
        archive.set_failing(Some(&error));
        if is_over() {
            return None;
        }
        if !std::mem::replace(&mut warned, true) {
            tracing::warn!(%error, "cannot archive ended tasks; they stay in the journal, retrying");
        }
        std::fs::remove_file(&path).ok();
        thread::sleep(FULL_RETRY);
    }
}

/// Writes the next generation of a file with only its live tasks; returns their bytes.
pub(super) fn rewrite(archive: &Archive, first: u64, entry: &Entry) -> io::Result<u64> {
    let clock = &archive.clock;
    let from = archive.path(first, entry.generation);
    let (index, reading) = (file::index(&from, clock)?, file::Reading::open(&from)?);
    let (Some(index), Some(reading)) = (index, reading) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut records = Records::default();
    for place in index.places.iter().filter(|place| !entry.dead.has(place.row.at)) {
        // Damaged records are copied unchanged, so that a reader still detects the damage.
        let bytes = reading.bytes(place)?.ok_or(io::ErrorKind::InvalidData)?;
        records.push_bytes(&bytes, place.input_bytes());
    }
    let mut volume = index.into_volume();
    volume.rows.retain(|row| !entry.dead.has(row.at));
    for row in &mut volume.rows {
        row.read |= entry.read.has(row.at);
    }
    let to = archive.path(first, entry.generation + 1);
    let written = file::write(&to, &volume, clock, &records);
    let written = written.and_then(|lengths| sync(archive).map(|()| lengths));
    if written.is_err() {
        std::fs::remove_file(&to).ok();
    }
    Ok(written?.into_iter().map(u64::from).sum())
}

fn sync(archive: &Archive) -> io::Result<()> {
    File::open(&archive.dir)?.sync_all()
}
