//! What a peer may ask for, and what it is told when it asks for more.

use super::*;

#[test]
fn a_burst_is_served_and_more_is_told_when_to_come_again() {
    for asked in Asked::ALL {
        let quotas = Quotas::new();
        let (burst, per_second) = asked.bound();
        let served = (0..100_000).take_while(|_| quotas.take(asked).is_ok()).count();
        assert!(served >= burst as usize, "{asked:?}: {served}");
        let wait = quotas.take(asked).unwrap_err();
        assert!(
            !wait.is_zero() && wait <= Duration::from_secs(1) / per_second,
            "{asked:?}: {wait:?}"
        );
    }
}

#[test]
fn one_kind_does_not_use_up_another() {
    let quotas = Quotas::new();
    while quotas.take(Asked::Echo).is_ok() {}
    assert!(quotas.take(Asked::Report).is_ok());
}
