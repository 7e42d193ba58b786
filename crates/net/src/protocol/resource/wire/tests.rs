//! Resource frames: encoded and decoded again, and invalid bytes.

use proptest::prelude::*;

use super::*;

fn report() -> ResourceReport {
    let usage = ResourceUsage {
        cpus: 8,
        cpu_used: 0.375,
        memory_bytes: 16 << 30,
        memory_free_bytes: 7 << 30,
        disk_bytes: 1 << 40,
        disk_free_bytes: 1 << 38,
        load: 2.5,
        gpus: 1,
        slots: 8,
        slots_free: 3,
        up_bytes_per_s: 1_234_567,
        down_bytes_per_s: 7_654_321,
        ..ResourceUsage::default()
    };
    ResourceReport { usage, age: Duration::from_millis(1_500), subject: None }
}

#[test]
fn frames_decode_to_what_was_encoded() {
    let peer = PeerId::random();
    let about = ResourceReport { subject: Some(peer.to_bytes()), ..report() };
    let bodies = [
        ResourceBody::Report(Box::new(report())),
        ResourceBody::Report(Box::new(about)),
        ResourceBody::Question,
        ResourceBody::Refused(Reason::Busy { retry_after: Duration::from_millis(5) }),
        ResourceBody::Unsupported(77),
    ];
    for body in bodies {
        let frame = ResourceFrame { id: 9, body };
        assert_eq!(ResourceFrame::decode(&frame.encode()).unwrap(), frame);
    }
}

#[test]
fn report_takes_at_most_80_bytes() {
    let frame = ResourceFrame { id: 0, body: ResourceBody::Report(Box::new(report())) };
    assert!(frame.encode().len() <= 80, "{}", frame.encode().len());
}

#[test]
fn report_with_a_subject_is_about_that_peer_only() {
    let (one, other) = (PeerId::random(), PeerId::random());
    assert!(report().is_about(&one));
    let named = ResourceReport { subject: Some(one.to_bytes()), ..report() };
    assert!(named.is_about(&one) && !named.is_about(&other));
}

#[test]
fn unknown_kind_keeps_its_number_and_empty_frame_is_an_error() {
    // Field 40, two bytes.
    let later = ResourceFrame::decode(&[8, 3, 0xc2, 0x02, 2, 1, 1]).unwrap();
    assert_eq!(later, ResourceFrame { id: 3, body: ResourceBody::Unknown(40) });
    assert_eq!(ResourceFrame::decode(&[8, 3]), Err(WireError::Empty));
    assert_eq!(ResourceFrame::decode(&[]), Err(WireError::Empty));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(ResourceFrame { body: ResourceBody::Report(report), .. }) =
            ResourceFrame::decode(&bytes)
        {
            // The check must not panic either.
            report.usage.checked().ok();
        }
    }
}
