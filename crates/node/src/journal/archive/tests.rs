//! Files of the archive: reading them, and damaged, missing and leftover ones.

use std::{collections::HashMap, os::unix::fs::FileExt as _};

use meshwork_core::{
    GroupMember, PeerId, Task, TaskEnd, TaskId, TaskResult, Time,
    engine::{Restored, RestoredEnd, Row, view::Ending},
};

use super::*;
use crate::journal::archive::{
    mend::found,
    rescue::Rescued,
    thread::{Archiver, Job},
};

/// A volume of `count` tasks from number `first` on, each with a result of some hundred bytes.
pub(in crate::journal) fn volume(first: u64, count: u32) -> (Volume, Vec<ArchivedTask>) {
    let group = meshwork_core::GroupId::new();
    let mut volume = Volume {
        first,
        handlers: vec!["text/upper".parse().unwrap()],
        groups: vec![group],
        rows: Vec::new(),
    };
    let mut tasks = Vec::new();
    for at in 0..count {
        let member = GroupMember { group, index: at, last: false, max_fails: Some(3) };
        let task = Task::new("text/upper").unwrap().with_input(bytes::Bytes::new());
        let durability = Some(meshwork_core::Durability::Disk);
        let task = member.place(Task { durability, ..task });
        volume.rows.push(Row {
            at,
            id: task.id,
            handler: 0,
            group: Some(0),
            digest: u64::from(at),
            key: 0,
            submitted: Time::from_nanos(1),
            up: Time::from_nanos(7_000_000),
            weight: 1_024,
            ending: Ending::Succeeded,
            read: at % 2 == 1,
            blob: None,
        });
        let output = format!("result {at} ").repeat(20).into();
        let result = TaskResult {
            output,
            worker: PeerId::random(),
            attempt: 1,
            took: std::time::Duration::from_millis(3),
        };
        let end = TaskEnd::Succeeded(result);
        let ended = RestoredEnd { end, at: Time::from_nanos(2), up: Time::from_nanos(7_000_000) };
        let (task, ended) = (Box::new(task), Some(Box::new(ended)));
        let submitted = Time::from_nanos(1);
        let task = Restored { task, targets: Vec::new(), submitted, story: None, ended };
        tasks.push(ArchivedTask { task, input_bytes: 42 });
    }
    (volume, tasks)
}

/// An archive with one file of `count` tasks, and the contents of the file.
fn archive(home: &Path, count: u32) -> (Archive, Volume, Vec<ArchivedTask>) {
    let archive = Archive::inspect(home, BTreeMap::new());
    home::make_private(&archive.dir).unwrap();
    let (volume, tasks) = volume(100, count);
    write(&archive, &volume, &tasks);
    (archive, volume, tasks)
}

fn write(archive: &Archive, volume: &Volume, tasks: &[ArchivedTask]) {
    let clock = &archive.clock;
    let mut records = file::Records::default();
    tasks.iter().for_each(|task| records.push(task.clone(), clock));
    let lengths = file::write(&archive.path(volume.first, 0), volume, clock, &records).unwrap();
    archive.add(volume.first, lengths);
}

fn output(task: &ArchivedTask) -> String {
    let Some(TaskEnd::Succeeded(result)) = task.clone().end() else { panic!("{task:?}") };
    result.text().unwrap().to_owned()
}

fn ids(volume: &Volume) -> Vec<TaskId> {
    volume.rows.iter().map(|row| row.id).collect()
}

#[test]
fn tasks_are_read_by_number_and_other_numbers_are_gone() {
    let home = tempfile::tempdir().unwrap();
    let (archive, volume, tasks) = archive(home.path(), 500);
    let numbers: Vec<u64> = (100..600).rev().collect();
    for (read, task) in archive.read(&numbers).into_iter().zip(tasks.iter().rev()) {
        let read = read.unwrap();
        assert_eq!((output(&read), read.input_bytes), (output(task), 42));
        assert_eq!(read.task.task, task.task.task);
        assert_eq!(read.view().unwrap().group, task.view().unwrap().group);
    }
    let beside = archive.read(&[99, 600, u64::MAX]);
    assert!(beside.iter().all(|read| matches!(read, Err(ReadError::Gone))), "{beside:?}");
    let mut found = Vec::new();
    archive.scan(|| {}).unwrap();
    found.extend(archive.firsts().into_iter().map(|first| archive.volume(first).unwrap()));
    let missing = archive.volume(u64::MAX).unwrap_err();
    assert!(matches!(missing, JournalError::MissingEnded { .. }), "{missing}");
    let [found] = &found[..] else { panic!("one file") };
    assert_eq!((&found.handlers, &found.groups), (&volume.handlers, &volume.groups));
    let up = Time::from_nanos(7_000_000);
    for (found, row) in found.rows.iter().zip(&volume.rows) {
        assert_eq!(
            (found.id, found.digest, found.up, found.read),
            (row.id, row.digest, up, row.read)
        );
    }
}

#[test]
fn non_regular_file_is_named_at_the_start_and_never_blocks() {
    let home = tempfile::tempdir().unwrap();
    let (archive, ..) = archive(home.path(), 3);
    let path = archive.path(100, 0);
    for kind in home::tests::put_invalid_files(&path) {
        let error = archive.scan(|| {}).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { damaged: 3, .. }), "{kind}: {error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{kind}: {error}");
        assert_eq!(archive.verify().unwrap(), (3, 3), "{kind}");
        let mended = archive.mend().unwrap().pop().unwrap();
        assert_eq!((mended.first, mended.entry, mended.lost), (100, None, 3), "{kind}");
        assert!(found(home.path(), &HashMap::new()).unwrap().files.is_empty(), "{kind}");
        assert!(matches!(&archive.read(&[101])[..], [Err(ReadError::Damaged { .. })]), "{kind}");
    }
    // A start removes a pipe without an entry, and leaves a folder.
    fs::create_dir(archive.dir.join("folder")).unwrap();
    Archive::open(home.path(), Clock::start(), BTreeMap::new()).unwrap();
    assert!(!path.exists() && archive.dir.join("folder").exists());
}

/// One flipped bit anywhere: tasks with whole rows and records are read, all others are reported as
/// damaged.
#[test]
fn flipped_bit_is_found_and_costs_only_the_tasks_it_hits() {
    let home = tempfile::tempdir().unwrap();
    let (archive, _, tasks) = archive(home.path(), 20);
    let numbers: Vec<u64> = (100..120).collect();
    let path = archive.path(100, 0);
    let whole = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for at in (8..whole.len()).step_by(37) {
        file.write_all_at(&[whole[at] ^ 4], at as u64).unwrap();
        let (_, bad) = archive.verify().unwrap();
        let starts = archive.scan(|| {}).is_ok();
        let read = archive.read(&numbers);
        let damaged = read.iter().filter(|read| read.is_err()).count();
        for (read, task) in read.iter().zip(&tasks) {
            match read {
                Ok(read) => assert_eq!(output(read), output(task), "byte {at}"),
                Err(error) => assert!(matches!(error, ReadError::Damaged { .. }), "{error:?}"),
            }
        }
        assert!(bad > 0 || !starts, "byte {at} is found by verify or at the start");
        assert!(damaged <= 1 || !starts, "byte {at}: {damaged} damaged");
        file.write_all_at(&[whole[at]], at as u64).unwrap();
    }
    assert_eq!(archive.verify().unwrap(), (20, 0));
}

#[test]
fn missing_or_truncated_file_is_named_at_the_start() {
    let home = tempfile::tempdir().unwrap();
    let (archive, ..) = archive(home.path(), 20);
    let path = archive.path(100, 0);
    let whole = fs::read(&path).unwrap();
    for length in [0, 7, 8, 100, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = archive.scan(|| {}).unwrap_err();
        assert!(matches!(&error, JournalError::Damaged { path: of, .. } if *of == path), "{error}");
        assert_eq!(archive.verify().unwrap(), (20, 20));
    }
    fs::remove_file(&path).unwrap();
    let error = archive.scan(|| {}).unwrap_err();
    assert!(error.to_string().contains("000000000100-0 is missing"), "{error}");
    assert_eq!(archive.verify().unwrap(), (20, 20));
    let read = archive.read(&[100]);
    assert!(matches!(read[..], [Err(ReadError::Io { .. })]), "{read:?}");
}

#[test]
fn leftovers_of_a_crash_are_removed_and_listed_files_stay() {
    let home = tempfile::tempdir().unwrap();
    let (archive, ..) = archive(home.path(), 20);
    let (left, tasks) = volume(120, 5);
    write(&archive, &left, &tasks);
    fs::write(archive.path(100, 1), "half of a rewritten file").unwrap();
    let counts = BTreeMap::from([(100, Entry::new(20))]);
    let again = Archive::open(home.path(), Clock::start(), counts).unwrap();
    let files: Vec<_> = fs::read_dir(folder(home.path())).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 1);
    assert!(again.read(&[105]).pop().unwrap().is_ok());
    assert!(matches!(again.read(&[120]).pop(), Some(Err(ReadError::Gone))));
}

#[test]
fn entry_is_read_as_it_was_written() {
    let mut entry = Entry { generation: 3, ..Entry::new(20) };
    for at in [0, 7, 8, 19] {
        entry.dead.set(at);
    }
    entry.read.set(11);
    let parsed = Entry::parse(&entry.bytes()).unwrap();
    assert_eq!((&parsed.dead, &parsed.read), (&entry.dead, &entry.read));
    assert_eq!((parsed.generation, parsed.count, parsed.live()), (3, 20, 16));
    for length in 0..12 {
        assert!(Entry::parse(&entry.bytes()[..length]).is_none(), "{length} bytes");
    }
}

#[test]
fn rewritten_file_keeps_live_tasks_and_drops_dead_ones() {
    let home = tempfile::tempdir().unwrap();
    let (archive, volume, tasks) = archive(home.path(), 20);
    let dead: Vec<u64> = (100..120).filter(|number| number % 3 != 0).collect();
    assert_eq!(archive.note(&dead, Noted::Dead), [100]);
    archive.note(&[102], Noted::Read);
    let entry = archive.sparse(100).expect("less than half is live");
    let written = thread::rewrite(&archive, 100, &entry).unwrap();
    // Another task is forgotten meanwhile.
    archive.note(&[102], Noted::Dead);
    let entry = archive.rewritten(100, 0, written).unwrap();
    assert_eq!(entry.generation, 1);
    archive.replace(100, entry);
    archive.remove_file(100, 0);
    let kept: Vec<u64> = (105..120).filter(|number| number % 3 == 0).collect();
    for number in 100..120 {
        let read = archive.read(&[number]).pop().unwrap();
        if kept.contains(&number) {
            let task = &tasks[usize::try_from(number - 100).unwrap()];
            assert_eq!(output(&read.unwrap()), output(task));
        } else {
            assert!(matches!(read, Err(ReadError::Gone)), "{number}");
        }
    }
    let mut found = Vec::new();
    for first in archive.firsts() {
        found.extend(ids(&archive.volume(first).unwrap()));
    }
    let all = ids(&volume);
    let expected = kept.iter().map(|number| all[usize::try_from(number - 100).unwrap()]);
    assert!(found.iter().copied().eq(expected));
    // When the last task is forgotten, the file is removed.
    archive.note(&kept, Noted::Dead);
    assert!(archive.entry(100).is_none());
    archive.remove(100);
    assert_eq!(fs::read_dir(folder(home.path())).unwrap().count(), 0);
}

/// A reused group key gives its members the same ids.
#[test]
fn of_tasks_with_one_id_only_the_latest_is_found() {
    let home = tempfile::tempdir().unwrap();
    let (archive, volume, tasks) = archive(home.path(), 20);
    let mut again = volume.clone();
    again.first = 200;
    again.rows.truncate(5);
    write(&archive, &again, &tasks[..5]);
    let (ids, up) = (ids(&volume), volume.rows[0].up);
    // Two are in the journal: one was submitted after the archived task ended, the other is the
    // same.
    let later = Time::from_nanos(up.as_nanos() + 1_000_000);
    let journal = HashMap::from([(ids[7], later), (ids[8], up)]);
    let found = found(home.path(), &journal).unwrap();
    let live: Vec<u32> = found.files.values().map(Entry::live).collect();
    assert_eq!(live, [14, 5]);
    for (at, id) in (0..).zip(&ids) {
        assert_eq!(found.files[&100].dead.has(at), at < 5 || at == 7, "{at}");
        assert_eq!(found.tasks.contains(id), at != 7, "{at}");
    }
}

/// The last live task of a file is forgotten while it is rewritten: the new file gets no entry.
#[test]
fn file_that_died_while_it_was_rewritten_does_not_come_back() {
    let home = tempfile::tempdir().unwrap();
    let (archive, ..) = archive(home.path(), 20);
    let numbers: Vec<u64> = (100..120).collect();
    archive.note(&numbers[1..], Noted::Dead);
    let entry = archive.sparse(100).unwrap();
    let written = thread::rewrite(&archive, 100, &entry).unwrap();
    archive.note(&numbers[..1], Noted::Dead);
    assert_eq!(archive.rewritten(100, 0, written), None);
    assert_eq!(archive.sparse(100), None);
}

/// Rewrites that nobody collects do not keep a volume from being written.
#[tokio::test]
async fn volume_is_written_while_the_job_queue_is_full() {
    let home = tempfile::tempdir().unwrap();
    let (archive, ..) = archive(home.path(), 20);
    archive.note(&(101..120).collect::<Vec<_>>(), Noted::Dead);
    let archive = Arc::new(archive);
    let entry = archive.sparse(100).unwrap();
    let (jobs, queue) = std::sync::mpsc::sync_channel(JOBS);
    for _ in 0..JOBS {
        // A file that does not exist.
        jobs.try_send(Job::Move(7, Box::new(entry.clone()))).unwrap();
    }
    let (moved, moves) = std::sync::mpsc::sync_channel(JOBS);
    let mut archiver = Archiver::start(Arc::clone(&archive), (jobs, queue), moved).unwrap();
    let (volume, tasks) = volume(120, 5);
    archiver.write(Box::new(volume), tasks);
    assert_eq!(archiver.written().await, Some(120));
    archiver.close().await.unwrap_err();
    // The thread has ended, so its end of the channel is closed.
    let moves: Vec<_> = moves.iter().collect();
    assert!(moves.iter().all(|moved| moved.first == 7 && moved.written.is_none()), "{moves:?}");
}

/// The archive reports a failure as long as its folder cannot be written.
#[tokio::test]
async fn unwritable_archive_reports_a_failure_until_it_recovers() {
    let home = tempfile::tempdir().unwrap();
    let (archive, ..) = archive(home.path(), 1);
    let archive = Arc::new(archive);
    let aside = home.path().join("aside");
    fs::rename(&archive.dir, &aside).unwrap();
    let (jobs, queue) = std::sync::mpsc::sync_channel(JOBS);
    let (moved, _moves) = std::sync::mpsc::sync_channel(JOBS);
    let mut archiver = Archiver::start(Arc::clone(&archive), (jobs, queue), moved).unwrap();
    let (volume, tasks) = volume(120, 5);
    archiver.write(Box::new(volume), tasks);
    while !archiver.is_failing() {
        tokio::task::yield_now().await;
    }
    let why = archive.failing().unwrap();
    assert!(why.contains(&*archive.dir.to_string_lossy()), "{why}");
    fs::rename(&aside, &archive.dir).unwrap();
    assert_eq!(archiver.written().await, Some(120));
    assert!(!archiver.is_failing());
}

#[test]
fn files_that_cannot_be_linked_are_copied_one_per_step() {
    let home = crate::journal::tests::quick_dir();
    let (archive, volume, tasks) = archive(home.path(), 20);
    for first in [200, 300] {
        write(&archive, &Volume { first, ..volume.clone() }, &tasks);
    }
    let to = tempfile::tempdir().unwrap();
    let is_linked = fs::hard_link(archive.path(100, 0), to.path().join("probe")).is_ok();
    let mut copy = archive.copy_to(folder(to.path())).unwrap();
    let files = || fs::read_dir(folder(to.path())).unwrap().count();
    for step in 1..=3 {
        assert!(copy.step().unwrap() || is_linked);
        assert_eq!(files(), if is_linked { 3 } else { step });
    }
    assert!(!copy.step().unwrap());
    let bytes = |dir: &Path| fs::read(folder(dir).join(name(300, 0))).unwrap();
    assert_eq!(bytes(home.path()), bytes(to.path()));
}

#[test]
fn sparse_files_are_judged_by_bytes() {
    let home = tempfile::tempdir().unwrap();
    let archive = Archive::inspect(home.path(), BTreeMap::new());
    home::make_private(&archive.dir).unwrap();
    let (volume, mut tasks) = volume(100, 20);
    // Three tasks have nearly all bytes.
    for task in &mut tasks[..3] {
        let Some(ended) = &mut task.task.ended else { panic!("it has ended") };
        let TaskEnd::Succeeded(result) = &mut ended.end else { panic!("it has a result") };
        result.output = vec![7; 100_000].into();
    }
    write(&archive, &volume, &tasks);
    // Most tasks, but few bytes.
    archive.note(&(103..120).collect::<Vec<_>>(), Noted::Dead);
    assert!(archive.sparse(100).is_none());
    // As at a start, which reads the rows.
    let entry = archive.entry(100).unwrap();
    let entries = BTreeMap::from([(100, Entry::parse(&entry.bytes()).unwrap())]);
    let archive = Archive::open(home.path(), Clock::start(), entries).unwrap();
    archive.scan(|| {}).unwrap();
    archive.note(&[100], Noted::Dead);
    assert!(archive.sparse(100).is_none(), "two of three large tasks are live");
    archive.note(&[101], Noted::Dead);
    let entry = archive.sparse(100).expect("one of three is live");
    let written = thread::rewrite(&archive, 100, &entry).unwrap();
    let size = fs::metadata(archive.path(100, 1)).unwrap().len();
    assert!(written <= size && size < written + 200, "{written} {size}");
}

/// All tasks of a damaged file come back, except those with damaged records.
#[test]
fn a_damaged_file_is_mended_with_every_whole_task() {
    let home = tempfile::tempdir().unwrap();
    let (archive, volume, _) = archive(home.path(), 20);
    archive.note(&[103, 104], Noted::Dead);
    let path = archive.path(100, 0);
    let whole = fs::read(&path).unwrap();
    let all: Vec<TaskId> = ids(&volume);
    for at in (0..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 16;
        fs::write(&path, &bytes).unwrap();
        let (_, bad) = archive.verify().unwrap();
        let mended = archive.mend().unwrap();
        let lost: u64 = mended.iter().map(|mended| mended.lost).sum();
        assert!(lost <= 1, "byte {at}: {lost} lost, {bad} bad");
        let [mended] = &mended[..] else { continue };
        assert_eq!(mended.file.as_ref(), Some(&path));
        let kept = match &mended.entry {
            Some(entry) => entry.live() as usize,
            None => {
                let dead = |task: &Rescued| [all[3], all[4]].contains(&task.id);
                assert!(!mended.tasks.iter().any(dead), "byte {at}");
                assert!(mended.tasks.iter().all(|task| all[task.at as usize] == task.id));
                mended.tasks.len()
            }
        };
        assert_eq!(kept + usize::try_from(lost).unwrap(), 18, "byte {at}");
    }
}
