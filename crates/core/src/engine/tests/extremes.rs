//! Limits, retries and priorities at their extremes (W-15): a task is refused with the name of its
//! field, or runs and ends like any other.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{FailureCode, RetryPolicy, TaskFailure, TaskLimits, limits};

/// Zero, short times, about a year, and the longest time.
fn time() -> impl Strategy<Value = Duration> {
    let year = limits::MAX_TIME_LIMIT;
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        (0..100_000u64).prop_map(Duration::from_millis),
        Just(year),
        Just(year + Duration::from_nanos(1)),
        any::<u64>().prop_map(Duration::from_millis),
        Just(Duration::MAX),
    ]
}

fn count() -> impl Strategy<Value = u32> {
    let most = limits::MAX_ATTEMPTS;
    prop_oneof![0..5u32, Just(most), Just(most + 1), Just(u32::MAX), any::<u32>()]
}

fn extreme() -> impl Strategy<Value = Task> {
    let limit = || proptest::option::of(time());
    let priority = prop_oneof![Just(i8::MIN), Just(i8::MAX), any::<i8>()];
    let limits = (limit(), limit(), limit());
    let retry = (count(), count(), time(), time());
    (limits, retry, priority).prop_map(|((queue, attempt, total), retry, priority)| {
        let (attempts, crashes, backoff, max_backoff) = retry;
        Task {
            limits: TaskLimits { queue, attempt, total },
            retry: RetryPolicy { attempts, crashes, backoff, max_backoff, hedge: true },
            priority,
            ..task("text/a")
        }
    })
}

/// The field that the refusal must name, if any.
fn wrong(task: &Task) -> Option<&'static str> {
    let year = limits::MAX_TIME_LIMIT;
    let bad = |limit: Option<Duration>| limit.is_some_and(|l| l.is_zero() || l > year);
    let count = |count: u32| count == 0 || count > limits::MAX_ATTEMPTS;
    let Task { limits, retry, .. } = task;
    [
        (bad(limits.queue), "limits.queue"),
        (bad(limits.attempt), "limits.attempt"),
        (bad(limits.total), "limits.total"),
        (count(retry.attempts), "retry.attempts"),
        (count(retry.crashes), "retry.crashes"),
        (retry.backoff > year || retry.max_backoff > year, "retry.backoff"),
    ]
    .into_iter()
    .find_map(|(bad, field)| bad.then_some(field))
}

/// Fails and loses attempts at a task and advances time, until the task ends.
fn run_to_end(task: &Task) {
    let mut net = Net::connected(&[1]);
    let id = net.submit(task.clone());
    for round in 0..3 * limits::MAX_ATTEMPTS {
        if net.end(id).is_some() {
            break;
        }
        match round % 3 {
            0 if !net.nodes[1].running.is_empty() => {
                let failure = TaskFailure::new(FailureCode::Handler, "x");
                net.finish(1, AttemptEnd::Failed(failure));
            }
            1 => net.restart(1),
            _ => {
                net.now = net.now + limits::MAX_TIME_LIMIT + limits::MAX_TIME_LIMIT;
                net.feed(1, Input::Tick);
                net.feed(0, Input::Tick);
                net.settle();
            }
        }
        net.connect(0, 1);
    }
    let by = crate::CancelledBy::Submitter;
    net.feed(0, Input::Cancel { id, by, reason: String::new(), token: Token(9) });
    net.settle();
    assert!(net.end(id).is_some());
    let accounts = net.nodes[0].engine.accounts();
    assert_eq!((accounts.queued, accounts.running), (0, 0));
}

proptest! {
    #[test]
    fn extreme_task_is_refused_by_field_or_ends(task in extreme()) {
        match (task.check(), wrong(&task)) {
            (Ok(()), None) => run_to_end(&task),
            (Err(refused), Some(field)) => prop_assert!(refused.to_string().starts_with(field)),
            (checked, field) => prop_assert!(false, "{checked:?} for {field:?}"),
        }
    }

    /// A start reads unchecked tasks from the journal: no limit in it overflows the clock.
    #[test]
    fn unchecked_extreme_task_does_not_overflow(task in extreme()) {
        run_to_end(&task);
    }
}

#[test]
fn assignments_with_extreme_limits_run_and_end() {
    let mut net = Net::connected(&[4]);
    net.submit(task("text/a"));
    let (_, owner, work) = net.nodes[1].running[0].clone();
    for (number, limit) in [(2, Some(Duration::ZERO)), (3, Some(Duration::MAX)), (4, None)] {
        let epoch = crate::Epoch { boot: 1, number };
        let (attempt, priority) = (u32::MAX, if number == 3 { i8::MIN } else { i8::MAX });
        let work = Assignment { epoch, limit, attempt, priority, ..(*work).clone() };
        let frames = vec![ToWorker::Assign(Box::new(work))];
        net.feed(1, Input::FromOwner { peer: owner, frames });
    }
    for _ in 0..4 {
        net.finish(1, output("x"));
    }
    assert_eq!(net.nodes[1].engine.accounts().held, 0);
}
