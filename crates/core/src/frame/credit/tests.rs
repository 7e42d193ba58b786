//! Number of attempts that a credit allows at once.

use std::time::Duration;

use super::{Credit, Load};
use crate::limits;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Number of attempts with run time `each` that an owner sends before the first result.
fn window(credit: Credit, each: Option<Duration>) -> u32 {
    let mut load = Load::default();
    while credit.allows(&load, 0, each) {
        load.tasks += 1;
        load.time += each.unwrap_or_default();
    }
    load.tasks
}

fn at(round_trip: Duration) -> Credit {
    Credit::for_slots(4, limits::CREDIT_TASKS, round_trip)
}

#[test]
fn nearby_only_short_tasks_wait_at_the_worker() {
    let near = at(Duration::ZERO);
    assert_eq!(window(near, None), 5);
    assert_eq!(window(near, Some(ms(5))), 40, "50 ms for each of four slots");
    assert_eq!(window(near, Some(ms(51))), 4);
    assert_eq!(window(near, Some(ms(10_000))), 4);
}

#[test]
fn window_covers_the_round_trip_for_every_run_time() {
    for round_trip in [10u32, 50, 100, 300, 600] {
        for each in [1u32, 5, 10, 50, 51, 100, 300, 1_000] {
            // Idle time below 1/32 of a run is accepted.
            let rounds = if each >= 32 * round_trip { 0 } else { round_trip.div_ceil(each) };
            let (rtt, run) = (ms(round_trip.into()), ms(each.into()));
            let window = window(at(rtt), Some(run));
            assert!(window >= 4 * (1 + rounds), "{round_trip} {each}: {window}");
            let short = if each <= 50 { 200 / each } else { 0 };
            let most = 4 * (1 + rounds + rounds.div_ceil(4)) + short;
            assert!(window <= most, "{round_trip} {each}: {window} of {most}");
        }
    }
}

#[test]
fn window_for_unknown_run_time_grows_with_round_trip() {
    assert_eq!(window(at(ms(2)), None), 8);
    assert!(window(at(ms(300)), None) >= 4 * (1 + 30));
}

#[test]
fn long_tasks_are_not_sent_ahead_for_a_short_round_trip() {
    assert_eq!(window(at(ms(10)), Some(ms(500))), 4);
}

#[test]
fn absurd_round_trip_is_bounded() {
    let credit = at(Duration::MAX / 4).clamped();
    assert_eq!(window(credit, Some(ms(1_000))), 4 + 4, "one more round of one second");
    let huge = Credit { slots: u32::MAX, time: Duration::MAX, ..credit }.clamped();
    assert!(window(huge, Some(ms(1_000))) <= limits::CREDIT_TASKS);
    let none = Credit { slots: 0, tasks: 0, ..credit };
    assert_eq!(window(none, Some(ms(1_000))), 0, "a draining worker");
}

#[test]
fn credit_for_one_attempt_allows_exactly_one() {
    for each in [None, Some(ms(1)), Some(ms(1_000))] {
        assert_eq!(window(Credit::for_one_attempt(), each), 1);
    }
}

#[test]
fn long_task_behind_short_ones_counts_its_own_time() {
    let credit = at(ms(100));
    let load = Load { tasks: 12, bytes: 0, time: ms(12) };
    assert!(credit.allows(&load, 0, Some(ms(1))));
    assert!(!credit.allows(&load, 0, Some(ms(1_000))), "two rounds of it exceed 100 ms");
}
