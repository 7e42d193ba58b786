use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn few_run_times_give_no_percentile() {
    let mut tail = Tail::default();
    for _ in 1..limits::TAIL_LEAST {
        tail.add_ended(ms(1));
    }
    assert_eq!(tail.p95(), None);
    tail.add_ended(ms(1));
    assert!(tail.p95().is_some());
}

#[test]
fn old_run_times_are_forgotten() {
    let mut tail = Tail::default();
    for _ in 0..10 * limits::TAIL_MEMORY {
        tail.add_ended(ms(1_000));
    }
    for _ in 0..6 * limits::TAIL_MEMORY {
        tail.add_ended(ms(1));
    }
    assert!(tail.p95().unwrap() < ms(2));
}

#[test]
fn extreme_run_times_are_clamped() {
    let mut tail = Tail::default();
    for _ in 0..limits::TAIL_LEAST {
        tail.add_ended(Duration::MAX);
    }
    assert!(tail.p95().unwrap() > limits::MAX_SERVICE_TIME);
    assert!(tail.p95().unwrap() < limits::MAX_SERVICE_TIME * 2);
}

/// A long tail in which only short attempts end.
#[test]
fn attempts_given_up_count_as_longer_ones() {
    let mut tail = Tail::default();
    for time in 1..=100 {
        // Every second attempt beyond 40 ms is given up at 40 ms.
        if time > 40 && time % 2 == 0 {
            tail.add_given_up(ms(40))
        } else {
            tail.add_ended(ms(time))
        }
    }
    let p95 = tail.p95().unwrap();
    assert!(p95 > ms(90) && p95 < ms(110), "{p95:?}");
}

#[test]
fn hanging_attempts_do_not_raise_the_percentile() {
    let mut tail = Tail::default();
    for round in 0..10_000 {
        if round % 5 == 0 { tail.add_given_up(ms(round)) } else { tail.add_ended(ms(20)) }
    }
    assert!(tail.p95().unwrap() < ms(25));
}

#[test]
fn attempts_given_up_alone_give_no_percentile() {
    let mut tail = Tail::default();
    for _ in 0..100 {
        tail.add_given_up(ms(1));
    }
    assert_eq!(tail.p95(), None);
}

proptest! {
    #[test]
    fn percentile_exceeds_exact_value_by_at_most_an_eighth(times in prop::collection::vec(0u64..100_000_000_000, 20..1_024)) {
        let mut tail = Tail::default();
        for time in &times {
            tail.add_ended(Duration::from_micros(*time));
        }
        let mut sorted = times;
        sorted.sort_unstable();
        let exact = sorted[sorted.len() - 1 - sorted.len() / 20].min(limits::MAX_SERVICE_TIME.as_micros() as u64);
        let found = tail.p95().unwrap().as_micros() as u64;
        prop_assert!(found > exact, "{found} is not above {exact}");
        prop_assert!(found <= exact + exact / 8 + 1, "{found} is far from {exact}");
    }
}
