//! When resources are reported.

use proptest::prelude::*;

use super::*;

fn usage(cpu_used: f32) -> ResourceUsage {
    ResourceUsage { cpus: 4, cpu_used, ..ResourceUsage::default() }
}

#[test]
fn changes_are_reported_after_1_s_and_everything_after_30_s() {
    let mut reporter = Reporter::default();
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    assert!(reporter.is_due(&usage(0.1), at(0)), "the first is due");
    assert!(!reporter.is_due(&usage(0.9), at(900)), "not within a second");
    assert!(reporter.is_due(&usage(0.9), at(1_000)));
    assert!(!reporter.is_due(&usage(0.85), at(20_000)), "hardly changed");
    assert!(!reporter.is_due(&usage(0.9), at(28_900)));
    assert!(reporter.is_due(&usage(0.9), at(29_000)), "the next measurement would be too late");
}

proptest! {
    #[test]
    fn reports_are_at_least_1_s_and_at_most_30_s_apart(
        steps in prop::collection::vec((0u64..5_000, 0.0f32..1.0), 1..200),
    ) {
        let mut reporter = Reporter::default();
        let (mut now, mut reported) = (Instant::now(), None);
        for (pause, cpu) in steps {
            now += Duration::from_millis(pause);
            let due = reporter.is_due(&usage(cpu), now);
            let since: Option<Duration> = reported.map(|at| now.duration_since(at));
            if due {
                prop_assert!(since.is_none_or(|since| since >= limits::REPORT_AT_MOST));
                reported = Some(now);
            } else {
                prop_assert!(since.is_some_and(|since| since + limits::MEASURE < limits::REPORT_AT_LEAST));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_loop_does_not_block_the_probes() {
    let hangs = std::future::pending::<Result<(), ()>>();
    assert!(patiently(hangs).await.is_ok(), "its lag reports it");
    assert!(
        lag(std::future::pending::<Result<Duration, ()>>()).await.is_ok_and(|lag| lag == HANGS)
    );
    assert!(patiently(async { Err(()) }).await.is_err(), "a loop that has ended ends the probes");
}
