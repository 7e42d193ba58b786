//! The archive's thread: writes volumes that the engine hands out, and files anew of which little is
//! kept. Commits of the journal wait for neither.

use std::{
    fs::File,
    io,
    sync::{Arc, mpsc as blocking},
    thread,
};

use meshwork_core::engine::{ArchivedTask, Volume};
use tokio::sync::{mpsc, oneshot};

use super::{
    super::{FULL_RETRY, JournalError, store::Replaced},
    Archive, Entry,
    file::{self, Records},
};

/// What the thread is asked for.
pub(in crate::journal) enum Job {
    /// A volume waits in its own place.
    Write,
    /// A file, and what is said of it.
    Move(u64, Box<Entry>),
    /// A file of the journal that another one has replaced.
    Close(Replaced),
}

/// How a [`Job::Move`] ended: each has one.
#[derive(Debug)]
pub(in crate::journal) struct Moved {
    pub(in crate::journal) first: u64,
    /// That of the earlier file.
    pub(in crate::journal) generation: u32,
    /// Bytes of the tasks in the new file; none if there is no new file.
    pub(in crate::journal) written: Option<u64>,
}

type Jobs = (blocking::SyncSender<Job>, blocking::Receiver<Job>);
type Waiting = (Box<Volume>, Vec<ArchivedTask>);

/// The driver's end of the archive.
#[derive(Debug)]
pub(crate) struct Archiver {
    jobs: blocking::SyncSender<Job>,
    /// The place of the one volume that the engine hands out at a time. No other job can take it.
    volumes: blocking::SyncSender<Waiting>,
    written: mpsc::Receiver<u64>,
    ended: oneshot::Receiver<()>,
    archive: Arc<Archive>,
}

impl Archiver {
    /// Starts the thread. How each file is written anew is told to the journal's thread, in a channel
    /// that has place for all of them.
    pub(in crate::journal) fn start(
        archive: Arc<Archive>,
        jobs: Jobs,
        moved: blocking::SyncSender<Moved>,
    ) -> Result<Self, JournalError> {
        let (told, written) = mpsc::channel(1);
        let (volumes, waiting) = blocking::sync_channel(1);
        let (alive, ended) = oneshot::channel();
        let (jobs, asked) = jobs;
        let mut thread = Thread {
            archive: Arc::clone(&archive),
            jobs: asked,
            waiting,
            told,
            moved,
            records: Records::default(),
        };
        let run = move || {
            thread.run();
            // After all else that the thread has: who waits for its end finds nothing open.
            drop(thread);
            drop::<oneshot::Sender<()>>(alive);
        };
        let builder = thread::Builder::new().name("meshwork-archive".to_owned());
        builder.spawn(run).map_err(JournalError::Thread)?;
        Ok(Self { jobs, volumes, written, ended, archive })
    }

    /// Writes a volume; [`Self::written`] says when it is on disk. The engine hands out one at a time.
    pub(crate) fn write(&self, volume: Box<Volume>, tasks: Vec<ArchivedTask>) {
        // There is place. A thread that has ended shows in `written`.
        self.volumes.try_send((volume, tasks)).ok();
        // Without place for this there are other jobs, and the thread looks after each.
        self.jobs.try_send(Job::Write).ok();
    }

    /// Waits until a volume is on disk; its first number. None if the thread has ended.
    pub(crate) async fn written(&mut self) -> Option<u64> {
        self.written.recv().await
    }

    /// Whether volumes cannot be written for now.
    pub(in crate::journal) fn is_failing(&self) -> bool {
        self.archive.failing().is_some()
    }

    /// Where its tasks are read.
    pub(crate) fn archive(&self) -> Arc<Archive> {
        Arc::clone(&self.archive)
    }

    /// Asks the thread to end after the file that it writes. The receiver fails when it has.
    pub(crate) fn close(self) -> oneshot::Receiver<()> {
        self.ended
    }
}

/// What the thread owns.
struct Thread {
    archive: Arc<Archive>,
    jobs: blocking::Receiver<Job>,
    waiting: blocking::Receiver<Waiting>,
    told: mpsc::Sender<u64>,
    moved: blocking::SyncSender<Moved>,
    /// Of the volume that is written.
    records: Records,
}

impl Thread {
    /// Runs until the driver has dropped its end.
    fn run(&mut self) {
        while let Ok(job) = self.jobs.recv() {
            if self.told.is_closed() {
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

    /// Writes the volume that waits, if there is one. False if nobody waits for its end.
    fn write_waiting(&mut self) -> bool {
        let Ok((volume, tasks)) = self.waiting.try_recv() else { return true };
        let archive = &self.archive;
        tasks.into_iter().for_each(|task| self.records.push(task, &archive.clock));
        let Some(lengths) = write(archive, &volume, &self.records, || self.told.is_closed()) else {
            return false;
        };
        self.records.clear();
        // Before the driver is told: it may read the volume at once.
        archive.add(volume.first, lengths);
        self.told.blocking_send(volume.first).is_ok()
    }

    /// Writes a file anew, if it is still needed. False if nobody waits for its end.
    fn rewrite(&self, first: u64, entry: &Entry) -> bool {
        let generation = entry.generation;
        let written = self.archive.is_current(first, generation).then(|| {
            rewrite(&self.archive, first, entry)
                .inspect_err(|error| {
                    tracing::warn!(%error, "a file of ended tasks is not made smaller for now");
                })
                .ok()
        });
        let written = written.flatten();
        self.moved.send(Moved { first, generation, written }).is_ok()
    }
}

/// Writes a volume as soon as there is space; gives the bytes of its tasks, none if nobody waits for it
/// any more.
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
    let mut records = Records::default();
    for place in index.places.iter().filter(|place| !entry.dead.has(place.row.at)) {
        // Damaged records are copied as they are: a reader is told of the damage.
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
