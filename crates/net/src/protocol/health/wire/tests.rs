//! Health frames: encoded and decoded again, cut to their bounds, and invalid bytes.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn report(status: HealthStatus) -> HealthBody {
    HealthBody::Report(Box::new(HealthReport { status, subject: None }))
}

#[test]
fn frames_decode_to_what_was_encoded() {
    let checks = [
        HealthCheck::EventLoop,
        HealthCheck::Driver,
        HealthCheck::Handlers,
        HealthCheck::Disk,
        HealthCheck::Memory,
        HealthCheck::Listeners,
        HealthCheck::Inbound,
        HealthCheck::Other,
    ];
    let reasons: Vec<_> = checks.map(|check| HealthReason::new(check, "why")).into();
    let bodies = [
        HealthBody::Echo,
        HealthBody::Echoed,
        report(HealthStatus::Healthy),
        report(HealthStatus::Degraded(reasons.clone())),
        report(HealthStatus::Unhealthy(reasons)),
        HealthBody::Refused(Reason::Busy { retry_after: Duration::from_millis(5) }),
        HealthBody::Unsupported(77),
    ];
    for body in bodies {
        let frame = HealthFrame { id: 9, body };
        assert_eq!(HealthFrame::decode(&frame.encode()).unwrap(), frame);
    }
}

#[test]
fn echo_takes_at_most_8_bytes() {
    let frame = HealthFrame { id: 1 << 20, body: HealthBody::Echo };
    assert!(frame.encode().len() <= 8);
}

#[test]
fn too_many_reasons_are_cut_and_cleaned() {
    let reason = proto::HealthReason { check: 99, detail: "\u{1b}".repeat(10_000) };
    let message =
        proto::HealthReport { level: 99, reasons: vec![reason; 1_000], ..Default::default() };
    let frame = proto::HealthFrame { id: 0, kind: Some(Kind::Report(message)) };
    let HealthBody::Report(report) = HealthFrame::decode(&frame.encode_to_vec()).unwrap().body
    else {
        panic!("not a report")
    };
    let HealthStatus::Degraded(reasons) = report.status else {
        panic!("an unknown level must count as degraded")
    };
    assert_eq!(reasons.len(), core_limits::HEALTH_REASONS);
    assert!(reasons.iter().all(|reason| reason.check == HealthCheck::Other));
    assert!(reasons.iter().all(|reason| !reason.detail.contains('\u{1b}')));
}

#[test]
fn report_with_a_subject_is_about_that_peer_only() {
    let (one, other) = (PeerId::random(), PeerId::random());
    let named = HealthReport { status: HealthStatus::Healthy, subject: Some(one.to_bytes()) };
    assert!(named.is_about(&one) && !named.is_about(&other));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        HealthFrame::decode(&bytes).ok();
    }
}
