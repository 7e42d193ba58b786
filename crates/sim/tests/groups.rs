//! Groups of tasks: submitted in several calls, partly twice, to owners that die meanwhile.

use meshwork_sim::{FaultKind, Scenario};

#[test]
fn group_counts_and_stops_survive_owner_crashes() {
    let (mut tasks, mut refused, mut again) = (0, 0, 0);
    let (mut cancelled, mut once_more) = (0, 0);
    for seed in 0..150 {
        let scenario = Scenario { keep_trace: true, ..Scenario::grouped(seed) };
        let report = scenario.run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        tasks += report.ends.total();
        refused += report.ends.refused;
        again += report.trace.matches(" submits members 0..").count();
        cancelled += report.trace.matches(" has cancelled group ").count();
        once_more += report.trace.matches(" will be submitted again").count();
    }
    // Some groups stop before all members are submitted; some are submitted again from the start.
    assert!(tasks > 12_000 && refused > 100 && again > 900, "{tasks} {refused} {again}");
    // Some are cancelled; some are submitted again after a crash although all were accepted.
    assert!(cancelled > 100 && once_more > 100, "{cancelled} cancelled, {once_more} again");
}

#[test]
fn groups_are_forgotten_as_a_whole_despite_crashes() {
    let (mut forgotten, mut refused, mut gone, mut crashes) = (0, 0, 0, 0);
    for seed in (3..400).step_by(4) {
        let scenario = Scenario { keep_trace: true, ..Scenario::grouped(seed) };
        let report = scenario.run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        forgotten += report.trace.matches(" forgets group ").count();
        refused += report.trace.matches(": no space for more results").count();
        gone += report.trace.matches(": forgotten: ").count();
        crashes += report.faults.get(&FaultKind::OwnerCrash).copied().unwrap_or_default();
    }
    let counts = [forgotten, refused, gone];
    assert!(forgotten > 300 && refused > 500 && crashes > 200, "{counts:?}, {crashes} crashes");
}
