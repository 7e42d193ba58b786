//! Copies of a journal at rest and of one in use, and the conditions of a restore.

use std::os::unix::fs::PermissionsExt as _;

use meshwork_core::PeerId;

use super::*;
use crate::home::next_boot;

async fn ids(dir: &Path) -> Vec<TaskId> {
    let (journal, ledger) =
        Journal::open(dir, None, Clock::start(), Recovery::default()).await.unwrap();
    let tasks: Vec<_> = ledger.into_parts().0.collect();
    journal.close().await;
    tasks.iter().map(|restored| restored.task.id).collect()
}

#[tokio::test]
async fn copy_holds_all_tasks_and_restore_needs_confirmation() {
    let (dir, folder) = (home(5).await, tempfile::tempdir().unwrap());
    let copy = folder.path().join("deep/copy");
    let before = ids(dir.path()).await;
    let made = backup(dir.path(), &copy).unwrap();
    assert_eq!((made.open, made.ended, made.records, made.damaged), (4, 1, 6, 0));
    assert_eq!(verify(&copy).unwrap().records, 6, "the folder is laid out like a home");
    let again = backup(dir.path(), &copy).unwrap_err();
    assert!(matches!(again, JournalError::Occupied { .. }), "{again}");
    let lost = tempfile::tempdir().unwrap();
    fs::copy(dir.path().join("journal.id"), lost.path().join("journal.id")).unwrap();
    let marked = backup(dir.path(), lost.path()).unwrap_err();
    assert!(
        matches!(marked, JournalError::Occupied { .. }),
        "a home whose journal is lost: {marked}"
    );
    let ended = tempfile::tempdir().unwrap();
    let file = ended.path().join("ended/000000000000-0");
    fs::create_dir(ended.path().join("ended")).unwrap();
    fs::write(&file, "theirs").unwrap();
    let other = backup(dir.path(), ended.path()).unwrap_err();
    assert!(
        matches!(other, JournalError::Occupied { .. }),
        "an archive without a journal: {other}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"theirs");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(copy.join(FILE)), mode(dir.path().join(FILE))), (0o600, 0o600));

    // The journal is used further, so the copy is older.
    for _ in 0..3 {
        assert_eq!(ids(dir.path()).await, before);
    }
    let (file, old) = (dir.path().join(FILE), copy.join(FILE));
    let latest = fs::read(&file).unwrap();
    fs::copy(&old, &file).unwrap();
    let error =
        Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await.unwrap_err();
    assert!(matches!(error, JournalError::Older { .. }), "{error}");
    fs::write(&file, &latest).unwrap();

    let error = restore(dir.path(), &copy, false, None).unwrap_err();
    assert!(matches!(error, JournalError::WouldReplace { .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), latest, "nothing is touched");
    let (report, aside) = restore(dir.path(), &copy, true, None).unwrap();
    assert_eq!((report.open, report.ended), (4, 1));
    assert_eq!(aside, [dir.path().join("journal.replaced-1")]);
    assert_eq!(fs::read(&aside[0]).unwrap(), latest);
    assert_eq!(ids(dir.path()).await, before);
    // The replaced journal and the copy now count as other journals.
    let now = fs::read(&file).unwrap();
    for other in [&latest, &fs::read(&old).unwrap()] {
        fs::write(&file, other).unwrap();
        let error = Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await;
        assert!(matches!(error, Err(JournalError::Foreign { .. })), "{error:?}");
    }
    // A second replaced journal does not overwrite the first.
    fs::write(&file, &now).unwrap();
    let (_, aside) = restore(dir.path(), &copy, true, None).unwrap();
    assert_eq!(aside, [dir.path().join("journal.replaced-2")]);
    assert_eq!(fs::read(dir.path().join("journal.replaced-1")).unwrap(), latest);
    assert_eq!(fs::read(&aside[0]).unwrap(), now);
}

#[tokio::test]
async fn copy_replaces_a_lost_journal() {
    let (dir, folder) = (home(3).await, tempfile::tempdir().unwrap());
    let before = ids(dir.path()).await;
    backup(dir.path(), folder.path()).unwrap();
    fs::remove_file(dir.path().join(FILE)).unwrap();
    let error =
        Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await.unwrap_err();
    assert!(error.to_string().contains("restore a copy"), "{error}");
    // Left by an interrupted restore.
    fs::write(dir.path().join("journal.restoring"), "half").unwrap();
    let (_, aside) = restore(dir.path(), folder.path(), false, None).unwrap();
    assert_eq!(aside, Vec::<PathBuf>::new());
    assert_eq!(ids(dir.path()).await, before);

    let fresh = tempfile::tempdir().unwrap();
    restore(fresh.path(), folder.path(), false, None).unwrap();
    assert_eq!(ids(fresh.path()).await, before, "in another home as well");
}

#[tokio::test]
async fn restored_copy_opens_only_with_the_key_of_its_node() {
    let (dir, folder) = (home(1).await, tempfile::tempdir().unwrap());
    let (own, other) = (PeerId::random(), PeerId::random());
    let open = async |dir: &Path, owner| {
        let opened = Journal::open(dir, Some(owner), Clock::start(), Recovery::default()).await;
        opened.map(|(journal, _)| journal)
    };
    open(dir.path(), own).await.unwrap().close().await;
    backup(dir.path(), folder.path()).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    restore(fresh.path(), folder.path(), false, None).unwrap();
    let error = open(fresh.path(), other).await.unwrap_err();
    assert!(matches!(error, JournalError::OtherKey { owner, .. } if owner == own), "{error}");
    open(fresh.path(), own).await.unwrap().close().await;
}

#[tokio::test]
async fn restore_never_lowers_the_boot_count() {
    let (dir, folder) = (home(1).await, tempfile::tempdir().unwrap());
    let boot = dir.path().join("boot");
    // Far ahead of the time of day, as after a wrong clock.
    fs::write(&boot, "4000000000\n").unwrap();
    backup(dir.path(), folder.path()).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    restore(fresh.path(), folder.path(), false, None).unwrap();
    assert_eq!(next_boot(&fresh.path().join("boot")).unwrap(), 4_000_000_001);
    fs::write(&boot, "4100000000\n").unwrap();
    restore(dir.path(), folder.path(), true, None).unwrap();
    assert_eq!(next_boot(&boot).unwrap(), 4_100_000_001, "never lower than before");
}

#[tokio::test]
async fn damaged_or_missing_copy_is_not_restored() {
    let (dir, folder) = (home(3).await, tempfile::tempdir().unwrap());
    backup(dir.path(), folder.path()).unwrap();
    let whole = fs::read(dir.path().join(FILE)).unwrap();
    let nothing = tempfile::tempdir().unwrap();
    let error = restore(dir.path(), nothing.path(), true, None).unwrap_err();
    assert!(matches!(error, JournalError::None { .. }), "{error}");
    fs::remove_file(folder.path().join("journal.id")).unwrap();
    let error = restore(dir.path(), folder.path(), true, None).unwrap_err();
    assert!(matches!(error, JournalError::NoMarker { .. }), "incomplete: {error}");

    let other = home(3).await;
    spoil(other.path(), 1);
    let error = restore(dir.path(), other.path(), true, None).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { damaged: 1, .. }), "{error}");
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), whole, "nothing is touched");
    // A damaged journal can be copied, before it is salvaged.
    let copy = tempfile::tempdir().unwrap();
    assert_eq!(backup(other.path(), copy.path()).unwrap().damaged, 1);

    let _running = Home::open(dir.path()).unwrap();
    let error = restore(dir.path(), folder.path(), true, None).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
}

#[tokio::test]
async fn copy_holds_one_state_while_commits_continue() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) =
        Journal::open(dir.path(), None, Clock::start(), Recovery::default()).await.unwrap();
    let push = async |journal: &mut Journal, seq: u64| {
        // Each commit is larger than a portion of a copy.
        let tasks = (0..6).map(|_| Task::default().with_input("x".repeat(1 << 20)));
        let records = tasks.map(|task| Record::Submitted { task: Box::new(task), targets: vec![] });
        journal.push(Seq(seq), records.collect());
        journal.committed().await.unwrap();
    };
    for seq in 0..4 {
        push(&mut journal, seq).await;
    }
    let (copies, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (done, mut first) = tokio::sync::oneshot::channel();
    journal.copy(copies.path().to_owned(), done);
    let (done, second) = tokio::sync::oneshot::channel();
    journal.copy(others.path().to_owned(), done);
    assert!(matches!(second.await.unwrap(), Err(JournalError::Copying)), "one at a time");
    let mut seq = 4;
    loop {
        push(&mut journal, seq).await;
        seq += 1;
        if let Ok(made) = first.try_recv() {
            break made.unwrap();
        }
    }
    let copied = verify(copies.path()).unwrap();
    assert_eq!((copied.open, copied.damaged), (24, 0), "the state at its beginning");

    // A failed copy leaves nothing, and does not block the next one.
    let (done, failed) = tokio::sync::oneshot::channel();
    journal.copy(others.path().join("nowhere"), done);
    assert!(failed.await.unwrap().is_err());
    let (done, made) = tokio::sync::oneshot::channel();
    journal.copy(others.path().to_owned(), done);
    made.await.unwrap().unwrap();
    let now = usize::try_from(seq * 6).unwrap();
    assert_eq!(verify(others.path()).unwrap().open, now);
    journal.close().await;
    assert_eq!(verify(dir.path()).unwrap().open, now);
}

#[tokio::test]
async fn copy_of_another_node_is_restored_only_by_its_id() {
    let (dir, other, folder) = (home(2).await, home(1).await, tempfile::tempdir().unwrap());
    let (own, strange) = (PeerId::random(), PeerId::random());
    for (home, node) in [(&dir, own), (&other, strange)] {
        let opened =
            Journal::open(home.path(), Some(node), Clock::start(), Recovery::default()).await;
        opened.unwrap().0.close().await;
    }
    backup(other.path(), folder.path()).unwrap();
    let before = fs::read(dir.path().join(FILE)).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    for (home, node) in [(&dir, None), (&dir, Some(own)), (&fresh, Some(own))] {
        let error = restore(home.path(), folder.path(), true, node).unwrap_err();
        assert!(matches!(error, JournalError::OtherNode { .. }), "{error}");
        assert!(error.to_string().contains(&strange.to_string()), "{error}");
    }
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), before, "nothing is touched");
    restore(dir.path(), folder.path(), true, Some(strange)).unwrap();
    assert_eq!(ids(dir.path()).await.len(), 1);
}
