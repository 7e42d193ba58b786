//! Errors of handlers, and closures as handlers.

use std::io;

use meshwork_core::{FailureCode, TaskFailure, limits::MESSAGE_BYTES};

use crate::{
    Failure, Handler, HandlerError, OrFail, handler_fn,
    testing::{Rig, failure, output, work},
};

#[test]
fn each_handler_error_has_its_failure_code() {
    let not_text_owned = String::from_utf8(b"ab\xffc".to_vec()).unwrap_err();
    let not_text = not_text_owned.utf8_error();
    let cases = [
        (HandlerError::failed("may pass"), FailureCode::Handler, true, "may pass"),
        (HandlerError::permanent("never"), FailureCode::Permanent, false, "never"),
        (
            HandlerError::bad_parameter("n", "at most 3"),
            FailureCode::BadParameter,
            false,
            "parameter \"n\": at most 3",
        ),
        (HandlerError::bad_input("not CSV"), FailureCode::BadInput, false, "not CSV"),
        (
            not_text.into(),
            FailureCode::BadInput,
            false,
            "the input is not UTF-8 text: invalid from byte 2 on",
        ),
        (
            not_text_owned.into(),
            FailureCode::BadInput,
            false,
            "the input is not UTF-8 text: invalid from byte 2 on",
        ),
        (
            HandlerError::OutputTooLarge,
            FailureCode::OutputTooLarge,
            false,
            "the output exceeds the limit of 1048576 bytes",
        ),
        (io::Error::other("no disk").into(), FailureCode::Handler, true, "no disk"),
        (HandlerError::Stopped, FailureCode::Handler, true, "stopped before it finished"),
    ];
    for (error, code, retryable, message) in cases {
        assert_eq!(error.code(), code);
        assert_eq!(error.is_retryable(), retryable);
        let failure = TaskFailure::from(error);
        assert_eq!((failure.code, failure.message.as_str()), (code, message));
        assert_eq!((failure.exit, failure.worker), (None, None));
    }
}

#[test]
fn exit_code_in_range_is_kept_for_failed_and_permanent() {
    let exit = |error: HandlerError, code| TaskFailure::from(error.with_exit(code)).exit;
    assert_eq!(exit(HandlerError::failed(""), 1), Some(1));
    assert_eq!(exit(HandlerError::permanent(""), 123), Some(123));
    assert_eq!(exit(HandlerError::failed(""), 0), None);
    assert_eq!(exit(HandlerError::failed(""), 124), None);
    assert_eq!(exit(HandlerError::bad_input(""), 3), None);
}

#[test]
fn long_message_is_cut() {
    let failure = TaskFailure::from(HandlerError::failed("é".repeat(MESSAGE_BYTES)));
    assert_eq!(failure.message, "é".repeat(MESSAGE_BYTES / 2));
}

#[tokio::test]
async fn closure_works_as_a_handler() {
    let shout = handler_fn("test/shout", |cx, input| async move {
        let mark: String = cx.param("mark")?.unwrap_or_else(|| "!".to_owned());
        Ok(format!("{}{mark}", str::from_utf8(&input)?.to_uppercase()).into())
    });
    assert_eq!(shout.name(), "test/shout");
    assert!(!shout.is_instant(0));
    assert_eq!(format!("{shout:?}"), "HandlerFn { name: \"test/shout\", .. }");
    let mut rig = Rig::of(shout);
    assert_eq!(output(rig.run(work("test/shout", "hey")).await), "HEY!");
    let failure = failure(rig.run(work("test/shout", &b"\xff"[..])).await);
    assert_eq!(failure.code, FailureCode::BadInput);
}

/// A user's error type, with a source.
#[derive(Debug, thiserror::Error)]
#[error("the recipe is unusable")]
struct Recipe(#[source] std::num::ParseIntError);

/// Converts the error of `result` with `?`.
fn question_mark<T, E>(result: Result<T, E>) -> Failure
where
    Failure: From<E>,
{
    let run = || -> Result<(), Failure> {
        result?;
        Ok(())
    };
    run().unwrap_err()
}

#[test]
fn any_error_becomes_a_failure_with_its_code() {
    let parse = || "x".parse::<u8>();
    let io = || Err::<(), _>(io::Error::other("no disk"));
    let json = serde_json::from_str::<u8>("{");
    let own = Err::<(), _>(Recipe(parse().unwrap_err()));
    let typed = Err::<(), _>(HandlerError::bad_parameter("n", "no"));
    for (failure, code, message) in [
        (question_mark(parse()), FailureCode::Handler, "invalid digit found in string"),
        (question_mark(parse().permanent()), FailureCode::Permanent, "invalid digit"),
        (question_mark(own), FailureCode::Handler, "unusable: invalid digit found in string"),
        (question_mark(json), FailureCode::Handler, "expected u8"),
        (question_mark(io()), FailureCode::Handler, "no disk"),
        (question_mark(io().permanent()), FailureCode::Permanent, "no disk"),
        (question_mark(String::from_utf8(vec![0xff])), FailureCode::BadInput, "not UTF-8"),
        (question_mark(typed), FailureCode::BadParameter, "\"n\""),
    ] {
        let failure = TaskFailure::from(failure);
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.message.contains(message), "{failure}");
    }
    let failure = Failure::new("no").permanent().with_exit(3);
    assert_eq!(failure.to_string(), "no");
    assert_eq!(TaskFailure::from(failure).exit, Some(3));
}

#[tokio::test]
async fn closure_can_fail_with_any_error() {
    let handler = handler_fn("test/number", |_cx, input| async move {
        let number: u32 = str::from_utf8(&input)?.parse().permanent()?;
        let half: u32 = serde_json::from_str(&(number / 2).to_string())?;
        Ok(half.to_string().into())
    });
    let mut rig = Rig::of(handler);
    assert_eq!(output(rig.run(work("test/number", "8")).await), "4");
    assert_eq!(failure(rig.run(work("test/number", "x")).await).code, FailureCode::Permanent);
}
