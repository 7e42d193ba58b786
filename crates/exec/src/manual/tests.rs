//! Manual attempts: notification, completion, refusal, and removal when they end otherwise.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use meshwork_core::{Assignment, AttemptEnd, FailureCode, engine::RunId};

use super::*;
use crate::{
    ParamKind, ParamSpec,
    context::attempt::{Attempt, Cause, Order},
    limits::MANUAL_ATTEMPTS,
    testing::{Rig, failure, output, owner, with, work},
};

const NAME: &str = "review/translate";

fn other_owner() -> PeerId {
    "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p".parse().unwrap()
}

fn task(number: u128) -> TaskId {
    TaskId::from_bytes(number.to_be_bytes())
}

fn desk(capacity: usize) -> (ManualDesk, ManualHandler, mpsc::Receiver<ManualAttempt>) {
    let (sender, notices) = mpsc::channel(capacity);
    let desk = ManualDesk::new(sender);
    let handler = desk.handler(NAME.parse().unwrap());
    (desk, handler, notices)
}

/// An attempt without an executor.
fn attempt(owner: PeerId, task: TaskId, number: u32) -> (Arc<Attempt>, TaskContext) {
    let (reports, _) = mpsc::channel(1);
    let params = BTreeMap::new();
    let order = Order { run: RunId(1), task, number, owner, params, deadline: None };
    let attempt = Arc::new(Attempt::new(order, None, reports, None));
    (Arc::clone(&attempt), TaskContext::new(attempt))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls once, and asserts that the attempt fails with a retryable failure.
#[track_caller]
fn failed_at_once(handler: &ManualHandler, cx: &TaskContext) -> String {
    let Poll::Ready(Err(error)) = poll(pin!(handler.run(cx, Bytes::new()))) else {
        panic!("it waits");
    };
    assert!(error.is_retryable(), "{error}");
    error.to_string()
}

#[tokio::test]
async fn manual_attempt_is_notified_and_waits_for_its_output() {
    let (desk, handler, mut notices) = desk(1);
    let mut rig = Rig::of(handler);
    let work = with(work(NAME, "guten Tag"), &[("to", "en")]);
    let run = rig.start(work.clone());
    let notice = notices.recv().await.unwrap();
    let expected = ManualAttempt {
        task: work.task,
        attempt: 3,
        owner: owner(),
        handler: work.handler,
        params: work.params,
        input: work.input.inline().unwrap().clone(),
    };
    assert_eq!(notice, expected);
    desk.complete(notice.task, Ok("good day".into())).unwrap();
    assert_eq!(output(rig.end_of(run).await), "good day");
    let again = desk.complete(notice.task, Ok("too late".into()));
    assert_eq!(again, Err(CompleteError::NotFound { task: notice.task }));
    assert_eq!(desk.table.len(), 0);
}

#[tokio::test]
async fn manual_attempt_can_be_completed_with_a_failure() {
    let (desk, handler, mut notices) = desk(1);
    let mut rig = Rig::of(handler);
    let run = rig.start(work(NAME, ""));
    let notice = notices.recv().await.unwrap();
    let unreadable = HandlerError::permanent("unreadable").with_exit(3);
    desk.complete_for(notice.owner, notice.task, Err(unreadable)).unwrap();
    let failure = failure(rig.end_of(run).await);
    assert_eq!((failure.code, failure.exit), (FailureCode::Permanent, Some(3)));
}

#[tokio::test]
async fn oversized_output_is_refused_and_the_attempt_still_waits() {
    let (desk, handler, mut notices) = desk(1);
    let mut rig = Rig::of(handler);
    let run = rig.start(work(NAME, ""));
    let notice = notices.recv().await.unwrap();
    let error = desk.complete(notice.task, Ok(vec![0; INLINE_BYTES + 1].into())).unwrap_err();
    assert_eq!(error, CompleteError::TooLarge { size: INLINE_BYTES + 1, limit: INLINE_BYTES });
    desk.complete(notice.task, Ok(vec![0; INLINE_BYTES].into())).unwrap();
    assert_eq!(output(rig.end_of(run).await).len(), INLINE_BYTES);
}

#[tokio::test]
async fn cancelled_attempt_cannot_be_completed() {
    let (desk, handler, mut notices) = desk(1);
    let mut rig = Rig::of(handler);
    let run = rig.start(work(NAME, ""));
    let notice = notices.recv().await.unwrap();
    rig.executor.stop(run);
    let late = desk.complete(notice.task, Ok("late".into()));
    assert_eq!(late, Err(CompleteError::NotFound { task: notice.task }), "at once");
    assert_eq!(rig.end_of(run).await, AttemptEnd::Cancelled);
    assert_eq!(desk.table.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn timed_out_attempt_cannot_be_completed() {
    let (desk, handler, mut notices) = desk(1);
    let mut rig = Rig::of(handler);
    let run = rig.start(Assignment { limit: Some(Duration::from_secs(5)), ..work(NAME, "") });
    // Paused time does not advance while a thread blocks, so the attempt starts within its limit.
    let notice =
        tokio::task::spawn_blocking(move || notices.blocking_recv()).await.unwrap().unwrap();
    assert_eq!(failure(rig.end_of(run).await).code, FailureCode::TimedOut);
    let late = desk.complete(notice.task, Ok("late".into()));
    assert_eq!(late, Err(CompleteError::NotFound { task: notice.task }));
}

#[test]
fn dropped_attempt_leaves_no_entry() {
    let (desk, handler, _notices) = desk(1);
    let (_attempt, cx) = attempt(owner(), task(1), 1);
    {
        let mut run = pin!(handler.run(&cx, Bytes::new()));
        assert!(poll(run.as_mut()).is_pending());
        assert_eq!(desk.table.len(), 1);
    }
    assert_eq!(desk.table.len(), 0);
    let late = desk.complete(task(1), Ok(Bytes::new()));
    assert_eq!(late, Err(CompleteError::NotFound { task: task(1) }));
}

#[test]
fn output_completed_before_a_stop_counts() {
    let (desk, handler, _notices) = desk(1);
    let (attempt, cx) = attempt(owner(), task(1), 1);
    let mut run = pin!(handler.run(&cx, Bytes::new()));
    assert!(poll(run.as_mut()).is_pending());
    desk.complete(task(1), Ok("first".into())).unwrap();
    attempt.stop(Cause::Cancelled);
    assert!(matches!(poll(run), Poll::Ready(Ok(output)) if output == "first"));
}

#[test]
fn same_task_id_of_two_owners_is_ambiguous() {
    let (desk, handler, _notices) = desk(2);
    let (_mine, my_cx) = attempt(owner(), task(1), 1);
    let (their_attempt, their_cx) = attempt(other_owner(), task(1), 1);
    let mut mine = pin!(handler.run(&my_cx, Bytes::new()));
    let mut theirs = pin!(handler.run(&their_cx, Bytes::new()));
    assert!(poll(mine.as_mut()).is_pending() && poll(theirs.as_mut()).is_pending());

    let error = desk.complete(task(1), Ok(Bytes::new())).unwrap_err();
    assert_eq!(error, CompleteError::Ambiguous { task: task(1) });
    assert!(error.is_retryable());
    desk.complete_for(owner(), task(1), Ok("mine".into())).unwrap();
    assert!(matches!(poll(mine), Poll::Ready(Ok(output)) if output == "mine"));
    let again = desk.complete_for(owner(), task(1), Ok(Bytes::new())).unwrap_err();
    assert_eq!(again, CompleteError::NotFound { task: task(1) });
    assert!(!again.is_retryable());

    their_attempt.stop(Cause::Shutdown);
    let stopped = desk.complete(task(1), Ok(Bytes::new()));
    assert_eq!(stopped, Err(CompleteError::NotFound { task: task(1) }));
    let Poll::Ready(Err(stopped)) = poll(theirs) else { panic!("it waits") };
    assert!(matches!(stopped.into_error(), HandlerError::Stopped));
}

#[test]
fn later_attempt_of_a_task_replaces_the_earlier_one() {
    let (desk, handler, _notices) = desk(2);
    let (_first, first_cx) = attempt(owner(), task(1), 1);
    let (_second, second_cx) = attempt(owner(), task(1), 2);
    let mut second = pin!(handler.run(&second_cx, Bytes::new()));
    {
        let mut first = pin!(handler.run(&first_cx, Bytes::new()));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        let Poll::Ready(Err(error)) = poll(first) else { panic!("it waits") };
        assert_eq!(error.to_string(), "a later attempt of the task took its place");
        assert!(error.is_retryable());
    }
    assert_eq!(desk.table.len(), 1, "the end of the earlier attempt keeps the later one");
    desk.complete(task(1), Ok("second".into())).unwrap();
    assert!(matches!(poll(second), Poll::Ready(Ok(output)) if output == "second"));
}

#[test]
fn attempt_that_cannot_be_notified_fails_at_once() {
    let (desk, handler, mut notices) = desk(1);
    let (_first, first_cx) = attempt(owner(), task(1), 1);
    let (_second, second_cx) = attempt(owner(), task(2), 1);
    let mut first = pin!(handler.run(&first_cx, Bytes::new()));
    assert!(poll(first.as_mut()).is_pending());
    assert!(failed_at_once(&handler, &second_cx).contains("not yet read"));
    assert_eq!(desk.table.len(), 1);

    assert_eq!(notices.try_recv().unwrap().task, task(1));
    let mut second = pin!(handler.run(&second_cx, Bytes::new()));
    assert!(poll(second.as_mut()).is_pending(), "the channel has room again");
    drop(notices);
    let (_third, third_cx) = attempt(owner(), task(3), 1);
    assert!(failed_at_once(&handler, &third_cx).contains("no longer"));
    desk.complete(task(2), Ok("known".into())).unwrap();
    assert!(matches!(poll(second), Poll::Ready(Ok(output)) if output == "known"));
}

#[test]
fn manual_attempts_beyond_the_limit_fail() {
    let (desk, handler, mut notices) = desk(MANUAL_ATTEMPTS + 1);
    let attempts: Vec<_> =
        (0..MANUAL_ATTEMPTS as u128).map(|number| attempt(owner(), task(number), 1)).collect();
    let mut runs: Vec<_> =
        attempts.iter().map(|(_, cx)| Box::pin(handler.run(cx, Bytes::new()))).collect();
    assert!(runs.iter_mut().all(|run| poll(run.as_mut()).is_pending()));

    let (_more, cx) = attempt(owner(), task(u128::MAX), 1);
    assert!(failed_at_once(&handler, &cx).contains(&MANUAL_ATTEMPTS.to_string()));
    assert_eq!(notices.len(), MANUAL_ATTEMPTS, "the program was not notified");
    runs.pop();
    let mut more = pin!(handler.run(&cx, Bytes::new()));
    assert!(poll(more.as_mut()).is_pending());
    assert_eq!(desk.table.len(), MANUAL_ATTEMPTS);
    assert!(notices.try_recv().is_ok());
}

#[test]
fn parameters_are_checked_against_the_description() {
    let (_desk, handler, mut notices) = desk(1);
    let to = ParamSpec::required("to", ParamKind::Text, "which language");
    let described = Description::new("Translates.").with_param(to);
    let handler = handler.with_description(described.clone());
    assert_eq!((handler.name(), handler.describe()), (NAME, described));
    let (_attempt, cx) = attempt(owner(), task(1), 1);
    let run = poll(pin!(handler.run(&cx, Bytes::new())));
    let Poll::Ready(Err(refused)) = run else { panic!("it waits") };
    assert!(matches!(refused.into_error(), HandlerError::BadParameter { .. }));
    assert!(notices.try_recv().is_err(), "the program was not notified");
}
