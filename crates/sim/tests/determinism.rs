//! The same seed gives the same history, byte for byte.

use std::{collections::BTreeSet, time::Duration};

use meshwork_sim::{FaultKind, Invariant, Outcome, Scenario};

#[test]
fn the_same_seed_gives_the_same_trace() {
    let scenario = Scenario { keep_trace: true, ..Scenario::default() };
    for seed in 0..20 {
        let (first, second) = (scenario.run(seed).unwrap(), scenario.run(seed).unwrap());
        assert!(first == second, "seed {seed}");
        assert!(!first.trace.is_empty());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_with_blobs() {
    for seed in 0..20 {
        let scenario = Scenario { keep_trace: true, ..Scenario::blobs(seed) };
        let (first, second) = (scenario.run(seed).unwrap(), scenario.run(seed).unwrap());
        assert!(first == second, "seed {seed}");
    }
}

#[test]
fn keeping_the_trace_changes_nothing() {
    let kept = Scenario { keep_trace: true, ..Scenario::default() }.run(5).unwrap();
    let not = Scenario::default().run(5).unwrap();
    assert_eq!(kept.trace_hash, not.trace_hash);
    assert!(not.trace.is_empty());
}

#[test]
fn other_seeds_give_other_traces() {
    let hashes: BTreeSet<u64> =
        (0..50).map(|seed| Scenario::default().run(seed).unwrap().trace_hash).collect();
    assert_eq!(hashes.len(), 50);
}

#[test]
fn every_kind_of_fault_is_injected() {
    let mut kinds = BTreeSet::new();
    for seed in 0..50 {
        kinds.extend(Scenario::default().run(seed).unwrap().faults.into_keys());
        kinds.extend(Scenario::blobs(seed).run(seed).unwrap().faults.into_keys());
    }
    assert_eq!(kinds, BTreeSet::from(FaultKind::ALL));
}

#[test]
fn a_failure_names_the_command_that_repeats_it() {
    let failure = Scenario::default().run_with(3, |_, _| panic!("on purpose")).unwrap_err();
    assert_eq!(failure.invariant, Invariant::NoPanic);
    let words = failure.to_string();
    assert!(words.contains("cargo run --release -p meshwork-sim -- --seed 3"), "{words}");
    assert!(words.contains("on purpose"), "{words}");
    let small = Scenario { tasks: 3, ..Scenario::default() };
    let failure = small.run_with(3, |_, _| panic!("on purpose")).unwrap_err();
    assert!(failure.replay.contains("this scenario"), "{}", failure.replay);
}

#[test]
fn no_task_succeeds_when_its_handler_fails() {
    let fails = |_: &_, _: &mut _| {
        let failure = meshwork_core::TaskFailure::new(meshwork_core::FailureCode::Permanent, "no");
        (Duration::from_millis(1), Outcome::Failed(failure))
    };
    let report = Scenario::default().run_with(1, fails).unwrap();
    let liars = report.faults.get(&FaultKind::Lie).copied().unwrap_or_default();
    assert!(report.ends.succeeded <= liars, "{report:?}");
}

#[test]
fn different_clocks_change_nothing() {
    for seed in 0..50 {
        let skewed = Scenario { skew: Duration::from_secs(400 * 86_400), ..Scenario::default() };
        let (with, without) = (skewed.run(seed).unwrap(), Scenario::default().run(seed).unwrap());
        assert_eq!(with, without, "seed {seed}");
    }
}
