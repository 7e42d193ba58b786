//! Each debug handler.

use std::fs;

use bytes::Bytes;
use meshwork_core::{AttemptEnd, FailureCode};

use crate::{
    RegisterError, Registry,
    report::Report,
    testing::{Rig, failure, output, owner, with, work},
};

fn rig() -> Rig {
    Rig::new(Registry::new().with_debug(None).unwrap(), 1)
}

#[test]
fn noop_has_an_empty_output() {
    assert_eq!(output(rig().in_place(work("debug/noop", "something"))), "");
}

#[test]
fn echo_returns_its_input_without_a_copy() {
    let input = Bytes::from(vec![9; 100_000]);
    let echoed = output(rig().in_place(work("debug/echo", input.clone())));
    assert_eq!((echoed.as_ptr(), echoed.len()), (input.as_ptr(), input.len()));
}

#[test]
fn fail_fails_as_its_parameters_say() {
    let fail =
        |params: &[(&str, &str)]| failure(rig().in_place(with(work("debug/fail", ""), params)));
    let plain = fail(&[]);
    assert_eq!((plain.code, plain.exit), (FailureCode::Handler, None));
    assert!(plain.is_retryable());
    let chosen = fail(&[("message", "no luck"), ("permanent", "true"), ("exit", "3")]);
    assert_eq!((chosen.code, chosen.exit), (FailureCode::Permanent, Some(3)));
    assert_eq!(chosen.message, "no luck");
    assert_eq!(fail(&[("permanent", "false")]).code, FailureCode::Handler);
}

#[test]
fn panic_panics_with_the_given_message() {
    let failed = failure(rig().in_place(with(work("debug/panic", ""), &[("message", "alas")])));
    assert_eq!((failed.code, failed.message.as_str()), (FailureCode::Panicked, "alas"));
    assert_eq!(failure(rig().in_place(work("debug/panic", ""))).message, "panicked on request");
}

#[tokio::test]
async fn bad_parameters_are_refused() {
    let cases = [
        ("debug/noop", ("ms", "1"), "takes none"),
        ("debug/echo", ("ms", "1"), "takes none"),
        ("debug/sleep", ("s", "1"), "takes ms"),
        ("debug/sleep", ("ms", "soon"), "0 to 31536000000"),
        ("debug/sleep", ("ms", "18446744073709551615"), "0 to 31536000000"),
        ("debug/fail", ("exit", "0"), "1 to 123"),
        ("debug/fail", ("exit", "124"), "1 to 123"),
        ("debug/fail", ("permanent", "yes"), "true"),
        ("debug/panic", ("msg", ""), "takes message"),
    ];
    let mut rig = rig();
    for (handler, param, expected) in cases {
        let failure = failure(rig.run(with(work(handler, ""), &[param])).await);
        assert_eq!(failure.code, FailureCode::BadParameter, "{handler}");
        assert!(failure.message.contains(expected), "{handler}: {failure}");
    }
}

#[tokio::test]
async fn sleep_ends_after_its_time_or_when_cancelled() {
    let mut rig = rig();
    for ms in [1, 2, 3, 7] {
        let (began, time) = (std::time::Instant::now(), ms.to_string());
        assert_eq!(output(rig.run(with(work("debug/sleep", "x"), &[("ms", &time)])).await), "");
        assert!(began.elapsed() >= std::time::Duration::from_millis(ms), "{ms}");
    }
    let run = rig.start(with(work("debug/sleep", ""), &[("ms", "31536000000")]));
    rig.executor.stop(run);
    assert_eq!(rig.end_of(run).await, AttemptEnd::Cancelled);
}

#[tokio::test]
async fn long_sleep_reports_progress() {
    let mut rig = rig();
    let run = rig.start(with(work("debug/sleep", ""), &[("ms", "300")]));
    let Some(Report::Progress { run: of, fraction, message }) = rig.reports.recv().await else {
        panic!("no progress before the end")
    };
    assert_eq!(of, run);
    assert!((0.83..0.84).contains(&fraction), "{fraction}");
    assert_eq!(message, "slept 0.2 s of 0.3 s");
    assert_eq!(rig.end_of(run).await, AttemptEnd::Output(Bytes::new().into()));
}

#[tokio::test]
async fn executions_of_sleep_are_logged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("executions");
    fs::write(&path, "earlier\n").unwrap();
    let mut rig = Rig::new(Registry::new().with_debug(Some(path.clone())).unwrap(), 1);
    let work = with(work("debug/sleep", ""), &[("ms", "0")]);
    let line = format!("{} 3 {}\n", work.task, owner());
    assert_eq!(output(rig.run(work.clone()).await), "");
    assert_eq!(output(rig.run(work).await), "");
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("earlier\n{line}{line}"));
}

#[test]
fn error_names_a_log_that_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent").join("executions");
    let error = Registry::new().with_debug(Some(path.clone())).unwrap_err();
    assert!(matches!(&error, RegisterError::Log { .. }));
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}
