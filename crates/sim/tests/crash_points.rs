//! An owner and a worker die at crash points: all pairs of points.

use std::collections::BTreeSet;

use meshwork_sim::{CrashPoint, Moment, Scenario};

#[test]
fn every_pair_of_crash_points_loses_nothing() {
    let mut fired = BTreeSet::new();
    for owner in CrashPoint::OWNER {
        for worker in CrashPoint::WORKER {
            for seed in 0..12 {
                let scenario = Scenario::crashing(owner, worker, seed);
                let report = scenario.run(seed).unwrap_or_else(|failure| panic!("{failure}"));
                let points: BTreeSet<_> = report.crashes.iter().map(|crash| crash.point).collect();
                assert_eq!(points, BTreeSet::from([owner, worker]), "seed {seed}: not reached");
                assert_eq!(report.ends.total(), 30, "{owner} {worker} seed {seed}");
                fired.extend(report.crashes.iter().map(|crash| (crash.point, crash.moment)));
            }
        }
    }
    let points = CrashPoint::OWNER.into_iter().chain(CrashPoint::WORKER);
    let sides: BTreeSet<_> =
        points.flat_map(|point| [(point, Moment::Before), (point, Moment::After)]).collect();
    assert_eq!(fired, sides);
}
