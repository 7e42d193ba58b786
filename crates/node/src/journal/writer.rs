//! The journal's thread: commits batches of records.

use std::{
    borrow::Cow,
    fs,
    io::{self, Write},
    path::Path,
    sync::{atomic::Ordering, mpsc as blocking},
    thread,
    time::Duration,
};

use meshwork_core::{
    TaskId,
    engine::{Forgotten, Record, Seq},
};
use tokio::sync::mpsc;

use self::state::{Copying, Writer};
use super::{
    archive::{Entry, Noted, folder, thread::Job},
    copy::{Copy, Unfinished},
    error::JournalError,
    frames::{self, Stamp, Timed},
    store::{self, Tables},
    work::{Copied, FULL_RETRY, Work, hold},
};
use crate::home;

pub(super) mod moves;
mod rewrite;
pub(super) mod shrink;
pub(super) mod state;

/// Maximum bytes of a segment, unless one record has more: with the store's own bytes it fits into
/// 4 MiB. The store rounds up to a power of two, so slightly more would take twice the space.
const SEGMENT: usize = (4 << 20) - (1 << 10);
/// Bytes reserved for a full disk: the ends of running tasks must still be written.
const RESERVE: usize = 4 << 20;

/// Interval at which an idle node saves its uptime. A kill loses at most this much.
const NOTE_UPTIME: Duration = Duration::from_secs(600);

/// Changes of a commit beside the segments.
#[derive(Default)]
struct Aside {
    numbers: Option<u64>,
    /// Files of the archive whose entries change.
    files: Vec<u64>,
    forgotten_until: Option<u64>,
    /// Starts of forgotten ids without a time.
    forgotten: Vec<[u8; 12]>,
}

impl Writer {
    /// Commits batches until the driver drops its end or a commit fails.
    pub(super) fn run(&mut self, work: &blocking::Receiver<Work>, committed: &mpsc::Sender<Seq>) {
        self.store.may_skip_fsync();
        // If the store's name cannot be read, the first commit fails.
        self.commit_marker = self.store.commit_marker().ok().flatten();
        if let Err(error) = self.serve(work, committed) {
            tracing::error!(%error, "the journal failed; the node stops");
        }
    }

    fn serve(
        &mut self,
        work: &blocking::Receiver<Work>,
        committed: &mpsc::Sender<Seq>,
    ) -> Result<(), JournalError> {
        let mut is_idle = false;
        loop {
            // Between requests, so that these finish on a busy node as well.
            self.copy_step();
            self.rewrite_sparse()?;
            self.shrink(std::mem::take(&mut is_idle))?;
            let idle = if self.copy.is_some() { Duration::ZERO } else { self.size.rest() };
            match work.recv_timeout(idle) {
                Ok(Work::Commit(batch)) => {
                    self.commit(&batch.records, || committed.is_closed())?;
                    if committed.blocking_send(batch.last).is_err() {
                        return Ok(());
                    }
                }
                Ok(Work::Copy { dir, done }) => self.begin_copy(&dir, done),
                Err(blocking::RecvTimeoutError::Timeout) => {
                    is_idle = true;
                    self.reserve();
                    // Each commit saves the uptime as well.
                    if self.uptime.get() >= self.uptime.noted + NOTE_UPTIME {
                        self.note_uptime()?;
                    }
                }
                // The driver has dropped its end.
                Err(blocking::RecvTimeoutError::Disconnected) => return self.note_uptime(),
            }
        }
    }

    /// Saves the node's uptime. If this fails, the next start counts a little less.
    fn note_uptime(&mut self) -> Result<(), JournalError> {
        self.uptime.noted = self.uptime.get();
        let up = self.uptime.millis();
        let Err(error) = self.store.write(|tables| tables.set_up(up)) else { return Ok(()) };
        tracing::debug!(%error, "uptime not saved");
        self.open_again(&error)
    }

    fn begin_copy(&mut self, dir: &Path, done: Copied) {
        let begin = || {
            let files = Unfinished::begin(dir)?;
            let archive = self.archive.copy_to(folder(dir))?;
            let marker = self.store.marker()?;
            let copy = Copy::begin(&self.store, &dir.join(store::FILE), marker)?;
            Ok((archive, copy, marker, files))
        };
        match begin() {
            Ok((archive, copy, marker, files)) => {
                self.copy = Some(Copying { archive, copy, marker, files, done });
            }
            Err(error) => self.end_copy(done, Err(error)),
        }
    }

    fn copy_step(&mut self) {
        let Some(copying) = &mut self.copy else { return };
        let more = match copying.archive.step() {
            Ok(false) => copying.copy.step(),
            more => more,
        };
        if matches!(more, Ok(true)) {
            return;
        }
        let Some(Copying { copy, marker, files, done, .. }) = self.copy.take() else { return };
        drop(copy);
        let made = more.and_then(|_| files.complete(marker));
        self.end_copy(done, made);
        self.remove_unneeded();
    }

    /// Reserves disk space, unless it is reserved already.
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
                // A partial file reserves too little.
                fs::remove_file(&path).ok();
            }
        }
        self.full.store(!path.exists(), Ordering::Relaxed);
    }

    /// Commits one batch; waits for disk space if there is none.
    fn commit(
        &mut self,
        records: &[Record],
        is_over: impl Fn() -> bool,
    ) -> Result<(), JournalError> {
        let moved = self.move_sparse()?;
        let now = frames::now(meshwork_core::Time::ZERO + self.uptime.get());
        let moved = moved.iter().map(|(at, record)| (*at, record));
        let segments = self.segments(moved.chain(records.iter().map(|record| (now, record))));
        let aside = self.aside(records);
        let entries = aside.files.iter().map(|first| (*first, self.archive.entry(*first)));
        let entries: Vec<(u64, Option<Entry>)> = entries.collect();
        let up = self.uptime.millis();
        let dead = self.index.take_dead();
        hold("MESHWORK_TEST_HOLD_COMMITS");
        let written = self.next + segments.len() as u64;
        let added = segments.iter().map(|segment| segment.len() as u64).sum();
        let removed = loop {
            let mut removed = 0;
            let committed = self.store.write(|tables| {
                tables.set_written(written)?;
                tables.set_up(up)?;
                aside.write(tables)?;
                entries
                    .iter()
                    .try_for_each(|(first, entry)| tables.set_ended(*first, entry.as_ref()))?;
                for (number, segment) in (self.next..).zip(&segments) {
                    tables.insert(number, segment)?;
                }
                dead.iter().try_for_each(|number| {
                    removed += tables.remove(*number)?;
                    Ok(())
                })
            });
            match committed {
                Ok(()) => break removed,
                Err(error)
                    if error.is_full() && !is_over() && !self.closing.load(Ordering::Relaxed) =>
                {
                    self.make_space(&error)?;
                }
                Err(error) => return Err(error),
            }
        };
        self.next = written;
        self.uptime.noted = Duration::from_millis(up);
        self.size.committed(added, removed, &dead);
        self.tidy_archive(entries);
        if let Some(commit_marker) = &mut self.commit_marker {
            commit_marker.note(written);
        }
        Ok(())
    }

    /// Takes the needed records out of sparse segments. Written again before all others of this
    /// commit, they free these segments.
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

    fn segments<'r>(&mut self, records: impl Iterator<Item = (Stamp, &'r Record)>) -> Vec<Vec<u8>> {
        let mut segments = vec![Vec::new()];
        let records = records.flat_map(|(at, record)| in_journal(record).map(move |r| (at, r)));
        for (at, record) in records {
            let record = record.as_ref();
            if let Some(segment) = segments.last_mut() {
                let before = segment.len();
                frames::append(segment, at, record);
                if before > 0 && segment.len() > SEGMENT {
                    let last = segment.split_off(before);
                    segments.push(last);
                }
                self.index.add(record, self.next + segments.len() as u64 - 1);
            }
        }
        segments
    }

    /// The changes of these records beside the segments.
    fn aside(&mut self, records: &[Record]) -> Aside {
        let mut aside = Aside::default();
        for record in records {
            match record {
                Record::Archived { first, count, .. } => {
                    aside.numbers = Some(first + u64::from(*count));
                    aside.files.push(*first);
                }
                Record::Dropped { numbers, until } => {
                    aside.files.extend(self.archive.note(numbers, Noted::Dead));
                    aside.raise(*until, &mut self.forgotten_until);
                }
                Record::Read { numbers } => {
                    aside.files.extend(self.archive.note(numbers, Noted::Read));
                }
                Record::Forgotten { id } => {
                    aside.forget(id.as_bytes(), &mut self.forgotten_until);
                }
                Record::GroupForgotten { id } => {
                    aside.forget(id.as_bytes(), &mut self.forgotten_until);
                }
                Record::Submitted { .. }
                | Record::Tried { .. }
                | Record::Ended { .. }
                | Record::Group(_)
                | Record::Blob(_)
                | Record::Finished(_)
                | Record::Released { .. } => {}
            }
        }
        aside.files.sort_unstable();
        aside.files.dedup();
        aside
    }

    /// Copies the next portion to the smaller file if the journal should shrink: when the node is
    /// idle, and at intervals when it is not. Does nothing during a copy or while the disk is full.
    ///
    /// # Errors
    ///
    /// The folder cannot be synced: a power cut may bring back the earlier file.
    fn shrink(&mut self, is_idle: bool) -> Result<(), JournalError> {
        let is_turn = is_idle || self.size.is_turn();
        if !is_turn || self.copy.is_some() || self.full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let shrunk = match self.size.step(&self.store) {
            Ok(Some(shrunk)) => shrunk,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::debug!(%error, "cannot shrink the journal's file; retried later");
                self.size.give_up();
                return Ok(());
            }
        };
        let replaced = shrunk.replace(&mut self.store)?;
        self.store.may_skip_fsync();
        // Closing the earlier file would delay commits, so the archive's thread does it; if its
        // queue is full, the file is closed here.
        self.jobs.try_send(Job::Close(replaced)).ok();
        self.size.note_shrunk(self.store.path());
        Ok(())
    }

    /// Makes space for a commit that failed on a full disk: gives up a copy, the smaller file or
    /// the reserve, or waits. Reopens the store in the state before the commit.
    fn make_space(&mut self, error: &JournalError) -> Result<(), JournalError> {
        if self.copy.is_some() {
            // The copy's space may be enough.
            return self.open_again(error);
        }
        if self.size.is_shrinking() {
            self.size.give_up();
            return self.store.open_again();
        }
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "disk full: no durable work is accepted until there is space");
        }
        if fs::remove_file(self.store.reserve()).is_err() {
            thread::sleep(FULL_RETRY);
        }
        self.store.open_again()
    }
}

impl Aside {
    fn raise(&mut self, until: u64, known: &mut u64) {
        if until > *known {
            *known = until;
            self.forgotten_until = Some(until);
        }
    }

    fn forget(&mut self, id: &[u8; 16], known: &mut u64) {
        match Forgotten::time_of(id) {
            Some(time) => self.raise(time, known),
            // Members of one group follow one another; their common start is added once.
            None if self.forgotten.last().map(<[u8; 12]>::as_slice) == id.get(..12) => {}
            None => self.forgotten.extend(id.first_chunk()),
        }
    }

    fn write(&self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        self.numbers.into_iter().try_for_each(|next| tables.set_numbers(next))?;
        self.forgotten_until.into_iter().try_for_each(|until| tables.set_forgotten_until(until))?;
        self.forgotten.iter().try_for_each(|start| tables.forget(start))
    }
}

/// The records that a segment stores for a record. For an archived volume: that the journal has
/// forgotten each of its tasks.
fn in_journal(record: &Record) -> impl Iterator<Item = Cow<'_, Record>> {
    let archived: &[TaskId] = if let Record::Archived { ids, .. } = record { ids } else { &[] };
    let is_aside =
        matches!(record, Record::Archived { .. } | Record::Dropped { .. } | Record::Read { .. });
    let itself = (!is_aside).then_some(Cow::Borrowed(record));
    let archived = archived.iter().map(|id| Cow::Owned(Record::Forgotten { id: *id }));
    itself.into_iter().chain(archived)
}

fn write_reserve(path: &Path) -> io::Result<()> {
    let mut file = home::create_private(path)?;
    file.write_all(&vec![0; RESERVE])?;
    file.sync_all()
}
