//! The makespan of batches of tasks: on a distant worker compared with the ideal, and on several
//! workers compared with list scheduling. In virtual time, so the figures are equal on every
//! machine.

use std::time::Duration;

use meshwork_sim::{Failure, Makespan};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `took` in permille of `least`.
fn permille(took: Duration, least: Duration) -> u128 {
    took.as_micros() * 1_000 / least.as_micros()
}

#[test]
fn slots_stay_busy_over_a_distance() {
    for round_trip in [0, 1, 10, 50, 100, 300, 600] {
        for (tasks, each) in [(400, 10), (400, 50), (200, 100), (66, 300), (20, 1_000)] {
            let run_times = vec![ms(each); tasks];
            let one = Makespan { one_way: vec![ms(round_trip) / 2], slots: 4, run_times };
            let (took, ideal) = (one.measure(1).unwrap(), one.list_schedule());
            let most = ideal * 11 / 10 + ms(round_trip);
            assert!(took <= most, "{round_trip} ms, {tasks} of {each} ms: {took:?}, most {most:?}");
        }
    }
}

/// Different loads of about 800 tasks of 100 ms.
fn loads() -> Vec<(&'static str, Vec<Duration>)> {
    let mut state = 1u64;
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ms(20 + (state >> 33) % 160)
    };
    let one_in_twenty = |at: usize| if at % 20 == 7 { ms(1_000) } else { ms(60) };
    let long_first = |at: usize| if at < 16 { ms(1_500) } else { ms(80) };
    vec![
        ("equal", vec![ms(100); 800]),
        ("uniform", (0..800).map(|_| uniform()).collect()),
        ("one in twenty long", (0..800).map(one_in_twenty).collect()),
        ("sixteen long first", (0..800).map(long_first).collect()),
        ("short", vec![ms(10); 4_000]),
    ]
}

/// The worst makespan of all loads on four workers of four slots, in permille of list scheduling.
fn worst(one_way: [Duration; 4]) -> Result<(u128, &'static str), Failure> {
    let mut worst = (0, "");
    for (name, run_times) in loads() {
        let four = Makespan { one_way: one_way.to_vec(), slots: 4, run_times };
        worst = worst.max((permille(four.measure(1)?, four.list_schedule()), name));
    }
    Ok(worst)
}

#[test]
fn workers_side_by_side_are_as_good_as_list_scheduling() {
    let worst = worst([Duration::from_micros(150); 4]).unwrap();
    assert!(worst.0 <= 1_020, "{worst:?}");
}

#[test]
fn distant_workers_cost_a_tenth_at_most() {
    let worst = worst([ms(0), ms(0), ms(50), ms(50)]).unwrap();
    assert!(worst.0 <= 1_100, "{worst:?}");
}
