//! Parameters of a task, and the throttling of progress.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use meshwork_core::{engine::RunId, limits::MESSAGE_BYTES};
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::progress::{Due, Offered, Progress, Step, Throttle};
use crate::{
    HandlerError, ParamKind, ParamSpec, Report, TaskContext,
    limits::PROGRESS_INTERVAL,
    testing::{attempt, context, progress},
};

fn why(error: HandlerError) -> String {
    assert!(matches!(error, HandlerError::BadParameter { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn parameter_is_parsed_into_its_type() {
    let cx = context(&[("n", "12"), ("word", "twelve")]);
    assert_eq!(cx.param::<u32>("n").unwrap(), Some(12));
    assert_eq!(cx.param::<String>("word").unwrap().as_deref(), Some("twelve"));
    assert_eq!(cx.param::<u32>("absent").unwrap(), None);
    assert_eq!(
        why(cx.param::<u32>("word").unwrap_err()),
        "parameter \"word\": invalid digit found in string: \"twelve\""
    );
    assert_eq!(cx.params().len(), 2);
}

const COUNT: ParamSpec =
    ParamSpec::with_default("count", ParamKind::Integer { min: -1, max: 12 }, "7", "how often");
const WORD: ParamSpec = ParamSpec::required("word", ParamKind::Text, "which word");
const MODE: ParamSpec = ParamSpec::optional(
    "mode",
    ParamKind::Choice { of: Cow::Borrowed(&[Cow::Borrowed("fast"), Cow::Borrowed("slow")]) },
    "how fast",
);

#[test]
fn value_is_the_given_one_or_the_default() {
    let cx = context(&[("word", "12")]);
    assert_eq!(cx.value::<u8>(&WORD).unwrap(), 12);
    assert_eq!(cx.value::<u8>(&COUNT).unwrap(), 7);
    assert_eq!(context(&[("count", "-1")]).value::<i8>(&COUNT).unwrap(), -1);
    assert_eq!(
        why(cx.value::<String>(&MODE).unwrap_err()),
        "parameter \"mode\": missing; how fast"
    );
}

#[test]
fn parameters_are_checked_against_their_specs() {
    let check = |params: &[(&str, &str)]| context(params).check_params(&[COUNT, WORD, MODE]);
    check(&[("word", "")]).unwrap();
    for given in [("count", "-1"), ("count", "12"), ("mode", "fast"), ("mode", "slow")] {
        check(&[("word", "a"), given]).unwrap();
    }
    assert_eq!(why(check(&[]).unwrap_err()), "parameter \"word\": missing; which word");
    let cases = [
        (("count", "13"), "a whole number, -1 to 12, not \"13\""),
        (("count", "1.0"), "a whole number, -1 to 12, not \"1.0\""),
        (("count", "99999999999999999999"), "a whole number, -1 to 12"),
        (("mode", ""), "fast or slow, not \"\""),
        (("more", "1"), "unknown; this handler takes count, word, mode"),
    ];
    for (given, expected) in cases {
        let refused = why(check(&[("word", "a"), given]).unwrap_err());
        assert!(refused.contains(given.0) && refused.contains(expected), "{refused}");
    }
}

#[test]
fn unknown_parameter_error_lists_known_parameters() {
    let cx = context(&[("m", "1"), ("n", "2")]);
    cx.expect_params(&["n", "m", "o"]).unwrap();
    assert_eq!(
        why(cx.expect_params(&["n", "o"]).unwrap_err()),
        "parameter \"m\": unknown; this handler takes n, o"
    );
    assert_eq!(
        why(cx.expect_params(&[]).unwrap_err()),
        "parameter \"m\": unknown; this handler takes none"
    );
}

#[test]
fn first_report_is_sent_at_once_and_none_after_the_end() {
    let (attempt, mut reports) = attempt(&[]);
    let cx = TaskContext::new(attempt.clone());
    cx.progress(0.25, "a quarter");
    assert_eq!(progress(reports.try_recv().unwrap()), (RunId(1), 0.25, "a quarter".to_owned()));
    attempt.close_progress();
    cx.progress(1.0, "all");
    assert!(reports.try_recv().is_err());
}

#[test]
fn reports_after_the_close_are_dropped_without_blocking() {
    let (attempt, mut reports) = attempt(&[]);
    for _ in 0..100 {
        attempt.report(0.5, "again");
        // Drops all later reports.
        attempt.close_progress();
    }
    assert!(reports.try_recv().is_ok());
}

#[test]
fn progress_into_a_full_channel_is_dropped_without_blocking() {
    let (sender, mut reports) = mpsc::channel(1);
    for run in 1..=100 {
        Progress::new(sender.clone(), None).report(RunId(run), 0.5, "half");
    }
    let first = reports.try_recv();
    assert!(matches!(first, Ok(Report::Progress { run: RunId(1), .. })), "{first:?}");
    assert!(reports.try_recv().is_err());
}

#[test]
fn progress_step_is_clamped() {
    let fraction = |fraction| Step::new(fraction, "").fraction;
    assert_eq!(fraction(f32::NAN), 0.0);
    assert_eq!(fraction(f32::NEG_INFINITY), 0.0);
    assert_eq!(fraction(-0.1), 0.0);
    assert_eq!(fraction(0.3), 0.3);
    assert_eq!(fraction(1.1), 1.0);
    assert_eq!(fraction(f32::INFINITY), 1.0);

    let long = format!("{}ßß", "x".repeat(MESSAGE_BYTES - 1));
    assert_eq!(Step::new(0.0, &long).message, "x".repeat(MESSAGE_BYTES - 1));
}

fn step(fraction: f32) -> Step {
    Step::new(fraction, "")
}

#[test]
fn latest_held_back_step_follows_after_the_interval() {
    let start = Instant::now();
    let mut throttle = Throttle::new(None);
    assert_eq!(throttle.due(start), Due::Nothing);
    assert_eq!(throttle.offer(start, step(0.1)), Offered::Send(step(0.1)));
    assert_eq!(throttle.offer(start, step(0.2)), Offered::Held);
    let later = start + PROGRESS_INTERVAL / 4;
    assert_eq!(throttle.offer(later, step(0.3)), Offered::Held);
    assert_eq!(throttle.due(later), Due::After(PROGRESS_INTERVAL - PROGRESS_INTERVAL / 4));
    let over = start + PROGRESS_INTERVAL;
    assert_eq!(throttle.due(over), Due::Now(step(0.3)));
    assert_eq!(throttle.due(over), Due::Nothing);
    assert_eq!(throttle.offer(over, step(0.4)), Offered::Held, "a new interval has begun");
    assert_eq!(throttle.close(), Some(step(0.4)));
    assert_eq!(throttle.offer(over + PROGRESS_INTERVAL, step(0.5)), Offered::Closed);
}

#[test]
fn newer_step_replaces_the_held_back_one() {
    let start = Instant::now();
    let mut throttle = Throttle::new(Some(start + PROGRESS_INTERVAL));
    assert_eq!(throttle.offer(start, step(0.1)), Offered::Held);
    let over = start + PROGRESS_INTERVAL;
    assert_eq!(throttle.offer(over, step(0.2)), Offered::Send(step(0.2)));
    assert_eq!(throttle.due(over + PROGRESS_INTERVAL), Due::Nothing);
}

proptest! {
    #[test]
    fn at_most_one_step_is_sent_per_interval(gaps in prop::collection::vec((0_u64..150, any::<bool>()), 1..60)) {
        let mut now = Instant::now();
        let mut throttle = Throttle::new(None);
        let mut sent: Vec<Instant> = Vec::new();
        for (nth, (gap, offer)) in gaps.into_iter().enumerate() {
            now += Duration::from_millis(gap);
            let goes_out = if offer {
                matches!(throttle.offer(now, step(nth as f32)), Offered::Send(_))
            } else {
                matches!(throttle.due(now), Due::Now(_))
            };
            if goes_out {
                prop_assert!(sent.last().is_none_or(|last| now - *last >= PROGRESS_INTERVAL));
                sent.push(now);
            }
        }
    }
}
