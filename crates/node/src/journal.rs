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

mod codec;
mod copy;
mod index;
mod raw;
mod recovery;
pub mod repair;
mod store;
mod told;
mod writer;

use std::{
    io,
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

pub(crate) use self::recovery::Recovery;
use self::{
    index::Index,
    store::{Marker, Store},
    writer::Writer,
};
use crate::{clock::Clock, home::HomeError};

/// Why a journal cannot be used. None of these ever starts an empty one in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There never was one.
    #[error("there is no journal at {}: no node was started there", path.display())]
    None {
        /// Where.
        path: PathBuf,
    },
    /// The file is gone.
    #[error(
        "{} is missing, and it held the tasks of this node: put it back, or a copy with meshwork store \
         restore; to give them up, remove journal.id beside it", path.display()
    )]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// The marker beside it is gone.
    #[error(
        "{} is there without {}: put that back; to give up the tasks in it, remove the journal",
        path.display(), marker.display()
    )]
    NoMarker {
        /// The journal.
        path: PathBuf,
        /// What belongs to it.
        marker: PathBuf,
    },
    /// The marker is not one.
    #[error("{} is damaged: put a copy of it back", path.display())]
    Marker {
        /// Which.
        path: PathBuf,
    },
    /// It belongs to another marker.
    #[error("{} is the journal of another node: put this node's own one back", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// It is of the node with another key.
    #[error(
        "{} is the journal of node {owner}, and the identity key is that of another: put its own key \
         back", path.display()
    )]
    OtherKey {
        /// The journal.
        path: PathBuf,
        /// Whose it is.
        owner: PeerId,
    },
    /// The key of the node whose journal it is, is gone.
    #[error(
        "{} is missing, and the tasks in {} belong to the node whose key it was: put it back; to begin \
         anew as another node, remove the journal and journal.id beside it",
        key.display(), path.display()
    )]
    NoKey {
        /// The key's file.
        key: PathBuf,
        /// The journal.
        path: PathBuf,
    },
    /// It is an old copy, or the marker is.
    #[error(
        "{} is not the latest: tasks that were accepted since would be lost; put the latest back",
        path.display()
    )]
    Older {
        /// Which.
        path: PathBuf,
    },
    /// It lacks what was committed last, or is a copy from before.
    #[error(
        "{} lacks its latest {missing} commits, and with them what was told since: put the latest back, \
         or go on without them by meshwork store salvage", path.display()
    )]
    Behind {
        /// Which.
        path: PathBuf,
        /// Commits that are not in it, at least.
        missing: u64,
    },
    /// A later version has written it.
    #[error("{} has format {format}, which this version cannot read: update it", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What it says.
        format: u64,
    },
    /// Some of it cannot be read.
    #[error(
        "{} is damaged: {damaged} of {total} records cannot be read; put a copy back with meshwork \
         store restore, or go on without them by meshwork store salvage", path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Records that cannot be read.
        damaged: u64,
        /// Records that were found.
        total: u64,
    },
    /// There is a journal where another one is to be.
    #[error("{} is there already: choose a folder without one", path.display())]
    Occupied {
        /// Which.
        path: PathBuf,
    },
    /// There is a journal where an earlier one is to be put back.
    #[error(
        "{} is there, and may know of tasks that the copy does not: with --yes it is put aside, and \
         the copy takes its place", path.display()
    )]
    WouldReplace {
        /// Which.
        path: PathBuf,
    },
    /// A copy is being made already.
    #[error("a copy of the journal is being made already: wait for its end")]
    Copying,
    /// Its pages are damaged, and the records do not tell what is lost.
    #[error(
        "{} is damaged: {source}; put a copy back with meshwork store restore, or go on with what can be \
         read by meshwork store salvage", path.display()
    )]
    Pages {
        /// Which.
        path: PathBuf,
        /// What the store said.
        source: Box<redb::Error>,
    },
    /// Not even what is whole in it can be read.
    #[error(
        "{} is damaged so that nothing can be read: put a copy back with meshwork store restore; to give \
         up the tasks in it, remove it and journal.id beside it", path.display()
    )]
    Unreadable {
        /// Which.
        path: PathBuf,
    },
    /// A file beside it cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The store says no.
    #[error("cannot use {}: {source}", path.display())]
    Store {
        /// Which.
        path: PathBuf,
        /// What it said.
        source: Box<redb::Error>,
    },
    /// There is no thread for it.
    #[error("cannot start the journal's thread: {0}")]
    Thread(#[source] io::Error),
    /// Its thread has ended.
    #[error("the journal has stopped")]
    Stopped,
}

impl JournalError {
    fn store(path: &Path, source: redb::Error) -> Self {
        Self::Store { path: path.to_owned(), source: Box::new(source) }
    }

    /// The same of the file of which another one was a copy.
    fn at(self, file: &Path) -> Self {
        let path = file.to_owned();
        match self {
            Self::Store { source, .. } => Self::Store { path, source },
            Self::Pages { source, .. } => Self::Pages { path, source },
            Self::Damaged { damaged, total, .. } => Self::Damaged { path, damaged, total },
            Self::Foreign { .. } => Self::Foreign { path },
            Self::Older { .. } => Self::Older { path },
            Self::Behind { missing, .. } => Self::Behind { path, missing },
            Self::Unreadable { .. } => Self::Unreadable { path },
            Self::Format { format, .. } => Self::Format { path, format },
            other @ (Self::None { .. }
            | Self::Missing { .. }
            | Self::NoMarker { .. }
            | Self::Marker { .. }
            | Self::OtherKey { .. }
            | Self::NoKey { .. }
            | Self::Occupied { .. }
            | Self::WouldReplace { .. }
            | Self::Copying
            | Self::Home(_)
            | Self::Thread(_)
            | Self::Stopped) => other,
        }
    }

    /// Whether the disk is full.
    fn is_full(&self) -> bool {
        let source = if let Self::Store { source, .. } = self
            && let redb::Error::Io(source) = &**source
        {
            Some(source)
        } else if let Self::Home(HomeError::Io { source, .. }) = self {
            Some(source)
        } else {
            None
        };
        source.is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            _ if self.is_full() => "disk_full",
            Self::Copying => "busy",
            Self::Occupied { .. } | Self::WouldReplace { .. } => "conflict",
            Self::None { .. }
            | Self::Missing { .. }
            | Self::NoMarker { .. }
            | Self::Marker { .. }
            | Self::Foreign { .. }
            | Self::OtherKey { .. }
            | Self::NoKey { .. }
            | Self::Older { .. }
            | Self::Behind { .. }
            | Self::Format { .. }
            | Self::Damaged { .. }
            | Self::Pages { .. }
            | Self::Unreadable { .. }
            | Self::Home(_)
            | Self::Store { .. }
            | Self::Thread(_)
            | Self::Stopped => "internal",
        }
    }

    /// Whether the same may succeed later, without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Thread(_) | Self::Copying)
    }
}

/// A record, and when it was made, in milliseconds since 1970.
type Timed = (i64, Record);

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
    full: Arc<AtomicBool>,
    closing: Arc<AtomicBool>,
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
        let closing = Arc::new(AtomicBool::new(false));
        let copying = Arc::new(AtomicBool::new(false));
        let (is_full, is_closing) = (Arc::clone(&full), Arc::clone(&closing));
        let is_copying = Arc::clone(&copying);
        let run = move || match read(&dir, owner, clock, &recovery) {
            Ok((store, index, next, ledger)) => {
                let mut writer = Writer {
                    store,
                    index,
                    next,
                    told: None,
                    full: is_full,
                    closing: is_closing,
                    copying: is_copying,
                    copy: None,
                };
                writer.reserve();
                // Whoever opens it may have given up.
                if opened.send(Ok(ledger)).is_ok() {
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
        let ledger = ledger.await.map_err(|_| JournalError::Stopped)??;
        let waiting = Vec::new();
        let last = Seq(0);
        let journal = Self {
            work,
            copying,
            done,
            waiting,
            waiting_bytes: 0,
            last,
            committing: false,
            full,
            closing,
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
        // There is place: the one before is done. A thread that has ended shows in `committed`.
        self.committing = true;
        self.work.try_send(Work::Commit(batch)).ok();
    }

    /// Makes a copy of what is on disk, in a folder that is there. Commits go on meanwhile.
    pub(crate) fn copy(&self, dir: PathBuf, done: Copied) {
        let refused = if self.copying.swap(true, Ordering::Relaxed) {
            Some((done, JournalError::Copying))
        } else {
            // There is place: it is the only one. The thread may have ended.
            match self.work.try_send(Work::Copy { dir, done }) {
                Err(
                    blocking::TrySendError::Full(Work::Copy { done, .. })
                    | blocking::TrySendError::Disconnected(Work::Copy { done, .. }),
                ) => Some((done, JournalError::Stopped)),
                Ok(()) | Err(_) => None,
            }
        };
        if let Some((done, error)) = refused {
            // Whoever asked may have stopped waiting.
            done.send(Err(error)).ok();
        }
    }

    /// Waits until a commit is on disk: all up to this number is. None if the journal has failed.
    pub(crate) async fn committed(&mut self) -> Option<Seq> {
        let seq = self.done.recv().await?;
        self.committing = false;
        self.commit();
        Some(seq)
    }

    /// Returns when the file is closed.
    pub(crate) async fn close(self) {
        let Self { work, mut done, closing, .. } = self;
        // A thread that waits for space waits no longer.
        closing.store(true, Ordering::Relaxed);
        drop(work);
        // The thread drops its end last.
        while done.recv().await.is_some() {}
    }

    /// Whether all is on disk.
    pub(crate) fn is_idle(&self) -> bool {
        !self.committing && self.waiting.is_empty()
    }

    /// Whether the disk is full: nothing more is to be accepted that must be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether so much waits that no more should be taken.
    pub(crate) fn is_behind(&self) -> bool {
        self.waiting.len() >= BEHIND || self.waiting_bytes >= BEHIND_BYTES
    }
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

type Read = (Store, Index, u64, Ledger);

fn read(
    dir: &Path,
    owner: Option<PeerId>,
    clock: Clock,
    recovery: &Recovery,
) -> Result<Read, JournalError> {
    let store = Store::open(dir, owner)?;
    recovery.of(store.segments()?);
    let (mut index, mut ledger, mut next) = (Index::default(), Ledger::default(), 0);
    let replayed = store.replay(|segment, at, record| {
        index.add(&record, segment);
        ledger.apply(record, clock.time(at));
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
    Ok((store, index, next, ledger))
}

#[cfg(test)]
mod tests;
