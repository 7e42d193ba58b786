//! What must outlive the process, on disk before it is told: the engine's records of durable tasks
//! and results.
//!
//! One thread owns the file. While it commits, the driver collects what comes meanwhile, and hands
//! over all of it as the next commit: the busier the node, the more records share one fsync.
//!
//! When the disk is full the node lives on: nothing more is accepted that must be kept, and what
//! waits is written when there is space.
//!
//! Absent on purpose: what records mean (the engine), and a second try after any other failure of a
//! commit: what is on disk then is unknown, so the node stops.

mod archive;
mod codec;
mod copy;
mod error;
mod frames;
mod index;
mod raw;
mod recovery;
pub mod repair;
mod store;
mod told;
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

pub(crate) use self::archive::{Archive, Archiver, ReadError};
pub use self::error::JournalError;
pub(crate) use self::recovery::Recovery;
use self::{
    frames::Stamp,
    index::Index,
    store::{Aside, Marker, Store},
    writer::{Moves, Size, Uptime, Writer},
};
use crate::clock::Clock;

/// A record, and when it was made.
type Timed = (Stamp, Record);

/// Records of one commit.
struct Batch {
    last: Seq,
    records: Vec<Record>,
}

/// What the thread is asked for.
enum Work {
    Commit(Batch),
    /// A copy of what is on disk, with its marker, in this folder.
    Copy {
        dir: PathBuf,
        done: Copied,
    },
}

/// Who waits for a copy.
pub(crate) type Copied = oneshot::Sender<Result<(), JournalError>>;

/// The driver's end of the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    work: blocking::SyncSender<Work>,
    /// A copy is wanted or being made, and no other one is.
    copying: Arc<AtomicBool>,
    done: mpsc::Receiver<Seq>,
    /// What came while a commit was under way. The driver takes nothing that may add to it, neither
    /// from handles nor from peers, while there is [`BEHIND`] of it.
    waiting: Vec<Record>,
    /// Bytes of inputs and results in it.
    waiting_bytes: usize,
    last: Seq,
    committing: bool,
    /// The thread did not take a commit, so that no later one may follow.
    failed: bool,
    full: Arc<AtomicBool>,
    closing: Arc<AtomicBool>,
    archiver: Archiver,
}

impl Journal {
    /// Opens the journal of a home, and reads it: what an engine starts from.
    ///
    /// # Errors
    ///
    /// It is not there though it should be, not this node's, not the latest, damaged, or in use.
    pub(crate) async fn open(
        dir: &Path,
        owner: Option<PeerId>,
        clock: Clock,
        recovery: Recovery,
    ) -> Result<(Self, Ledger), JournalError> {
        let (work, asked) = blocking::sync_channel(WORK);
        let (told, done) = mpsc::channel(1);
        let (opened, ledger) = oneshot::channel();
        let (dir, full) = (dir.to_owned(), Arc::new(AtomicBool::new(false)));
        let (closing, copying) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (is_full, is_closing) = (Arc::clone(&full), Arc::clone(&closing));
        let is_copying = Arc::clone(&copying);
        let (jobs, jobs_asked) = blocking::sync_channel(archive::JOBS);
        let (moved, moves) = blocking::sync_channel(archive::MOVES);
        let of_writer = jobs.clone();
        let run = move || match read(&dir, owner, clock, &recovery) {
            Ok(Read { store, index, next, held, ledger, archive, aside }) => {
                let mut writer = Writer {
                    store,
                    index,
                    next,
                    told: None,
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
                // Whoever opens it may have given up.
                if opened.send(Ok((ledger, archive))).is_ok() {
                    writer.run(&asked, &told);
                }
                // Before `told`: who hears of its end finds the file closed.
                drop(writer);
            }
            Err(error) => {
                opened.send(Err(error)).ok();
            }
        };
        let thread = thread::Builder::new().name("meshwork-journal".to_owned());
        thread.spawn(run).map_err(JournalError::Thread)?;
        let (ledger, archive) = ledger.await.map_err(|_| JournalError::Stopped)??;
        let archiver = Archiver::start(archive, (jobs, jobs_asked), moved)?;
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

    /// These records are to be on disk; [`Self::committed`] says when they are.
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
        // There is place: the one before is done.
        self.failed |= self.work.try_send(Work::Commit(batch)).is_err();
    }

    /// Makes a copy of what is on disk, in a folder that is there. Commits go on meanwhile.
    pub(crate) fn copy(&self, dir: PathBuf, done: Copied) {
        let refused = if self.copying.swap(true, Ordering::Relaxed) {
            Some((done, JournalError::Copying))
        } else {
            // There is place: it is the only one. The thread may have ended.
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
            // Whoever asked may have stopped waiting.
            done.send(Err(error)).ok();
        }
    }

    /// Waits until a commit is on disk: all up to this number is. None if the journal has failed.
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

    /// Returns when the file is closed, and nothing more is written to the archive.
    pub(crate) async fn close(self) {
        let Self { work, mut done, closing, archiver, .. } = self;
        // A thread that waits for space waits no longer.
        closing.store(true, Ordering::Relaxed);
        let archived = archiver.close();
        drop(work);
        // The threads drop their ends last.
        while done.recv().await.is_some() {}
        archived.await.ok();
    }

    /// Where ended tasks are archived.
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

    /// Whether all is on disk.
    pub(crate) fn is_idle(&self) -> bool {
        !self.committing && self.waiting.is_empty()
    }

    /// Whether the disk is full, or ended tasks cannot be archived: nothing more is to be accepted that
    /// must be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed) || self.archiver.is_failing()
    }

    /// Whether so much waits that no more should be taken.
    pub(crate) fn is_behind(&self) -> bool {
        self.waiting.len() >= BEHIND || self.waiting_bytes >= BEHIND_BYTES
    }
}

/// What is on disk now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All batches up to this one.
    Commit(Seq),
    /// The volume of the archive that begins with this number.
    Volume(u64),
    /// Nobody knows: the journal has failed.
    Failed,
}

/// What the thread may be asked for at once: one commit, the next of which waits for its end, and one
/// copy.
const WORK: usize = 2;
/// Records that wait for a commit while the driver still takes what may add to them: nobody fills the
/// memory of a node whose disk is slow or full.
const BEHIND: usize = 65_536;
/// Bytes of inputs and results in them, likewise: what one pass takes comes on top, which is about as much at the
/// most.
const BEHIND_BYTES: usize = 64 << 20;
/// How long a full disk is left alone before another try: whoever was refused comes back then.
const FULL_RETRY: Duration = meshwork_core::limits::DISK_FULL_RETRY;

/// Refuses to make a new key where the journal is of a node that had one.
pub(crate) fn check_key(dir: &Path, key: &Path) -> Result<(), JournalError> {
    if Marker::of(dir)?.is_some() && !key.try_exists().unwrap_or(true) {
        return Err(JournalError::NoKey { key: key.to_owned(), path: dir.join(store::FILE) });
    }
    Ok(())
}

/// In builds for tests, where a test asks for it: goes no further as long as the file is there that
/// this variable of the environment names.
fn hold(variable: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(file) = std::env::var_os(variable) else { return };
    while Path::new(&file).exists() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// All that was read at a start.
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
    recovery.of(store.segments()? + aside.ended.len() as u64);
    let (mut index, mut ledger, mut next) = (Index::default(), Ledger::default(), 0);
    archive.look(|| recovery.step())?;
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
            // Of an archived task as well. What was forgotten stands in a table of its own.
            ledger.remove(id);
        } else {
            ledger.apply(record, clock.time(stamp.at), stamp.up);
        }
        // Segments rise, so that each is counted once.
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
