//! Counts by kind and size.

use super::*;

#[test]
fn every_kind_has_a_unique_name() {
    let last = Kind::BlobRefusal as usize;
    assert_eq!(last + 1, KINDS.len());
    for (index, one) in KINDS.iter().enumerate() {
        assert!(!KINDS[..index].contains(one), "{one:?} twice");
    }
    assert_eq!(KINDS[Kind::Assign as usize], (TaskProtocol, "assign"));
    assert_eq!(KINDS[Kind::Heartbeat as usize], (TaskProtocol, "heartbeat"));
    assert_eq!(KINDS[Kind::Query as usize], (DiscoveryProtocol, "query"));
    assert_eq!(KINDS[Kind::ResourceReport as usize], (ResourceProtocol, "report"));
    assert_eq!(KINDS[Kind::Echo as usize], (HealthProtocol, "echo"));
    assert_eq!(KINDS[Kind::BlobPiece as usize], (TaskProtocol, "blob_piece"));
}

#[test]
fn batches_are_summed_by_kind_and_size() {
    let meter = Meter::default();
    let mut tally = Tally::default();
    for bytes in [0, 1, 128, 1 << 20, usize::MAX >> 1] {
        tally.kind(Kind::Assign);
        tally.size(bytes);
    }
    meter.sent.add(TaskProtocol, &mut tally);
    meter.sent.add(TaskProtocol, &mut tally);
    meter.sent.one(Kind::Echo, 7);
    meter.received.bytes(HealthProtocol, 9);
    let NetTraffic { sent, received } = meter.snapshot();
    let count = |flow: &Flow, kind| flow.messages.iter().find(|m| m.1 == kind).map(|m| m.2);
    assert_eq!((count(&sent, "assign"), count(&sent, "echo")), (Some(5), Some(1)));
    assert_eq!(count(&received, "assign"), Some(0));
    let of = |protocol| sent.sizes.iter().filter(move |class| class.protocol == protocol);
    assert_eq!(of(TaskProtocol).map(|class| class.messages).sum::<u64>(), 5);
    assert_eq!(of(HealthProtocol).map(|class| class.bytes).sum::<u64>(), 7);
    assert_eq!(received.bytes[HealthProtocol.index()], (HealthProtocol, 9));
}
