//! A journal that lacks its latest commits is refused, whether it is damaged or an earlier copy.

use meshwork_core::{
    Task,
    engine::{Record, Seq},
};

use super::{
    super::{Journal, JournalError, Recovery, repair, store::paths, tests::quick_dir},
    *,
};
use crate::clock::Clock;

async fn open(dir: &Path) -> Result<(Journal, usize), JournalError> {
    let opened = Journal::open(dir, None, Clock::start(), Recovery::default()).await;
    opened.map(|(journal, ledger)| (journal, ledger.into_parts().0.len()))
}

/// Commits one more task.
async fn commit(journal: &mut Journal, seq: u64) {
    let task = Box::new(Task::default());
    journal.push(Seq(seq), vec![Record::Submitted { task, targets: Vec::new() }]);
    journal.committed().await.unwrap();
}

/// The files of a home as a kill would leave them now.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (file, marker) = paths(dir);
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    [file, marker, path(dir)].map(read).into()
}

fn put(files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
    }
}

/// A killed node, and the journal as it was before the last of its three tasks.
async fn killed() -> (tempfile::TempDir, Vec<(PathBuf, Vec<u8>)>, Vec<u8>) {
    let dir = quick_dir();
    let (mut journal, _) = open(dir.path()).await.unwrap();
    commit(&mut journal, 1).await;
    commit(&mut journal, 2).await;
    let earlier = files(dir.path()).swap_remove(0).1;
    commit(&mut journal, 3).await;
    let left = files(dir.path());
    journal.close().await;
    put(&left);
    (dir, left, earlier)
}

#[tokio::test]
async fn killed_node_finds_all_committed_tasks() {
    let (dir, ..) = killed().await;
    for tasks in 3..6 {
        let (mut journal, found) = open(dir.path()).await.unwrap();
        assert_eq!(found, tasks);
        commit(&mut journal, 1).await;
        journal.close().await;
    }
}

#[tokio::test]
async fn copy_from_before_the_last_commit_is_refused() {
    let (dir, left, earlier) = killed().await;
    fs::write(&left[0].0, earlier).unwrap();
    let looked = repair::verify(dir.path()).unwrap_err();
    let refused = open(dir.path()).await.unwrap_err();
    for error in [looked, refused] {
        assert!(matches!(error, JournalError::Behind { missing: 1, .. }), "{error}");
    }
    // A user without a later copy can salvage it.
    let repair::Salvaged { report, copies, .. } = repair::salvage(dir.path()).unwrap();
    assert_eq!((report.open, copies.len()), (2, 1));
    let (journal, found) = open(dir.path()).await.unwrap();
    assert_eq!(found, 2);
    journal.close().await;
}

#[tokio::test]
async fn damage_in_the_last_commit_of_a_killed_node_is_found() {
    let (dir, left, _) = killed().await;
    let whole = &left[0].1;
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut behind = 0;
    for at in used.iter().step_by(67) {
        put(&left);
        let mut spoilt = whole.clone();
        spoilt[*at] ^= 0x40;
        fs::write(&left[0].0, spoilt).unwrap();
        match open(dir.path()).await {
            Ok((journal, found)) => {
                assert_eq!(found, 3, "byte {at}");
                journal.close().await;
            }
            Err(error) => behind += usize::from(matches!(error, JournalError::Behind { .. })),
        }
    }
    assert!(behind > 0, "no damaged byte was in the last commit");
}

#[tokio::test]
async fn marker_torn_by_a_power_cut_is_ignored() {
    let (dir, left, earlier) = killed().await;
    for marker in ["", "\0\0\0\0", "0123456789abcdef 00000000000000000009\n", "nonsense"] {
        put(&left);
        fs::write(&left[0].0, &earlier).unwrap();
        fs::write(path(dir.path()), marker).unwrap();
        let (journal, found) = open(dir.path()).await.unwrap();
        assert_eq!(found, 2, "{marker:?}");
        journal.close().await;
    }
}
