//! The file shrinks with its contents while the journal is in use.

use meshwork_core::{
    Task, TaskId,
    engine::{Record, Seq},
};

use super::*;
use crate::{
    clock::Clock,
    journal::{Journal, Recovery, store::FILE, tests::quick_dir},
};

#[test]
fn only_much_free_space_is_worth_a_copy() {
    let sizes = |file: u64, held: u64| Sizes { file: file << 20, held: held << 20 };
    assert!(!sizes(16, 0).is_wasteful(None));
    assert!(sizes(17, 0).is_wasteful(None));
    assert!(!sizes(216, 100).is_wasteful(None));
    assert!(sizes(217, 100).is_wasteful(None));
    // The file cannot get smaller: no second copy before the sizes have changed.
    let last = Some(sizes(220, 100));
    assert!(!sizes(220, 100).is_wasteful(last));
    assert!(!sizes(230, 90).is_wasteful(last));
    assert!(sizes(330, 100).is_wasteful(last));
    assert!(sizes(220, 66).is_wasteful(last));
}

fn file(dir: &Path) -> u64 {
    Size::new(0).sizes(&dir.join(FILE)).unwrap().file
}

async fn open(dir: &Path) -> (Journal, Vec<TaskId>) {
    let opened = Journal::open(dir, None, Clock::start(), Recovery::default()).await;
    let (journal, ledger) = opened.unwrap();
    (journal, ledger.into_parts().0.map(|restored| restored.task.id).collect())
}

async fn commit(journal: &mut Journal, records: Vec<Record>) {
    journal.push(Seq(1), records);
    journal.committed().await.unwrap();
}

/// Commits until the file has at most `bound` bytes: each commit allows one step.
async fn until_small(dir: &Path, journal: &mut Journal, bound: u64) {
    let mut commits = 0;
    while file(dir) > bound {
        commits += 1;
        assert!(commits < 200, "{} bytes, at most {bound} wanted", file(dir));
        commit(journal, vec![Record::Forgotten { id: TaskId::new() }]).await;
    }
}

#[tokio::test]
async fn a_file_shrinks_after_a_burst_while_tasks_come() {
    let dir = quick_dir();
    let (mut journal, _) = open(dir.path()).await;
    let mut live = Vec::new();
    for _ in 0..2 {
        // 64 MiB of tasks; then all but the last 8 MiB are forgotten.
        let input = "x".repeat(64 << 10);
        let tasks: Vec<Task> =
            (0..1_000).map(|_| Task::default().with_input(input.clone())).collect();
        for tasks in tasks.chunks(50) {
            let submitted = tasks
                .iter()
                .cloned()
                .map(|task| Record::Submitted { task: Box::new(task), targets: Vec::new() });
            commit(&mut journal, submitted.collect()).await;
        }
        let burst = file(dir.path());
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
        for ids in ids[..875].chunks(50) {
            let forgotten = ids.iter().map(|id| Record::Forgotten { id: *id });
            commit(&mut journal, forgotten.collect()).await;
        }
        live.extend(&ids[875..]);
        let bound = FLOOR + 2 * live.len() as u64 * (65 << 10);
        assert!(burst > bound, "{burst} {bound}");
        until_small(dir.path(), &mut journal, bound).await;
    }
    journal.close().await;
    let (journal, mut found) = open(dir.path()).await;
    found.sort_unstable();
    live.sort_unstable();
    assert_eq!(found, live);
    journal.close().await;
}
