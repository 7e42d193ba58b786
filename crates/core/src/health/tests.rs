//! Tests of the health status and its reasons.

use super::*;

#[test]
fn worst_finding_decides_and_all_are_listed() {
    let finding = |severity, check| (severity, HealthReason::new(check, "x"));
    assert_eq!(HealthStatus::of(Vec::new()), HealthStatus::Healthy);
    let degraded = HealthStatus::of(vec![finding(Severity::Degraded, HealthCheck::Disk)]);
    assert_eq!(degraded.as_str(), "degraded");
    let both = HealthStatus::of(vec![
        finding(Severity::Degraded, HealthCheck::Disk),
        finding(Severity::Unhealthy, HealthCheck::Driver),
    ]);
    assert_eq!(both.as_str(), "unhealthy");
    assert_eq!(both.to_string(), "unhealthy (disk: x; driver: x)");
}

#[test]
fn reasons_of_peers_are_cut_and_cleaned() {
    let reason = HealthReason::new(HealthCheck::Other, format!("\u{1b}[2J{}", "x".repeat(10_000)));
    let status = HealthStatus::Degraded(vec![reason; 1_000]).clamped();
    assert_eq!(status.reasons().len(), limits::HEALTH_REASONS);
    for reason in status.reasons() {
        assert!(reason.detail.len() <= DETAIL_BYTES);
        assert!(!reason.detail.contains('\u{1b}'));
    }
}
