//! Cancellation, limits and shutdown of handlers that can be stopped.

use std::{
    future,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use meshwork_core::{AttemptEnd, FailureCode};
use tokio::sync::{mpsc, oneshot};

use crate::{
    HandlerError, Report, TaskContext, handler_fn,
    testing::{Rig, failure, output, work},
};

/// A handler that waits to be stopped; it signals when it starts and when it stops.
fn cooperative(news: mpsc::Sender<&'static str>) -> Rig {
    let wait = move |cx: TaskContext, _input: Bytes| {
        let news = news.clone();
        async move {
            news.send("started").await.unwrap();
            cx.cancelled().await;
            assert!(cx.is_cancelled());
            assert!(matches!(cx.ensure_running(), Err(HandlerError::Stopped)));
            news.send("stopped").await.unwrap();
            Ok("too late".into())
        }
    };
    Rig::of(handler_fn("test/wait", wait))
}

#[tokio::test]
async fn cancel_reaches_the_handler() {
    let (sender, mut news) = mpsc::channel(4);
    let mut rig = cooperative(sender);
    let run = rig.start(work("test/wait", ""));
    assert_eq!(news.recv().await, Some("started"));
    rig.executor.stop(run);
    assert_eq!(rig.end_of(run).await, AttemptEnd::Cancelled);
    assert_eq!(news.recv().await, Some("stopped"));
}

#[tokio::test]
async fn time_limit_reaches_the_handler() {
    let (sender, mut news) = mpsc::channel(4);
    let mut rig = cooperative(sender);
    let mut work = work("test/wait", "");
    work.limit = Some(Duration::from_millis(20));
    let failure = failure(rig.run(work).await);
    assert_eq!(failure.code, FailureCode::TimedOut);
    assert!(failure.is_retryable());
    assert_eq!(failure.message, "not finished within 20ms");
    assert_eq!(news.recv().await, Some("started"));
    assert_eq!(news.recv().await, Some("stopped"));
}

#[tokio::test]
async fn shutdown_ends_a_running_attempt_as_lost() {
    let (sender, mut news) = mpsc::channel(4);
    let mut rig = cooperative(sender);
    let run = rig.start(work("test/wait", ""));
    assert_eq!(news.recv().await, Some("started"));
    let Rig { executor, mut reports, .. } = rig;
    executor.shutdown();
    let Some(Report::Ended(ended)) = reports.recv().await else { panic!("no end") };
    assert_eq!(ended.run, run);
    let failure = failure(ended.end);
    assert_eq!(failure.code, FailureCode::Lost);
    assert!(failure.is_retryable());
    assert!(reports.recv().await.is_none(), "all senders of the executor are dropped");
}

#[tokio::test(start_paused = true)]
async fn handler_that_ignores_cancel_is_dropped_after_a_grace() {
    struct SignalDrop(Option<oneshot::Sender<()>>);
    impl Drop for SignalDrop {
        fn drop(&mut self) {
            self.0.take().unwrap().send(()).unwrap();
        }
    }
    let (dropped, was_dropped) = oneshot::channel();
    let (started, mut has_started) = mpsc::channel(1);
    let signal = Mutex::new(Some(SignalDrop(Some(dropped))));
    let deaf = move |_cx: TaskContext, _input: Bytes| {
        let signal = signal.lock().unwrap().take();
        let started = started.clone();
        async move {
            let _signal = signal;
            started.send(()).await.unwrap();
            future::pending().await
        }
    };
    let mut rig = Rig::of(handler_fn("test/deaf", deaf));
    let run = rig.start(work("test/deaf", ""));
    has_started.recv().await.unwrap();
    rig.executor.stop(run);
    assert_eq!(rig.end_of(run).await, AttemptEnd::Cancelled);
    was_dropped.await.unwrap();
}

#[tokio::test]
async fn first_stop_cause_decides_the_end() {
    let (sender, mut news) = mpsc::channel(4);
    let mut rig = cooperative(sender);
    let run = rig.start(work("test/wait", ""));
    assert_eq!(news.recv().await, Some("started"));
    rig.executor.stop(run);
    let Rig { executor, mut reports, .. } = rig;
    executor.shutdown();
    let Some(Report::Ended(ended)) = reports.recv().await else { panic!("no end") };
    assert_eq!(ended.end, AttemptEnd::Cancelled);
}

#[tokio::test]
async fn stopping_an_ended_or_unknown_run_changes_nothing() {
    let mut rig = Rig::of(handler_fn("test/echo", |_cx, input| async { Ok(input) }));
    let first = rig.start(work("test/echo", "1"));
    assert_eq!(output(rig.end_of(first).await), "1");
    rig.executor.stop(first);
    rig.executor.stop(meshwork_core::engine::RunId(99));
    let second = rig.start(work("test/echo", "2"));
    assert_eq!(output(rig.end_of(second).await), "2");
    assert!(rig.reports.try_recv().is_err());
}

#[tokio::test]
async fn progress_after_the_end_is_not_reported() {
    let context = Arc::new(Mutex::new(None));
    let keep = {
        let context = Arc::clone(&context);
        move |cx: TaskContext, _input: Bytes| {
            *context.lock().unwrap() = Some(cx);
            async { Ok(Bytes::new()) }
        }
    };
    let mut rig = Rig::of(handler_fn("test/keep", keep));
    assert_eq!(output(rig.run(work("test/keep", "")).await), "");
    let cx = context.lock().unwrap().take().unwrap();
    cx.progress(1.0, "still here");
    assert!(rig.reports.try_recv().is_err());
}
