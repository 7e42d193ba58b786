//! The default scenario with two thousand seeds, other scenarios with fewer, and seeds that have
//! found errors.

use meshwork_sim::{Failure, Faults, Scenario};

/// Seeds that have found errors, one per line, with the error that each found.
const KEPT: &str = include_str!("kept_seeds.txt");

/// The first failure of every fourth seed: the four tests below share the work.
fn quarter(first: u64) -> Option<Failure> {
    (first..2_000).step_by(4).find_map(|seed| Scenario::default().run(seed).err())
}

#[test]
fn everything_holds_first_quarter() {
    if let Some(failure) = quarter(0) {
        panic!("{failure}");
    }
}

#[test]
fn everything_holds_second_quarter() {
    if let Some(failure) = quarter(1) {
        panic!("{failure}");
    }
}

#[test]
fn everything_holds_third_quarter() {
    if let Some(failure) = quarter(2) {
        panic!("{failure}");
    }
}

#[test]
fn everything_holds_fourth_quarter() {
    if let Some(failure) = quarter(3) {
        panic!("{failure}");
    }
}

#[test]
fn kept_seeds_hold() {
    let lines = KEPT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let mut words = line.split_whitespace();
        let (choice, seed) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        let scenario = match choice {
            "default" => Scenario::default(),
            "varied" => Scenario::varied(seed),
            "groups" => Scenario::grouped(seed),
            "blobs" => Scenario::blobs(seed),
            other => panic!("unknown scenario {other}"),
        };
        if let Err(failure) = scenario.run(seed) {
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
fn varied_networks_hold() {
    for seed in 0..300 {
        if let Err(failure) = Scenario::varied(seed).run(seed) {
            panic!("{failure}");
        }
    }
}
