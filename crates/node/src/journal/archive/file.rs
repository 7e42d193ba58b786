//! One file of the archive: the records of some thousand ended tasks, then a row of fixed size for
//! each task. A start reads only the rows.
//!
//! A task has two records, framed as in the journal: its submission and its end. Each record, each
//! row, the list of names and the foot have a checksum. A file is written once and never changed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use meshwork_core::{
    GroupId, HandlerName, TaskId,
    engine::{ArchivedTask, Record, Restored, RestoredEnd, Row, Volume, view::Ending},
};
use prost::Message;

use super::super::frames::{self, Stamp};
use crate::clock::Clock;

/// The first and the last bytes of a file.
const MAGIC: &[u8; 8] = b"MWENDED1";
/// Offset of the first record.
pub(super) const START: usize = MAGIC.len();
/// Bytes of a row.
const ROW: usize = 88;
/// Flags of a row: the result was handed out; the task needs a blob.
const READ: u8 = 1;
const HAS_BLOB: u8 = 2;
/// Largest size of an input that a row stores.
const INPUT_BYTES: u64 = (1 << 48) - 1;
/// Bytes of the foot.
const FOOT: usize = 48;

/// A row, and the place of its task's records.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) row: Row,
    pub(super) offset: u64,
    pub(super) length: u32,
    input_bytes: u64,
    /// Whether the task needs a blob, which only its records name.
    has_blob: bool,
}

/// The part of a file that a start reads.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) first: u64,
    handlers: Vec<HandlerName>,
    groups: Vec<GroupId>,
    pub(super) places: Vec<Place>,
    /// Number of damaged rows.
    pub(super) damaged: u64,
}

impl Index {
    /// Bytes of each task in the file, by its number in the file; 0 for a task that is not in it.
    pub(super) fn lengths(&self) -> Vec<u32> {
        let mut lengths = Vec::new();
        self.places.iter().for_each(|place| place.count(&mut lengths));
        lengths
    }

    /// Converts the rows to a volume for the engine.
    pub(super) fn into_volume(self) -> Volume {
        let Self { first, handlers, groups, places, damaged: _ } = self;
        let rows = places.into_iter().map(|place| place.row).collect();
        Volume { first, handlers, groups, rows }
    }
}

/// The names in a file.
#[derive(Clone, PartialEq, Message)]
struct Names {
    #[prost(string, repeated, tag = "1")]
    handlers: Vec<String>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    groups: Vec<Vec<u8>>,
}

/// The places of a file's parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foot {
    first: u64,
    rows: u32,
    names: u32,
    index: u64,
    names_sum: u32,
}

/// The records of some tasks in the form of a file.
#[derive(Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// For each task: the bytes of its records, and the bytes of its input.
    tasks: Vec<(u32, u64)>,
}

impl Records {
    /// Adds an ended task.
    pub(super) fn push(&mut self, task: ArchivedTask, clock: &Clock) {
        let before = self.bytes.len();
        put_task(task.task, clock, &mut self.bytes);
        self.count(before, task.input_bytes);
    }

    /// Adds the records of a task from another file.
    pub(super) fn push_bytes(&mut self, records: &[u8], input_bytes: u64) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(records);
        self.count(before, input_bytes);
    }

    fn count(&mut self, before: usize, input_bytes: u64) {
        let length = u32::try_from(self.bytes.len() - before).unwrap_or(u32::MAX);
        self.tasks.push((length, input_bytes));
    }

    /// Removes all records, but keeps [`SPARE`] bytes of memory for the next volume.
    pub(super) fn clear(&mut self) {
        self.tasks.clear();
        self.bytes.clear();
        self.bytes.shrink_to(SPARE);
    }
}

fn put_task(task: Restored, clock: &Clock, bytes: &mut Vec<u8>) {
    let Restored { task, targets, submitted, story, ended } = task;
    let Some(ended) = ended else { return };
    let RestoredEnd { end, at, up } = *ended;
    let stamp = |at| Stamp { at: clock.wall(at).timestamp_millis(), up };
    let id = task.id;
    frames::append(bytes, stamp(submitted), &Record::Submitted { task, targets });
    let story = story.map(|story| story.0).unwrap_or_default();
    frames::append(bytes, stamp(at), &Record::Ended { id, end: Box::new(end), story });
}

/// Decodes the records of a task; none if they are damaged.
fn task_of(bytes: &[u8], id: TaskId, input_bytes: u64, clock: &Clock) -> Option<ArchivedTask> {
    let mut ledger = meshwork_core::engine::Ledger::default();
    let mut whole = true;
    whole &= frames::records(bytes, |record| match record {
        Some((stamp, record)) => ledger.apply(record, clock.time(stamp.at), stamp.up),
        None => whole = false,
    });
    let mut tasks = ledger.into_parts().0;
    let task = tasks.next().filter(|task| whole && task.task.id == id && task.ended.is_some())?;
    Some(ArchivedTask { task, input_bytes })
}

/// Writes a new file; it is on disk when this returns. Returns the bytes of each task in it, by its
/// number in the file; 0 for a task that is not in it.
pub(super) fn write(
    path: &Path,
    volume: &Volume,
    clock: &Clock,
    records: &Records,
) -> io::Result<Vec<u32>> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    let (mut offset, mut tail, mut lengths) = (START as u64, Vec::new(), Vec::new());
    for (row, (length, input_bytes)) in volume.rows.iter().zip(&records.tasks) {
        let (length, input_bytes) = (*length, *input_bytes);
        let has_blob = row.blob.is_some();
        let place = Place { row: row.clone(), offset, length, input_bytes, has_blob };
        put_row(&place, clock, &mut tail);
        place.count(&mut lengths);
        offset += u64::from(length);
    }
    let names = Names {
        handlers: volume.handlers.iter().map(ToString::to_string).collect(),
        groups: volume.groups.iter().map(|group| group.as_bytes().to_vec()).collect(),
    };
    let names = names.encode_to_vec();
    let foot = Foot {
        first: volume.first,
        rows: u32::try_from(volume.rows.len()).unwrap_or(u32::MAX),
        names: u32::try_from(names.len()).unwrap_or(u32::MAX),
        index: offset,
        names_sum: crc32fast::hash(&names),
    };
    tail.extend(names);
    tail.extend(foot.bytes());
    file.write_all(MAGIC)?;
    file.write_all(&records.bytes)?;
    file.write_all(&tail)?;
    file.sync_all()?;
    Ok(lengths)
}

fn put_row(place: &Place, clock: &Clock, out: &mut Vec<u8>) {
    let start = out.len();
    let Row { at, id, handler, group, digest, key, submitted, up, weight, ending, read, blob } =
        place.row;
    out.extend(at.to_le_bytes());
    out.extend(handler.to_le_bytes());
    out.extend(id.as_bytes());
    out.extend(group.map_or(u32::MAX, |group| group).to_le_bytes());
    let ending = match ending {
        Ending::Succeeded => 1,
        Ending::Failed => 2,
        Ending::Cancelled => 3,
        Ending::Expired => 4,
    };
    let flags = if read { READ } else { 0 } | if blob.is_some() { HAS_BLOB } else { 0 };
    // Of the input's size, six bytes in two places: earlier versions wrote four.
    let [low @ .., a, b, _, _] = place.input_bytes.min(INPUT_BYTES).to_le_bytes();
    out.extend([ending, flags, a, b]);
    out.extend(digest.to_le_bytes());
    out.extend(key.to_le_bytes());
    out.extend(clock.wall(submitted).timestamp_millis().to_le_bytes());
    out.extend(up.as_nanos().to_le_bytes());
    out.extend(weight.to_le_bytes());
    out.extend(low);
    out.extend(place.offset.to_le_bytes());
    out.extend(place.length.to_le_bytes());
    let sum = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend(sum.to_le_bytes());
}

/// Reads numbers from the front of bytes.
struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// All whole rows in a file's bytes, at any offset.
pub(super) fn rows_in(bytes: &[u8], clock: &Clock) -> Vec<Place> {
    let (mut places, mut at) = (Vec::new(), START);
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<ROW>()) {
        let found = row(chunk, clock);
        // A row is always behind the records of its task.
        match found.filter(|place| place.offset.saturating_add(place.length.into()) <= at as u64) {
            Some(place) => {
                places.push(place);
                at += ROW;
            }
            None => at += 1,
        }
    }
    places
}

/// Number of rows according to the foot; none if the foot is damaged.
pub(super) fn rows_by_foot(path: &Path) -> io::Result<Option<u64>> {
    Ok(Reading::open(path)?.map(|reading| reading.foot.rows.into()))
}

/// Whether these are the whole, undamaged records of the task with this id.
pub(super) fn is_task(bytes: &[u8], id: TaskId, clock: &Clock) -> bool {
    task_of(bytes, id, 0, clock).is_some()
}

/// Decodes a row; none if it is damaged.
fn row(bytes: &[u8; ROW], clock: &Clock) -> Option<Place> {
    let (summed, sum) = bytes.split_at_checked(ROW - 4)?;
    if crc32fast::hash(summed).to_le_bytes() != sum {
        return None;
    }
    let mut reader = Reader(summed);
    let (at, handler) = (reader.u32()?, reader.u32()?);
    let id = TaskId::from_bytes(reader.take()?);
    let group = Some(reader.u32()?).filter(|group| *group != u32::MAX);
    let [ending, flags, a, b] = reader.take()?;
    let ending = match ending {
        1 => Ending::Succeeded,
        2 => Ending::Failed,
        3 => Ending::Cancelled,
        4 => Ending::Expired,
        _ => return None,
    };
    let (digest, key) = (reader.u64()?, reader.u64()?);
    let submitted = clock.time(i64::from_le_bytes(reader.take()?));
    let up = meshwork_core::Time::from_nanos(reader.u64()?);
    let weight = reader.u32()?;
    let [c, d, e, f]: [u8; 4] = reader.take()?;
    let input_bytes = u64::from_le_bytes([c, d, e, f, a, b, 0, 0]);
    let (offset, length) = (reader.u64()?, reader.u32()?);
    let read = flags & READ != 0;
    let blob = None;
    let row =
        Row { at, id, handler, group, digest, key, submitted, up, weight, ending, read, blob };
    Some(Place { row, offset, length, input_bytes, has_blob: flags & HAS_BLOB != 0 })
}

impl Foot {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOT);
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.rows.to_le_bytes());
        bytes.extend(self.names.to_le_bytes());
        bytes.extend(self.index.to_le_bytes());
        bytes.extend(self.names_sum.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend(MAGIC);
        bytes
    }

    /// Reads the foot of a file; none if it is damaged or does not fit the file's size.
    fn read(file: &File, size: u64) -> io::Result<Option<Self>> {
        let Some(at) = size.checked_sub(FOOT as u64) else { return Ok(None) };
        let mut bytes = [0; FOOT];
        file.read_exact_at(&mut bytes, at)?;
        Ok(Self::parse(&bytes).filter(|foot| foot.fits(size)))
    }

    fn parse(bytes: &[u8; FOOT]) -> Option<Self> {
        let (summed, rest) = bytes.split_at_checked(FOOT - 12)?;
        let (sum, magic) = rest.split_first_chunk::<4>()?;
        if magic != MAGIC || crc32fast::hash(summed).to_le_bytes() != *sum {
            return None;
        }
        let mut reader = Reader(summed);
        let (first, rows, names) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let (index, names_sum) = (reader.u64()?, reader.u32()?);
        Some(Self { first, rows, names, index, names_sum })
    }

    fn fits(self, size: u64) -> bool {
        let tail = u64::from(self.rows) * ROW as u64 + u64::from(self.names) + FOOT as u64;
        self.index.checked_add(tail) == Some(size)
    }
}

/// Opens a file; none if it is not a regular file.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    // Checked first: opening a pipe would wait for a writer.
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    File::open(path).map(Some)
}

/// Reads the rows and names of a file; none if its foot or names are damaged.
pub(super) fn index(path: &Path, clock: &Clock) -> io::Result<Option<Index>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let size = file.metadata()?.len();
    let Some(foot) = Foot::read(&file, size)? else { return Ok(None) };
    let tail = size - FOOT as u64 - foot.index;
    let mut bytes = vec![0; usize::try_from(tail).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, foot.index)?;
    let rows_end = foot.rows as usize * ROW;
    let Some((rows, names)) = bytes.split_at_checked(rows_end) else { return Ok(None) };
    let names = Names::decode(names).ok().filter(|_| crc32fast::hash(names) == foot.names_sum);
    let Some((handlers, groups)) = names.and_then(parse_names) else { return Ok(None) };
    let (chunks, _) = rows.as_chunks::<ROW>();
    let mut places: Vec<Place> = chunks.iter().filter_map(|bytes| row(bytes, clock)).collect();
    let damaged = (chunks.len() - places.len()) as u64;
    let reading = Reading { file, foot };
    for place in places.iter_mut().filter(|place| place.has_blob) {
        let bytes = reading.bytes(place)?;
        let task = bytes.and_then(|bytes| task_of(&bytes, place.row.id, 0, clock));
        place.row.blob = task.and_then(|task| task.blob());
    }
    Ok(Some(Index { first: foot.first, handlers, groups, places, damaged }))
}

/// The handlers and the groups of a file.
type Parsed = (Vec<HandlerName>, Vec<GroupId>);

fn parse_names(names: Names) -> Option<Parsed> {
    let handlers = names.handlers.iter().map(|name| name.parse().ok());
    let groups = names.groups.iter();
    let groups = groups.map(|id| Some(GroupId::from_bytes(id.as_slice().try_into().ok()?)));
    Some((handlers.collect::<Option<_>>()?, groups.collect::<Option<_>>()?))
}

/// A file from which tasks are read one by one.
pub(super) struct Reading {
    file: File,
    foot: Foot,
}

impl Reading {
    /// Opens a file; none if its foot is damaged.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = open(path)? else { return Ok(None) };
        let size = file.metadata()?.len();
        Ok(Foot::read(&file, size)?.map(|foot| Self { file, foot }))
    }

    /// Reads the task with this number in the file, from 0; none if it is damaged.
    pub(super) fn task(&self, at: u32, clock: &Clock) -> io::Result<Option<ArchivedTask>> {
        let Some(place) = self.place(at, clock)? else { return Ok(None) };
        let Some(bytes) = self.bytes(&place)? else { return Ok(None) };
        Ok(task_of(&bytes, place.row.id, place.input_bytes, clock))
    }

    /// Reads the bytes of a task's records; none if the place in the row is impossible.
    pub(super) fn bytes(&self, place: &Place) -> io::Result<Option<Vec<u8>>> {
        let end = place.offset.saturating_add(place.length.into());
        if end > self.foot.index {
            return Ok(None);
        }
        let mut bytes = vec![0; place.length as usize];
        self.file.read_exact_at(&mut bytes, place.offset)?;
        Ok(Some(bytes))
    }

    /// Whether the records of a task are whole.
    pub(super) fn is_whole(&self, place: &Place, clock: &Clock) -> io::Result<bool> {
        let bytes = self.bytes(place)?;
        Ok(bytes.is_some_and(|bytes| is_task(&bytes, place.row.id, clock)))
    }

    fn place(&self, at: u32, clock: &Clock) -> io::Result<Option<Place>> {
        // Rows are in order. If no task is missing, a task's number is the index of its row.
        let (mut low, mut high) = (0, self.foot.rows);
        let mut guess = at.min(self.foot.rows.saturating_sub(1));
        while low < high {
            let mut bytes = [0; ROW];
            self.file.read_exact_at(&mut bytes, self.foot.index + u64::from(guess) * ROW as u64)?;
            let found = u32::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default());
            if found == at {
                return Ok(row(&bytes, clock));
            }
            if found < at {
                low = guess + 1
            } else {
                high = guess
            }
            guess = low + (high - low) / 2;
        }
        Ok(None)
    }
}

impl Place {
    /// Sets the task's bytes in this list, which is indexed by number in the file.
    fn count(&self, lengths: &mut Vec<u32>) {
        let at = self.row.at as usize;
        if lengths.len() <= at {
            lengths.resize(at + 1, 0);
        }
        if let Some(length) = lengths.get_mut(at) {
            *length = self.length.saturating_add(u32::try_from(ROW).unwrap_or(0));
        }
    }

    /// Size of the task's input in bytes.
    pub(super) fn input_bytes(&self) -> u64 {
        self.input_bytes
    }
}

/// Bytes of memory that are kept for the next volume: enough for most.
const SPARE: usize = 4 << 20;
