//! Samples that are too old.

use meshwork_core::HealthCheck;

use super::*;

#[test]
fn old_samples_are_a_finding() {
    let lag = Some(Duration::from_millis(1));
    let samples = Samples { loop_lag: lag, driver_lag: lag, ..Samples::default() };
    let status = |age| health::assess(&samples.clone().measured(age));
    assert_eq!(status(STALE), HealthStatus::Healthy);
    let HealthStatus::Degraded(reasons) = status(STALE + Duration::from_secs(1)) else { panic!() };
    assert_eq!(reasons.first().map(|reason| reason.check), Some(HealthCheck::Other));
    assert!(reasons.first().is_some_and(|reason| reason.detail.contains("36 s")), "{reasons:?}");
}
