//! A peer's quotas, and the wait for requests beyond them.

use super::*;

#[test]
fn burst_is_served_and_excess_gets_a_wait() {
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
fn kinds_have_separate_quotas() {
    let quotas = Quotas::new();
    while quotas.take(Asked::Echo).is_ok() {}
    assert!(quotas.take(Asked::Report).is_ok());
}
