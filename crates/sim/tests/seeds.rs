//! The default scenario from two thousand seeds, and from those that once found something.

use meshwork_sim::{Faults, Scenario};

/// Seeds that once broke an invariant, one on a line, with what it was.
const KEPT: &str = include_str!("kept_seeds.txt");

/// Runs every fourth seed, so that the four tests below share the work.
fn quarter(first: u64) {
    for seed in (first..2_000).step_by(4) {
        if let Err(failure) = Scenario::default().run(seed) {
            panic!("{failure}");
        }
    }
}

#[test]
fn everything_holds_first_quarter() {
    quarter(0);
}

#[test]
fn everything_holds_second_quarter() {
    quarter(1);
}

#[test]
fn everything_holds_third_quarter() {
    quarter(2);
}

#[test]
fn everything_holds_fourth_quarter() {
    quarter(3);
}

#[test]
fn seeds_that_once_failed_hold() {
    let lines = KEPT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let seed = line.split_whitespace().next().unwrap().parse().unwrap();
        if let Err(failure) = Scenario::default().run(seed) {
            panic!("{failure}");
        }
    }
}

#[test]
fn without_faults_nothing_is_lost() {
    for seed in 0..50 {
        let report = Scenario { faults: Faults::none(), ..Scenario::default() }.run(seed).unwrap();
        assert!(report.faults.is_empty());
        assert_eq!(report.ends.total(), 200);
    }
}

#[test]
fn other_networks_hold_as_well() {
    for seed in 0..100 {
        let scenario = Scenario { nodes: 9, owners: 3, tasks: 150, ..Scenario::default() };
        scenario.run(seed).unwrap();
        let scenario = Scenario { nodes: 2, owners: 1, tasks: 50, ..Scenario::default() };
        scenario.run(seed).unwrap();
    }
}
