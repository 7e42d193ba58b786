//! Health frames there and back, and what is none.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn report(status: HealthStatus) -> HealthBody {
    HealthBody::Report(Box::new(HealthReport { status, subject: None }))
}

#[test]
fn frames_survive_the_wire() {
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
fn an_echo_is_small() {
    let frame = HealthFrame { id: 1 << 20, body: HealthBody::Echo };
    assert!(frame.encode().len() <= 8);
}

#[test]
fn endless_reasons_are_cut() {
    let reason = proto::HealthReason { check: 99, detail: "\u{1b}".repeat(10_000) };
    let message =
        proto::HealthReport { level: 99, reasons: vec![reason; 1_000], ..Default::default() };
    let frame = proto::HealthFrame { id: 0, kind: Some(Kind::Report(message)) };
    let HealthBody::Report(report) = HealthFrame::decode(&frame.encode_to_vec()).unwrap().body
    else {
        panic!("a report")
    };
    let HealthStatus::Degraded(reasons) = report.status else {
        panic!("a later level is degraded")
    };
    assert_eq!(reasons.len(), core_limits::HEALTH_REASONS);
    assert!(reasons.iter().all(|reason| reason.check == HealthCheck::Other));
    assert!(reasons.iter().all(|reason| !reason.detail.contains('\u{1b}')));
}

#[test]
fn a_report_is_about_its_sender_or_says_so() {
    let (one, other) = (PeerId::random(), PeerId::random());
    let named = HealthReport { status: HealthStatus::Healthy, subject: Some(one.to_bytes()) };
    assert!(named.is_about(&one) && !named.is_about(&other));
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        HealthFrame::decode(&bytes).ok();
    }
}
