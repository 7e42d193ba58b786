use std::time::Duration;

use super::*;

#[test]
fn proof_is_reported_after_a_claim() {
    let (mut copies, start) = (Copies::default(), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(copies.should_report_own(false, at(0)));
    assert!(!copies.should_report_own(false, at(10)));
    assert!(copies.should_report_own(true, at(20)));
    assert!(!copies.should_report_own(true, at(30)));
    assert!(!copies.should_report_own(false, at(3_600)));
    assert!(copies.should_report_own(false, at(3_620)));
}

#[test]
fn many_keys_of_strangers_do_not_fill_the_log() {
    let (mut copies, start) = (Copies::default(), Instant::now());
    let reported = (0..1_000).filter(|_| copies.should_report_stranger(start)).count();
    assert_eq!(reported, limits::COPIES_REPORTED);
    assert!(copies.should_report_stranger(start + limits::COPIED_TIME));
}
