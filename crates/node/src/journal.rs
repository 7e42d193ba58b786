//! The journal: the engine's records of durable tasks and results, on disk before the node acts on
//! them.
//!
//! One thread owns the file. While it commits, the driver collects further records and hands them
//! over as the next commit: the busier the node, the more records share one fsync.
//!
//! A full disk does not stop the node: it accepts no durable work, and writes the waiting records
//! when there is space.
//!
//! Absent on purpose: the meaning of records (the engine), and a second try after any other failure
//! of a commit: the contents of the disk are unknown then, so the node stops.

mod archive;
mod codec;
mod commit_marker;
mod copy;
mod error;
mod frames;
mod index;
mod raw;
mod recovery;
pub mod repair;
mod store;
mod work;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    thread,
    time::Duration,
};

use meshwork_core::{
    PeerId,
    engine::{Ledger, Record, Seq},
};
use tokio::sync::{mpsc, oneshot};

pub use self::error::JournalError;
use self::{
    archive::thread::Archiver,
    index::Index,
    store::{Marker, Store, aside::Aside},
    work::{Batch, Work},
    writer::{
        moves::Moves,
        shrink::Size,
        state::{Uptime, Writer},
    },
};
pub(crate) use self::{
    archive::{Archive, ReadError},
    recovery::Recovery,
    work::Copied,
};
use crate::clock::Clock;

/// The driver's end of the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    work: blocking::SyncSender<Work>,
    /// Whether a copy is requested or under way. There is at most one.
    copying: Arc<AtomicBool>,
    done: mpsc::Receiver<Seq>,
    /// Records that came during a commit. While there are [`BEHIND`] of them, the driver takes no
    /// work from handles or peers that may add more.
    waiting: Vec<Record>,
    /// Bytes of inputs and results in `waiting`.
    waiting_bytes: usize,
    last: Seq,
    committing: bool,
    /// The thread did not take a commit, so no later commit may follow.
    failed: bool,
    full: Arc<AtomicBool>,
    closing: Arc<AtomicBool>,
    archiver: Archiver,
}

impl Journal {
    /// Opens the journal of a home and reads it into the ledger that an engine starts from.
    ///
    /// # Errors
    ///
    /// The journal is missing, another node's, an old copy, damaged, or in use.
    pub(crate) async fn open(
        dir: &Path,
        owner: Option<PeerId>,
        clock: Clock,
        recovery: Recovery,
    ) -> Result<(Self, Ledger), JournalError> {
        let (work, requests) = blocking::sync_channel(WORK);
        let (committed, done) = mpsc::channel(1);
        let (opened, ledger) = oneshot::channel();
        let (dir, full) = (dir.to_owned(), Arc::new(AtomicBool::new(false)));
        let (closing, copying) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (is_full, is_closing) = (Arc::clone(&full), Arc::clone(&closing));
        let is_copying = Arc::clone(&copying);
        let (jobs, job_queue) = blocking::sync_channel(archive::JOBS);
        let (moved, moves) = blocking::sync_channel(archive::MOVES);
        let of_writer = jobs.clone();
        let run = move || match read(&dir, owner, clock, &recovery) {
            Ok(Read { store, index, next, held, ledger, archive, aside }) => {
                let mut writer = Writer {
                    store,
                    index,
                    next,
                    commit_marker: None,
                    full: is_full,
                    closing: is_closing,
                    copying: is_copying,
                    copy: None,
                    archive: Arc::clone(&archive),
                    jobs: of_writer,
                    moves: Moves::new(&archive, moves),
                    forgotten_until: aside.forgotten_until,
                    uptime: Uptime::begin(Duration::from_millis(aside.up)),
                    unneeded: Vec::new(),
                    size: Size::new(held),
                };
                writer.reserve();
                // The caller may have dropped its receiver.
                if opened.send(Ok((ledger, archive))).is_ok() {
                    writer.run(&requests, &committed);
                }
                // Before `committed`: its end tells the driver that the file is closed.
                drop(writer);
            }
            Err(error) => {
                opened.send(Err(error)).ok();
            }
        };
        let thread = thread::Builder::new().name("meshwork-journal".to_owned());
        thread.spawn(run).map_err(JournalError::Thread)?;
        let (ledger, archive) = ledger.await.map_err(|_| JournalError::Stopped)??;
        let archiver = Archiver::start(archive, (jobs, job_queue), moved)?;
        let journal = Self {
            work,
            copying,
            done,
            waiting: Vec::new(),
            waiting_bytes: 0,
            last: Seq(0),
            committing: false,
            failed: false,
            full,
            closing,
            archiver,
        };
        Ok((journal, ledger))
    }

    /// Writes records to disk; [`Self::written`] reports when they are there.
    pub(crate) fn push(&mut self, seq: Seq, records: Vec<Record>) {
        self.last = seq;
        self.waiting_bytes += records.iter().map(Record::weight).sum::<usize>();
        if self.waiting.is_empty() {
            self.waiting = records;
        } else {
            self.waiting.extend(records);
        }
        self.commit();
    }

    fn commit(&mut self) {
        if self.committing || self.waiting.is_empty() {
            return;
        }
        self.waiting_bytes = 0;
        let batch = Batch { last: self.last, records: std::mem::take(&mut self.waiting) };
        self.committing = true;
        // The channel has room: the commit before has ended.
        self.failed |= self.work.try_send(Work::Commit(batch)).is_err();
    }

    /// Copies the journal to an existing folder, while commits continue.
    pub(crate) fn copy(&self, dir: PathBuf, done: Copied) {
        let refused = if self.copying.swap(true, Ordering::Relaxed) {
            Some((done, JournalError::Copying))
        } else {
            // The channel has room: this is the only copy. The thread may have ended.
            match self.work.try_send(Work::Copy { dir, done }) {
                Err(blocking::TrySendError::Disconnected(Work::Copy { done, .. })) => {
                    Some((done, JournalError::Stopped))
                }
                Err(blocking::TrySendError::Full(Work::Copy { done, .. })) => {
                    Some((done, JournalError::Copying))
                }
                Ok(()) | Err(_) => None,
            }
        };
        if let Some((done, error)) = refused {
            // The caller may have dropped its receiver.
            done.send(Err(error)).ok();
        }
    }

    /// Waits for a commit: all batches up to the returned one are on disk. `None`: the journal
    /// failed.
    #[cfg(test)]
    pub(crate) async fn committed(&mut self) -> Option<Seq> {
        loop {
            match self.written().await {
                Written::Commit(seq) => return Some(seq),
                Written::Volume(_) => {}
                Written::Failed => return None,
            }
        }
    }

    /// Returns when the file is closed and the archive's thread has ended.
    pub(crate) async fn close(self) {
        let Self { work, mut done, closing, archiver, .. } = self;
        // Ends the thread's wait for disk space.
        closing.store(true, Ordering::Relaxed);
        let archived = archiver.close();
        drop(work);
        // The threads drop their ends last.
        while done.recv().await.is_some() {}
        archived.await.ok();
    }

    /// Writes ended tasks to the archive.
    pub(crate) fn archiver(&self) -> &Archiver {
        &self.archiver
    }

    /// Waits until a commit or a volume of the archive is on disk.
    pub(crate) async fn written(&mut self) -> Written {
        if self.failed {
            return Written::Failed;
        }
        tokio::select! {
            biased;
            seq = self.done.recv() => {
                let Some(seq) = seq else { return Written::Failed };
                self.committing = false;
                self.commit();
                Written::Commit(seq)
            }
            first = self.archiver.written() => first.map_or(Written::Failed, Written::Volume),
        }
    }

    /// Whether all records are on disk.
    pub(crate) fn is_idle(&self) -> bool {
        !self.committing && self.waiting.is_empty()
    }

    /// Whether the node must accept no durable work: the disk is full, or ended tasks cannot be
    /// archived.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed) || self.archiver.is_failing()
    }

    /// Whether too many records wait for the driver to take further work.
    pub(crate) fn is_behind(&self) -> bool {
        self.waiting.len() >= BEHIND || self.waiting_bytes >= BEHIND_BYTES
    }
}

/// Data that reached the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All batches up to this one.
    Commit(Seq),
    /// The volume whose first task has this number.
    Volume(u64),
    /// The journal failed; the contents of the disk are unknown.
    Failed,
}

/// Requests to the thread at once: one commit, since the next waits for its end, and one copy.
const WORK: usize = 2;
/// Waiting records at which the driver takes no further work: bounds the memory of a node whose
/// disk is slow or full.
const BEHIND: usize = 65_536;
/// Bytes of inputs and results among them, likewise. One pass may exceed this, at most by about as
/// much again.
const BEHIND_BYTES: usize = 64 << 20;

/// Refuses to create a new identity key where a journal of an earlier key exists.
pub(crate) fn check_key(dir: &Path, key: &Path) -> Result<(), JournalError> {
    if Marker::of(dir)?.is_some() && !key.try_exists().unwrap_or(true) {
        return Err(JournalError::NoKey { key: key.to_owned(), path: dir.join(store::FILE) });
    }
    Ok(())
}

/// Everything that a start reads.
struct Read {
    store: Store,
    index: Index,
    next: u64,
    /// Bytes of all segments.
    held: u64,
    ledger: Ledger,
    archive: Arc<Archive>,
    aside: Aside,
}

fn read(
    dir: &Path,
    owner: Option<PeerId>,
    clock: Clock,
    recovery: &Recovery,
) -> Result<Read, JournalError> {
    let store = Store::open(dir, owner)?;
    let aside = store.aside()?;
    let archive = Archive::open(dir, clock, aside.ended.clone())?;
    recovery.set_steps(store.segments()? + aside.ended.len() as u64);
    let (mut index, mut ledger, mut next) = (Index::default(), Ledger::default(), 0);
    archive.scan(|| recovery.step())?;
    ledger.set_numbers(aside.numbers);
    ledger.set_up(Duration::from_millis(aside.up));
    ledger.forgotten_mut().raise(aside.forgotten_until);
    for start in &aside.forgotten {
        start.as_slice().try_into().into_iter().for_each(|start| {
            ledger.forgotten_mut().add_start(start);
        });
    }
    let replayed = store.replay(|segment, stamp, record| {
        index.add(&record, segment);
        if let Record::Forgotten { id } = &record {
            // Also of an archived task. Forgotten ids are in a table, read above.
            ledger.remove(id);
        } else {
            ledger.apply(record, clock.time(stamp.at), stamp.up);
        }
        // Segment numbers rise, so each segment is counted once.
        if segment >= next {
            next = segment + 1;
            recovery.step();
        }
    })?;
    if replayed.damaged > 0 {
        let path = store.path().to_owned();
        let (damaged, total) = (replayed.damaged, replayed.records);
        return Err(JournalError::Damaged { path, damaged, total });
    }
    let next = store.written()?.max(next);
    let held = replayed.bytes;
    Ok(Read { store, index, next, held, ledger, archive, aside })
}

#[cfg(test)]
mod tests;
