//! The journal's thread: batches to commits.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    thread,
    time::Duration,
};

use meshwork_core::engine::{Record, Seq};
use tokio::sync::mpsc;

use super::{
    Copied, FULL_RETRY, JournalError, Timed, Work,
    copy::{self, Copy},
    index::Index,
    store,
    store::Store,
    told::Told,
};
use crate::crash;

/// Bytes of a segment at most, unless one record has more: with what the store adds it fits into 4 MiB.
/// The store rounds up to a power of two, so that a little more would take twice the place.
const SEGMENT: usize = (4 << 20) - (1 << 10);
/// Bytes that are set aside while there is space, for what has to be written when there is none:
/// the ends of tasks that run.
const RESERVE: usize = 4 << 20;

/// What the thread owns.
pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) index: Index,
    /// The number of the next segment.
    pub(super) next: u64,
    /// How far it has come; none until it runs, or if it skips what makes a commit safe.
    pub(super) told: Option<Told>,
    /// Whether the disk is full, as the driver sees it.
    pub(super) full: Arc<AtomicBool>,
    /// Whether the driver wants it to end, whether there is space or not.
    pub(super) closing: Arc<AtomicBool>,
    /// Whether a copy is wanted or being made, as the driver sees it.
    pub(super) copying: Arc<AtomicBool>,
    /// The copy that is being made.
    pub(super) copy: Option<Copying>,
}

/// A copy, its folder, and who waits for it.
pub(super) struct Copying {
    copy: Copy,
    marker: store::Marker,
    dir: PathBuf,
    done: Copied,
}

impl Writer {
    /// Commits batches until the driver is gone, or a commit fails.
    pub(super) fn run(&mut self, work: &blocking::Receiver<Work>, told: &mpsc::Sender<Seq>) {
        self.store.may_skip_fsync();
        // A store of which not even the name can be read fails with the first commit.
        self.told = self.store.told().ok().flatten();
        loop {
            // Between all else, so that a copy comes to its end on a busy node as well.
            self.go_on_copying();
            let idle = if self.copy.is_some() { Duration::ZERO } else { FULL_RETRY };
            let batch = match work.recv_timeout(idle) {
                Ok(Work::Commit(batch)) => batch,
                Ok(Work::Copy { dir, done }) => {
                    self.begin_copy(dir, done);
                    continue;
                }
                Err(blocking::RecvTimeoutError::Timeout) => {
                    self.reserve();
                    continue;
                }
                Err(blocking::RecvTimeoutError::Disconnected) => return,
            };
            let is_over = || told.is_closed();
            if let Err(error) = self.commit(&batch.records, is_over) {
                tracing::error!(%error, "the journal has failed; the node stops");
                return;
            }
            if told.blocking_send(batch.last).is_err() {
                return;
            }
        }
    }

    fn begin_copy(&mut self, dir: PathBuf, done: Copied) {
        let begin = || {
            copy::check_free(&dir)?;
            let marker = self.store.marker()?;
            Ok((Copy::begin(&self.store, &dir.join(store::FILE), marker)?, marker))
        };
        match begin() {
            Ok((copy, marker)) => self.copy = Some(Copying { copy, marker, dir, done }),
            Err(error) => self.end_copy(done, Err(error)),
        }
    }

    fn go_on_copying(&mut self) {
        let Some(copying) = &mut self.copy else { return };
        let more = copying.copy.go_on();
        if matches!(more, Ok(true)) {
            return;
        }
        let Some(Copying { copy, marker, dir, done }) = self.copy.take() else { return };
        drop(copy);
        let made = more.and_then(|_| marker.put(&dir));
        if made.is_err() {
            copy::discard(&dir);
        }
        self.end_copy(done, made);
    }

    fn end_copy(&self, done: Copied, how: Result<(), JournalError>) {
        self.copying.store(false, Ordering::Relaxed);
        // Whoever asked may have stopped waiting.
        done.send(how).ok();
    }

    /// Sets space aside, if that has not been done.
    pub(super) fn reserve(&mut self) {
        let path = self.store.reserve();
        if path.exists() && !self.full.load(Ordering::Relaxed) {
            return;
        }
        let was_full = self.full.load(Ordering::Relaxed);
        match write_reserve(&path) {
            Ok(()) if was_full => tracing::warn!("the disk of the home has space again"),
            Ok(()) => {}
            Err(error) => {
                if !was_full {
                    tracing::warn!(%error, "the disk of the home is full");
                }
                // Half of one is of no use to anybody.
                fs::remove_file(&path).ok();
            }
        }
        self.full.store(!path.exists(), Ordering::Relaxed);
    }

    /// Writes one batch, as soon as there is space for it.
    fn commit(
        &mut self,
        records: &[Record],
        is_over: impl Fn() -> bool,
    ) -> Result<(), JournalError> {
        let moved = self.move_sparse()?;
        let now = store::now();
        let moved = moved.iter().map(|(at, record)| (*at, record));
        let segments = self.segments(moved.chain(records.iter().map(|record| (now, record))));
        let dead = self.index.take_dead();
        crash::committing(records);
        super::hold("MESHWORK_TEST_HOLD_COMMITS");
        let written = self.next + segments.len() as u64;
        loop {
            let committed = self.store.write(|tables| {
                tables.set_written(written)?;
                for (number, segment) in (self.next..).zip(&segments) {
                    tables.insert(number, segment)?;
                }
                dead.iter().try_for_each(|number| tables.remove(*number))
            });
            match committed {
                Ok(()) => break,
                Err(error)
                    if error.is_full() && !is_over() && !self.closing.load(Ordering::Relaxed) =>
                {
                    self.make_space(&error)?;
                }
                Err(error) => return Err(error),
            }
        }
        crash::committed(records, dead.len());
        self.next = written;
        if let Some(told) = &mut self.told {
            told.note(written);
        }
        Ok(())
    }

    /// What is left in old segments of which little is needed, to be written anew, before everything
    /// else of this commit; then they can go.
    fn move_sparse(&mut self) -> Result<Vec<Timed>, JournalError> {
        let mut moved = Vec::new();
        for segment in self.index.sparse() {
            let records = self.store.segment(segment)?;
            if let Some(mut records) = self.index.movable(segment, records) {
                self.index.leave(segment, &records);
                moved.append(&mut records);
            }
        }
        Ok(moved)
    }

    fn segments<'r>(&mut self, records: impl Iterator<Item = (i64, &'r Record)>) -> Vec<Vec<u8>> {
        let mut segments = vec![Vec::new()];
        for (at, record) in records {
            if let Some(segment) = segments.last_mut() {
                let before = segment.len();
                store::append(segment, at, record);
                if before > 0 && segment.len() > SEGMENT {
                    let last = segment.split_off(before);
                    segments.push(last);
                }
                self.index.add(record, self.next + segments.len() as u64 - 1);
            }
        }
        segments
    }

    /// There was no space for a commit. Gives up a copy that is being made, or what was set aside, or
    /// waits a while. Nothing of the commit was told, and the store is opened anew from what was on
    /// disk before it.
    fn make_space(&mut self, error: &JournalError) -> Result<(), JournalError> {
        if let Some(Copying { copy, done, .. }) = self.copy.take() {
            // Its space may be enough; and it reads a file that is about to be closed.
            drop(copy);
            let error = redb::Error::Io(io::ErrorKind::StorageFull.into());
            self.end_copy(done, Err(JournalError::store(self.store.path(), error)));
            return self.store.open_again();
        }
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "nothing is accepted that must be kept, until there is space");
        }
        if fs::remove_file(self.store.reserve()).is_err() {
            thread::sleep(FULL_RETRY);
        }
        self.store.open_again()
    }
}

fn write_reserve(path: &std::path::Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0; RESERVE])?;
    file.sync_all()
}
