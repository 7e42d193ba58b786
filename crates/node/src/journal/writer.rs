//! The journal's thread: batches to commits.

use std::{
    borrow::Cow,
    fs,
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    thread,
    time::{Duration, Instant},
};

use meshwork_core::{
    TaskId,
    engine::{Forgotten, Record, Seq},
};
use tokio::sync::mpsc;

use super::{
    Copied, FULL_RETRY, JournalError, Timed, Work,
    archive::{Archive, Entry, FilesCopy, Job, Noted, folder},
    copy::{Copy, Unfinished},
    frames::{self, Stamp},
    index::Index,
    store::{self, Store, Tables},
    told::Told,
};
use crate::home;

mod moves;
mod shrink;

use self::moves::Unneeded;
pub(super) use self::{moves::Moves, shrink::Size};

/// Bytes of a segment at most, unless one record has more: with what the store adds it fits into 4 MiB.
/// The store rounds up to a power of two, so that a little more would take twice the place.
const SEGMENT: usize = (4 << 20) - (1 << 10);
/// Bytes that are set aside while there is space, for what has to be written when there is none:
/// the ends of tasks that run.
const RESERVE: usize = 4 << 20;

/// How often an idle node notes how long it has been up: so much of it a kill takes away.
const NOTE_UPTIME: Duration = Duration::from_secs(600);

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
    pub(super) archive: Arc<Archive>,
    /// To the archive's thread.
    pub(super) jobs: blocking::SyncSender<Job>,
    /// Ids that count as forgotten.
    pub(super) forgotten_until: u64,
    pub(super) uptime: Uptime,
    /// Files of the archive that are not needed any more, but perhaps by the copy that is being made.
    pub(super) unneeded: Vec<Unneeded>,
    pub(super) moves: Moves,
    pub(super) size: Size,
}

/// How long the node has been up, over all its starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uptime {
    before: Duration,
    start: Instant,
    /// How much of it is on disk.
    noted: Duration,
}

impl Uptime {
    /// A start begins, and the node has been up for so long before.
    pub(super) fn begin(before: Duration) -> Self {
        Self { before, start: Instant::now(), noted: before }
    }

    fn get(&self) -> Duration {
        self.before + self.start.elapsed()
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.get().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a commit changes beside the segments.
#[derive(Default)]
struct Aside {
    numbers: Option<u64>,
    /// Files of the archive of which something else is said.
    files: Vec<u64>,
    forgotten_until: Option<u64>,
    /// Starts of ids without a time that were forgotten.
    forgotten: Vec<[u8; 12]>,
}

/// A copy, what it has put into its folder, and who waits for it.
pub(super) struct Copying {
    archive: FilesCopy,
    copy: Copy,
    marker: store::Marker,
    files: Unfinished,
    done: Copied,
}

impl Writer {
    /// Commits batches until the driver is gone, or a commit fails.
    pub(super) fn run(&mut self, work: &blocking::Receiver<Work>, told: &mpsc::Sender<Seq>) {
        self.store.may_skip_fsync();
        // A store of which not even the name can be read fails with the first commit.
        self.told = self.store.told().ok().flatten();
        if let Err(error) = self.serve(work, told) {
            tracing::error!(%error, "the journal has failed; the node stops");
        }
    }

    fn serve(
        &mut self,
        work: &blocking::Receiver<Work>,
        told: &mpsc::Sender<Seq>,
    ) -> Result<(), JournalError> {
        let mut is_idle = false;
        loop {
            // Between all else, so that each comes to its end on a busy node as well.
            self.go_on_copying();
            self.go_on_moving()?;
            self.go_on_shrinking(std::mem::take(&mut is_idle))?;
            let idle = if self.copy.is_some() { Duration::ZERO } else { self.size.rest() };
            match work.recv_timeout(idle) {
                Ok(Work::Commit(batch)) => {
                    self.commit(&batch.records, || told.is_closed())?;
                    if told.blocking_send(batch.last).is_err() {
                        return Ok(());
                    }
                }
                Ok(Work::Copy { dir, done }) => self.begin_copy(&dir, done),
                Err(blocking::RecvTimeoutError::Timeout) => {
                    is_idle = true;
                    self.reserve();
                    // Others do with each commit.
                    if self.uptime.get() >= self.uptime.noted + NOTE_UPTIME {
                        self.note_uptime()?;
                    }
                }
                // The driver is done.
                Err(blocking::RecvTimeoutError::Disconnected) => return self.note_uptime(),
            }
        }
    }

    /// Notes how long the node has been up. Without it a little less is known at the next start.
    fn note_uptime(&mut self) -> Result<(), JournalError> {
        self.uptime.noted = self.uptime.get();
        let up = self.uptime.millis();
        let Err(error) = self.store.write(|tables| tables.set_up(up)) else { return Ok(()) };
        tracing::debug!(%error, "how long this node has been up is not noted");
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

    fn go_on_copying(&mut self) {
        let Some(copying) = &mut self.copy else { return };
        let more = match copying.archive.go_on() {
            Ok(false) => copying.copy.go_on(),
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
        let now = frames::now(meshwork_core::Time::ZERO + self.uptime.get());
        let moved = moved.iter().map(|(at, record)| (*at, record));
        let segments = self.segments(moved.chain(records.iter().map(|record| (now, record))));
        let aside = self.aside(records);
        let entries = aside.files.iter().map(|first| (*first, self.archive.entry(*first)));
        let entries: Vec<(u64, Option<Entry>)> = entries.collect();
        let up = self.uptime.millis();
        let dead = self.index.take_dead();
        super::hold("MESHWORK_TEST_HOLD_COMMITS");
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

    /// What these records change beside the segments.
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
                | Record::Finished(_)
                | Record::Released { .. } => {}
            }
        }
        aside.files.sort_unstable();
        aside.files.dedup();
        aside
    }

    /// There was no space for a commit. Gives up a copy that is being made, or what was set aside, or
    /// waits a while. Nothing of the commit was told, and the store is opened anew from what was on
    /// disk before it.
    fn make_space(&mut self, error: &JournalError) -> Result<(), JournalError> {
        if self.copy.is_some() {
            // Its space may be enough.
            return self.open_again(error);
        }
        if self.size.shrinking.is_some() {
            self.give_up_shrinking();
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

    /// Opens the store anew after a write to it has failed: as it was after the last commit. Gives up a
    /// copy that is being made, for that reads the file that is closed.
    fn open_again(&mut self, failed: &JournalError) -> Result<(), JournalError> {
        if let Some(Copying { copy, files, done, .. }) = self.copy.take() {
            drop(copy);
            drop(files);
            let kind =
                if failed.is_full() { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
            let error = redb::Error::Io(kind.into());
            self.end_copy(done, Err(JournalError::store(self.store.path(), error)));
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
            // Of the members of one group, which come one after the other, once.
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

/// What of a record stands in a segment: of a volume that is archived, that the journal does not keep
/// its tasks any longer.
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
