//! The folder of an attempt: made on request, removed however the attempt ends.

use std::time::Duration;

use super::*;
use crate::testing::{Gate, OpenOnDrop};

#[tokio::test]
async fn attempt_without_files_makes_no_folder() {
    let home = Home::new();
    let root = home.dir.path().join("work");
    let mut rig = home.rig(move |_cx, _input| {
        let there = fs::read_dir(&root).unwrap().count();
        async move { Ok(there.to_string().into()) }
    });
    assert_eq!(output(rig.run(work(NAME, "")).await), "0");
}

#[tokio::test]
async fn each_attempt_has_its_own_private_folder() {
    let home = Home::new();
    let mut rig = home.rig(|cx, _input| async move {
        let dir = cx.work_dir()?;
        assert_eq!(dir, cx.work_dir()?, "the same folder");
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(fs::read_dir(&dir)?.count(), 0);
        Ok(dir.to_str().unwrap().to_owned().into())
    });
    let first = output(rig.run(work(NAME, "")).await);
    let second = output(rig.run(work(NAME, "")).await);
    assert_ne!(first, second);
    assert_eq!(home.folders(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn folder_is_gone_after_a_failure_and_a_panic() {
    let home = Home::new();
    let mut rig = home.rig(|cx, input| async move {
        fs::create_dir_all(cx.work_dir()?.join("a/b"))?;
        fs::write(cx.work_dir()?.join("a/b/c"), "left")?;
        assert!(input.size() > 0, "empty");
        Err(Failure::new("no"))
    });
    assert_eq!(failure(rig.run(work(NAME, "some")).await).message, "no");
    assert_eq!(home.folders(), Vec::<PathBuf>::new());
    assert_eq!(failure(rig.run(work(NAME, "")).await).code, FailureCode::Panicked);
    assert_eq!(home.folders(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn folder_is_gone_after_a_cancel_that_the_handler_ignores() {
    let home = Home::new();
    let (made, mut paths) = tokio::sync::mpsc::channel(1);
    let mut rig = home.rig(move |cx, _input| {
        let made = made.clone();
        async move {
            made.send(cx.work_dir()?).await?;
            std::future::pending().await
        }
    });
    let run = rig.start(work(NAME, ""));
    let path = paths.recv().await.unwrap();
    assert!(path.is_dir());
    rig.executor.stop(run);
    assert_eq!(rig.end_of(run).await, AttemptEnd::Cancelled);
    eventually(|| home.folders().is_empty()).await;
}

#[tokio::test]
async fn folder_is_gone_once_a_blocked_handler_returns() {
    let home = Home::new();
    let gate = std::sync::Arc::new(Gate::default());
    let _open = OpenOnDrop(gate.clone());
    let passed = gate.clone();
    let mut rig = home.rig(move |cx, _input| {
        let gate = passed.clone();
        async move {
            let dir = cx.work_dir()?;
            gate.pass();
            assert!(dir.is_dir(), "there as long as the handler runs");
            assert!(cx.work_dir().is_err(), "the attempt has ended");
            Ok("late".into())
        }
    });
    let run = rig.start(work(NAME, ""));
    gate.arrived(1).await;
    rig.executor.stop(run);
    assert_eq!(rig.end_of(run).await, AttemptEnd::Cancelled);
    assert_eq!(home.folders().len(), 1);
    gate.open();
    eventually(|| home.folders().is_empty()).await;
}

#[tokio::test]
async fn folder_is_gone_after_a_shutdown() {
    let home = Home::new();
    let (made, mut paths) = tokio::sync::mpsc::channel(1);
    let mut rig = home.rig(move |cx, _input| {
        let made = made.clone();
        async move {
            made.send(cx.work_dir()?).await?;
            cx.cancelled().await;
            Err(Failure::new("stopped"))
        }
    });
    let run = rig.start(work(NAME, ""));
    paths.recv().await.unwrap();
    let Rig { executor, .. } = rig;
    executor.shutdown();
    assert_eq!(run, meshwork_core::engine::RunId(1));
    eventually(|| home.folders().is_empty()).await;
}

#[tokio::test]
async fn context_that_outlives_its_attempt_makes_no_folder() {
    let home = Home::new();
    let (kept, mut contexts) = tokio::sync::mpsc::channel(1);
    let mut rig = home.rig(move |cx, _input| {
        let kept = kept.clone();
        async move {
            kept.send(cx).await?;
            Ok("ended".into())
        }
    });
    assert_eq!(output(rig.run(work(NAME, "")).await), "ended");
    assert!(contexts.recv().await.unwrap().work_dir().is_err());
    assert_eq!(home.folders(), Vec::<PathBuf>::new());
}

#[test]
fn folders_of_an_earlier_process_are_removed_at_the_start_and_nothing_else() {
    let home = Home::new();
    let root = home.dir.path().join("work");
    fs::create_dir_all(root.join("17/work/deep")).unwrap();
    fs::write(root.join("17/input"), "old").unwrap();
    fs::create_dir(root.join("mine")).unwrap();
    fs::write(root.join("18"), "a file").unwrap();
    Files::open(home.store().clone(), &root).unwrap();
    let mut left = home.folders();
    left.sort();
    assert_eq!(left, [root.join("18"), root.join("mine")]);
}

#[tokio::test]
async fn time_for_storing_an_output_is_not_counted() {
    let home = Home::new();
    let (limit, storing) = (Duration::from_millis(200), Duration::from_millis(600));
    let mut rig = home.rig(move |cx, input| async move {
        if input.size() > 0 {
            cx.note_collecting();
        }
        tokio::time::sleep(storing).await;
        Ok("stored".into())
    });
    let limited = |input: &'static str| {
        let mut work = work(NAME, input);
        work.limit = Some(limit);
        work
    };
    let ended = rig.ended(limited("stores")).await;
    assert!(ended.took < limit, "{:?}", ended.took);
    assert_eq!(output(ended.end), "stored");
    assert_eq!(failure(rig.run(limited("")).await).code, FailureCode::TimedOut);
    let run = rig.start(limited("stores"));
    tokio::time::sleep(2 * limit).await;
    rig.executor.stop(run);
    assert_eq!(rig.end_of(run).await, AttemptEnd::Cancelled, "a stop ends the storing too");
}

async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never");
}
