//! Commits, and the journal's contents at the next start.

use meshwork_core::{Task, TaskEnd, TaskId, task::ExpiredLimit};

use super::*;

mod archived;

/// A folder in memory if possible: these tests sync often, and their files need not survive a power
/// cut.
pub(super) fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

async fn open(dir: &Path) -> (Journal, Ledger) {
    Journal::open(dir, None, Clock::start(), Recovery::default()).await.unwrap()
}

fn submitted(task: &Task) -> Record {
    Record::Submitted { task: Box::new(task.clone()), targets: Vec::new() }
}

#[tokio::test]
async fn records_pushed_during_a_commit_share_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, ledger) = open(dir.path()).await;
    assert!(ledger.is_empty() && ledger.groups().next().is_none());
    let tasks: Vec<Task> = (0..1_000).map(|_| Task::default()).collect();
    for (seq, task) in (1..).zip(&tasks) {
        journal.push(Seq(seq), vec![submitted(task)]);
    }
    let mut commits = 0;
    while !journal.is_idle() {
        let seq = journal.committed().await.unwrap();
        commits += 1;
        assert!(commits > 1 || seq == Seq(1));
        assert!(commits < 2 || seq == Seq(1_000));
    }
    assert_eq!(commits, 2, "the first, and one for all that came meanwhile");
    journal.close().await;
    let (journal, ledger) = open(dir.path()).await;
    let ids: Vec<_> = ledger.into_parts().0.map(|restored| restored.task.id).collect();
    assert_eq!(ids, tasks.iter().map(|task| task.id).collect::<Vec<_>>());
    journal.close().await;
}

#[tokio::test]
async fn task_times_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).await;
    let task = Task::default();
    let before = crate::time_of_day();
    journal.push(Seq(1), vec![submitted(&task)]);
    journal.committed().await.unwrap();
    let end = Box::new(TaskEnd::Expired { limit: ExpiredLimit::Queue });
    journal.push(Seq(2), vec![Record::Ended { id: task.id, end, story: Default::default() }]);
    journal.committed().await.unwrap();
    journal.close().await;
    let clock = Clock::start();
    let (journal, ledger) =
        Journal::open(dir.path(), None, clock, Recovery::default()).await.unwrap();
    let restored: Vec<_> = ledger.into_parts().0.collect();
    let [restored] = &restored[..] else { panic!("one task") };
    let (submitted, ended) = (restored.submitted, restored.ended.as_ref().unwrap().at);
    assert!(submitted <= ended && ended <= clock.now());
    let shown = clock.wall(submitted);
    assert!((shown - before).abs() < chrono::TimeDelta::seconds(30), "{shown} {before}");
    journal.close().await;
}

#[tokio::test]
async fn forgotten_tasks_leave_no_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).await;
    let mut seq = 0;
    for _ in 0..50 {
        let task = Task::default();
        let end = Box::new(TaskEnd::Expired { limit: ExpiredLimit::Queue });
        let id = task.id;
        for record in [
            submitted(&task),
            Record::Ended { id, end, story: Default::default() },
            Record::Forgotten { id },
        ] {
            seq += 1;
            journal.push(Seq(seq), vec![record]);
            assert_eq!(journal.committed().await, Some(Seq(seq)));
        }
    }
    journal.close().await;
    let store = Store::open(dir.path(), None).unwrap();
    let mut left = 0;
    store.replay(|_, _, _| left += 1).unwrap();
    // The last commit may still hold the record of the last forgotten task.
    assert!(left <= 1, "{left} records");
}

#[tokio::test]
async fn long_waiting_task_does_not_keep_its_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).await;
    let mut seq = 0;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let tasks: Vec<Task> = (0..50).map(|_| Task::default()).collect();
        let id = |task: &Task| Record::Ended {
            id: task.id,
            end: Box::new(TaskEnd::Expired { limit: ExpiredLimit::Queue }),
            story: Default::default(),
        };
        let forgotten = |task: &Task| Record::Forgotten { id: task.id };
        for records in [
            tasks.iter().map(submitted).collect(),
            tasks[1..].iter().map(id).collect(),
            tasks[1..].iter().map(forgotten).collect::<Vec<_>>(),
        ] {
            seq += 1;
            journal.push(Seq(seq), records);
            assert_eq!(journal.committed().await, Some(Seq(seq)));
        }
        waiting.push(tasks[0].id);
    }
    journal.close().await;
    let store = Store::open(dir.path(), None).unwrap();
    let mut left = 0;
    store.replay(|_, _, _| left += 1).unwrap();
    assert!(left < 1_000, "{left} records for 100 tasks, of 15,000");
    drop(store);
    let (journal, ledger) = open(dir.path()).await;
    let mut ids: Vec<_> = ledger.into_parts().0.map(|restored| restored.task.id).collect();
    ids.sort_unstable();
    waiting.sort_unstable();
    assert_eq!(ids, waiting);
    journal.close().await;
}

#[tokio::test]
async fn slow_disk_bounds_the_waiting_records() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).await;
    let forgotten = || Record::Forgotten { id: TaskId::new() };
    journal.push(Seq(1), vec![forgotten()]);
    assert!(!journal.is_behind(), "one commit under way does not count");
    journal.push(Seq(2), (1..BEHIND).map(|_| forgotten()).collect());
    assert!(!journal.is_behind());
    journal.push(Seq(3), vec![forgotten()]);
    assert!(journal.is_behind(), "by the number of records");
    while !journal.is_idle() {
        journal.committed().await.unwrap();
    }
    assert!(!journal.is_behind());
    let large = Task::default().with_input("x".repeat(1 << 20));
    let mut seq = 3;
    let pushes = BEHIND_BYTES / large.input.weight() + 1;
    for push in 0..=pushes {
        assert_eq!(journal.is_behind(), push == pushes, "by the bytes of records: {push}");
        seq += 1;
        journal.push(Seq(seq), vec![submitted(&Task { id: TaskId::new(), ..large.clone() })]);
    }
    while !journal.is_idle() {
        journal.committed().await.unwrap();
    }
    assert!(!journal.is_behind());
    journal.close().await;
}

#[tokio::test]
async fn file_is_not_much_larger_than_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).await;
    let payload = 64 << 20;
    for (bytes, seq) in [(1 << 20, 1), (2_000, 2)] {
        let tasks = (0..payload / bytes).map(|_| Task::default().with_input("x".repeat(bytes)));
        journal.push(Seq(seq), tasks.map(|task| submitted(&task)).collect());
        journal.committed().await.unwrap();
    }
    journal.close().await;
    let file = std::fs::metadata(dir.path().join(store::FILE)).unwrap().len();
    assert!(file < 3 * payload as u64, "{file} bytes for twice {payload}");
}

#[tokio::test]
async fn stop_saves_the_uptime() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    journal.close().await;
    assert!(Store::inspect(dir.path()).unwrap().aside().unwrap().up >= 5);
}

#[tokio::test]
async fn commit_that_the_thread_does_not_take_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path()).await;
    // Nobody receives the thread's work.
    let (work, _asked) = blocking::sync_channel(1);
    journal.work = work;
    for expected in [false, true] {
        journal.committing = false;
        journal.push(Seq(1), vec![Record::Forgotten { id: TaskId::new() }]);
        assert_eq!(journal.failed, expected);
    }
    assert_eq!(journal.written().await, Written::Failed);
}
