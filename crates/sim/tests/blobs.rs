//! Tasks with blobs as inputs and outputs, in networks that lose files, run out of room and guess
//! hashes.

use std::collections::BTreeMap;

use meshwork_sim::{BlobLoad, FaultKind, Faults, Scenario};

#[test]
fn blobs_are_where_they_must_be_whatever_happens() {
    let mut faults: BTreeMap<FaultKind, u64> = BTreeMap::new();
    let (mut fetched, mut removed, mut full, mut succeeded) = (0, 0, 0, 0);
    for seed in 0..200 {
        let scenario = Scenario { keep_trace: true, ..Scenario::blobs(seed) };
        let report = scenario.run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        for (kind, count) in report.faults {
            *faults.entry(kind).or_default() += count;
        }
        fetched += report.trace.matches(" has fetched ").count();
        removed += report.trace.matches(" removes what nothing needs").count();
        full += report.trace.matches(" has no room for task ").count();
        succeeded += report.ends.succeeded;
    }
    let counts = [fetched, removed, full];
    assert!(succeeded > 7_500 && fetched > 4_000, "{succeeded} succeeded, {counts:?}");
    assert!(removed > 400 && full > 400, "{counts:?}");
    for kind in
        [FaultKind::WrongBytes, FaultKind::GuessedHash, FaultKind::BlobDamaged, FaultKind::FullDisk]
    {
        assert!(faults.get(&kind).is_some_and(|count| *count > 100), "{kind}: {faults:?}");
    }
}

#[test]
fn without_faults_and_with_room_every_blob_arrives() {
    for seed in 0..50 {
        let none = BlobLoad { damages: 0, full_disks: 0, guesses: 0, ..BlobLoad::usual() };
        let blobs = BlobLoad { budget: 1 << 34, ..none };
        let scenario = Scenario { faults: Faults::none(), blobs, ..Scenario::blobs(seed) };
        let scenario = Scenario { keep_trace: true, ..scenario };
        let report = scenario.run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.faults.is_empty(), "seed {seed}: {:?}", report.faults);
        assert_eq!(report.ends.refused, 0, "seed {seed}");
        assert!(!report.trace.contains("input_lost"), "seed {seed}");
    }
}

#[test]
fn a_run_without_blobs_knows_none() {
    let scenario = Scenario { blobs: BlobLoad::none(), keep_trace: true, ..Scenario::blobs(1) };
    let report = scenario.run(1).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(!report.trace.contains(" fetches ") && !report.trace.contains(" stores "));
}
