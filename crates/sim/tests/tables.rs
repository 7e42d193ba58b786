//! Owners that accept few tasks at a time and keep few ended ones.

use meshwork_sim::Scenario;

#[test]
fn full_queues_and_short_retention_lose_nothing() {
    let (mut full, mut forgotten) = (0, 0);
    for seed in 0..100 {
        let scenario = Scenario {
            // With groups, the owner keeps additional tasks: as many as the groups have members.
            groups: 0,
            max_owned: 3,
            max_ended: 3,
            keep_trace: true,
            ..Scenario::default()
        };
        let report = scenario.run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.ends.total() >= 200, "seed {seed}: {:?}", report.ends);
        full += report.trace.matches(": it is full").count();
        forgotten += report.trace.matches(" has forgotten task ").count();
    }
    assert!(full > 1_000 && forgotten > 100, "{full} refused, {forgotten} forgotten");
}
