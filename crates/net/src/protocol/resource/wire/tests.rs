//! Resource frames there and back, and what is none.

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
fn frames_survive_the_wire() {
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
fn a_report_is_small() {
    let frame = ResourceFrame { id: 0, body: ResourceBody::Report(Box::new(report())) };
    assert!(frame.encode().len() <= 80, "{}", frame.encode().len());
}

#[test]
fn a_report_is_about_its_sender_or_says_so() {
    let (one, other) = (PeerId::random(), PeerId::random());
    assert!(report().is_about(&one));
    let named = ResourceReport { subject: Some(one.to_bytes()), ..report() };
    assert!(named.is_about(&one) && !named.is_about(&other));
}

#[test]
fn later_kinds_are_told_by_their_number_and_nothing_is_none() {
    // Field 40, two bytes.
    let later = ResourceFrame::decode(&[8, 3, 0xc2, 0x02, 2, 1, 1]).unwrap();
    assert_eq!(later, ResourceFrame { id: 3, body: ResourceBody::Unknown(40) });
    assert_eq!(ResourceFrame::decode(&[8, 3]), Err(WireError::Empty));
    assert_eq!(ResourceFrame::decode(&[]), Err(WireError::Empty));
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(ResourceFrame { body: ResourceBody::Report(report), .. }) =
            ResourceFrame::decode(&bytes)
        {
            // Whatever it says, it is a possible machine or refused.
            report.usage.checked().ok();
        }
    }
}
