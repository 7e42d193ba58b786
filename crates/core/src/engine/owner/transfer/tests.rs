use super::*;

const MIB: u64 = 1 << 20;

fn epoch(number: u64) -> Epoch {
    Epoch { boot: 1, number }
}

fn at(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

#[test]
fn last_throughput_counts() {
    let mut transfer = Transfer::default();
    assert_eq!(transfer.time_for(limits::TRANSFER_RATE), Duration::from_secs(1));
    transfer.on_arrived(epoch(1), 0, at(0));
    transfer.on_arrived(epoch(1), 10 * MIB, at(1_000));
    assert_eq!(transfer.time_for(20 * MIB), Duration::from_secs(2));
    transfer.on_arrived(epoch(1), 11 * MIB, at(2_000));
    assert_eq!(transfer.time_for(20 * MIB), Duration::from_secs(20));
}

#[test]
fn two_inputs_at_once_are_not_mixed() {
    let mut transfer = Transfer::default();
    transfer.on_arrived(epoch(1), MIB, at(0));
    transfer.on_arrived(epoch(2), 500 * MIB, at(500));
    transfer.on_arrived(epoch(1), 2 * MIB, at(1_000));
    assert_eq!(transfer.time_for(MIB), Duration::from_secs(1));
    transfer.on_arrived(epoch(2), 501 * MIB, at(60_000));
    transfer.on_arrived(epoch(2), 505 * MIB, at(62_000));
    assert_eq!(transfer.time_for(2 * MIB), Duration::from_secs(1), "the first has ended long ago");
}

#[test]
fn claims_of_a_worker_are_no_trouble() {
    let mut transfer = Transfer::default();
    transfer.on_arrived(epoch(1), 0, at(0));
    transfer.on_arrived(epoch(1), u64::MAX, at(0));
    transfer.on_arrived(epoch(1), u64::MAX, at(9_000));
    transfer.on_arrived(epoch(1), 3, at(10_000));
    assert!(transfer.time_for(u64::MAX) > Duration::ZERO);
    assert_eq!(transfer.time_for(0), Duration::ZERO);
}
