//! The executor with well-behaved and misbehaving handlers.
//!
//! With paused time, a limit or a grace passes at once when the test's runtime is idle; handlers run
//! outside of that runtime.

use std::{
    panic::panic_any,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use meshwork_core::{AttemptEnd, FailureCode, engine::RunId, limits::INLINE_BYTES};
use tokio::sync::{mpsc, oneshot};

use super::Executor;
use crate::{
    Failure, Handler, HandlerError, Registry, Report, TaskContext, handler_fn,
    testing::{self, Rig, failure, output, owner, work},
};

mod blocking;
mod running;
mod stop;

/// A handler that declares itself instant, and calls a function.
struct Instant<F>(F);

impl<F> Handler for Instant<F>
where
    F: Fn(Bytes) -> Result<Bytes, HandlerError> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        "test/instant"
    }

    async fn run(&self, _cx: &TaskContext, input: Bytes) -> Result<Bytes, Failure> {
        Ok((self.0)(input)?)
    }

    fn is_instant(&self, _input_len: usize) -> bool {
        true
    }
}

#[test]
fn instant_handler_ends_in_place_without_a_runtime() {
    let mut rig = Rig::of(Instant(Ok));
    let input = Bytes::from(vec![1, 2, 3]);
    let echoed = output(rig.in_place(work("test/instant", input.clone())));
    assert_eq!(echoed.as_ptr(), input.as_ptr(), "no copy");
}

#[test]
fn handler_that_is_not_instant_fails_without_a_runtime() {
    let mut rig = Rig::of(handler_fn("test/slow", |_cx, input| async { Ok(input) }));
    let failure = failure(rig.in_place(work("test/slow", "")));
    assert_eq!(failure.code, FailureCode::Handler);
    assert!(failure.message.contains("runtime"), "{failure}");
}

#[tokio::test]
async fn handler_that_is_not_instant_ends_with_a_report() {
    let mut rig = Rig::of(handler_fn("test/slow", |_cx, input| async { Ok(input) }));
    let run = rig.start(work("test/slow", "some"));
    assert_eq!(rig.end_of(run).await, AttemptEnd::Output("some".into()));
}

#[test]
fn unknown_handler_error_lists_available_handlers() {
    let mut rig = Rig::new(Registry::new().with_debug(None).unwrap(), 1);
    let failure = failure(rig.in_place(work("debug/nap", "")));
    assert_eq!(failure.code, FailureCode::UnknownHandler);
    assert!(!failure.is_retryable());
    assert_eq!(
        failure.message,
        "no handler debug/nap on this node; available: debug/echo, debug/fail, debug/noop, debug/pack, \
         debug/panic, debug/sleep"
    );
}

#[tokio::test]
async fn panic_in_place_fails_only_its_attempt() {
    let mut rig = Rig::of(Instant(|input: Bytes| match input.as_ref() {
        b"text" => panic!("in place"),
        b"other" => panic_any(7),
        _ => Ok(input),
    }));
    let first = failure(rig.in_place(work("test/instant", "text")));
    assert_eq!((first.code, first.message.as_str()), (FailureCode::Panicked, "in place"));
    assert!(first.is_retryable());
    let second = failure(rig.in_place(work("test/instant", "other")));
    assert!(second.message.contains("not text"), "{second}");
    assert_eq!(output(rig.in_place(work("test/instant", "fine"))), "fine");
}

#[tokio::test]
async fn panic_on_the_pool_fails_only_its_attempt() {
    let panicking = |_cx: TaskContext, input: Bytes| async move {
        assert!(input.is_empty(), "{} bytes on the pool", input.len());
        Ok(Bytes::new())
    };
    let mut rig = Rig::of(handler_fn("test/panic", panicking));
    let failure = failure(rig.run(work("test/panic", "12")).await);
    assert_eq!(failure.code, FailureCode::Panicked);
    assert_eq!(failure.message, "2 bytes on the pool");
    assert_eq!(output(rig.run(work("test/panic", "")).await), "");
}

#[test]
fn panic_in_is_instant_fails_the_attempt() {
    struct Undecided;
    impl Handler for Undecided {
        fn name(&self) -> &str {
            "test/undecided"
        }
        async fn run(&self, _cx: &TaskContext, input: Bytes) -> Result<Bytes, Failure> {
            Ok(input)
        }
        fn is_instant(&self, _input_len: usize) -> bool {
            panic!("cannot say")
        }
    }
    let failure = failure(Rig::of(Undecided).in_place(work("test/undecided", "")));
    assert_eq!((failure.code, failure.message.as_str()), (FailureCode::Panicked, "cannot say"));
}

#[tokio::test]
async fn oversized_output_fails_the_attempt() {
    let fill = |_cx: TaskContext, input: Bytes| async move {
        let more: usize = str::from_utf8(&input)?.parse().unwrap();
        Ok(vec![0; INLINE_BYTES + more].into())
    };
    let mut rig = Rig::of(handler_fn("test/fill", fill));
    assert_eq!(output(rig.run(work("test/fill", "0")).await).len(), INLINE_BYTES);
    let on_pool = failure(rig.run(work("test/fill", "1")).await);
    assert_eq!(on_pool.code, FailureCode::OutputTooLarge);
    assert!(on_pool.message.contains("1048576 bytes"), "{on_pool}");

    let mut rig = Rig::of(Instant(|_| Ok(vec![0; INLINE_BYTES + 1].into())));
    let in_place = failure(rig.in_place(work("test/instant", "")));
    assert_eq!(in_place.code, FailureCode::OutputTooLarge);
}

#[tokio::test]
async fn pending_instant_handler_continues_on_the_pool() {
    struct NotSoInstant(Arc<AtomicUsize>);
    impl Handler for NotSoInstant {
        fn name(&self) -> &str {
            "test/pending"
        }
        async fn run(&self, cx: &TaskContext, input: Bytes) -> Result<Bytes, Failure> {
            let thread = std::thread::current().id();
            self.0.fetch_add(1, Ordering::SeqCst);
            cx.progress(0.5, "in place");
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            assert_ne!(thread, std::thread::current().id());
            Ok(input)
        }
        fn is_instant(&self, _input_len: usize) -> bool {
            true
        }
    }
    let starts = Arc::new(AtomicUsize::new(0));
    let mut rig = Rig::of(NotSoInstant(Arc::clone(&starts)));
    for expected in 1..=2 {
        let run = rig.start(work("test/pending", "kept"));
        let progress = rig.reports.recv().await.unwrap();
        assert_eq!(testing::progress(progress), (run, 0.5, "in place".to_owned()));
        assert_eq!(output(rig.end_of(run).await), "kept");
        assert_eq!(starts.load(Ordering::SeqCst), expected);
    }
}

#[tokio::test]
async fn handler_sees_its_attempt() {
    let describe = |cx: TaskContext, _input: Bytes| async move {
        let left = cx.deadline().map(|at| at.saturating_duration_since(std::time::Instant::now()));
        assert!(left.is_some_and(|left| left <= Duration::from_secs(600)));
        assert!(!cx.is_cancelled());
        Ok(format!("{} {} {}", cx.task(), cx.attempt(), cx.peer()).into())
    };
    let mut rig = Rig::of(handler_fn("test/describe", describe));
    let mut work = work("test/describe", "");
    work.limit = Some(Duration::from_secs(600));
    let expected = format!("{} 3 {}", work.task, owner());
    assert_eq!(output(rig.run(work).await), expected);
}

#[tokio::test]
async fn limit_beyond_the_clock_sets_no_deadline() {
    let deadline = |cx: TaskContext, _input: Bytes| async move {
        assert_eq!(cx.deadline(), None);
        Ok(Bytes::new())
    };
    let mut rig = Rig::of(handler_fn("test/deadline", deadline));
    let mut work = work("test/deadline", "");
    work.limit = Some(Duration::MAX);
    assert_eq!(output(rig.run(work).await), "");
}

#[tokio::test]
async fn latest_progress_comes_before_the_end() {
    let steps = |cx: TaskContext, _input: Bytes| async move {
        cx.progress(0.1, "first");
        cx.progress(0.2, "second");
        cx.progress(7.0, "last");
        Ok(Bytes::new())
    };
    let mut rig = Rig::of(handler_fn("test/steps", steps));
    let run = rig.start(work("test/steps", ""));
    let mut seen = Vec::new();
    while let Some(Report::Progress { run: of, fraction, message }) = rig.reports.recv().await {
        assert_eq!(of, run);
        seen.push((fraction, message));
    }
    assert_eq!(seen.first(), Some(&(0.1, "first".to_owned())));
    assert_eq!(seen.last(), Some(&(1.0, "last".to_owned())));
}

#[tokio::test]
async fn held_back_progress_follows_while_the_handler_runs() {
    let (release, released) = oneshot::channel::<()>();
    let released = Arc::new(tokio::sync::Mutex::new(Some(released)));
    let steps = move |cx: TaskContext, _input: Bytes| {
        let released = Arc::clone(&released);
        async move {
            cx.progress(0.1, "first");
            cx.progress(0.2, "second");
            let released = released.lock().await.take().unwrap();
            released.await.unwrap();
            Ok(Bytes::new())
        }
    };
    let mut rig = Rig::of(handler_fn("test/steps", steps));
    let run = rig.start(work("test/steps", ""));
    for expected in ["first", "second"] {
        let report = rig.reports.recv().await.unwrap();
        assert!(matches!(&report, Report::Progress { message, .. } if message == expected));
    }
    release.send(()).unwrap();
    assert_eq!(output(rig.end_of(run).await), "");
}

#[tokio::test]
async fn every_end_arrives_through_a_full_channel() {
    let (sender, mut reports) = mpsc::channel(1);
    let mut registry = Registry::new();
    let busy = |cx: TaskContext, input: Bytes| async move {
        cx.progress(0.5, "half");
        Ok(input)
    };
    registry.register(handler_fn("test/busy", busy)).unwrap();
    let mut executor = Executor::new(registry, 2, sender, None).unwrap();
    for run in 0..20 {
        assert!(executor.start(RunId(run), owner(), work("test/busy", "")).is_none());
    }
    let mut ended = Vec::new();
    while ended.len() < 20 {
        match reports.recv().await.unwrap() {
            Report::Ended(end) => ended.push(end.run.0),
            Report::Progress { .. } => {}
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, (0..20).collect::<Vec<_>>());
}
