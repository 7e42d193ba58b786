//! Punctual, slow and dead peers, and nodes that were suspended themselves.

use proptest::prelude::*;

use super::*;

const INTERVAL: Duration = Duration::from_secs(5);

fn at(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

/// A detector after a message at the end of each gap, and the time of the last message in
/// milliseconds.
fn heard(gaps_ms: impl IntoIterator<Item = u64>) -> (Detector, u64) {
    let mut detector = Detector::new(INTERVAL, Time::ZERO);
    let mut now = 0;
    for gap in gaps_ms {
        now += gap;
        detector.hear(at(now));
    }
    (detector, now)
}

#[test]
fn dead_punctual_peer_is_gone_within_three_intervals() {
    let (detector, last) = heard([5_000; 20]);
    assert!(!detector.is_gone(at(last + 12_000)));
    assert!(detector.is_gone(at(last + 12_500)));
    assert!(detector.is_gone(at(last + 15_000)));
}

#[test]
fn frequent_messages_do_not_shorten_the_timeout() {
    let (detector, last) = heard([10; 2_000]);
    assert!(!detector.is_gone(at(last + 12_000)));
    assert!(detector.is_gone(at(last + 12_500)));
}

#[test]
fn peer_never_heard_is_gone_within_three_intervals() {
    let detector = Detector::new(INTERVAL, Time::ZERO);
    assert!(!detector.is_gone(at(12_000)));
    assert!(detector.is_gone(at(15_000)));
}

#[test]
fn slow_peer_is_gone_only_after_its_usual_delays() {
    // Messages arrive up to nine seconds late.
    let slow = (0..40).map(|nth| 5_000 + (nth * 7 % 10) * 1_000);
    let (detector, last) = heard(slow);
    assert!(detector.phi(at(last + 15_000)) < THRESHOLD);
    assert!(!detector.is_gone(at(last + 15_000)));
    assert!(detector.is_gone(at(last + 120_000)), "a dead peer is gone");
}

#[test]
fn suspended_node_does_not_blame_its_peers() {
    let (mut detector, last) = heard([5_000; 10]);
    let now = at(last + 60_000);
    assert!(detector.is_gone(now));
    detector.forgive(Duration::from_secs(58), now);
    assert!(!detector.is_gone(now));
    // Forgiving more time than has passed does no harm.
    detector.forgive(Duration::from_secs(1_000), now);
    assert_eq!(detector.heard(), now);
}

#[test]
fn repeated_or_late_messages_change_nothing() {
    let (mut detector, last) = heard([5_000; 10]);
    let before = detector.phi(at(last + 9_000));
    detector.hear(at(last));
    detector.hear(at(last - 3_000));
    assert_eq!(detector.phi(at(last + 9_000)), before);
}

proptest! {
    #[test]
    fn suspicion_is_a_number_and_never_falls(
        gaps in prop::collection::vec(1u64..1_000_000, 0..200),
        silences in prop::collection::vec(0u64..10_000_000_000, 2..20),
    ) {
        let (detector, last) = heard(gaps);
        prop_assert!(detector.gaps.len() <= DETECTOR_SAMPLES);
        let mut silences = silences;
        silences.sort_unstable();
        let phis: Vec<f64> = silences.iter().map(|ms| detector.phi(at(last + ms))).collect();
        for phi in &phis {
            prop_assert!(!phi.is_nan() && *phi >= 0.0, "{phi}");
        }
        prop_assert!(phis.is_sorted(), "{phis:?}");
    }
}
